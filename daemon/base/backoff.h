/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Full-jitter exponential backoff: the n-th wait is uniform in [0, min(cap, base * 2^n)], which
 * spreads clients that failed together instead of bringing them back together. Pure: the caller
 * owns clock and timer. Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
#pragma once

#include <stdint.h>

/* How a session that was lost is begun anew: these are what keeps a million clients apart. */
#define BACKOFF_RECONNECT_BASE_MS 1000
#define BACKOFF_RECONNECT_CAP_MS 300000

struct backoff {
	uint32_t base_ms;
	uint32_t cap_ms;
	unsigned attempt; /* waits handed out since the last reset */
	uint64_t random;  /* state of the generator; set by backoff_init */
};

/* The same seed gives the same waits. `base_ms` and `cap_ms` in milliseconds, both above 0. */
void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms, uint64_t seed);

/*
 * The next wait in milliseconds. `floor_ms` is what the server asked for (Retry-After), or 0: the
 * wait is then at least that, with the jitter on top, so that clients told the same time do not
 * return together.
 */
uint32_t backoff_next(struct backoff *b, uint32_t floor_ms);

/* After a success that lasted: the next failure starts at `base_ms` again. */
void backoff_reset(struct backoff *b);

/* A uniform number in [0, limit], from the same generator. */
uint32_t backoff_jitter(struct backoff *b, uint32_t limit);
