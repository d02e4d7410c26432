/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small things the library needs of its own, since it shares no code with the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define TAKE_PTR(p)                                 \
	({                                          \
		__typeof__(p) *_take_from = &(p);   \
		__typeof__(p) _taken = *_take_from; \
		*_take_from = NULL;                 \
		_taken;                             \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void cjson_deletep(cJSON **p)
{
	cJSON_Delete(*p);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_json_ _cleanup_(cjson_deletep)

#define UUID_STRING_SIZE 37

/* CLOCK_MONOTONIC in microseconds. */
uint64_t monotonic_us(void);

/* `now_us` and `ms` added; UINT64_MAX for a negative `ms`, which stands for no limit. */
uint64_t deadline_after(uint64_t now_us, int64_t ms);

/* A UUID of version 7 (RFC 9562). 0, or -EIO when the system gives no randomness. */
int uuid7_generate(char ret[UUID_STRING_SIZE]);

/* A number in [0, limit]; `limit` itself when the system gives no randomness. */
uint32_t random_up_to(uint32_t limit);

bool utf8_is_valid(const char *data, size_t len);

/* The length up to which `s` can be cut to at most `max` bytes without cutting a character. */
size_t utf8_truncated_length(const char *s, size_t max);

int fd_dup_cloexec(int fd);

/* Closes the first `n`. */
void fds_close(const int *fds, size_t n);

/* An array of the strings, which end with NULL. 0 or -ENOMEM. */
int strings_to_json(const char *const *strings, cJSON **ret);
