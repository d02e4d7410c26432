/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "bench/herd-model.h"

static struct herd_result run(enum herd_rule rule, uint32_t capacity, uint32_t retry_after_s)
{
	struct herd_options o = {
		.rule = rule,
		.clients = 10000,
		.outage_s = 600,
		.horizon_s = 3600,
		.capacity = capacity,
		.retry_after_s = retry_after_s,
		.seed = 1,
	};
	struct herd_result r;

	assert_int_equal(herd_run(&o, &r), 0);
	/* The even share is 33; what goes above twice that is the noise of so few clients. */
	r.peak = (uint32_t)(10 * r.peak / herd_even_share(&o));
	return r;
}

/* Peaks in tenths of the even share. */
static void jitter_makes_a_slope_of_the_wall(void **state)
{
	struct herd_result jitter = run(HERD_FULL_JITTER, 0, 0);
	struct herd_result plain = run(HERD_EXPONENTIAL, 0, 0);
	struct herd_result fixed = run(HERD_FIXED, 0, 0);

	assert_in_range(jitter.peak, 10, 35);
	assert_true(plain.peak > 1000);
	assert_true(fixed.peak > 1000);
	assert_in_range(jitter.all_but_1pct, 1, 310);
	assert_true(jitter.in_vain < fixed.in_vain);
	herd_clear(&jitter);
	herd_clear(&plain);
	herd_clear(&fixed);
}

static void a_server_with_little_room_gets_everybody_back(void **state)
{
	struct herd_result jitter = run(HERD_FULL_JITTER, 50, 0);
	struct herd_result told = run(HERD_FULL_JITTER, 50, 60);
	struct herd_result plain = run(HERD_EXPONENTIAL, 50, 0);

	assert_in_range(jitter.peak, 10, 35);
	assert_in_range(jitter.all_but_1pct, 200, 900);
	assert_in_range(told.all_but_1pct, 200, 1200);
	assert_true(plain.all_but_1pct < 0);
	herd_clear(&jitter);
	herd_clear(&told);
	herd_clear(&plain);
}

/* Everybody comes back once, and nobody before there is a server. */
static void nobody_is_lost(void **state)
{
	for (int rule = 0; rule < HERD_RULE_COUNT; rule++) {
		struct herd_result r = run((enum herd_rule)rule, 0, 0);
		uint64_t arrivals = 0;

		for (uint32_t i = 0; i < r.seconds; i++)
			arrivals += r.arrivals[i];
		assert_int_equal(r.back[599], 0);
		assert_int_equal(r.back[r.seconds - 1], 10000);
		assert_int_equal(arrivals, r.in_vain + 10000);
		herd_clear(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jitter_makes_a_slope_of_the_wall),
		cmocka_unit_test(a_server_with_little_room_gets_everybody_back),
		cmocka_unit_test(nobody_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
