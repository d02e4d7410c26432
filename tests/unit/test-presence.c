/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When there is a session: the policy, the grace period, and what is to be sent. */
#include "repository-fixture.h"

static void set(struct fixture *f, const char *name, const char *value)
{
	struct failure failure;

	assert_int_equal(setting_set(f->repository, name, value, &failure), 0);
}

static void go_foreground(struct fixture *f, const char *grace_s)
{
	set(f, "connection.grace_s", grace_s);
	set(f, "connection.policy", "foreground");
}

static void test_session_ends_when_nobody_watches(void **state)
{
	struct fixture *f = *state;
	unsigned connects;

	go_live(f);
	go_foreground(f, "0");
	wait_state(f, SESSION_SUSPENDED);
	connects = fake_service_count_calls(f->service, FAKE_CONNECT);
	inject(f, "b5", false);
	repository_set_watched(f->repository, true);
	wait_state(f, SESSION_LIVE);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), connects + 1);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 b5 ");
	repository_set_watched(f->repository, false);
	wait_state(f, SESSION_SUSPENDED);
}

static void test_always_is_always_again(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	go_foreground(f, "0");
	wait_state(f, SESSION_SUSPENDED);
	set(f, "connection.policy", NULL);
	wait_state(f, SESSION_LIVE);
}

static void test_grace_period_bridges_a_short_absence(void **state)
{
	struct fixture *f = *state;
	unsigned connects;

	go_live(f);
	connects = fake_service_count_calls(f->service, FAKE_CONNECT);
	go_foreground(f, "3600");
	repository_set_watched(f->repository, true);
	repository_set_watched(f->repository, false);
	send_text(f, "c1", NULL, "p1", "x");
	wait_status(f, "p1", MESSAGE_RECEIVED);
	assert_int_equal(session(f), SESSION_LIVE);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), connects);
}

static void test_what_was_accepted_goes_without_a_frontend(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	go_foreground(f, "0");
	wait_state(f, SESSION_SUSPENDED);
	send_text(f, "c1", NULL, "p1", "x");
	while (fake_service_message_seq(f->service, "c1", "p1") == 0)
		event_loop_turn(f->loop, true);
	wait_state(f, SESSION_SUSPENDED);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p1 ");
}

static void test_a_sign_in_is_followed_by_a_sync(void **state)
{
	struct fixture *f = *state;

	go_foreground(f, "0");
	sign_in(f);
	assert_int_equal(f->failed, 0);
	wait_history(f, "c1", "a1 a2 a3 a4 ");
	wait_state(f, SESSION_SUSPENDED);
}

static void test_no_attempts_while_suspended(void **state)
{
	struct fixture *f = *state;
	struct problem p = transient(0);
	unsigned connects;

	go_live(f);
	fake_service_fail(f->service, FAKE_CONNECT, 1000, 0, &p);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	go_foreground(f, "0");
	wait_state(f, SESSION_SUSPENDED);
	connects = fake_service_count_calls(f->service, FAKE_CONNECT);
	repository_set_watched(f->repository, true);
	wait_state(f, SESSION_BACKOFF);
	assert_true(fake_service_count_calls(f->service, FAKE_CONNECT) > connects);
}

static void test_settings_take_values_of_their_type_only(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[][2] = {
		{ "connection.policy", "sometimes" },
		{ "connection.policy", "" },
		{ "connection.grace_s", "-1" },
		{ "connection.grace_s", "10s" },
		{ "connection.grace_s", "86401" },
	};
	struct failure failure;
	char *value;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(setting_set(f->repository, bad[i][0], bad[i][1], &failure) < 0);
		assert_int_equal(failure.kind, FAILURE_INVALID);
	}
	assert_true(setting_set(f->repository, "none", "x", &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
	set(f, "connection.grace_s", "7");
	assert_int_equal(setting_get(f->repository, "connection.grace_s", &value), 0);
	assert_string_equal(value, "7");
	free(value);
	set(f, "connection.grace_s", NULL);
	assert_int_equal(setting_get(f->repository, "connection.grace_s", &value), 0);
	assert_string_equal(value, "30");
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_ends_when_nobody_watches),
		TEST(test_always_is_always_again),
		TEST(test_grace_period_bridges_a_short_absence),
		TEST(test_what_was_accepted_goes_without_a_frontend),
		TEST(test_a_sign_in_is_followed_by_a_sync),
		TEST(test_no_attempts_while_suspended),
		TEST(test_settings_take_values_of_their_type_only),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
