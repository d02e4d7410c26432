/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A connection: what goes in, what comes out, what it is charged for. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "ipc/limits.h"
#include "ipc/request.h"
#include "ipc/rpc.h"
#include "test-ipc-fakes.h"

static struct api *api;
static struct test_client c, other;
static unsigned fds_before;

static int setup(void **state)
{
	cJSON *hello;

	fds_before = test_count_fds();
	fake_start();
	api = test_api_new();
	test_client_open(&c, api, SCOPES_ALL);
	hello = test_client_read(&c);
	assert_string_equal(cJSON_GetObjectItem(hello, "method")->valuestring, "hello");
	cJSON_Delete(hello);
	other.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	test_client_close(&c);
	test_client_close(&other);
	api = test_api_free(api);
	fake_stop();
	assert_int_equal(test_count_fds(), fds_before);
	return 0;
}

static void open_other(void)
{
	test_client_open(&other, api, SCOPES_ALL);
	free(test_client_read_text(&other));
}

/* Reads an answer, checks whose it is, and returns its error's code or 0. */
static int read_code(const char *id)
{
	_cleanup_(cJSON_Deletep) cJSON *reply = test_client_read(&c);
	_cleanup_free_ char *got = NULL;
	cJSON *error;

	if (!reply)
		fail_msg("no answer to %s", id);
	got = cJSON_PrintUnformatted(cJSON_GetObjectItem(reply, "id"));
	assert_string_equal(got ? got : "none", id);
	error = cJSON_GetObjectItem(reply, "error");
	return error ? cJSON_GetObjectItem(error, "code")->valueint : 0;
}

static void expect_nothing(struct test_client *client)
{
	_cleanup_free_ char *text = test_client_read_text(client);

	assert_null(text);
}

static void request(const char *id, const char *method, const char *params)
{
	char line[1024];

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"%s\",\"params\":%s}", id, method,
		params);
	test_client_line(&c, line);
}

static void every_wrong_line_has_its_error(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *id;
	} wrong[] = {
		{ "nonsense", CHAT_RPC_PARSE_ERROR, "null" },
		{ "", CHAT_RPC_PARSE_ERROR, "null" },
		{ "[1,", CHAT_RPC_PARSE_ERROR, "null" },
		{ "[]", CHAT_RPC_INVALID_REQUEST, "null" },
		{ "17", CHAT_RPC_INVALID_REQUEST, "null" },
		{ "{\"id\":5}", CHAT_RPC_INVALID_REQUEST, "5" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"chats.lst\"}",
			CHAT_RPC_METHOD_NOT_FOUND, "\"x\"" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chats.list\",\"params\":[1]}",
			CHAT_RPC_INVALID_PARAMS, "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chats.list\",\"params\":{\"limits\":"
		  "1}}",
			CHAT_RPC_INVALID_PARAMS, "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chats.list\",\"params\":{\"limit\":0}"
		  "}",
			CHAT_RPC_INVALID_PARAMS, "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chats.get\"}",
			CHAT_RPC_INVALID_PARAMS, "1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		test_client_line(&c, wrong[i].line);
		assert_int_equal(read_code(wrong[i].id), wrong[i].code);
	}
	request("2", "daemon.status", "{}");
	assert_int_equal(read_code("2"), 0);
}

static void unknown_names_are_answered_with_the_closest(void **state)
{
	_cleanup_free_ char *method = NULL, *param = NULL;

	request("1", "mesages.send", "{}");
	method = test_client_read_text(&c);
	assert_non_null(strstr(method, "did you mean 'messages.send'?"));
	request("1", "messages.list", "{\"chatid\":\"c1\"}");
	param = test_client_read_text(&c);
	assert_non_null(strstr(param, "'chatid'; did you mean 'chat_id'?"));
}

static void a_request_cut_anywhere_is_the_same_request(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.get\","
				   "\"params\":{\"message_id\":\"m1\"}}\n";

	for (size_t cut = 1; cut < sizeof(line) - 1; cut++) {
		test_client_send(&c, line, cut, NULL, 0);
		event_loop_turn(fake.loop, false);
		test_client_send(&c, line + cut, sizeof(line) - 1 - cut, NULL, 0);
		assert_int_equal(read_code("1"), 0);
	}
}

static void a_line_too_long_costs_only_itself(void **state)
{
	_cleanup_free_ char *big = malloc(CHAT_LINE_MAX + 10);

	memset(big, ' ', CHAT_LINE_MAX + 10);
	test_client_send(&c, big, CHAT_LINE_MAX + 10, NULL, 0);
	test_client_line(&c, "");
	assert_int_equal(read_code("null"), CHAT_ERROR_TOO_LARGE);
	request("2", "daemon.status", "{}");
	assert_int_equal(read_code("2"), 0);
}

static void notifications_are_carried_out_and_not_answered(void **state)
{
	test_client_line(&c,
		"{\"jsonrpc\":\"2.0\",\"method\":\"messages.send\",\"params\":{\"chat_id\":"
		"\"c1\",\"text\":\"x\",\"message_id\":\"m5\"}}");
	test_client_line(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}");
	test_client_line(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"chats.get\",\"params\":{\"x\":1}}");
	request("3", "daemon.status", "{}");
	assert_int_equal(read_code("3"), 0);
	assert_int_equal(fake.sends, 1);
}

static void a_batch_is_answered_in_one_line(void **state)
{
	cJSON *reply;

	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.get\",\"params\":{\"message_"
		"id\":\"m1\"}},"
		"{\"jsonrpc\":\"2.0\",\"method\":\"daemon.status\"},1,"
		"{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"no.such\"},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"messages.get\",\"params\":{\"message_"
		"id\":\"x\"}}]");
	reply = test_client_read(&c);
	assert_true(cJSON_IsArray(reply));
	assert_int_equal(cJSON_GetArraySize(reply), 4);
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 0), "result"));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 1), "id")));
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 2), "id")->valuestring, "b");
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(reply, 3), "error"));
	cJSON_Delete(reply);
	/* Of notifications only: no line at all. */
	test_client_line(&c, "[{\"jsonrpc\":\"2.0\",\"method\":\"daemon.status\"}]");
	expect_nothing(&c);
}

/* A batch of `n` equal requests; its ids count from 0. */
static void send_batch(unsigned n, const char *method, const char *params)
{
	test_client_send(&c, "[", 1, NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		char entry[300];

		snprintf(entry, sizeof(entry),
			"%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":%s}",
			i ? "," : "", i, method, params);
		test_client_send(&c, entry, strlen(entry), NULL, 0);
	}
	test_client_send(&c, "]\n", 2, NULL, 0);
}

static void a_batch_may_be_larger_than_what_is_in_flight(void **state)
{
	cJSON *reply;

	send_batch(RPC_BATCH_MAX, "messages.get", "{\"message_id\":\"m1\"}");
	request("\"after\"", "daemon.status", "{}");
	reply = test_client_read(&c);
	assert_int_equal(cJSON_GetArraySize(reply), RPC_BATCH_MAX);
	for (int i = 0; i < RPC_BATCH_MAX; i++)
		assert_int_equal(
			cJSON_GetObjectItem(cJSON_GetArrayItem(reply, i), "id")->valueint, i);
	cJSON_Delete(reply);
	assert_int_equal(read_code("\"after\""), 0);
	send_batch(RPC_BATCH_MAX + 1, "daemon.status", "{}");
	assert_int_equal(read_code("null"), CHAT_ERROR_TOO_LARGE);
}

static void a_batch_stays_within_a_line(void **state)
{
	_cleanup_free_ char *text = malloc(60001);
	_cleanup_free_ char *line = NULL;
	unsigned results = 0;
	cJSON *reply, *item;

	memset(text, 'x', 60000);
	text[60000] = '\0';
	fake.text = text;
	send_batch(100, "messages.get", "{\"message_id\":\"m1\"}");
	line = test_client_read_text(&c);
	assert_true(strlen(line) < CHAT_LINE_MAX);
	reply = cJSON_Parse(line);
	assert_int_equal(cJSON_GetArraySize(reply), 100);
	cJSON_ArrayForEach(item, reply)
		results += cJSON_GetObjectItem(item, "result") != NULL;
	assert_in_range(results, 5, 20);
	cJSON_Delete(reply);
}

static void waiting_calls_of_a_batch_hold_its_answer(void **state)
{
	_cleanup_free_ char *line = NULL;

	fake.asynchronous = true;
	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"users.get\",\"params\":{\"user_id\":"
		"\"ana\"}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"daemon.status\"}]");
	request("3", "daemon.status", "{}");
	assert_int_equal(read_code("3"), 0);
	fake_answer(NULL);
	line = test_client_read_text(&c);
	assert_int_equal(line[0], '[');
}

static void what_waits_for_the_network_is_overtaken(void **state)
{
	fake.asynchronous = true;
	request("1", "users.get", "{\"user_id\":\"ana\"}");
	request("2", "messages.get", "{\"message_id\":\"m1\"}");
	assert_int_equal(read_code("2"), 0);
	fake_answer(NULL);
	assert_int_equal(read_code("1"), 0);
}

static void send_text(const char *id, const char *message_id)
{
	char params[200];

	snprintf(params, sizeof(params),
		"{\"chat_id\":\"c1\",\"text\":\"x\",\"message_id\":\"%s\"}", message_id);
	request(id, "messages.send", params);
}

static void messages_are_sent_in_the_order_of_their_requests(void **state)
{
	fake.asynchronous = true;
	send_text("1", "m1");
	send_text("2", "m2");
	send_text("3", "m3");
	request("4", "daemon.status", "{}");
	assert_int_equal(read_code("4"), 0);
	/* Each is begun when the one before it is over. */
	assert_int_equal(fake.sends, 1);
	fake_answer(NULL);
	assert_int_equal(read_code("1"), 0);
	assert_int_equal(fake.sends, 2);
	fake.asynchronous = false;
	fake_answer(&(struct failure){ .kind = FAILURE_UNSUPPORTED });
	assert_int_equal(read_code("2"), CHAT_ERROR_UNSUPPORTED);
	assert_int_equal(read_code("3"), 0);
	assert_string_equal(fake.sent[0], "m1");
	assert_string_equal(fake.sent[1], "m2");
	assert_string_equal(fake.sent[2], "m3");
}

static void more_in_flight_than_allowed_waits(void **state)
{
	fake.asynchronous = true;
	for (int i = 0; i < CLIENT_REQUESTS_MAX + 10; i++)
		request("1", "users.get", "{\"user_id\":\"ana\"}");
	fake_settle();
	assert_int_equal(fake.n_pending, CLIENT_REQUESTS_MAX);
	for (int i = 0; i < 10; i++)
		fake_answer(NULL);
	fake_settle();
	assert_int_equal(fake.n_pending, CLIENT_REQUESTS_MAX);
	while (fake.n_pending > 0)
		fake_answer(NULL);
	for (int i = 0; i < CLIENT_REQUESTS_MAX + 10; i++)
		assert_int_equal(read_code("1"), 0);
}

static void large_requests_in_flight_are_fewer(void **state)
{
	static const char text[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"users.get\",\"params\":"
		"{\"user_id\":\"ana\"}}";
	static char line[CLIENT_REQUEST_BYTES_MAX / 64 + 1];
	unsigned waiting = 2;

	fake.asynchronous = true;
	snprintf(line, sizeof(line), "%-*s", (int)sizeof(line) - 1, text);
	for (unsigned i = 0; i < 64 + waiting; i++) {
		test_client_line(&c, line);
		fake_settle();
	}
	assert_int_equal(fake.n_pending, 64);
	assert_int_equal(c.peer->lines.request_bytes, CLIENT_REQUEST_BYTES_MAX);
	fake_answer(NULL);
	fake_settle();
	assert_int_equal(fake.n_pending, 64);
	while (fake.n_pending > 0) {
		fake_answer(NULL);
		fake_settle();
	}
	for (unsigned i = 0; i < 64 + waiting; i++)
		assert_int_equal(read_code("1"), 0);
	assert_int_equal(c.peer->lines.request_bytes, 0);
}

static int commit_fails_with(int error, const char *method, const char *params)
{
	send_text("1", "m1");
	request("2", method, params);
	fake.commit_error = error;
	fake_settle();
	return read_code("1");
}

static void a_failed_commit_turns_answers_into_errors(void **state)
{
	request("0", "events.subscribe", "{}");
	assert_int_equal(read_code("0"), 0);
	assert_int_equal(commit_fails_with(-ENOSPC, "chats.list", "{}"), CHAT_ERROR_STORAGE_FULL);
	assert_int_equal(read_code("2"), 0);
	assert_int_equal(commit_fails_with(-EIO, "no.such", "{}"), CHAT_ERROR_STORAGE_ERROR);
	assert_int_equal(read_code("2"), CHAT_RPC_METHOD_NOT_FOUND);
	/* And nothing of it was told. */
	expect_nothing(&c);
	send_text("5", "m5");
	assert_int_equal(read_code("5"), 0);
	assert_int_equal(fake.commits, 3);
}

static void a_failed_commit_leaves_the_subscription_as_it_was(void **state)
{
	request("1", "events.subscribe", "{\"topics\":[\"message.added\"]}");
	assert_int_equal(read_code("1"), 0);
	send_text("2", "m1");
	request("3", "events.subscribe", "{\"topics\":[\"chat.removed\"]}");
	fake.commit_error = -EIO;
	assert_int_equal(read_code("2"), CHAT_ERROR_STORAGE_ERROR);
	assert_int_equal(read_code("3"), CHAT_ERROR_STORAGE_ERROR);
	send_text("4", "m2");
	assert_int_equal(read_code("4"), 0);
	free(test_client_read_text(&c));
	request("5", "events.unsubscribe", "{}");
	assert_int_equal(read_code("5"), 0);
	send_text("6", "m3");
	assert_int_equal(read_code("6"), 0);
	expect_nothing(&c);
}

static void the_answer_comes_before_the_change(void **state)
{
	_cleanup_free_ char *change = NULL;

	/* The subscription, then a change it had missed, all in one go. */
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	fake_settle();
	request("1", "events.subscribe", "{\"since\":0}");
	send_text("2", "m1");
	assert_int_equal(read_code("1"), 0);
	assert_int_equal(read_code("2"), 0);
	change = test_client_read_text(&c);
	assert_non_null(strstr(change, "\"seq\":1,\"topic\":\"chat.updated\""));
	free(change);
	change = test_client_read_text(&c);
	assert_non_null(strstr(change, "\"seq\":2,\"topic\":\"message.added\""));
}

static void a_subscription_in_a_batch_begins_after_its_line(void **state)
{
	_cleanup_free_ char *line = NULL, *change = NULL;

	fake.asynchronous = true;
	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\",\"params\":{"
		"\"since\":0}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"users.get\",\"params\":{\"user_id\":"
		"\"ana\"}}]");
	fake_settle();
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	expect_nothing(&c);
	fake_answer(NULL);
	line = test_client_read_text(&c);
	assert_int_equal(line[0], '[');
	change = test_client_read_text(&c);
	assert_non_null(strstr(change, "\"seq\":1"));
}

static void a_peer_that_dies_leaves_its_requests_to_themselves(void **state)
{
	_cleanup_free_ char *change = NULL;

	open_other();
	request("1", "events.subscribe", "{}");
	assert_int_equal(read_code("1"), 0);
	fake.asynchronous = true;
	test_client_line(&other,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.send\",\"params\":{"
		"\"chat_id\":\"c1\",\"text\":\"x\"}}");
	test_client_line(&other,
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"messages.send\",\"params\":{"
		"\"chat_id\":\"c1\",\"text\":\"y\"}}");
	test_client_line(&other,
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"users.get\",\"params\":{"
		"\"user_id\":\"ana\"}}");
	fake_settle();
	assert_int_equal(fake.n_pending, 2);
	test_client_close(&other);
	fake_answer(NULL);
	fake_answer(&(struct failure){ .kind = FAILURE_OFFLINE });
	fake_settle();
	assert_true(TAILQ_EMPTY(&api->orphans));
	/* The first was taken over, the one behind it never begun. */
	assert_int_equal(fake.sends, 1);
	change = test_client_read_text(&c);
	assert_non_null(strstr(change, "message.added"));
}

static void requests_of_the_dead_may_never_end(void **state)
{
	fake.asynchronous = true;
	request("1", "users.get", "{\"user_id\":\"ana\"}");
	fake_settle();
	test_client_close(&c);
	assert_false(TAILQ_EMPTY(&api->orphans));
}

static void a_peer_that_hangs_up_is_let_go(void **state)
{
	close(c.fd);
	c.fd = -1;
	fake_settle();
	assert_null(c.peer);
}

static void what_was_asked_before_the_end_is_answered(void **state)
{
	fake.asynchronous = true;
	request("1", "users.get", "{\"user_id\":\"ana\"}");
	request("2", "daemon.status", "{}");
	test_client_send(&c, "{\"jsonrpc\"", 10, NULL, 0);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	assert_int_equal(read_code("2"), 0);
	assert_non_null(c.peer);
	fake_answer(NULL);
	assert_int_equal(read_code("1"), 0);
	fake_settle();
	assert_null(c.peer);
}

static void add_rows(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%" PRId64, fake.last_change);
		fake_change(CHANGE_MESSAGE_ADDED, "c1", id);
	}
	fake_settle();
}

static void a_peer_that_does_not_read_is_not_written_to(void **state)
{
	_cleanup_free_ char *text = malloc(4001);
	int64_t expected = 1;
	char *line;

	memset(text, 'x', 4000);
	text[4000] = '\0';
	fake.text = text;
	request("1", "events.subscribe", "{}");
	assert_int_equal(read_code("1"), 0);
	add_rows(2000);
	/* 8 MB are to be told. What is kept for it is bounded, and it is not read from. */
	assert_in_range(c.peer->output.load.bytes, PEER_HIGH_WATER, PEER_HIGH_WATER + 8192);
	assert_true(fake.encoded < 1000);
	request("2", "daemon.status", "{}");
	fake_settle();
	assert_int_equal(c.peer->lines.calls.n, 0);
	while ((line = test_client_read_text(&c)) && !strstr(line, "\"id\":2")) {
		char wanted[40];

		snprintf(wanted, sizeof(wanted), "\"seq\":%" PRId64 ",", expected++);
		assert_non_null(strstr(line, wanted));
		free(line);
	}
	/* The answer came as soon as there was room, in the midst of the changes. */
	assert_non_null(line);
	free(line);
	while ((line = test_client_read_text(&c))) {
		free(line);
		expected++;
	}
	assert_int_equal(expected, 2001);
}

static void a_slow_peer_costs_the_others_nothing(void **state)
{
	unsigned told = 0;
	char *line;

	open_other();
	test_client_line(&other, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\"}");
	free(test_client_read_text(&other));
	request("1", "events.subscribe", "{}");
	assert_int_equal(read_code("1"), 0);
	for (int i = 0; i < 100; i++) {
		add_rows(100);
		while ((line = test_client_read_text(&other))) {
			told++;
			free(line);
		}
	}
	assert_int_equal(told, 10000);
	assert_true(c.peer->choked);
}

static void a_peer_that_never_reads_is_closed(void **state)
{
	_cleanup_free_ char *text = malloc(4001);

	memset(text, 'x', 4000);
	text[4000] = '\0';
	fake.text = text;
	api->stall_us = 20000;
	request("1", "events.subscribe", "{}");
	assert_int_equal(read_code("1"), 0);
	add_rows(500);
	/* The loop sleeps until the timer. */
	while (c.peer)
		event_loop_turn(fake.loop, true);
}

static void large_answers_stop_further_requests(void **state)
{
	_cleanup_free_ char *text = malloc(60001);

	memset(text, 'x', 60000);
	text[60000] = '\0';
	fake.text = text;
	for (int i = 0; i < 60; i++)
		request("1", "messages.get", "{\"message_id\":\"m1\"}");
	fake_settle();
	assert_true(c.peer->output.load.bytes < PEER_HIGH_WATER + 70000);
	for (int i = 0; i < 60; i++)
		assert_int_equal(read_code("1"), 0);
}

static int make_photo(const char *bytes)
{
	int fd = memfd_create("photo", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
	return fd;
}

static void send_photo(const char *attachments, const int *fds, unsigned n_fds)
{
	char line[400];

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.send\",\"params\":{\"chat_"
		"id\":\"c1\","
		"\"attachments\":%s}}\n",
		attachments);
	test_client_send(&c, line, strlen(line), fds, n_fds);
}

static void descriptors_travel_with_their_request(void **state)
{
	int fds[2] = { make_photo("first"), make_photo("second") };

	/* Written before, and glued to it in the daemon's read. */
	request("0", "daemon.status", "{}");
	send_photo("[{\"fd\":1,\"name\":\"x.jpg\"}]", fds, 2);
	request("2", "daemon.status", "{}");
	assert_int_equal(read_code("0"), 0);
	assert_int_equal(read_code("1"), 0);
	assert_int_equal(read_code("2"), 0);
	assert_string_equal(fake.photo, "second");
	close(fds[0]);
	close(fds[1]);
}

static void descriptors_that_are_missing_or_too_many_are_errors(void **state)
{
	int fds[17], photo = make_photo("x");

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = photo;
	send_photo("[{\"fd\":0}]", NULL, 0);
	assert_int_equal(read_code("1"), CHAT_RPC_INVALID_PARAMS);
	send_photo("[{\"fd\":2}]", fds, 2);
	assert_int_equal(read_code("1"), CHAT_RPC_INVALID_PARAMS);
	send_photo("[{\"fd\":0,\"path\":\"/x\"}]", fds, 1);
	assert_int_equal(read_code("1"), CHAT_RPC_INVALID_PARAMS);
	send_photo("[{\"fd\":0}]", fds, 17);
	assert_int_equal(read_code("1"), CHAT_ERROR_TOO_LARGE);
	/* Not asked for: closed, and no harm done. */
	send_photo("[{\"path\":\"/x\"}]", fds, 16);
	assert_int_equal(read_code("1"), 0);
	assert_int_equal(fake.sends, 1);
	close(photo);
}

static void waiting_requests_hold_few_descriptors(void **state)
{
	int fds[16], photo = make_photo("x"), codes[3] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = photo;
	fake.asynchronous = true;
	for (int i = 0; i < 7; i++)
		send_photo("[{\"fd\":0}]", fds, 16);
	fake_settle();
	/* The first has handed over what it had, four wait with theirs. */
	assert_true(test_count_fds() < fds_before + 80);
	assert_int_equal(fake.n_pending, 1);
	for (int i = 0; i < 5; i++) {
		fake_answer(NULL);
		fake_settle();
	}
	for (int i = 0; i < 7; i++) {
		int code = read_code("1");

		codes[code == 0 ? 0 : code == CHAT_ERROR_BUSY ? 1 : 2]++;
	}
	assert_int_equal(codes[0], 5);
	assert_int_equal(codes[1], 2);
	close(photo);
}

static void a_batch_shares_its_descriptors(void **state)
{
	static const char line[] =
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.send\",\"params\":{\"chat_"
		"id\":\"c1\","
		"\"attachments\":[{\"fd\":0}]}},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
		"\"messages.send\","
		"\"params\":{\"chat_id\":\"c1\",\"attachments\":[{\"fd\":0}]}}]\n";
	int fd = make_photo("shared");
	_cleanup_free_ char *reply = NULL;

	test_client_send(&c, line, sizeof(line) - 1, &fd, 1);
	reply = test_client_read_text(&c);
	assert_null(strstr(reply, "error"));
	assert_int_equal(fake.sends, 2);
	assert_string_equal(fake.photo, "shared");
	close(fd);
}

static void a_descriptor_comes_with_the_answer(void **state)
{
	char bytes[11] = "";

	fake.stored = true;
	for (int i = 0; i < 3; i++) {
		request("0", "daemon.status", "{}");
		request("1", "attachments.open",
			"{\"attachment_id\":\"a1\",\"variant\":\"preview\"}");
		request("2", "daemon.status", "{}");
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read_code("0"), 0);
		assert_int_equal(read_code("1"), 0);
		assert_int_equal(read_code("2"), 0);
	}
	assert_int_equal(c.n_fds, 3);
	assert_int_equal(pread(c.fds[2], bytes, 10, 0), 10);
	assert_string_equal(bytes, "abcdefghij");
	test_client_line(&c,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"attachments.open\",\"params\":{"
		"\"attachment_id\":\"a1\"}}]");
	cJSON_Delete(test_client_read(&c));
	assert_int_equal(c.n_fds, 3);
}

static void a_descriptor_nobody_takes_is_closed(void **state)
{
	fake.stored = true;
	test_client_line(&c,
		"{\"jsonrpc\":\"2.0\",\"method\":\"attachments.open\",\"params\":{"
		"\"attachment_id\":\"a1\"}}");
	expect_nothing(&c);
	request("1", "attachments.open", "{\"attachment_id\":\"a1\"}");
	fake_settle();
	/* Left unread in the socket when the client goes. */
}

static void a_scope_is_not_left(void **state)
{
	static const struct {
		const char *method, *params;
		unsigned scopes;
	} calls[] = {
		{ "daemon.status", "{}", SCOPES_ALL },
		{ "chats.list", "{}", SCOPE_READ },
		{ "events.unsubscribe", "{}", SCOPE_READ },
		{ "messages.send", "{\"chat_id\":\"c1\",\"text\":\"x\"}", SCOPE_SEND },
		{ "messages.mark_read", "{\"chat_id\":\"c1\",\"message_id\":\"m1\"}", SCOPE_FULL },
		{ "account.login", "{\"server\":\"s\",\"user_id\":\"u\",\"password\":\"p\"}",
			SCOPE_FULL },
		{ "messages.send", "{\"chat_id\":\"c1\",\"attachments\":[{\"path\":\"/x\"}]}",
			SCOPE_FULL },
	};

	for (unsigned scope = SCOPE_READ; scope <= SCOPE_FULL; scope <<= 1) {
		unsigned scopes = scope == SCOPE_FULL ? SCOPES_ALL : scope;

		test_client_close(&c);
		test_client_open(&c, api, scopes);
		free(test_client_read_text(&c));
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			int expected = calls[i].scopes & scopes ? 0 : CHAT_ERROR_DENIED;

			request("1", calls[i].method, calls[i].params);
			assert_int_equal(read_code("1"), expected);
		}
		test_client_close(&c);
		test_client_open(&c, api, scopes);
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_wrong_line_has_its_error),
		test(unknown_names_are_answered_with_the_closest),
		test(a_request_cut_anywhere_is_the_same_request),
		test(a_line_too_long_costs_only_itself),
		test(notifications_are_carried_out_and_not_answered),
		test(a_batch_is_answered_in_one_line),
		test(a_batch_may_be_larger_than_what_is_in_flight),
		test(a_batch_stays_within_a_line),
		test(waiting_calls_of_a_batch_hold_its_answer),
		test(what_waits_for_the_network_is_overtaken),
		test(messages_are_sent_in_the_order_of_their_requests),
		test(more_in_flight_than_allowed_waits),
		test(large_requests_in_flight_are_fewer),
		test(a_failed_commit_turns_answers_into_errors),
		test(a_failed_commit_leaves_the_subscription_as_it_was),
		test(the_answer_comes_before_the_change),
		test(a_subscription_in_a_batch_begins_after_its_line),
		test(a_peer_that_dies_leaves_its_requests_to_themselves),
		test(requests_of_the_dead_may_never_end),
		test(a_peer_that_hangs_up_is_let_go),
		test(what_was_asked_before_the_end_is_answered),
		test(a_peer_that_does_not_read_is_not_written_to),
		test(a_slow_peer_costs_the_others_nothing),
		test(a_peer_that_never_reads_is_closed),
		test(large_answers_stop_further_requests),
		test(descriptors_travel_with_their_request),
		test(descriptors_that_are_missing_or_too_many_are_errors),
		test(waiting_requests_hold_few_descriptors),
		test(a_batch_shares_its_descriptors),
		test(a_descriptor_comes_with_the_answer),
		test(a_descriptor_nobody_takes_is_closed),
		test(a_scope_is_not_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
