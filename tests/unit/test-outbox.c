/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that wait, are refused for now or for good, are tried again and taken back. */
#include "repository-fixture.h"

#include "base/clock.h"
#include "store/write.h"

static struct problem refusal_for_now(int status, uint32_t retry_after_ms)
{
	struct problem p = transient(status);

	p.retry_after_ms = retry_after_ms;
	return p;
}

static void test_message_refused_for_now_goes_later(void **state)
{
	struct fixture *f = *state;
	struct problem p = refusal_for_now(503, 0);

	go_live(f);
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", NULL, "p1", "x");
	wait_status(f, "p1", MESSAGE_RECEIVED);
	assert_int_equal(session(f), SESSION_LIVE);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_SEND), 2);
}

static void test_one_message_refused_for_now_does_not_hold_up_the_others(void **state)
{
	struct fixture *f = *state;
	struct problem p = refusal_for_now(503, 0);

	go_live(f);
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", NULL, "p1", "x");
	send_text(f, "c1", NULL, "p2", "y");
	wait_status(f, "p2", MESSAGE_RECEIVED);
	send_text(f, "c1", NULL, "p3", "z");
	wait_status(f, "p3", MESSAGE_RECEIVED);
	wait_status(f, "p1", MESSAGE_RECEIVED);
}

static void test_sending_waits_as_long_as_the_server_asked(void **state)
{
	struct fixture *f = *state;
	struct problem p = refusal_for_now(429, 600);
	uint64_t began;

	go_live(f);
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", NULL, "p1", "x");
	send_text(f, "c1", NULL, "p2", "y");
	began = clock_monotonic_us();
	wait_status(f, "p2", MESSAGE_RECEIVED);
	send_text(f, "c1", NULL, "p3", "z");
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_SEND), 2);
	wait_status(f, "p3", MESSAGE_RECEIVED);
	assert_true(clock_monotonic_us() - began >= 600000);
	wait_status(f, "p1", MESSAGE_RECEIVED);
}

static int count_message(void *userdata, const struct message *m)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s:%s ", m->id,
		message_status_to_string(m->status));
	return 0;
}

static const char *outbox(struct fixture *f)
{
	bool more;

	f->text[0] = '\0';
	assert_int_equal(store_outbox_page(f->store, NULL, 100, count_message, f, &more), 0);
	return f->text;
}

static void test_retry_sends_a_refused_message_under_its_id(void **state)
{
	struct fixture *f = *state;
	struct problem p = {
		.class = PROBLEM_PERMANENT, .status = 422, .title = (char *)"too rude"
	};
	struct failure failure;

	go_live(f);
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", NULL, "p1", "x");
	wait_status(f, "p1", MESSAGE_FAILED);
	assert_string_equal(outbox(f), "p1:FAILED ");
	assert_int_equal(room_retry(f->repository, "p1", &failure), 0);
	assert_string_equal(outbox(f), "p1:PENDING ");
	wait_status(f, "p1", MESSAGE_RECEIVED);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p1 ");
	assert_true(room_retry(f->repository, "p1", &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_CONFLICT);
	assert_true(room_retry(f->repository, "none", &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
}

/* Until the next attempt but one. */
static void lose_session(struct fixture *f)
{
	struct problem p = transient(0);

	fake_service_fail(f->service, FAKE_CONNECT, 1, 0, &p);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
}

static void assert_cancel_refused(struct fixture *f, const char *id)
{
	struct failure failure;

	assert_true(room_cancel(f->repository, id, &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_CONFLICT);
}

static void test_cancelled_messages_never_go(void **state)
{
	struct fixture *f = *state;
	struct failure failure;

	go_live(f);
	lose_session(f);
	send_text(f, "c1", NULL, "p1", "x");
	send_text(f, "c1", NULL, "p2", "y");
	send_text(f, NULL, "cy", "p3", "to somebody new");
	assert_int_equal(room_cancel(f->repository, "p1", &failure), 0);
	assert_int_equal(room_cancel(f->repository, "p3", &failure), 0);
	assert_true(room_cancel(f->repository, "p1", &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
	wait_status(f, "p2", MESSAGE_RECEIVED);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p2 ");
	assert_int_equal(fake_service_message_seq(f->service, "c1", "p1"), 0);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CREATE_CHAT), 0);
	assert_cancel_refused(f, "p2");
}

static void test_what_may_have_arrived_cannot_be_cancelled(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	fake_service_withhold_acks(f->service, true);
	send_text(f, "c1", NULL, "p1", "x");
	while (fake_service_message_seq(f->service, "c1", "p1") == 0)
		event_loop_turn(f->loop, true);
	assert_cancel_refused(f, "p1");
	lose_session(f);
	assert_cancel_refused(f, "p1");
	fake_service_withhold_acks(f->service, false);
	wait_status(f, "p1", MESSAGE_RECEIVED);
}

/* Written offline, each is noted and committed before it goes. */
static void test_what_may_have_arrived_is_known_after_a_kill(void **state)
{
	struct fixture *f = *state;
	struct failure failure;

	go_live(f);
	lose_session(f);
	send_text(f, "c1", NULL, "p1", "x");
	send_text(f, "c1", NULL, "p2", "y");
	fake_service_withhold_acks(f->service, true);
	while (fake_service_count_calls(f->service, FAKE_SEND) < 2)
		event_loop_turn(f->loop, true);
	assert_string_equal(outbox(f), "p1:PENDING p2:PENDING ");
	forget_all(f);
	send_text(f, "c1", NULL, "p3", "z");
	assert_cancel_refused(f, "p1");
	assert_cancel_refused(f, "p2");
	assert_int_equal(room_cancel(f->repository, "p3", &failure), 0);
	fake_service_withhold_acks(f->service, false);
	repository_start(f->repository);
	wait_status(f, "p2", MESSAGE_RECEIVED);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p1 p2 ");
}

static bool is_here(struct fixture *f, const char *chat_id)
{
	struct store_chat_sync known;

	return store_chat_sync(f->store, chat_id, &known) == 0;
}

static void drop_and_come_back(struct fixture *f)
{
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	wait_state(f, SESSION_LIVE);
}

static int note_removal(void *userdata, const struct change *c)
{
	struct fixture *f = userdata;

	if (c->topic == CHANGE_CHAT_REMOVED)
		snprintf(f->text, sizeof(f->text), "%s", c->chat_id);
	return 0;
}

static void test_chat_deleted_elsewhere_goes_and_comes_back(void **state)
{
	struct fixture *f = *state;
	struct failure failure;
	int64_t since, last;

	go_live(f);
	assert_int_equal(room_mark_read(f->repository, "c1", "a4", &failure), 0);
	wait_view(f, 4, 4);
	since = store_last_change(f->store);
	assert_int_equal(fake_service_delete_elsewhere(f->service, "c1"), 0);
	drop_and_come_back(f);
	assert_false(is_here(f, "c1"));
	assert_int_equal(store_unread_total(f->store), 0);
	f->text[0] = '\0';
	assert_int_equal(store_change_list(f->store, since, 0xff, 100, note_removal, f, &last), 0);
	assert_string_equal(f->text, "c1");
	assert_int_equal(
		fake_service_inject(f->service,
			&(struct fake_message){ .user_id = "ana", .id = "b5", .text = "x" }, &last),
		0);
	wait_history(f, "c1", "b5 ");
	room_load_history(f->repository, "c1", NULL, 50, on_done, f);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 ");
	while (store_unread_total(f->store) != 1)
		event_loop_turn(f->loop, true);
}

static void test_chat_with_something_to_send_stays(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	fake_service_withhold_acks(f->service, true);
	send_text(f, "c1", NULL, "p1", "x");
	while (fake_service_count_calls(f->service, FAKE_SEND) == 0)
		event_loop_turn(f->loop, true);
	assert_int_equal(fake_service_delete_elsewhere(f->service, "c1"), 0);
	drop_and_come_back(f);
	assert_true(is_here(f, "c1"));
}

/* The answer that is on its way does not know the chat yet; another one is asked for after it. */
static void test_listing_under_way_is_followed_by_another(void **state)
{
	struct fixture *f = *state;
	int64_t seq;

	go_live(f);
	fake_service_stall(f->service, FAKE_LIST_CHATS, true);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	wait_state(f, SESSION_CATCHING_UP);
	assert_int_equal(
		fake_service_inject(f->service,
			&(struct fake_message){
				.user_id = "me", .chat_id = "c2", .id = "o1", .text = "x" },
			&seq),
		0);
	fake_service_resync(f->service);
	while (fake_service_count_calls(f->service, FAKE_LIST_CHATS) < 3)
		event_loop_turn(f->loop, true);
	fake_service_stall(f->service, FAKE_LIST_CHATS, false);
	wait_state(f, SESSION_LIVE);
	assert_non_null(strstr(history(f, "c2"), "o1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message_refused_for_now_goes_later),
		TEST(test_one_message_refused_for_now_does_not_hold_up_the_others),
		TEST(test_sending_waits_as_long_as_the_server_asked),
		TEST(test_retry_sends_a_refused_message_under_its_id),
		TEST(test_cancelled_messages_never_go),
		TEST(test_what_may_have_arrived_cannot_be_cancelled),
		TEST(test_what_may_have_arrived_is_known_after_a_kill),
		TEST(test_chat_deleted_elsewhere_goes_and_comes_back),
		TEST(test_chat_with_something_to_send_stays),
		TEST(test_listing_under_way_is_followed_by_another),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
