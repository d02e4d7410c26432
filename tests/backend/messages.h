/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The messages of the chats: taking a new one exactly once, and reading pages.
 */
#pragma once

#include <stdint.h>

#include "chats.h"
#include "problem.h"

#define MESSAGE_TEXT_MAX 65536
#define MESSAGE_ATTACHMENTS_MAX 32

struct server;

/* All strings are borrowed: from the frame that brought it or from the row being read. */
struct message {
	const char *id, *user_id, *text, *attachments;
	struct chat *chat;
	int64_t seq, created_at;
};

enum message_verdict {
	MESSAGE_ACCEPTED,
	MESSAGE_REPEATED, /* it was accepted before; `message` has its place of then */
	MESSAGE_REFUSED,  /* and `ret_problem` says why */
};

/*
 * Takes `message` from `sender`; seq and created_at are filled in. Returns a verdict, or -EIO.
 * Nothing may be told to anybody before store_barrier() is committed.
 */
int message_accept(struct server *server, struct user *sender, struct message *message,
	struct problem *ret_problem);

/* The place of a message in `chat`. 0; -ENOENT when it is not in that chat; -EIO. */
int message_place(struct server *server, const struct chat *chat, const char *id, int64_t *ret_seq);

/* The message at a place; valid until the store runs that query again. 0, -ENOENT, -EIO. */
int message_at(struct server *server, struct chat *chat, int64_t seq, struct message *ret);

/*
 * Calls `fn` for at most `limit` messages between the places `after` and `before` (both outside),
 * from the lower end upward, or from the upper end downward. 0 or -EIO.
 */
int messages_read(struct server *server, struct chat *chat, int64_t after, int64_t before,
	int64_t limit, bool upward, void (*fn)(void *userdata, const struct message *message),
	void *userdata);

/*
 * Calls `fn` for each id of a comma-separated list; stops at the first non-zero result and returns
 * it.
 */
int each_attachment(const char *ids, int (*fn)(void *userdata, const char *id), void *userdata);
