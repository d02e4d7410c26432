/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/heartbeat.h"

static struct heartbeat of(unsigned base_s)
{
	struct heartbeat h = { 0 };

	heartbeat_set_base(&h, base_s);
	return h;
}

static void answer(struct heartbeat *h, unsigned n)
{
	while (n-- > 0)
		heartbeat_answered(h);
}

static void test_it_begins_as_the_server_asks(void **state)
{
	struct heartbeat h = of(30);

	assert_int_equal(h.interval_s, 30);
}

static void test_it_grows_once_it_is_proved(void **state)
{
	struct heartbeat h = of(30);

	for (unsigned i = 1; i < HEARTBEAT_PROOFS; i++)
		assert_false(heartbeat_answered(&h));
	assert_int_equal(h.interval_s, 30);
	assert_true(heartbeat_answered(&h));
	assert_int_equal(h.interval_s, 45);
}

static void test_it_grows_to_ten_minutes_and_stays(void **state)
{
	struct heartbeat h = of(30);
	unsigned last = 30, n = 0;

	while (h.interval_s < HEARTBEAT_CAP_S && n++ < 100) {
		heartbeat_answered(&h);
		assert_true(h.interval_s >= last && h.interval_s <= last + last / 2);
		last = h.interval_s;
	}
	assert_int_equal(h.interval_s, HEARTBEAT_CAP_S);
	answer(&h, 50);
	assert_int_equal(h.interval_s, HEARTBEAT_CAP_S);
}

static void test_short_intervals_grow_too(void **state)
{
	struct heartbeat h = of(1);

	answer(&h, HEARTBEAT_PROOFS);
	assert_int_equal(h.interval_s, 2);
}

static void test_after_a_loss_it_is_the_servers_again(void **state)
{
	struct heartbeat h = of(30);

	answer(&h, 4 * HEARTBEAT_PROOFS);
	assert_true(h.interval_s > 100);
	heartbeat_lost(&h, h.interval_s);
	assert_int_equal(h.interval_s, 30);
}

static void test_what_was_lost_is_not_tried_again_soon(void **state)
{
	struct heartbeat h = of(30);
	unsigned lost;

	answer(&h, 4 * HEARTBEAT_PROOFS);
	lost = h.interval_s;
	heartbeat_lost(&h, lost);
	answer(&h, HEARTBEAT_RETRY_PROOFS);
	assert_true(h.interval_s < lost);
	assert_true(h.interval_s > 30);
	answer(&h, 4 * HEARTBEAT_RETRY_PROOFS);
	assert_true(h.interval_s >= lost);
}

static void test_losses_at_the_servers_interval_limit_nothing(void **state)
{
	struct heartbeat h = of(30);

	heartbeat_lost(&h, 30);
	answer(&h, 1000);
	assert_int_equal(h.interval_s, HEARTBEAT_CAP_S);
}

static void test_many_losses_never_go_below_what_the_server_asks(void **state)
{
	struct heartbeat h = of(30);

	for (unsigned i = 0; i < 50; i++) {
		answer(&h, 4 * HEARTBEAT_PROOFS);
		heartbeat_lost(&h, h.interval_s);
		assert_int_equal(h.interval_s, 30);
		assert_true(h.limit_s >= 30);
	}
}

static void test_another_network_is_learnt_anew(void **state)
{
	struct heartbeat h = of(30);

	answer(&h, 4 * HEARTBEAT_PROOFS);
	heartbeat_lost(&h, 60);
	heartbeat_forget(&h);
	assert_int_equal(h.interval_s, 30);
	answer(&h, 1000);
	assert_int_equal(h.interval_s, HEARTBEAT_CAP_S);
}

static void test_the_same_word_of_the_server_forgets_nothing(void **state)
{
	struct heartbeat h = of(30);

	answer(&h, HEARTBEAT_PROOFS);
	heartbeat_set_base(&h, 30);
	assert_int_equal(h.interval_s, 45);
	heartbeat_set_base(&h, 20);
	assert_int_equal(h.interval_s, 20);
}

static void test_a_server_that_asks_for_more_than_the_cap_gets_it(void **state)
{
	struct heartbeat h = of(1800);

	answer(&h, 10);
	assert_int_equal(h.interval_s, 1800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_begins_as_the_server_asks),
		cmocka_unit_test(test_it_grows_once_it_is_proved),
		cmocka_unit_test(test_it_grows_to_ten_minutes_and_stays),
		cmocka_unit_test(test_short_intervals_grow_too),
		cmocka_unit_test(test_after_a_loss_it_is_the_servers_again),
		cmocka_unit_test(test_what_was_lost_is_not_tried_again_soon),
		cmocka_unit_test(test_losses_at_the_servers_interval_limit_nothing),
		cmocka_unit_test(test_many_losses_never_go_below_what_the_server_asks),
		cmocka_unit_test(test_another_network_is_learnt_anew),
		cmocka_unit_test(test_the_same_word_of_the_server_forgets_nothing),
		cmocka_unit_test(test_a_server_that_asks_for_more_than_the_cap_gets_it),
	};

	return cmocka_run_group_tests_name("heartbeat", tests, NULL, NULL);
}
