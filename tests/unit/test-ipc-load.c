/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a client makes others hold for it, and what becomes of its answers in a turn that fails. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/limits.h"
#include "ipc/request.h"
#include "ipc/rpc.h"
#include "test-ipc-fakes.h"

static struct api *api;
static struct test_client c;
static unsigned fds_before;

static int setup(void **state)
{
	fds_before = test_count_fds();
	fake_start();
	api = test_api_new();
	test_client_open(&c, api, SCOPES_ALL);
	free(test_client_read_text(&c));
	return 0;
}

static int teardown(void **state)
{
	test_client_close(&c);
	api = test_api_free(api);
	fake_stop();
	assert_int_equal(test_count_fds(), fds_before);
	return 0;
}

static void request(int id, const char *method, const char *params)
{
	char line[600];

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}", id, method,
		params);
	test_client_line(&c, line);
}

/* Reads an answer, checks whose it is, and returns its error's code or 0. */
static int read_code(int id)
{
	_cleanup_(cJSON_Deletep) cJSON *reply = test_client_read(&c);
	const cJSON *error = cJSON_GetObjectItem(reply, "error");

	if (!reply)
		fail_msg("no answer to %d", id);
	assert_int_equal(cJSON_GetObjectItem(reply, "id")->valueint, id);
	return error ? cJSON_GetObjectItem(error, "code")->valueint : 0;
}

static void close_received(void)
{
	for (unsigned i = 0; i < c.n_fds; i++)
		close(c.fds[i]);
	c.n_fds = 0;
}

static void open_photos(int n)
{
	fake.stored = true;
	for (int i = 0; i < n; i++)
		request(i, "attachments.open", "{\"attachment_id\":\"a1\"}");
	fake_settle();
}

static void descriptors_that_are_not_taken_are_few(void **state)
{
	unsigned taken = 0;

	open_photos(100);
	/* Here or in the socket, where the peer's end is the test's. */
	assert_in_range(c.peer->output.load.fds, CLIENT_GIVEN_FDS_MAX, CLIENT_GIVEN_FDS_MAX + 1);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(read_code(i), 0);
		taken += c.n_fds;
		close_received();
	}
	assert_int_equal(taken, 100);
	fake_settle();
	assert_int_equal(c.peer->output.load.fds, 0);
	assert_false(c.peer->choked);
}

static void bytes_behind_descriptors_are_counted(void **state)
{
	unsigned taken = 0;

	fake.media_size = 20 << 20;
	open_photos(10);
	assert_int_equal(c.peer->output.load.fds, 2);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(read_code(i), 0);
		taken += c.n_fds;
		close_received();
	}
	assert_int_equal(taken, 10);
}

/* The loop sleeps: what wakes it is that the peer reads. */
static void a_peer_that_takes_its_descriptors_wakes_the_daemon(void **state)
{
	char bytes[8192];

	api->stall_us = 3600000000;
	open_photos(CLIENT_GIVEN_FDS_MAX + 1);
	assert_int_equal(c.peer->lines.calls.n, 0);
	assert_true(c.peer->choked);
	while (recv(c.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	while (c.peer->choked)
		event_loop_turn(fake.loop, true);
}

static void a_peer_that_takes_none_for_long_is_closed(void **state)
{
	api->stall_us = 20000;
	open_photos(CLIENT_GIVEN_FDS_MAX);
	while (c.peer)
		event_loop_turn(fake.loop, true);
}

static void send_text(int id, const char *message_id)
{
	char params[200];

	snprintf(params, sizeof(params),
		"{\"chat_id\":\"c1\",\"text\":\"x\",\"message_id\":\"%s\"}", message_id);
	request(id, "messages.send", params);
}

static void reads_of_a_failed_turn_are_answered(void **state)
{
	send_text(1, "m1");
	request(2, "chats.list", "{}");
	request(3, "users.get", "{\"user_id\":\"nobody\"}");
	fake.commit_error = -ENOSPC;
	assert_int_equal(read_code(1), CHAT_ERROR_STORAGE_FULL);
	assert_int_equal(read_code(2), 0);
	assert_int_equal(read_code(3), CHAT_ERROR_NOT_FOUND);
	send_text(4, "m2");
	assert_int_equal(read_code(4), 0);
}

static void reads_that_wait_are_asked_again(void **state)
{
	fake.asynchronous = true;
	request(1, "users.get", "{\"user_id\":\"ana\"}");
	fake_settle();
	fake_answer(NULL);
	fake.wrote = true;
	fake.commit_error = -EIO;
	fake_settle();
	assert_int_equal(fake.n_pending, 1);
	fake_answer(NULL);
	assert_int_equal(read_code(1), 0);
}

static void reads_whose_own_writes_fail_end(void **state)
{
	fake.stored = fake.notes_use = fake.disk_is_full = true;
	request(1, "attachments.read", "{\"attachment_id\":\"a1\"}");
	assert_int_equal(read_code(1), CHAT_ERROR_STORAGE_ERROR);
	assert_int_equal(c.peer->lines.calls.n, 0);
}

static void reads_in_a_batch_are_asked_again(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *reply = NULL;

	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.send\",\"params\":{"
		"\"chat_id\":\"c1\",\"text\":\"x\"}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"chats.list\"}]");
	fake.commit_error = -EIO;
	reply = test_client_read(&c);
	assert_int_equal(cJSON_GetArraySize(reply), 2);
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 0), "error"));
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 1), "result"));
	assert_int_equal(c.peer->lines.finished.bytes, 0);
	assert_int_equal(c.peer->lines.batch_bytes, 0);
}

static void an_ending_of_a_failed_turn_still_ends(void **state)
{
	request(1, "events.subscribe", "{}");
	assert_int_equal(read_code(1), 0);
	send_text(2, "m1");
	request(3, "events.unsubscribe", "{}");
	fake.commit_error = -EIO;
	assert_int_equal(read_code(2), CHAT_ERROR_STORAGE_ERROR);
	assert_int_equal(read_code(3), 0);
	send_text(4, "m2");
	assert_int_equal(read_code(4), 0);
	assert_null(test_client_read_text(&c));
}

/* What it told is committed, and would not come a second time. */
static void changes_that_were_waited_for_are_told(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *reply = NULL;
	const cJSON *result;

	request(1, "changes.wait", "{}");
	fake_settle();
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	barrier_commit(api->barrier);
	fake.wrote = true;
	fake.commit_error = -EIO;
	reply = test_client_read(&c);
	result = cJSON_GetObjectItem(reply, "result");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "changes")), 1);
}

static void a_batch_answers_before_it_tells(void **state)
{
	_cleanup_free_ char *line = NULL, *change = NULL;

	request(1, "events.subscribe", "{}");
	assert_int_equal(read_code(1), 0);
	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"messages.send\",\"params\":{"
		"\"chat_id\":\"c1\",\"text\":\"x\"}},"
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"changes.wait\",\"params\":{"
		"\"topics\":[\"chat.removed\"],\"timeout_ms\":20}}]");
	while (!(line = test_client_read_text(&c)))
		event_loop_turn(fake.loop, true);
	assert_int_equal(line[0], '[');
	change = test_client_read_text(&c);
	assert_non_null(strstr(change, "message.added"));
}

/* Ten lines whose answers fill half a line each and wait for a person. */
static void batches_that_wait_are_charged(void **state)
{
	_cleanup_free_ char *text = malloc(60001);
	char *line;

	memset(text, 'x', 60000);
	text[60000] = '\0';
	fake.text = text;
	fake.asynchronous = true;
	for (int i = 0; i < 10; i++) {
		test_client_send(&c, "[", 1, NULL, 0);
		for (int n = 0; n < 7; n++) {
			const char *get =
				"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.get\","
				"\"params\":{\"message_id\":\"m1\"}},";

			test_client_send(&c, get, strlen(get), NULL, 0);
		}
		test_client_line(&c,
			"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"users.get\",\"params\":{"
			"\"user_id\":\"ana\"}}]");
	}
	fake_settle();
	assert_int_equal(fake.n_pending, 1);
	for (int i = 0; i < 10; i++) {
		fake_settle();
		fake_answer(NULL);
		line = test_client_read_text(&c);
		assert_non_null(line);
		assert_int_equal(line[0], '[');
		free(line);
	}
	assert_null(test_client_read_text(&c));
	assert_int_equal(c.peer->lines.batch_bytes, 0);
}

/* Whoever comes back again and again leaves no more behind than one may. */
static void requests_of_those_who_left_are_few(void **state)
{
	fake.asynchronous = true;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 40; i++)
			request(i, "users.get", "{\"user_id\":\"ana\"}");
		fake_settle();
		test_client_close(&c);
		test_client_open(&c, api, SCOPES_ALL);
		free(test_client_read_text(&c));
	}
	assert_in_range(fake.n_pending, ORPHANS_MAX, ORPHANS_MAX + 40);
	request(1, "users.get", "{\"user_id\":\"ana\"}");
	assert_int_equal(read_code(1), CHAT_ERROR_BUSY);
	request(2, "chats.list", "{}");
	assert_int_equal(read_code(2), 0);
	while (fake.n_pending > 0)
		fake_answer(NULL);
	assert_int_equal(api->n_orphans, 0);
	fake.asynchronous = false;
	request(3, "users.get", "{\"user_id\":\"ana\"}");
	assert_int_equal(read_code(3), 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(descriptors_that_are_not_taken_are_few),
		test(bytes_behind_descriptors_are_counted),
		test(a_peer_that_takes_its_descriptors_wakes_the_daemon),
		test(a_peer_that_takes_none_for_long_is_closed),
		test(reads_of_a_failed_turn_are_answered),
		test(reads_that_wait_are_asked_again),
		test(reads_whose_own_writes_fail_end),
		test(reads_in_a_batch_are_asked_again),
		test(an_ending_of_a_failed_turn_still_ends),
		test(changes_that_were_waited_for_are_told),
		test(a_batch_answers_before_it_tells),
		test(batches_that_wait_are_charged),
		test(requests_of_those_who_left_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
