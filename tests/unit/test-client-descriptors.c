/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors, both ways. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-answer.h"

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
	assert_true(chat_client_send_message_async(c, &m, answer_on_message, &a) > 0);
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
	assert_true(chat_client_send_message_async(c, &m, answer_on_message, &a) > 0);
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

	chat_client_open_attachment_async(c, "a1", false, answer_on_file, &a);
	call(c, "x.plain", &plain);
	chat_client_open_attachment_async(c, "a2", true, answer_on_file, &b);
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
	request = chat_client_open_attachment_async(c, "a", false, answer_on_file, &a);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(descriptors_go_out_with_their_message),
		TEST(a_pipe_is_not_sent_twice),
		TEST(descriptors_come_in_with_their_answers),
		TEST(descriptors_nobody_takes_are_closed),
		TEST(too_many_descriptors_end_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
