/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/attachment.h"

/*
 * Statuses only move forward, but for FAILED, which a retry takes back to PENDING. The numbers are
 * stored.
 */
enum message_status {
	MESSAGE_PENDING = 0,  /* durable here, not yet accepted by the server */
	MESSAGE_SENT = 1,     /* accepted by the server */
	MESSAGE_RECEIVED = 2, /* stored on a device of the recipient */
	MESSAGE_READ = 3,
	MESSAGE_FAILED = 4, /* refused for good, or given up */
};

const char *message_status_to_string(enum message_status status);

/* Strings are owned. */
struct message {
	char *id;
	char *chat_id;
	char *user_id; /* who wrote it */
	char *text;
	char *error_title; /* why it FAILED; NULL otherwise */
	char *error_detail;
	int64_t seq; /* its place in the chat by the server's count, from 1; 0 while it has none */
	int64_t created_at; /* ms since 1970 UTC: the sender's clock until accepted, then the
			       server's */
	struct attachment *attachments;
	size_t n_attachments;
	enum message_status status;
	bool outgoing;    /* written by this account's user */
	bool handed_over; /* PENDING, and the server may have it: it was, or is about to be, sent */
};

/* Releases what `m` holds, not `m` itself. */
void message_clear(struct message *m);

/* Releases an array of `n` messages and the array; takes NULL, returns NULL. */
struct message *message_array_free(struct message *m, size_t n);

/* Adds room for one more zeroed attachment and returns it; NULL when memory is short. */
struct attachment *message_add_attachment(struct message *m);
