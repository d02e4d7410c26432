/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connecting, answers, the caller's loop and calls that block. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-answer.h"

static void nobody_listens(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);
	struct answer a = { 0 };

	server_unlisten(s);
	call(c, "daemon.status", &a);
	assert_false(a.done); /* callbacks belong to dispatch */
	settle(c);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_NOT_RUNNING);
	assert_string_equal(a.kind, "not_running");
	assert_true(a.retryable);
	assert_int_equal(chat_client_connect(c), -ECONNREFUSED);
	assert_int_equal(chat_client_get_error(c)->code, CHAT_CLIENT_ERROR_NOT_RUNNING);
	assert_non_null(strstr(chat_client_get_error(c)->detail, s->path));
	chat_client_free(c);
}

static void a_socket_that_was_left_behind(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);

	close(s->listener);
	s->listener = -1;
	assert_int_equal(chat_client_connect(c), -ECONNREFUSED);
	assert_int_equal(unlink(s->path), 0);
	chat_client_free(c);
}

static void the_greeting_is_shown(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);

	assert_string_equal(chat_client_get_hello(c)->api, "1.0");
	assert_string_equal(chat_client_get_hello(c)->daemon, "0.1.0");
	assert_string_equal(chat_client_get_hello(c)->instance_id, "i-1");
	assert_string_equal(chat_client_get_hello(c)->account, "default");
	assert_string_equal(chat_client_get_hello(c)->scope, "full");
	server_drop(s);
	settle(c);
	assert_null(chat_client_get_hello(c));
	chat_client_free(c);
}

static void fail_greeting(struct server *s, const char *greeting, int code)
{
	struct chat_client *c = client_of(s);
	struct answer a = { 0 };

	call(c, "daemon.status", &a);
	settle(c);
	server_accept(s);
	server_send(s, greeting);
	settle(c);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.code, code);
	chat_client_free(c);
	server_drop(s);
}

static void greetings_that_are_none(void **state)
{
	struct server *s = *state;

	fail_greeting(s, "SSH-2.0-OpenSSH\r\n", CHAT_CLIENT_ERROR_PROTOCOL);
	fail_greeting(
		s, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", CHAT_CLIENT_ERROR_PROTOCOL);
	fail_greeting(s, "{\"method\":\"hello\"}\n", CHAT_CLIENT_ERROR_PROTOCOL);
	fail_greeting(s, "[]\n", CHAT_CLIENT_ERROR_PROTOCOL);
	fail_greeting(s, "{\"method\":\"hello\",\"params\":{\"api\":\"2.0\"}}\n",
		CHAT_CLIENT_ERROR_VERSION);
}

static void nothing_is_sent_before_the_greeting(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);
	struct answer a = { 0 };
	char byte;

	call(c, "daemon.status", &a);
	settle(c);
	server_accept(s);
	settle(c);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_GREETING);
	assert_int_equal(recv(s->fd, &byte, 1, MSG_DONTWAIT), -1);
	server_send(s, HELLO);
	settle(c);
	server_expect(s, "daemon.status");
	chat_client_free(c);
}

static void settings_are_checked(void **state)
{
	struct server *s = *state;
	char path[300];
	struct chat_client *c = client_of(s);

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(chat_client_set_socket_path(c, path), -ENAMETOOLONG);
	assert_int_equal(chat_client_set_socket_path(c, ""), -EINVAL);
	assert_int_equal(chat_client_set_account(c, "work"), 0);
	assert_int_equal(chat_client_set_account(c, "../x"), -EINVAL);
	assert_int_equal(chat_client_set_account(c, "a/b"), -EINVAL);
	assert_int_equal(chat_client_set_account(c, ""), -EINVAL);
	assert_int_equal(chat_client_get_error(c)->code, CHAT_CLIENT_ERROR_INVALID);
	chat_client_free(c);
	c = connected_client(s);
	assert_int_equal(chat_client_set_account(c, "work"), -EISCONN);
	chat_client_free(c);
}

static void the_account_names_the_socket(void **state)
{
	struct server *s = *state;
	struct chat_client *c;
	const char *before = getenv("XDG_RUNTIME_DIR");
	char *saved = before ? strdup(before) : NULL;

	setenv("XDG_RUNTIME_DIR", s->directory, 1);
	assert_int_equal(chat_client_new(&c), 0);
	assert_int_equal(chat_client_connect(c), -ECONNREFUSED);
	assert_non_null(strstr(chat_client_get_error(c)->detail, "/chatd/default.sock"));
	assert_int_equal(chat_client_set_account(c, "work"), 0);
	assert_int_equal(chat_client_connect(c), -ECONNREFUSED);
	assert_non_null(strstr(chat_client_get_error(c)->detail, "/chatd/work.sock"));
	chat_client_free(c);
	if (saved)
		setenv("XDG_RUNTIME_DIR", saved, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(saved);
}

static void answers_find_their_requests(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 };
	int first, second;

	call(c, "x.first", &a);
	call(c, "x.second", &b);
	settle(c);
	first = server_expect_params(s, "x.first", "{}");
	second = server_expect(s, "x.second");
	assert_int_not_equal(first, second);
	server_answer(s, second, "[2]");
	server_answer(s, first, "null");
	server_answer(s, first, "1");     /* twice */
	server_answer(s, 99999, "\"?\""); /* to nobody */
	settle(c);
	assert_int_equal(a.calls, 1);
	assert_string_equal(a.json, "null");
	assert_string_equal(b.json, "[2]");
	chat_client_free(c);
}

static void errors_are_typed(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 }, d = { 0 };

	call(c, "x.a", &a);
	call(c, "x.b", &b);
	call(c, "x.d", &d);
	settle(c);
	server_refuse(s, server_expect(s, "x.a"), 9, "busy", "later");
	server_refuse(s, server_expect(s, "x.b"), 4711, "brand_new", "?");
	server_expect(s, "x.d");
	server_send(s, "{\"id\":4,\"error\":{\"code\":-32601,\"message\":\"no such method\"}}\n");
	settle(c);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_BUSY);
	assert_string_equal(a.kind, "busy");
	assert_string_equal(a.detail, "later");
	assert_true(a.retryable);
	assert_int_equal(a.retry_after_ms, 1500);
	assert_int_equal(b.code, 4711);
	assert_string_equal(b.kind, "brand_new");
	assert_int_equal(d.code, -32601);
	assert_string_equal(d.detail, "no such method");
	assert_int_equal(d.retry_after_ms, -1);
	assert_int_equal(chat_client_error_to_errno(CHAT_CLIENT_ERROR_NOT_FOUND), -ENOENT);
	assert_int_equal(chat_client_error_to_errno(4711), -EREMOTEIO);
	chat_client_free(c);
}

static void an_answer_of_another_shape_fails_alone(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 };

	send_message(c, &a);
	call(c, "x.b", &b);
	settle(c);
	server_answer(s, server_expect(s, "messages.send"), "{\"message_id\":5}");
	server_answer(s, server_expect(s, "x.b"), "{}");
	settle(c);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_PROTOCOL);
	assert_int_equal(b.code, 0);
	assert_true(b.done);
	chat_client_free(c);
}

static void break_protocol(struct server *s, const char *line)
{
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	call(c, "daemon.status", &a);
	settle(c);
	server_expect(s, "daemon.status");
	server_send(s, line);
	settle(c);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_PROTOCOL);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_DISCONNECTED);
	chat_client_free(c);
	server_drop(s);
}

static void garbage_ends_the_connection(void **state)
{
	struct server *s = *state;

	break_protocol(s, "garbage\n");
	break_protocol(s, "{\"id\":1,\"result\":{}\n");
	break_protocol(s, "{\"id\":1,\"result\":{}} trailing\n");
	break_protocol(s, "{\"id\":1,\"result\":\"\xff\xfe\"}\n");
	break_protocol(s, "{\"id\":\"1\",\"result\":{}}\n");
	break_protocol(s, "{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"parse\"}}\n");
	break_protocol(s, "{\"id\":2}\n");
	break_protocol(s, "[{\"id\":2,\"result\":{}}]\n");
	break_protocol(s, "\n");
	break_protocol(s, "{\"method\":\"change\",\"params\":{\"seq\":1}}\ngarbage\n");
}

static void an_oversized_line_ends_the_connection(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };
	static char chunk[65537];

	call(c, "daemon.status", &a);
	settle(c);
	memset(chunk, 'x', sizeof(chunk) - 1);
	for (int i = 0; i < 17 && !a.done; i++) {
		server_send(s, chunk);
		settle(c);
	}
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_PROTOCOL);
	assert_non_null(strstr(a.detail, "oversized"));
	chat_client_free(c);
}

static void the_longest_line_is_taken(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };
	static char chunk[65537];
	int id;
	size_t sent;

	call(c, "x.long", &a);
	settle(c);
	id = server_expect(s, "x.long");
	snprintf(chunk, sizeof(chunk), "{\"id\":%d,\"result\":\"", id);
	server_send(s, chunk);
	sent = strlen(chunk);
	memset(chunk, 'x', sizeof(chunk) - 1);
	while (sent < (1u << 20) - 3) {
		size_t left = (1u << 20) - 3 - sent;

		if (left < sizeof(chunk) - 1)
			chunk[left] = '\0';
		server_send(s, chunk);
		sent += strlen(chunk);
		settle(c);
	}
	server_send(s, "\"}\n");
	settle(c);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.code, 0);
	chat_client_free(c);
}

static void a_slow_answer_comes_byte_by_byte(void **state)
{
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"a\":\"é\"}}\n";
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	call(c, "x.slow", &a);
	settle(c);
	assert_int_equal(server_expect(s, "x.slow"), 2);
	for (const char *p = answer; *p; p++) {
		assert_false(a.done);
		server_send(s, (char[]){ *p, '\0' });
		settle(c);
	}
	assert_string_equal(a.json, "{\"a\":\"é\"}");
	chat_client_free(c);
}

static void the_descriptor_stays_the_same(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);
	int fd = chat_client_get_fd(c);

	assert_true(fd >= 0);
	assert_true(chat_client_get_events(c) != 0);
	assert_true(chat_client_get_timeout(c) == UINT64_MAX);
	chat_client_get_status_async(c, NULL, NULL);
	assert_true(chat_client_get_timeout(c) != UINT64_MAX);
	run_until_accepted(c, s);
	assert_int_equal(chat_client_get_fd(c), fd);
	server_drop(s);
	settle(c);
	assert_int_equal(chat_client_get_fd(c), fd);
	chat_client_free(c);
}

static void an_idle_client_sleeps(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);

	settle(c);
	assert_true(chat_client_get_timeout(c) == UINT64_MAX);
	assert_int_equal(chat_client_get_timeout_ms(c), -1);
	assert_int_equal(chat_client_wait(c, 0), 0);
	server_drop(s);
	settle(c);
	/* Nobody needs the connection: it is made again when somebody does. */
	assert_true(chat_client_get_timeout(c) == UINT64_MAX);
	chat_client_free(c);
}

/* Blocking calls, against a daemon on a thread of its own. */

static void *serve(void *userdata)
{
	struct server *s = userdata;
	int fd, id;
	char line[200];

	server_accept(s);
	server_send(s, HELLO);
	server_refuse(s, server_expect(s, "chats.get"), 1, "not_found", "no chat");
	server_expect(s, "messages.list");
	server_drop(s);
	server_accept(s);
	server_send(s, HELLO);
	id = server_expect_params(
		s, "messages.list", "{\"chat_id\":\"c\",\"before\":\"m9\",\"limit\":2}");
	snprintf(line, sizeof(line), "{\"messages\":[" MESSAGE "],\"more\":true,\"as_of\":4}");
	server_answer(s, id, line);
	fd = file_with("bytes");
	snprintf(line, sizeof(line),
		"{\"id\":%d,\"result\":{\"size\":5,\"mime\":\"image/png\",\"name\":null,\"fd\":0}}"
		"\n",
		server_expect(s, "attachments.open"));
	server_send_fds(s, line, &fd, 1);
	close(fd);
	server_answer(s, server_expect(s, "messages.mark_read"), "{\"anything\":1}");
	server_answer(s, server_expect(s, "outbox.list"),
		"{\"messages\":[{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":"
		"\"x\",\"status\":\"FAILED\",\"outgoing\":true,\"error\":{\"title\":\"no\","
		"\"detail\":"
		"null},\"created_at\":1,\"attachments\":[]}],\"more\":false,\"as_of\":7}");
	server_answer(s, server_expect(s, "messages.retry"),
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"x\","
		"\"status\":\"PENDING\",\"outgoing\":true,\"created_at\":1,\"attachments\":[]}");
	server_answer(s, server_expect(s, "messages.cancel"), "{}");
	server_expect(s, "daemon.status"); /* and never answers */
	return NULL;
}

static void blocking_calls_wait_and_give_the_result(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);
	struct chat_info *info = NULL;
	struct chat_message_list *list = NULL;
	struct chat_file *file = NULL;
	struct chat_status *status = NULL;
	struct chat_message *message = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
	assert_int_equal(chat_client_connect(c), 0);
	assert_int_equal(chat_client_get_chat(c, "c", NULL, &info), -ENOENT);
	assert_null(info);
	assert_string_equal(chat_client_get_error(c)->detail, "no chat");
	assert_int_equal(chat_client_list_messages(c, "c", "m9", NULL, 2, &list), 0);
	assert_int_equal(list->n_messages, 1);
	assert_true(list->more);
	chat_message_list_free(list);
	assert_int_equal(chat_client_open_attachment(c, "a", false, &file), 0);
	assert_int_equal(file->size, 5);
	assert_string_equal(file->mime, "image/png");
	assert_null(file->name);
	assert_holds(file->fd, "bytes");
	chat_file_free(file);
	assert_int_equal(chat_client_mark_read(c, "c", "m"), 0);
	list = NULL;
	assert_int_equal(chat_client_list_outbox(c, NULL, 0, &list), 0);
	assert_int_equal(list->n_messages, 1);
	assert_string_equal(list->messages[0]->error_title, "no");
	chat_message_list_free(list);
	assert_int_equal(chat_client_retry_message(c, "m", &message), 0);
	assert_int_equal(message->status, CHAT_MESSAGE_PENDING);
	chat_message_free(message);
	assert_int_equal(chat_client_cancel_message(c, "m"), 0);
	assert_int_equal(chat_client_cancel_message(c, NULL), -EINVAL);
	chat_client_set_timeout(c, 50);
	assert_int_equal(chat_client_get_status(c, &status), -ETIMEDOUT);
	assert_null(status);
	pthread_join(thread, NULL);
	chat_client_free(c);
}

static void connecting_has_a_deadline(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);

	chat_client_set_timeout(c, 50); /* accepted by the kernel, never greeted */
	assert_int_equal(chat_client_connect(c), -ETIMEDOUT);
	assert_int_equal(chat_client_get_error(c)->code, CHAT_CLIENT_ERROR_TIMED_OUT);
	chat_client_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_listens),
		TEST(a_socket_that_was_left_behind),
		TEST(the_greeting_is_shown),
		TEST(greetings_that_are_none),
		TEST(nothing_is_sent_before_the_greeting),
		TEST(settings_are_checked),
		TEST(the_account_names_the_socket),
		TEST(answers_find_their_requests),
		TEST(errors_are_typed),
		TEST(an_answer_of_another_shape_fails_alone),
		TEST(garbage_ends_the_connection),
		TEST(an_oversized_line_ends_the_connection),
		TEST(the_longest_line_is_taken),
		TEST(a_slow_answer_comes_byte_by_byte),
		TEST(the_descriptor_stays_the_same),
		TEST(an_idle_client_sleeps),
		TEST(blocking_calls_wait_and_give_the_result),
		TEST(connecting_has_a_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
