/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The 1-on-1 chats. All of them are held in memory, in each member's two orders (by activity for
 * the list, by change for catching up), and written behind at the commit; messages are not held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/uuid.h"
#include "store.h"
#include "users.h"

struct chat;
struct chats;

/* One user's view of a chat. */
struct member {
	struct user *user;
	struct chat *chat;
	bool hidden;          /* removed from this user's list until the next message */
	int64_t read_seq;     /* watermarks: read, and stored on a device, up to and including */
	int64_t received_seq; /* never below read_seq */
	int64_t change;       /* this user's change number at the last change of the chat */
	int64_t activity;     /* orders the list; the higher the newer */
	int64_t page_end;     /* `change` when this chat last ended a page of changes, or 0 */
	bool dirty;
	TAILQ_ENTRY(member) by_activity, by_change, by_dirty;
};

struct chat {
	char id[UUID_STRING_SIZE];
	int64_t number; /* its row */
	int64_t created_at, last_seq;
	char last_message[65]; /* "" before the first message */
	struct user *last_user;
	struct member members[2];
	bool dirty;
	TAILQ_ENTRY(chat) by_dirty;
};

/* Loads every chat; makes users whom only the database knows. 0 or negative errno. */
int chats_open(struct store *store, struct users *users, struct chats **ret);
struct chats *chats_free(struct chats *chats); /* takes NULL */
DEFINE_CLEANUP(struct chats *, chats_free)

struct chat *chats_find(const struct chats *chats, const char *id);
struct chat *chats_find_by_number(const struct chats *chats, int64_t number);

/*
 * The chat of two different users; `ret_created` says if it is new, and then only `user` sees it
 * yet.
 */
int chats_between(struct chats *chats, struct user *user, struct user *peer, struct chat **ret,
	bool *ret_created);

/* NULL when `user` is not in the chat. */
struct member *chat_member(struct chat *chat, const struct user *user);
struct member *chat_peer(struct chat *chat, const struct user *user);

/* A new message got the place last_seq + 1: moves both members' views on. 0 or -EIO. */
int chat_add_message(
	struct chats *chats, struct chat *chat, const char *message_id, struct user *sender);

/* Moves a watermark up to `seq`; never down. 1 if it moved, 0 if not, -EIO. */
int chat_advance(struct chats *chats, struct member *member, int64_t seq, bool read);

/* Removes the chat from the member's list. 0 or -EIO. */
int chat_hide(struct chats *chats, struct member *member);

/* Writes what changed in memory into the open transaction, just before its commit. 0 or -EIO. */
int chats_flush(struct chats *chats);
