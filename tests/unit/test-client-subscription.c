/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes: in order, each once, across lost connections. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-server.h"

struct seen {
	int64_t seqs[64];
	size_t n;
	int refused_code;
	size_t n_ephemeral;
	bool unsubscribe, free_client;
};

static void on_change(struct chat_client *c, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct seen *seen = userdata;

	if (error) {
		assert_null(change);
		seen->refused_code = error->code;
		return;
	}
	if (change->seq == 0)
		seen->n_ephemeral++;
	else
		seen->seqs[seen->n++] = change->seq;
	if (seen->unsubscribe)
		chat_client_unsubscribe(c);
	if (seen->free_client)
		chat_client_free(c);
}

static void send_change(struct server *s, int64_t seq)
{
	char line[200];

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"method\":\"change\",\"params\":{\"seq\":%d,\"topic\":"
		"\"chat.removed\",\"data\":{\"chat_id\":\"c\"}}}\n",
		(int)seq);
	server_send(s, line);
}

static void assert_seen(const struct seen *seen, size_t n, const int64_t *seqs)
{
	assert_int_equal(seen->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(seen->seqs[i], seqs[i]);
}

static void parameters_are_passed_on(void **state)
{
	static const char *const topics[] = { "message.added", "connection", NULL };
	static const char *const chats[] = { "c1", NULL };
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = connected_client(s);

	assert_int_equal(chat_client_subscribe(c, topics, chats, 41, on_change, &seen), 0);
	assert_int_equal(chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen), -EALREADY);
	settle(c);
	server_expect_params(s, "events.subscribe",
		"{\"topics\":[\"message.added\",\"connection\"],\"chats\":[\"c1\"],\"since\":41}");
	assert_int_equal(chat_client_get_seq(c), 41);
	chat_client_free(c);
}

static void from_now_on_begins_where_the_daemon_says(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = client_of(s);

	assert_int_equal(chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen), 0);
	assert_int_equal(chat_client_get_seq(c), -1);
	run_until_accepted(c, s);
	server_answer(s, server_expect_params(s, "events.subscribe", "{}"), "{\"seq\":100}");
	send_change(s, 101);
	send_change(s, 105);
	settle(c);
	assert_seen(&seen, 2, (int64_t[]){ 101, 105 });
	assert_int_equal(chat_client_get_seq(c), 105);
	chat_client_free(c);
}

static void it_resumes_after_the_last_one_delivered(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = client_of(s);

	chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":100}");
	send_change(s, 101);
	send_change(s, 102);
	server_send(s, "{\"jsonrpc\":\"2.0\",\"method\":\"change\",\"params\":{\"seq\":103,\"to");
	server_drop(s);
	run_until_accepted(c, s);
	server_answer(
		s, server_expect_params(s, "events.subscribe", "{\"since\":102}"), "{\"seq\":104}");
	send_change(s, 102); /* a daemon that repeats itself is not heard twice */
	send_change(s, 103);
	send_change(s, 104);
	settle(c);
	assert_seen(&seen, 4, (int64_t[]){ 101, 102, 103, 104 });
	chat_client_free(c);
}

static void a_consumer_begins_where_the_daemon_says(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = connected_client(s);

	assert_int_equal(
		chat_client_subscribe_consumer(c, NULL, NULL, NULL, -1, on_change, &seen), -EINVAL);
	assert_int_equal(
		chat_client_subscribe_consumer(c, "bot", NULL, NULL, 0, on_change, &seen), 0);
	settle(c);
	server_answer(s,
		server_expect_params(s, "events.subscribe", "{\"consumer\":\"bot\",\"since\":0}"),
		"{\"seq\":50}");
	send_change(s, 51);
	send_change(s, 52);
	settle(c);
	assert_true(chat_client_ack_async(c, "bot", 51, NULL, NULL) > 0);
	settle(c);
	server_answer(s, server_expect_params(s, "events.ack", "{\"consumer\":\"bot\",\"seq\":51}"),
		"{\"consumer\":\"bot\",\"seq\":51}");
	server_drop(s);
	run_until_accepted(c, s);
	/* 52 is not acknowledged, and the daemon tells it again; this client knows it already. */
	server_answer(s,
		server_expect_params(s, "events.subscribe", "{\"consumer\":\"bot\",\"since\":52}"),
		"{\"seq\":51}");
	send_change(s, 52);
	send_change(s, 53);
	settle(c);
	assert_seen(&seen, 3, (int64_t[]){ 51, 52, 53 });
	assert_int_equal(chat_client_ack_async(c, NULL, 51, NULL, NULL), -EINVAL);
	chat_client_free(c);
}

static void it_resumes_where_it_began_when_nothing_came(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = client_of(s);

	chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":100}");
	settle(c);
	server_drop(s);
	run_until_accepted(c, s);
	server_expect_params(s, "events.subscribe", "{\"since\":100}");
	server_drop(s); /* before the answer */
	run_until_accepted(c, s);
	server_expect_params(s, "events.subscribe", "{\"since\":100}");
	chat_client_free(c);
}

static void resuming_comes_before_requests_that_waited(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = client_of(s);

	chat_client_get_status_async(c, NULL, NULL);
	chat_client_subscribe(c, NULL, NULL, 5, on_change, &seen);
	run_until_accepted(c, s);
	server_expect(s, "events.subscribe");
	server_expect(s, "daemon.status");
	chat_client_free(c);
}

static void it_comes_back_while_the_daemon_is_away(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = client_of(s);

	server_unlisten(s);
	chat_client_subscribe(c, NULL, NULL, 5, on_change, &seen);
	settle(c);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_DISCONNECTED);
	server_listen(s);
	run_until_accepted(c, s);
	server_expect_params(s, "events.subscribe", "{\"since\":5}");
	assert_int_equal(seen.refused_code, 0);
	chat_client_free(c);
}

static void a_refusal_ends_it(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = connected_client(s);

	chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen);
	settle(c);
	server_refuse(s, server_expect(s, "events.subscribe"), 3, "locked", "no");
	settle(c);
	assert_int_equal(seen.refused_code, CHAT_CLIENT_ERROR_LOCKED);
	assert_int_equal(chat_client_subscribe(c, NULL, NULL, -1, on_change, &seen), 0);
	chat_client_free(c);
}

static void what_is_left_of_an_ended_one_is_not_told(void **state)
{
	struct server *s = *state;
	struct seen old = { 0 }, new = { 0 };
	struct chat_client *c = connected_client(s);
	int first, second;

	chat_client_subscribe(c, NULL, NULL, 10, on_change, &old);
	settle(c);
	first = server_expect(s, "events.subscribe");
	chat_client_unsubscribe(c);
	assert_int_equal(chat_client_subscribe(c, NULL, NULL, 0, on_change, &new), 0);
	settle(c);
	server_answer(s, first, "{\"seq\":20}");
	send_change(s, 11);
	server_answer(s, server_expect(s, "events.unsubscribe"), "{}");
	second = server_expect(s, "events.subscribe");
	server_answer(s, second, "{\"seq\":20}");
	send_change(s, 1);
	settle(c);
	assert_seen(&old, 0, NULL);
	assert_seen(&new, 1, (int64_t[]){ 1 });
	chat_client_free(c);
}

static void changes_without_a_number_are_told_always(void **state)
{
	struct server *s = *state;
	struct seen seen = { 0 };
	struct chat_client *c = connected_client(s);

	chat_client_subscribe(c, NULL, NULL, 10, on_change, &seen);
	settle(c);
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":10}");
	for (int i = 0; i < 2; i++)
		server_send(s,
			"{\"jsonrpc\":\"2.0\",\"method\":\"change\",\"params\":{\"topic\":"
			"\"connection\",\"data\":{\"state\":\"LIVE\"}}}\n");
	settle(c);
	assert_int_equal(seen.n_ephemeral, 2);
	assert_int_equal(chat_client_get_seq(c), 10);
	chat_client_free(c);
}

static void it_can_be_ended_by_its_own_callback(void **state)
{
	struct server *s = *state;
	struct seen seen = { .unsubscribe = true };
	struct chat_client *c = connected_client(s);

	chat_client_subscribe(c, NULL, NULL, 10, on_change, &seen);
	settle(c);
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":10}");
	send_change(s, 11);
	send_change(s, 12);
	settle(c);
	assert_seen(&seen, 1, (int64_t[]){ 11 });
	server_expect(s, "events.unsubscribe");
	chat_client_free(c);
}

static void the_client_can_be_freed_by_a_callback(void **state)
{
	struct server *s = *state;
	struct seen seen = { .free_client = true };
	struct chat_client *c = connected_client(s);

	chat_client_subscribe(c, NULL, NULL, 10, on_change, &seen);
	settle(c);
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":10}");
	send_change(s, 11);
	send_change(s, 12);
	assert_true(chat_client_dispatch(c) >= 0);
	assert_seen(&seen, 1, (int64_t[]){ 11 });
}

/* Every way to cut the stream: no change is missed, none comes twice. */
static void no_cut_loses_or_repeats_a_change(void **state)
{
	static const char line[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"change\",\"params\":{\"seq\":2,"
		"\"topic\":\"chat.removed\",\"data\":{\"chat_id\":\"c\"}}}\n";
	struct server *s = *state;

	for (size_t cut = 0; cut <= strlen(line); cut++) {
		struct seen seen = { 0 };
		struct chat_client *c = client_of(s);
		char part[sizeof(line)], since[32];

		memcpy(part, line, cut);
		part[cut] = '\0';
		chat_client_subscribe(c, NULL, NULL, 0, on_change, &seen);
		run_until_accepted(c, s);
		server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":3}");
		send_change(s, 1);
		if (cut > 0)
			server_send(s, part);
		server_drop(s);
		run_until_accepted(c, s);
		snprintf(since, sizeof(since), "{\"since\":%d}", cut == strlen(line) ? 2 : 1);
		server_answer(s, server_expect_params(s, "events.subscribe", since), "{\"seq\":3}");
		if (cut < strlen(line))
			send_change(s, 2);
		send_change(s, 3);
		settle(c);
		assert_seen(&seen, 3, (int64_t[]){ 1, 2, 3 });
		chat_client_free(c);
		server_drop(s);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parameters_are_passed_on),
		TEST(from_now_on_begins_where_the_daemon_says),
		TEST(it_resumes_after_the_last_one_delivered),
		TEST(a_consumer_begins_where_the_daemon_says),
		TEST(it_resumes_where_it_began_when_nothing_came),
		TEST(resuming_comes_before_requests_that_waited),
		TEST(it_comes_back_while_the_daemon_is_away),
		TEST(a_refusal_ends_it),
		TEST(what_is_left_of_an_ended_one_is_not_told),
		TEST(changes_without_a_number_are_told_always),
		TEST(it_can_be_ended_by_its_own_callback),
		TEST(the_client_can_be_freed_by_a_callback),
		TEST(no_cut_loses_or_repeats_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
