/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests and answers over a connection that may break, lie or stand still at any byte. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-server.h"

#define MESSAGE                                                                       \
	"{\"message_id\":\"m1\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"hi\"," \
	"\"status\":\"PENDING\"}"
#define ACCOUNT "{\"user_id\":\"u\"}"

struct answer {
	bool done;
	unsigned calls;
	int code; /* 0: a result */
	char kind[40], detail[200];
	bool retryable;
	int64_t retry_after_ms;
	char json[300];
	int fd;
	bool free_client, call_inside;
	int inside;
};

static void note(struct chat_client *c, struct answer *a, const struct chat_error *e)
{
	a->done = true;
	a->calls++;
	if (e) {
		a->code = e->code;
		snprintf(a->kind, sizeof(a->kind), "%s", e->kind);
		snprintf(a->detail, sizeof(a->detail), "%s", e->detail);
		a->retryable = e->retryable;
		a->retry_after_ms = e->retry_after_ms;
	}
	if (a->call_inside)
		a->inside = chat_client_get_status(c, &(struct chat_status *){ NULL });
	if (a->free_client)
		chat_client_free(c);
}

static void on_reply(struct chat_client *c, const struct chat_error *error,
	const struct chat_reply *reply, void *userdata)
{
	struct answer *a = userdata;

	assert_true(!error == !!reply);
	if (reply)
		snprintf(a->json, sizeof(a->json), "%s", reply->result_json);
	note(c, a, error);
}

static void on_message(struct chat_client *c, const struct chat_error *error,
	const struct chat_message *message, void *userdata)
{
	struct answer *a = userdata;

	assert_true(!error == !!message);
	if (message)
		snprintf(a->json, sizeof(a->json), "%s", message->message_id);
	note(c, a, error);
}

static void on_account(struct chat_client *c, const struct chat_error *error,
	const struct chat_account *account, void *userdata)
{
	note(c, userdata, error);
}

static void on_file(struct chat_client *c, const struct chat_error *error, struct chat_file *file,
	void *userdata)
{
	struct answer *a = userdata;

	if (file)
		a->fd = chat_file_take_fd(file);
	note(c, a, error);
}

static void on_done(struct chat_client *c, const struct chat_error *error, void *userdata)
{
	note(c, userdata, error);
}

static int call(struct chat_client *c, const char *method, struct answer *a)
{
	int r = chat_client_call_async(c, method, NULL, NULL, 0, on_reply, a);

	assert_true(r > 0);
	return r;
}

static int send_message(struct chat_client *c, struct answer *a)
{
	struct chat_outgoing m = { .size = sizeof(m), .chat_id = "c", .text = "hi" };
	int r = chat_client_send_message_async(c, &m, on_message, a);

	assert_true(r > 0);
	return r;
}

/* Connecting */

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

/* Answers */

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
	server_answer(s, first, "1");	  /* twice */
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

/* Lost connections */

static void what_is_safe_is_sent_again(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer read = { 0 }, sent = { 0 }, login = { 0 }, other = { 0 }, mark = { 0 };
	cJSON *before, *after;

	call(c, "daemon.status", &read);
	send_message(c, &sent);
	chat_client_login_async(c, "http://127.0.0.1", "u", "p", on_account, &login);
	call(c, "messages.retry", &other);
	chat_client_mark_read_async(c, "c", "m", on_done, &mark);
	settle(c);
	server_expect(s, "daemon.status");
	before = server_read(s);
	server_send(s, "{\"jsonrpc\":\"2.0\",\"id\":2,\"res"); /* mid-reply */
	server_drop(s);
	settle(c);
	assert_int_equal(login.code, CHAT_CLIENT_ERROR_DISCONNECTED);
	assert_int_equal(other.code, CHAT_CLIENT_ERROR_DISCONNECTED);
	assert_false(read.done || sent.done || mark.done);

	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "daemon.status"), "{}");
	after = server_read(s);
	assert_true(cJSON_Compare(before, after, true)); /* the same message id above all */
	assert_string_equal(cJSON_GetObjectItem(after, "method")->valuestring, "messages.send");
	assert_int_equal(
		strlen(cJSON_GetObjectItem(cJSON_GetObjectItem(after, "params"), "message_id")
				->valuestring),
		36);
	server_answer(s, cJSON_GetObjectItem(after, "id")->valueint, MESSAGE);
	server_answer(s, server_expect(s, "messages.mark_read"), "{}");
	settle(c);
	assert_string_equal(read.json, "{}");
	assert_string_equal(sent.json, "m1");
	assert_true(mark.done && mark.code == 0);
	assert_int_equal(login.calls, 1);
	cJSON_Delete(before);
	cJSON_Delete(after);
	chat_client_free(c);
}

static void what_never_went_out_is_sent_then(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer login = { 0 };

	server_drop(s);
	chat_client_login_async(c, "http://127.0.0.1", "u", "p", on_account, &login);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "account.login"), ACCOUNT);
	settle(c);
	assert_true(login.done);
	assert_int_equal(login.code, 0);
	chat_client_free(c);
}

static void a_request_that_kills_the_daemon_ends(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };
	int times = 0;

	call(c, "daemon.status", &a);
	settle(c);
	while (!a.done && times < 50) {
		server_expect(s, "daemon.status");
		times++;
		server_drop(s);
		settle(c);
		if (!a.done)
			run_until_accepted(c, s);
	}
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_DISCONNECTED);
	assert_true(times > 1 && times < 10);
	chat_client_free(c);
}

static void the_daemon_does_not_come_back_in_time(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer old = { 0 }, new = { 0 };

	chat_client_set_timeout(c, 200);
	call(c, "daemon.status", &old);
	settle(c);
	server_drop(s);
	server_unlisten(s);
	settle(c);
	assert_false(old.done);
	call(c, "daemon.status", &new);
	settle(c);
	assert_int_equal(new.code, CHAT_CLIENT_ERROR_NOT_RUNNING);
	run_until(c, &old.done);
	assert_int_equal(old.code, CHAT_CLIENT_ERROR_NOT_RUNNING);
	chat_client_free(c);
}

static void a_deadline_passes(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 };
	int id;

	chat_client_set_timeout(c, 50);
	call(c, "daemon.status", &a);
	chat_client_set_timeout(c, -1);
	call(c, "x.patient", &b);
	run_until(c, &a.done);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_TIMED_OUT);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_CONNECTED);
	id = server_expect(s, "daemon.status");
	server_answer(s, id, "{\"fd\":7}"); /* late, and a lie: it has no descriptors */
	settle(c);
	assert_int_equal(b.code, CHAT_CLIENT_ERROR_PROTOCOL);
	assert_int_equal(a.calls, 1);
	chat_client_free(c);
}

static void a_daemon_that_reads_nothing(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a[300] = { { 0 } };
	struct chat_outgoing m = { .size = sizeof(m), .chat_id = "c" };
	static char text[100001];
	size_t n = 0;
	int r = 1;

	memset(text, 'x', sizeof(text) - 1);
	m.text = text;
	chat_client_set_timeout(c, 1500);
	while (n < 300 && r > 0) {
		r = chat_client_send_message_async(c, &m, on_message, &a[n]);
		n += r > 0;
		settle(c);
	}
	assert_int_equal(r, -EBUSY); /* memory is bounded */
	assert_int_equal(chat_client_get_error(c)->code, CHAT_CLIENT_ERROR_BUSY);
	assert_true(n > 10 && n < 60);
	for (size_t i = 0; i < n; i++)
		run_until(c, &a[i].done);
	for (size_t i = 0; i < n; i++)
		assert_true(a[i].code == CHAT_CLIENT_ERROR_TIMED_OUT ||
			a[i].code == CHAT_CLIENT_ERROR_DISCONNECTED);
	chat_client_free(c);
}

static void requests_are_bounded_in_number(void **state)
{
	struct server *s = *state;
	struct chat_client *c = client_of(s);
	int n = 0;

	while (chat_client_get_status_async(c, NULL, NULL) > 0)
		assert_true(++n < 1000);
	assert_int_equal(n, 256);
	chat_client_free(c);
}

static void a_peer_that_is_gone_raises_no_signal(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	shutdown(s->fd, SHUT_RD);
	call(c, "daemon.status", &a);
	settle(c); /* SIGPIPE would end the test */
	assert_false(a.done);
	server_drop(s);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "daemon.status"), "{}");
	settle(c);
	assert_true(a.done && a.code == 0);
	chat_client_free(c);
}

/* Cancelling and freeing */

static void a_cancelled_request_is_silent(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 };
	int first = call(c, "x.a", &a), second;

	assert_int_equal(chat_client_cancel(c, first), 0);
	assert_int_equal(chat_client_cancel(c, first), -ENOENT);
	second = call(c, "x.b", &b);
	settle(c);
	server_expect(s, "x.b");
	assert_int_equal(chat_client_cancel(c, second), 0);
	server_answer(s, second, "{}");
	settle(c);
	assert_false(a.done || b.done);
	chat_client_free(c);
}

static void callbacks_may_free_the_client(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { .free_client = true }, b = { 0 };

	call(c, "x.a", &a);
	call(c, "x.b", &b);
	settle(c);
	server_answer(s, server_expect(s, "x.a"), "{}");
	server_answer(s, server_expect(s, "x.b"), "{}");
	chat_client_dispatch(c);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);

	c = connected_client((server_drop(s), s));
	a.calls = 0;
	call(c, "x.unsafe", &a);
	call(c, "x.unsafe", &b);
	settle(c);
	server_drop(s);
	chat_client_dispatch(c);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
}

static void free_in_state(struct chat_client *c, enum chat_client_state state,
	const struct chat_error *why, void *userdata)
{
	if (state == *(enum chat_client_state *)userdata)
		chat_client_free(c);
}

static void the_state_callback_may_free_the_client(void **state)
{
	struct server *s = *state;

	for (int i = 0; i < 3; i++) {
		enum chat_client_state when = (enum chat_client_state)i;
		struct chat_client *c = client_of(s);

		chat_client_set_state_callback(c, free_in_state, &when);
		chat_client_get_status_async(c, NULL, NULL);
		if (when == CHAT_CLIENT_DISCONNECTED)
			server_unlisten(s);
		chat_client_dispatch(c);
		if (when == CHAT_CLIENT_DISCONNECTED)
			server_listen(s);
		if (when != CHAT_CLIENT_CONNECTED)
			continue;
		server_accept(s);
		server_send(s, HELLO);
		chat_client_dispatch(c);
		server_drop(s);
	}
}

static void blocking_inside_a_callback_is_refused(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { .call_inside = true };

	call(c, "x.a", &a);
	settle(c);
	server_answer(s, server_expect(s, "x.a"), "{}");
	settle(c);
	assert_int_equal(a.inside, -EDEADLK);
	chat_client_free(c);
}

static void wrong_parameters_are_refused_at_once(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct chat_outgoing m = { .size = sizeof(m), .chat_id = "c", .user_id = "u", .text = "" };
	struct chat_message *message = NULL;
	struct chat_reply *reply = NULL;
	static char big[1100000];

	assert_int_equal(chat_client_send_message(c, &m, &message), -EINVAL);
	m.user_id = NULL;
	m.size = 0;
	assert_int_equal(chat_client_send_message(c, &m, &message), -EINVAL);
	m.size = sizeof(m);
	m.text = "\xff";
	assert_int_equal(chat_client_send_message(c, &m, &message), -EINVAL);
	memset(big, 'x', sizeof(big) - 1);
	m.text = big;
	assert_int_equal(chat_client_send_message(c, &m, &message), -EMSGSIZE);
	m.text = "";
	m.n_attachments = 17;
	m.attachment_fds = (int[17]){ 0 };
	assert_int_equal(chat_client_send_message(c, &m, &message), -EMSGSIZE);
	m.n_attachments = 1;
	m.attachment_fds = (int[]){ 9999 };
	assert_true(chat_client_send_message(c, &m, &message) < 0);
	assert_int_equal(chat_client_call(c, "x.y", "[1]", NULL, 0, &reply), -EINVAL);
	assert_int_equal(chat_client_call(c, "x.y", "{", NULL, 0, &reply), -EINVAL);
	assert_int_equal(chat_client_call(c, "events.subscribe", NULL, NULL, 0, &reply), -EINVAL);
	assert_int_equal(
		chat_client_get_chat(c, NULL, NULL, &(struct chat_info *){ NULL }), -EINVAL);
	assert_int_equal(chat_client_list_messages(
				 c, "c", "a", "b", 0, &(struct chat_message_list *){ NULL }),
		-EINVAL);
	assert_null(message);
	assert_null(reply);
	chat_client_free(c);
}

/* Descriptors */

static int file_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void assert_holds(int fd, const char *text)
{
	char held[64] = "";

	assert_int_equal(read(fd, held, sizeof(held) - 1), strlen(text));
	assert_string_equal(held, text);
}

static void descriptors_go_out_with_their_message(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 }, b = { 0 };
	int fds[2] = { file_with("one"), file_with("two") };
	const char *names[2] = { "1.jpg", NULL };
	struct chat_outgoing m = {
		.size = sizeof(m),
		.user_id = "u",
		.message_id = "mine",
		.n_attachments = 2,
		.attachment_fds = fds,
		.attachment_names = names,
	};

	call(c, "x.before", &b);
	assert_true(chat_client_send_message_async(c, &m, on_message, &a) > 0);
	close(fds[0]);
	close(fds[1]);
	settle(c);
	server_expect(s, "x.before");
	server_expect_params(s, "messages.send",
		"{\"user_id\":\"u\",\"text\":\"\",\"message_id\":\"mine\",\"attachments\":"
		"[{\"fd\":0,\"name\":\"1.jpg\"},{\"fd\":1}]}");
	assert_int_equal(s->n_fds, 2);
	assert_holds(s->fds[0], "one");
	assert_holds(s->fds[1], "two");

	/* The daemon read them half and died: its next life gets them whole. */
	server_drop(s);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "messages.send"), MESSAGE);
	assert_int_equal(s->n_fds, 2);
	assert_holds(s->fds[0], "one");
	settle(c);
	assert_true(a.done && a.code == 0);
	chat_client_free(c);
}

static void a_pipe_is_not_sent_twice(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };
	int ends[2];
	struct chat_outgoing m = { .size = sizeof(m), .user_id = "u", .n_attachments = 1 };

	assert_int_equal(pipe(ends), 0);
	m.attachment_fds = ends;
	assert_true(chat_client_send_message_async(c, &m, on_message, &a) > 0);
	close(ends[0]);
	close(ends[1]);
	settle(c);
	server_expect(s, "messages.send");
	server_drop(s);
	settle(c);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_DISCONNECTED);
	chat_client_free(c);
}

static void descriptors_come_in_with_their_answers(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { .fd = -1 }, b = { .fd = -1 }, plain = { 0 };
	int fds[2] = { file_with("one"), file_with("two") }, first, second;
	char line[200];

	chat_client_open_attachment_async(c, "a1", false, on_file, &a);
	call(c, "x.plain", &plain);
	chat_client_open_attachment_async(c, "a2", true, on_file, &b);
	settle(c);
	first = server_expect_params(
		s, "attachments.open", "{\"attachment_id\":\"a1\",\"variant\":\"full\"}");
	server_answer(s, server_expect(s, "x.plain"), "{}");
	second = server_expect_params(
		s, "attachments.open", "{\"attachment_id\":\"a2\",\"variant\":\"preview\"}");
	snprintf(line, sizeof(line), "{\"id\":%d,\"result\":{\"size\":3,\"fd\":0}}\n", first);
	server_send_fds(s, line, &fds[0], 1);
	snprintf(line, sizeof(line), "{\"id\":%d,\"result\":{\"size\":3,\"fd\":0}}\n", second);
	server_send_fds(s, line, &fds[1], 1);
	settle(c);
	assert_holds(a.fd, "one");
	lseek(fds[1], 0, SEEK_SET);
	assert_holds(b.fd, "two");
	assert_true(fcntl(a.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(plain.done);
	close(a.fd);
	close(b.fd);
	close(fds[0]);
	close(fds[1]);
	chat_client_free(c);
}

static void descriptors_nobody_takes_are_closed(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };
	int before = open_fds(), fd = file_with("x"), request;
	char line[200];

	/* Of an answer to nobody, of a refused and of an unread one, and of none. */
	request = chat_client_open_attachment_async(c, "a", false, on_file, &a);
	settle(c);
	chat_client_cancel(c, request);
	snprintf(line, sizeof(line), "{\"id\":%d,\"result\":{\"size\":1,\"fd\":0}}\n", request);
	server_send_fds(s, line, &fd, 1);
	call(c, "x.y", &a);
	settle(c);
	server_expect(s, "attachments.open");
	snprintf(
		line, sizeof(line), "{\"id\":%d,\"result\":{\"fd\":0}}\n", server_expect(s, "x.y"));
	server_send_fds(s, line, &fd, 1);
	settle(c);
	assert_true(a.done);
	close(fd);
	assert_int_equal(open_fds(), before);
	chat_client_free(c);
}

static void too_many_descriptors_end_the_connection(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	int before = open_fds(), fds[30], fd = file_with("x");

	for (int i = 0; i < 30; i++)
		fds[i] = fd;
	server_send_fds(s, " ", fds, 10);
	settle(c);
	server_send_fds(s, " ", fds, 10);
	settle(c);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_DISCONNECTED);
	close(fd);
	assert_int_equal(open_fds(), before - 1); /* the client's socket went too */
	chat_client_free(c);
}

/* The loop's side */

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
		TEST(what_is_safe_is_sent_again),
		TEST(what_never_went_out_is_sent_then),
		TEST(a_request_that_kills_the_daemon_ends),
		TEST(the_daemon_does_not_come_back_in_time),
		TEST(a_deadline_passes),
		TEST(a_daemon_that_reads_nothing),
		TEST(requests_are_bounded_in_number),
		TEST(a_peer_that_is_gone_raises_no_signal),
		TEST(a_cancelled_request_is_silent),
		TEST(callbacks_may_free_the_client),
		TEST(the_state_callback_may_free_the_client),
		TEST(blocking_inside_a_callback_is_refused),
		TEST(wrong_parameters_are_refused_at_once),
		TEST(descriptors_go_out_with_their_message),
		TEST(a_pipe_is_not_sent_twice),
		TEST(descriptors_come_in_with_their_answers),
		TEST(descriptors_nobody_takes_are_closed),
		TEST(too_many_descriptors_end_the_connection),
		TEST(the_descriptor_stays_the_same),
		TEST(an_idle_client_sleeps),
		TEST(blocking_calls_wait_and_give_the_result),
		TEST(connecting_has_a_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
