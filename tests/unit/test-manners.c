/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the server is spared: the same question twice, and questions while it asked to wait. */
#include "repository-fixture.h"

static unsigned calls(struct fixture *f, enum fake_operation op)
{
	return fake_service_count_calls(f->service, op);
}

static struct problem busy(uint32_t retry_after_ms)
{
	struct problem p = transient(429);

	p.retry_after_ms = retry_after_ms;
	return p;
}

static void test_the_same_question_is_asked_once(void **state)
{
	struct fixture *f = *state;
	unsigned users, chats, before;

	go_live(f);
	users = calls(f, FAKE_GET_USER);
	chats = calls(f, FAKE_CREATE_CHAT);
	before = f->ended;
	fake_service_stall(f->service, FAKE_GET_USER, true);
	fake_service_stall(f->service, FAKE_CREATE_CHAT, true);
	for (int i = 0; i < 3; i++) {
		lobby_fetch_user(f->repository, "cy", on_done, f);
		lobby_create_chat(f->repository, "cy", on_id, f);
	}
	lobby_fetch_user(f->repository, "nobody", on_done, f);
	fake_service_stall(f->service, FAKE_GET_USER, false);
	fake_service_stall(f->service, FAKE_CREATE_CHAT, false);
	wait_ended(f, before + 7);
	assert_int_equal(f->failed, 1);
	assert_int_equal(calls(f, FAKE_GET_USER), users + 2);
	assert_int_equal(calls(f, FAKE_CREATE_CHAT), chats + 1);
}

/* A chat of which only the newest message is here. */
static void cut_history(struct fixture *f)
{
	int64_t seq;

	go_live(f);
	assert_int_equal(fake_service_delete_elsewhere(f->service, "c1"), 0);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	wait_state(f, SESSION_LIVE);
	assert_int_equal(
		fake_service_inject(f->service,
			&(struct fake_message){ .user_id = "ana", .id = "b5", .text = "x" }, &seq),
		0);
	wait_history(f, "c1", "b5 ");
}

static void test_the_same_page_of_history_is_asked_once(void **state)
{
	struct fixture *f = *state;
	unsigned pages, before;

	cut_history(f);
	pages = calls(f, FAKE_LIST_MESSAGES);
	before = f->ended;
	fake_service_stall(f->service, FAKE_LIST_MESSAGES, true);
	room_load_history(f->repository, "c1", NULL, 50, on_done, f);
	room_load_history(f->repository, "c1", NULL, 20, on_done, f);
	fake_service_stall(f->service, FAKE_LIST_MESSAGES, false);
	wait_ended(f, before + 2);
	assert_int_equal(f->failed, 0);
	assert_int_equal(calls(f, FAKE_LIST_MESSAGES), pages + 1);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 b5 ");
}

static void test_history_is_not_asked_for_while_the_server_asked_to_wait(void **state)
{
	struct fixture *f = *state;
	struct problem p = busy(3600000);
	unsigned pages, before;

	cut_history(f);
	fake_service_fail(f->service, FAKE_LIST_MESSAGES, 1, 0, &p);
	pages = calls(f, FAKE_LIST_MESSAGES);
	before = f->ended;
	room_load_history(f->repository, "c1", NULL, 50, on_done, f);
	wait_ended(f, before + 1);
	room_load_history(f->repository, "c1", NULL, 50, on_done, f);
	wait_ended(f, before + 2);
	assert_int_equal(f->failed, 0);
	assert_int_equal(calls(f, FAKE_LIST_MESSAGES), pages + 1);
	assert_true(room_has_older_history(f->repository, "c1"));
}

static void test_frontends_are_told_to_wait_too(void **state)
{
	struct fixture *f = *state;
	struct problem p = busy(3600000);
	unsigned users, before;

	go_live(f);
	fake_service_fail(f->service, FAKE_GET_USER, 1, 0, &p);
	users = calls(f, FAKE_GET_USER);
	before = f->ended;
	lobby_fetch_user(f->repository, "cy", on_done, f);
	wait_ended(f, before + 1);
	for (unsigned i = 2; i <= 5; i++) {
		lobby_fetch_user(f->repository, "cy", on_done, f);
		wait_ended(f, before + i);
		assert_int_equal(f->failure.kind, FAILURE_OFFLINE);
		assert_true(f->failure.retry_after_ms > 3000000);
	}
	assert_int_equal(calls(f, FAKE_GET_USER), users + 1);
}

static void test_names_are_not_asked_for_with_every_message(void **state)
{
	struct fixture *f = *state;
	struct problem p = busy(3600000);
	unsigned users;

	go_live(f);
	fake_service_fail(f->service, FAKE_GET_USER, 1000, 0, &p);
	fake_service_stall(f->service, FAKE_CREATE_CHAT, true);
	users = calls(f, FAKE_GET_USER);
	send_text(f, NULL, "cy", "p1", "x");
	inject(f, "b5", false);
	while (calls(f, FAKE_GET_USER) == users)
		event_loop_turn(f->loop, true);
	inject(f, "b6", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 b6 ");
	inject(f, "b7", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 b6 b7 ");
	assert_int_equal(calls(f, FAKE_GET_USER), users + 1);
}

static void test_names_are_asked_for_again(void **state)
{
	struct fixture *f = *state;
	struct problem p = busy(0);
	unsigned users;

	go_live(f);
	fake_service_fail(f->service, FAKE_GET_USER, 1, 0, &p);
	fake_service_stall(f->service, FAKE_CREATE_CHAT, true);
	users = calls(f, FAKE_GET_USER);
	send_text(f, NULL, "cy", "p1", "x");
	inject(f, "b5", false);
	while (calls(f, FAKE_GET_USER) < users + 2)
		event_loop_turn(f->loop, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_same_question_is_asked_once),
		TEST(test_the_same_page_of_history_is_asked_once),
		TEST(test_history_is_not_asked_for_while_the_server_asked_to_wait),
		TEST(test_frontends_are_told_to_wait_too),
		TEST(test_names_are_not_asked_for_with_every_message),
		TEST(test_names_are_asked_for_again),
	};

	return cmocka_run_group_tests_name("manners", tests, NULL, NULL);
}
