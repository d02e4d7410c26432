/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/backoff.h"

/* splitmix64 (Steele, Lea, Flood 2014): one word of state, good enough to spread clients. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms, uint64_t seed)
{
	*b = (struct backoff){ .base_ms = base_ms, .cap_ms = cap_ms, .random = seed };
}

uint32_t backoff_jitter(struct backoff *b, uint32_t limit)
{
	return (uint32_t)(next_random(&b->random) % ((uint64_t)limit + 1));
}

uint32_t backoff_next(struct backoff *b, uint32_t floor_ms)
{
	uint64_t ceiling = b->cap_ms;
	uint64_t wait;

	if (b->attempt < 32 && ((uint64_t)b->base_ms << b->attempt) < ceiling)
		ceiling = (uint64_t)b->base_ms << b->attempt;
	b->attempt++;
	wait = (uint64_t)floor_ms + backoff_jitter(b, (uint32_t)ceiling);
	return wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait;
}

void backoff_reset(struct backoff *b)
{
	b->attempt = 0;
}
