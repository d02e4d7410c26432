/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The repository on a made-up network that loses, repeats, reorders and refuses. */
#include <errno.h>
#include <inttypes.h>

#include "repository-fixture.h"

#include "full-disk.h"

static void test_first_sync_brings_history_and_goes_live(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 ");
	assert_int_equal(store_unread_total(f->store), 2);
}

static void test_nobody_is_signed_in_who_was_not_stored(void **state)
{
	struct fixture *f = *state;
	struct rlimit room = full_disk_begin();
	struct repository_status status;

	sign_in(f);
	full_disk_end(room);
	assert_int_equal(f->failure.kind, FAILURE_STORAGE_ERROR);
	f->failed = 0;
	repository_get_status(f->repository, &status);
	assert_false(status.signed_in);
	assert_int_equal(session(f), SESSION_OFFLINE);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), 0);
	go_live(f);
}

static void test_nothing_connects_before_a_sign_in(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(session(f), SESSION_OFFLINE);
	send_text(f, NULL, "ana", "p1", "hi");
	assert_int_equal(f->failure.kind, FAILURE_LOGIN_REQUIRED);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), 0);
}

static void test_wrong_password_is_denied(void **state)
{
	struct fixture *f = *state;

	fake_service_refuse_logins(f->service, true);
	sign_in(f);
	assert_int_equal(f->failure.kind, FAILURE_DENIED);
	assert_int_equal(session(f), SESSION_OFFLINE);
}

static void test_send_moves_to_received(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	send_text(f, "c1", NULL, "p1", "hello");
	assert_string_equal(f->id, "p1");
	wait_status(f, "p1", MESSAGE_RECEIVED);
	fake_service_peer_read(f->service, "c1", "p1");
	wait_status(f, "p1", MESSAGE_READ);
	assert_int_equal(fake_service_message_seq(f->service, "c1", "p1"), 5);
}

static void test_the_same_request_twice_is_one_message(void **state)
{
	struct fixture *f = *state;
	struct fake_chat_view view;

	go_live(f);
	send_text(f, "c1", NULL, "p1", "hello");
	send_text(f, "c1", NULL, "p1", "hello");
	assert_int_equal(f->failed, 0);
	send_text(f, "c1", NULL, "p1", "other words");
	assert_int_equal(f->failure.kind, FAILURE_CONFLICT);
	wait_status(f, "p1", MESSAGE_RECEIVED);
	fake_service_view_chat(f->service, "c1", &view);
	assert_int_equal(view.n_messages, 5);
}

static void test_bad_sends_are_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *long_text = malloc(ROOM_TEXT_MAX + 2);

	memset(long_text, 'x', ROOM_TEXT_MAX + 1);
	long_text[ROOM_TEXT_MAX + 1] = '\0';
	go_live(f);
	send_text(f, "none", NULL, "p1", "x");
	assert_int_equal(f->failure.kind, FAILURE_NOT_FOUND);
	send_text(f, "c1", "ana", "p1", "x");
	assert_int_equal(f->failure.kind, FAILURE_INVALID);
	send_text(f, "c1", NULL, "p1", "");
	assert_int_equal(f->failure.kind, FAILURE_INVALID);
	send_text(f, "c1", NULL, "p1", long_text);
	assert_int_equal(f->failure.kind, FAILURE_TOO_LARGE);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 ");
}

static void test_lost_acknowledgement_is_no_second_message(void **state)
{
	struct fixture *f = *state;
	struct fake_chat_view view;

	go_live(f);
	fake_service_withhold_acks(f->service, true);
	send_text(f, "c1", NULL, "p1", "hello");
	while (fake_service_message_seq(f->service, "c1", "p1") == 0)
		event_loop_turn(f->loop, true);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	fake_service_withhold_acks(f->service, false);
	wait_state(f, SESSION_LIVE);
	wait_status(f, "p1", MESSAGE_RECEIVED);
	fake_service_view_chat(f->service, "c1", &view);
	assert_int_equal(view.n_messages, 5);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p1 ");
}

static void test_sends_that_never_arrived_are_sent_again_in_order(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	send_text(f, "c1", NULL, "p1", "1");
	send_text(f, "c1", NULL, "p2", "2");
	send_text(f, "c1", NULL, "p3", "3");
	while (fake_service_count_calls(f->service, FAKE_SEND) < 3)
		event_loop_turn(f->loop, true);
	fake_service_drop(f->service, NULL);
	wait_status(f, "p3", MESSAGE_RECEIVED);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 p1 p2 p3 ");
}

static void test_offline_sends_go_when_the_network_is_back(void **state)
{
	struct fixture *f = *state;
	struct problem p = transient(0);

	go_live(f);
	fake_service_fail(f->service, FAKE_CONNECT, 2, 0, &p);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	send_text(f, "c1", NULL, "p1", "written offline");
	send_text(f, NULL, "cy", "p2", "to somebody new");
	assert_int_equal(f->failed, 0);
	wait_status(f, "p1", MESSAGE_RECEIVED);
	wait_status(f, "p2", MESSAGE_RECEIVED);
}

static void test_unknown_user_fails_the_message(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	send_text(f, NULL, "nobody", "p1", "hello?");
	assert_int_equal(f->failed, 0);
	wait_status(f, "p1", MESSAGE_FAILED);
}

static void test_refused_message_fails_and_is_not_sent_again(void **state)
{
	struct fixture *f = *state;
	struct problem p = {
		.class = PROBLEM_PERMANENT, .status = 422, .title = (char *)"too rude"
	};
	unsigned sends;

	go_live(f);
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", NULL, "p1", "x");
	wait_status(f, "p1", MESSAGE_FAILED);
	sends = fake_service_count_calls(f->service, FAKE_SEND);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	wait_state(f, SESSION_LIVE);
	send_text(f, "c1", NULL, "p2", "y");
	wait_status(f, "p2", MESSAGE_RECEIVED);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_SEND), sends + 1);
}

static void test_a_gap_is_fetched(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	inject(f, "b5", true);
	inject(f, "b6", true);
	inject(f, "b7", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 b6 b7 ");
	assert_int_equal(store_unread_total(f->store), 5);
}

static void test_repeated_and_reordered_events_do_not_show(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	fake_service_reorder_events(f->service, 3);
	inject(f, "b5", false);
	inject(f, "b6", false);
	inject(f, "b7", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 b6 b7 ");
	fake_service_duplicate_events(f->service, 2);
	inject(f, "b8", false);
	inject(f, "b9", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 b6 b7 b8 b9 ");
	assert_int_equal(store_unread_total(f->store), 7);
}

static void test_what_came_while_away_is_caught_up(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	inject(f, "b5", false);
	inject(f, "b6", false);
	wait_state(f, SESSION_LIVE);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 b5 b6 ");
}

static void test_catching_up_survives_failing_requests(void **state)
{
	struct fixture *f = *state;
	struct problem p = transient(503);

	fake_service_fail(f->service, FAKE_LIST_CHATS, 2, 0, &p);
	fake_service_fail(f->service, FAKE_LIST_MESSAGES, 2, 0, &p);
	go_live(f);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 ");
}

static void test_resync_starts_over_and_keeps_all(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	inject(f, "b5", true);
	fake_service_resync(f->service);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 ");
}

static void test_refused_credentials_end_all_attempts(void **state)
{
	struct fixture *f = *state;
	unsigned connects;

	go_live(f);
	fake_service_refuse_logins(f->service, true);
	fake_service_expire_token(f->service);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_LOGIN_REQUIRED);
	connects = fake_service_count_calls(f->service, FAKE_CONNECT);
	send_text(f, "c1", NULL, "p1", "kept for later");
	assert_int_equal(f->failed, 0);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), connects);
	fake_service_refuse_logins(f->service, false);
	sign_in(f);
	wait_status(f, "p1", MESSAGE_RECEIVED);
}

static void test_reading_is_told_and_heard_of(void **state)
{
	struct fixture *f = *state;
	struct failure failure;

	go_live(f);
	wait_view(f, 4, 0);
	assert_int_equal(room_mark_read(f->repository, "c1", "a4", &failure), 0);
	assert_int_equal(store_unread_total(f->store), 0);
	wait_view(f, 4, 4);
	inject(f, "b5", false);
	wait_history(f, "c1", "a1 a2 a3 a4 b5 ");
	assert_int_equal(store_unread_total(f->store), 1);
	fake_service_read_elsewhere(f->service, "c1", "b5");
	while (store_unread_total(f->store) > 0)
		event_loop_turn(f->loop, true);
	assert_true(room_mark_read(f->repository, "c1", "none", &failure) < 0);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
}

static void test_reading_offline_is_told_later(void **state)
{
	struct fixture *f = *state;
	struct failure failure;

	go_live(f);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	assert_int_equal(room_mark_read(f->repository, "c1", "a4", &failure), 0);
	wait_view(f, 4, 4);
}

static void test_create_chat(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	go_live(f);
	before = f->ended;
	lobby_create_chat(f->repository, "cy", on_id, f);
	wait_ended(f, before + 1);
	assert_int_equal(f->failed, 0);
	lobby_create_chat(f->repository, "nobody", on_id, f);
	wait_ended(f, before + 2);
	assert_int_equal(f->failure.kind, FAILURE_NOT_FOUND);
}

static int ignore_chat(void *userdata, const struct chat_info *c)
{
	return 0;
}

static bool has_chat(struct fixture *f, const char *chat_id)
{
	return store_chat_get(f->store, chat_id, ignore_chat, NULL) == 0;
}

static void test_delete_chat(void **state)
{
	struct fixture *f = *state;
	struct problem refusal = transient(503);
	unsigned before;

	go_live(f);
	before = f->ended;
	fake_service_fail(f->service, FAKE_DELETE_CHAT, 1, 0, &refusal);
	lobby_delete_chat(f->repository, "c1", on_done, f);
	lobby_delete_chat(f->repository, "nothing", on_done, f);
	wait_ended(f, before + 2);
	assert_int_equal(f->failed, 2);
	assert_true(has_chat(f, "c1"));
}

/* What came in while the server was asked has brought the chat back. */
static void test_a_message_keeps_a_chat_that_is_being_deleted(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	go_live(f);
	before = f->ended;
	fake_service_stall(f->service, FAKE_DELETE_CHAT, true);
	lobby_delete_chat(f->repository, "c1", on_done, f);
	lobby_delete_chat(f->repository, "c1", on_done, f);
	inject(f, "n1", false);
	wait_history(f, "c1", "a1 a2 a3 a4 n1 ");
	fake_service_stall(f->service, FAKE_DELETE_CHAT, false);
	wait_ended(f, before + 2);
	assert_int_equal(f->failed, 0);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_DELETE_CHAT), 1);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 n1 ");
	lobby_delete_chat(f->repository, "c1", on_done, f);
	wait_ended(f, before + 3);
	assert_int_equal(f->failed, 0);
	assert_false(has_chat(f, "c1"));
}

struct photo {
	enum attachment_status status;
	bool full, preview;
};

static int keep_photo(void *userdata, const struct attachment *a)
{
	*(struct photo *)userdata = (struct photo){ a->status, a->full_stored, a->preview_stored };
	return 0;
}

static struct photo wait_photo(struct fixture *f)
{
	struct photo p;

	for (;;) {
		int e = store_attachment_get(f->store, "x1", keep_photo, &p);

		if (e == 0 && p.status != ATTACHMENT_DOWNLOADING)
			return p;
		event_loop_turn(f->loop, true);
	}
}

static void test_photo_arrives(void **state)
{
	struct fixture *f = *state;
	struct failure failure;
	char byte;
	int64_t size;
	int fd;

	go_live(f);
	assert_int_equal(wait_photo(f).status, ATTACHMENT_READY);
	assert_int_equal(transfer_open(f->repository, "x1", VARIANT_FULL, &fd, &size, &failure), 0);
	assert_int_equal(size, 700000);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	assert_int_equal(transfer_download(f->repository, "none", &failure), -ENOENT);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
}

static void test_broken_download_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct problem p = transient(0);

	fake_service_fail(f->service, FAKE_DOWNLOAD, 2, 300000, &p);
	go_live(f);
	assert_int_equal(wait_photo(f).status, ATTACHMENT_READY);
	assert_int_equal(store_media_size(f->store, "x1", VARIANT_FULL), 700000);
}

static void test_wrong_bytes_are_not_kept(void **state)
{
	struct fixture *f = *state;
	struct failure failure;
	int64_t size;
	int fd;

	assert_int_equal(fake_service_replace_bytes(f->service, "x1", VARIANT_FULL, "hello", 5), 0);
	go_live(f);
	assert_int_equal(wait_photo(f).status, ATTACHMENT_FAILED);
	assert_true(transfer_open(f->repository, "x1", VARIANT_FULL, &fd, &size, &failure) < 0);
	assert_int_equal(store_media_size(f->store, "x1", VARIANT_FULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_sync_brings_history_and_goes_live),
		TEST(test_nothing_connects_before_a_sign_in),
		TEST(test_nobody_is_signed_in_who_was_not_stored),
		TEST(test_wrong_password_is_denied),
		TEST(test_send_moves_to_received),
		TEST(test_the_same_request_twice_is_one_message),
		TEST(test_bad_sends_are_refused),
		TEST(test_lost_acknowledgement_is_no_second_message),
		TEST(test_sends_that_never_arrived_are_sent_again_in_order),
		TEST(test_offline_sends_go_when_the_network_is_back),
		TEST(test_unknown_user_fails_the_message),
		TEST(test_refused_message_fails_and_is_not_sent_again),
		TEST(test_a_gap_is_fetched),
		TEST(test_repeated_and_reordered_events_do_not_show),
		TEST(test_what_came_while_away_is_caught_up),
		TEST(test_catching_up_survives_failing_requests),
		TEST(test_resync_starts_over_and_keeps_all),
		TEST(test_refused_credentials_end_all_attempts),
		TEST(test_reading_is_told_and_heard_of),
		TEST(test_reading_offline_is_told_later),
		TEST(test_create_chat),
		TEST(test_delete_chat),
		TEST(test_a_message_keeps_a_chat_that_is_being_deleted),
		TEST(test_photo_arrives),
		TEST(test_broken_download_goes_on_where_it_was),
		TEST(test_wrong_bytes_are_not_kept),
	};

	return cmocka_run_group_tests_name("repository", tests, NULL, NULL);
}
