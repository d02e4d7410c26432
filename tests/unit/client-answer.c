/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client-answer.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void answer_note(struct chat_client *c, struct answer *a, const struct chat_error *e)
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

void answer_on_reply(struct chat_client *c, const struct chat_error *error,
	const struct chat_reply *reply, void *userdata)
{
	struct answer *a = userdata;

	assert_true(!error == !!reply);
	if (reply)
		snprintf(a->json, sizeof(a->json), "%s", reply->result_json);
	answer_note(c, a, error);
}

void answer_on_message(struct chat_client *c, const struct chat_error *error,
	const struct chat_message *message, void *userdata)
{
	struct answer *a = userdata;

	assert_true(!error == !!message);
	if (message)
		snprintf(a->json, sizeof(a->json), "%s", message->message_id);
	answer_note(c, a, error);
}

void answer_on_account(struct chat_client *c, const struct chat_error *error,
	const struct chat_account *account, void *userdata)
{
	answer_note(c, userdata, error);
}

void answer_on_file(struct chat_client *c, const struct chat_error *error, struct chat_file *file,
	void *userdata)
{
	struct answer *a = userdata;

	if (file)
		a->fd = chat_file_take_fd(file);
	answer_note(c, a, error);
}

void answer_on_done(struct chat_client *c, const struct chat_error *error, void *userdata)
{
	answer_note(c, userdata, error);
}

int call(struct chat_client *c, const char *method, struct answer *a)
{
	int r = chat_client_call_async(c, method, NULL, NULL, 0, answer_on_reply, a);

	assert_true(r > 0);
	return r;
}

int send_message(struct chat_client *c, struct answer *a)
{
	struct chat_outgoing m = { .size = sizeof(m), .chat_id = "c", .text = "hi" };
	int r = chat_client_send_message_async(c, &m, answer_on_message, a);

	assert_true(r > 0);
	return r;
}

int file_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

void assert_holds(int fd, const char *text)
{
	char held[64] = "";

	assert_int_equal(read(fd, held, sizeof(held) - 1), strlen(text));
	assert_string_equal(held, text);
}
