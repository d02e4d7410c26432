/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections that are lost, deadlines, limits, cancelling and freeing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-answer.h"

static void what_is_safe_is_sent_again(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer read = { 0 }, sent = { 0 }, login = { 0 }, other = { 0 }, mark = { 0 };
	cJSON *before, *after;

	call(c, "daemon.status", &read);
	send_message(c, &sent);
	chat_client_login_async(c, "http://127.0.0.1", "u", "p", answer_on_account, &login);
	call(c, "messages.retry", &other);
	chat_client_mark_read_async(c, "c", "m", answer_on_done, &mark);
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
	chat_client_login_async(c, "http://127.0.0.1", "u", "p", answer_on_account, &login);
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
		r = chat_client_send_message_async(c, &m, answer_on_message, &a[n]);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
