/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests whose answers are written down, for tests to look at.
 */
#pragma once

#include "client-server.h"

#define MESSAGE                                                                       \
	"{\"message_id\":\"m1\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"hi\"," \
	"\"status\":\"PENDING\"}"
#define ACCOUNT "{\"user_id\":\"u\"}"

/* What a callback was told. */
struct answer {
	bool done;
	unsigned calls;
	int code; /* 0: a result */
	char kind[40], detail[200];
	bool retryable;
	int64_t retry_after_ms;
	char json[300];
	int fd;
	bool free_client, call_inside; /* what the callback does besides */
	int inside;                    /* what the call inside it returned */
};

/* Callbacks whose userdata is a struct answer. */
void answer_note(struct chat_client *c, struct answer *a, const struct chat_error *e);
void answer_on_reply(struct chat_client *c, const struct chat_error *error,
	const struct chat_reply *reply, void *userdata);
void answer_on_message(struct chat_client *c, const struct chat_error *error,
	const struct chat_message *message, void *userdata);
void answer_on_account(struct chat_client *c, const struct chat_error *error,
	const struct chat_account *account, void *userdata);
void answer_on_file(struct chat_client *c, const struct chat_error *error, struct chat_file *file,
	void *userdata);
void answer_on_done(struct chat_client *c, const struct chat_error *error, void *userdata);

/* Start a request; return its number. */
int call(struct chat_client *c, const char *method, struct answer *a);
int send_message(struct chat_client *c, struct answer *a);

/* A descriptor of that text, at its beginning. */
int file_with(const char *text);
void assert_holds(int fd, const char *text);
