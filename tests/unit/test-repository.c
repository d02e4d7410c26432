/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The repository on a made-up network that loses, repeats, reorders and refuses. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "repository/repository.h"
#include "service/fake/fake.h"
#include "temporary.h"

#define GUARD_US 20000000 /* a test that waits so long has failed */

static const char world[] =
	"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},"
	"\"users\":[{\"id\":\"ana\",\"name\":\"Ana\"},{\"id\":\"bo\",\"name\":\"Bo\"},"
	"{\"id\":\"cy\",\"name\":\"Cy\"}],"
	"\"chats\":[{\"id\":\"c1\",\"user_id\":\"ana\",\"unread\":2,\"messages\":["
	"{\"id\":\"a1\",\"from\":\"ana\",\"text\":\"one\",\"created_at\":100},"
	"{\"id\":\"a2\",\"from\":\"me\",\"text\":\"two\",\"created_at\":200},"
	"{\"id\":\"a3\",\"from\":\"ana\",\"text\":\"three\",\"created_at\":300},"
	"{\"id\":\"a4\",\"from\":\"ana\",\"text\":\"four\",\"created_at\":400}]},"
	"{\"id\":\"c2\",\"user_id\":\"bo\",\"messages\":[{\"from\":\"bo\",\"text\":\"look\","
	"\"created_at\":50,\"attachments\":[{\"id\":\"x1\",\"name\":\"p.jpg\","
	"\"generate\":700000,\"preview_generate\":5000}]}]}],"
	"\"behaviour\":{\"ack_ms\":1,\"received_ms\":2,\"read_ms\":-1}}";

struct fixture {
	char directory[PATH_MAX];
	struct event_loop *loop;
	struct loop_timer *guard;
	struct barrier *barrier;
	struct store *store;
	struct service *service;
	struct repository *repository;
	struct failure failure; /* of the last call that ended */
	char id[65];
	unsigned ended, failed;
	char text[8192];
};

static void on_guard(void *userdata)
{
	fail_msg("waited too long");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct json_error error;
	char path[PATH_MAX];
	FILE *file;

	temporary_make(f->directory);
	snprintf(path, sizeof(path), "%.4000s/world.json", f->directory);
	file = fopen(path, "w");
	fputs(world, file);
	fclose(file);
	f->loop = event_loop_new();
	f->guard = loop_timer_new(f->loop, on_guard, f);
	loop_timer_start_us(f->guard, GUARD_US);
	f->barrier = barrier_new(f->loop);
	assert_int_equal(store_open(NULL, NULL, f->barrier, &f->store), 0);
	f->service = fake_service_new(f->loop, path, &error);
	assert_non_null(f->service);
	assert_int_equal(repository_new(
				 &(struct repository_options){
					 .loop = f->loop,
					 .barrier = f->barrier,
					 .store = f->store,
					 .service = f->service,
					 .preview_helper = "/nonexistent",
					 .seed = 1,
				 },
				 &f->repository),
		0);
	repository_start(f->repository);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	repository_free(f->repository);
	service_free(f->service);
	store_close(f->store);
	barrier_free(f->barrier);
	loop_timer_free(f->guard);
	event_loop_free(f->loop);
	temporary_remove(f->directory);
	free(f);
	return 0;
}

static enum session_state session(struct fixture *f)
{
	struct repository_status s;

	repository_get_status(f->repository, &s);
	return s.connection.state;
}

static void wait_state(struct fixture *f, enum session_state wanted)
{
	while (session(f) != wanted)
		event_loop_turn(f->loop, true);
}

static void on_done(void *userdata, const struct failure *failure)
{
	struct fixture *f = userdata;

	f->ended++;
	f->failed += failure != NULL;
	if (failure)
		f->failure = *failure;
}

static void on_id(void *userdata, const struct failure *failure, const char *id)
{
	struct fixture *f = userdata;

	on_done(userdata, failure);
	if (id)
		snprintf(f->id, sizeof(f->id), "%s", id);
}

static void wait_ended(struct fixture *f, unsigned n)
{
	while (f->ended < n)
		event_loop_turn(f->loop, true);
}

static void sign_in(struct fixture *f)
{
	unsigned before = f->ended;

	account_login(f->repository, "https://chat.example", "me", "secret", on_done, f);
	wait_ended(f, before + 1);
}

static void go_live(struct fixture *f)
{
	sign_in(f);
	assert_int_equal(f->failed, 0);
	wait_state(f, SESSION_LIVE);
}

static int collect(void *userdata, const struct message *m)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s ", m->id);
	return 0;
}

static const char *history(struct fixture *f, const char *chat_id)
{
	bool more;

	f->text[0] = '\0';
	store_message_page(f->store, chat_id, PAGE_NEWEST, NULL, 100, collect, f, &more);
	return f->text;
}

static void wait_history(struct fixture *f, const char *chat_id, const char *wanted)
{
	while (strcmp(history(f, chat_id), wanted) != 0)
		event_loop_turn(f->loop, true);
}

static int keep_status(void *userdata, const struct message *m)
{
	*(enum message_status *)userdata = m->status;
	return 0;
}

static void wait_status(struct fixture *f, const char *id, enum message_status wanted)
{
	enum message_status status;

	for (;;) {
		assert_int_equal(store_message_get(f->store, id, keep_status, &status), 0);
		if (status == wanted)
			return;
		event_loop_turn(f->loop, true);
	}
}

static void send(struct fixture *f, const char *chat_id, const char *user_id, const char *id,
	const char *text)
{
	room_send(f->repository,
		&(struct room_send){
			.chat_id = chat_id, .user_id = user_id, .text = text, .message_id = id },
		on_id, f);
}

static void inject(struct fixture *f, const char *id, bool silent)
{
	int64_t seq;

	assert_int_equal(fake_service_inject(f->service,
				 &(struct fake_message){ .chat_id = "c1",
					 .user_id = "ana",
					 .id = id,
					 .text = "x",
					 .silent = silent },
				 &seq),
		0);
}

static struct problem transient(int status)
{
	return (struct problem){
		.class = PROBLEM_TRANSIENT, .status = status, .title = (char *)"no answer"
	};
}

static void test_first_sync_brings_history_and_goes_live(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 ");
	assert_int_equal(store_unread_total(f->store), 2);
}

static void test_nothing_connects_before_a_sign_in(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(session(f), SESSION_OFFLINE);
	send(f, NULL, "ana", "p1", "hi");
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
	send(f, "c1", NULL, "p1", "hello");
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
	send(f, "c1", NULL, "p1", "hello");
	send(f, "c1", NULL, "p1", "hello");
	assert_int_equal(f->failed, 0);
	send(f, "c1", NULL, "p1", "other words");
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
	send(f, "none", NULL, "p1", "x");
	assert_int_equal(f->failure.kind, FAILURE_NOT_FOUND);
	send(f, "c1", "ana", "p1", "x");
	assert_int_equal(f->failure.kind, FAILURE_INVALID);
	send(f, "c1", NULL, "p1", "");
	assert_int_equal(f->failure.kind, FAILURE_INVALID);
	send(f, "c1", NULL, "p1", long_text);
	assert_int_equal(f->failure.kind, FAILURE_TOO_LARGE);
	assert_string_equal(history(f, "c1"), "a1 a2 a3 a4 ");
}

static void test_lost_acknowledgement_is_no_second_message(void **state)
{
	struct fixture *f = *state;
	struct fake_chat_view view;

	go_live(f);
	fake_service_withhold_acks(f->service, true);
	send(f, "c1", NULL, "p1", "hello");
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
	send(f, "c1", NULL, "p1", "1");
	send(f, "c1", NULL, "p2", "2");
	send(f, "c1", NULL, "p3", "3");
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
	send(f, "c1", NULL, "p1", "written offline");
	send(f, NULL, "cy", "p2", "to somebody new");
	assert_int_equal(f->failed, 0);
	wait_status(f, "p1", MESSAGE_RECEIVED);
	wait_status(f, "p2", MESSAGE_RECEIVED);
}

static void test_unknown_user_fails_the_message(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	send(f, NULL, "nobody", "p1", "hello?");
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
	send(f, "c1", NULL, "p1", "x");
	wait_status(f, "p1", MESSAGE_FAILED);
	sends = fake_service_count_calls(f->service, FAKE_SEND);
	fake_service_drop(f->service, NULL);
	wait_state(f, SESSION_BACKOFF);
	wait_state(f, SESSION_LIVE);
	send(f, "c1", NULL, "p2", "y");
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
	send(f, "c1", NULL, "p1", "kept for later");
	assert_int_equal(f->failed, 0);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_CONNECT), connects);
	fake_service_refuse_logins(f->service, false);
	sign_in(f);
	wait_status(f, "p1", MESSAGE_RECEIVED);
}

static struct fake_chat_view wait_view(struct fixture *f, int64_t received_seq, int64_t read_seq)
{
	struct fake_chat_view view;

	for (;;) {
		assert_int_equal(fake_service_view_chat(f->service, "c1", &view), 0);
		if (view.received_seq >= received_seq && view.read_seq >= read_seq)
			return view;
		event_loop_turn(f->loop, true);
	}
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_sync_brings_history_and_goes_live),
		TEST(test_nothing_connects_before_a_sign_in),
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
		TEST(test_photo_arrives),
		TEST(test_broken_download_goes_on_where_it_was),
		TEST(test_wrong_bytes_are_not_kept),
	};

	return cmocka_run_group_tests_name("repository", tests, NULL, NULL);
}
