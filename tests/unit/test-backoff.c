/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/backoff.h"
#include "base/cleanup.h"

#define BASE 1000u
#define CAP 300000u
#define SEEDS 2000u

static uint32_t ceiling_of(unsigned attempt)
{
	uint64_t ceiling = BASE;

	while (attempt-- > 0 && ceiling < CAP)
		ceiling *= 2;
	return ceiling < CAP ? (uint32_t)ceiling : CAP;
}

static void stays_below_its_ceiling(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct backoff b;

		backoff_init(&b, BASE, CAP, seed);
		for (unsigned attempt = 0; attempt < 70; attempt++)
			assert_in_range(backoff_next(&b, 0), 0, ceiling_of(attempt));
	}
}

/* Of a uniform spread, each quarter of the range holds about a quarter of the clients. */
static void spreads_over_the_whole_range(void **state)
{
	for (unsigned attempt = 0; attempt < 12; attempt++) {
		unsigned quarters[4] = { 0 };

		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			struct backoff b;
			uint64_t wait = 0;

			backoff_init(&b, BASE, CAP, seed);
			for (unsigned i = 0; i <= attempt; i++)
				wait = backoff_next(&b, 0);
			quarters[wait * 4 / (ceiling_of(attempt) + 1)]++;
		}
		for (size_t i = 0; i < ARRAY_SIZE(quarters); i++)
			assert_in_range(quarters[i], SEEDS * 3 / 16, SEEDS * 5 / 16);
	}
}

static void same_seed_gives_same_waits(void **state)
{
	struct backoff a, b, c;
	unsigned differing = 0;

	backoff_init(&a, BASE, CAP, 7);
	backoff_init(&b, BASE, CAP, 7);
	backoff_init(&c, BASE, CAP, 8);
	for (unsigned i = 0; i < 50; i++) {
		uint32_t wait = backoff_next(&a, 0);

		assert_int_equal(wait, backoff_next(&b, 0));
		differing += wait != backoff_next(&c, 0);
	}
	assert_true(differing > 40);
}

static void waits_no_less_than_the_server_asked(void **state)
{
	static const uint32_t floors[] = { 1, 5000, CAP, 3600000 };

	for (size_t i = 0; i < ARRAY_SIZE(floors); i++) {
		struct backoff b;
		uint32_t least = UINT32_MAX, most = 0;

		backoff_init(&b, BASE, CAP, i);
		for (unsigned n = 0; n < 100; n++) {
			uint32_t wait = backoff_next(&b, floors[i]);

			assert_in_range(wait, floors[i], (uint64_t)floors[i] + CAP);
			least = wait < least ? wait : least;
			most = wait > most ? wait : most;
		}
		assert_true(most > least);
	}
}

static void floor_saturates(void **state)
{
	struct backoff b;

	backoff_init(&b, BASE, CAP, 3);
	for (unsigned n = 0; n < 100; n++)
		assert_int_equal(backoff_next(&b, UINT32_MAX), UINT32_MAX);
}

static void reset_starts_at_the_base_again(void **state)
{
	struct backoff b;

	backoff_init(&b, BASE, CAP, 11);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 9; i++)
			backoff_next(&b, 0);
		backoff_reset(&b);
		assert_in_range(backoff_next(&b, 0), 0, BASE);
		assert_in_range(backoff_next(&b, 0), 0, 2 * BASE);
		backoff_reset(&b);
	}
}

static void base_above_cap_is_capped(void **state)
{
	struct backoff b;

	backoff_init(&b, 5000, 100, 1);
	for (unsigned n = 0; n < 200; n++)
		assert_in_range(backoff_next(&b, 0), 0, 100);
}

static void jitter_reaches_both_ends(void **state)
{
	struct backoff b;
	unsigned seen[4] = { 0 };

	backoff_init(&b, BASE, CAP, 42);
	for (unsigned n = 0; n < 400; n++) {
		uint32_t wait = backoff_jitter(&b, 3);

		assert_in_range(wait, 0, 3);
		seen[wait]++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		assert_true(seen[i] > 50);
	assert_int_equal(backoff_jitter(&b, 0), 0);
	assert_int_equal(b.attempt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_below_its_ceiling),
		cmocka_unit_test(spreads_over_the_whole_range),
		cmocka_unit_test(same_seed_gives_same_waits),
		cmocka_unit_test(waits_no_less_than_the_server_asked),
		cmocka_unit_test(floor_saturates),
		cmocka_unit_test(reset_starts_at_the_base_again),
		cmocka_unit_test(base_above_cap_is_capped),
		cmocka_unit_test(jitter_reaches_both_ends),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
