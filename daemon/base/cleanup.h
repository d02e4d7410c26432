/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scope-bound cleanup in the manner of systemd: a variable marked _cleanup_ is released when it
 * goes out of scope; TAKE_PTR and TAKE_FD hand its value on and leave nothing to release.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _unused_ __attribute__((unused))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define TAKE_PTR(p)                                 \
	({                                          \
		__typeof__(p) *_take_from = &(p);   \
		__typeof__(p) _taken = *_take_from; \
		*_take_from = NULL;                 \
		_taken;                             \
	})

#define TAKE_FD(fd)                             \
	({                                      \
		int *_take_fd_from = &(fd);     \
		int _taken_fd = *_take_fd_from; \
		*_take_fd_from = -1;            \
		_taken_fd;                      \
	})

/*
 * Defines `name`p(), the form that _cleanup_ calls, for a destructor that takes and returns `type`.
 */
#define DEFINE_CLEANUP(type, name)          \
	static inline void name##p(type *p) \
	{                                   \
		if (*p)                     \
			name(*p);           \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
