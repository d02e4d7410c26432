/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistence: the single source of truth. The only layer that writes SQL; its functions are
 * grouped by noun, one file each. Reading functions hand rows to a callback: the struct and its
 * strings are borrowed for the duration of that call, and a negative return ends the walk and is
 * returned. Writing functions take part in the turn's transaction (db/barrier.h), and stamp what
 * they change with the next change number.
 *
 * Errors everywhere: -ENOENT (no such row), -ENOSPC, -EIO, -ENOMEM, and what callbacks return.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "db/barrier.h"
#include "db/db.h"
#include "model/attachment.h"
#include "model/chat.h"
#include "model/message.h"
#include "model/user.h"

struct store;

struct store_options {
	const char *directory;    /* made 0700 if need be; NULL: both databases are in memory */
	const struct db_key *key; /* borrowed as long as the store lives */
	struct barrier *barrier;  /* the same */
	bool key_is_right;        /* the key is known to be this account's */

	/* Either may be NULL. Before what can be read is carried over, which takes its time. */
	void (*on_salvage)(void *userdata);

	/*
	 * Once, from within a statement that has come upon damage in the database `name`: the store
	 * is to be closed, and opened again, which deals with it.
	 */
	void (*on_damage)(void *userdata, const char *name);
	void *userdata;
};

/*
 * Opens `chat.db` and `media.db`, migrates them and attaches them to the barrier. -EKEYREJECTED:
 * not the key of these files; -EPROTONOSUPPORT: from a newer version; -EUCLEAN: damaged, in a way
 * that nothing can be done about here. Nothing is changed on failure.
 *
 * A damaged chat.db is put aside under a dated name, and what can be read of it is in a new one.
 * Photos can be had again: a damaged media.db is put aside too, and a new one begins.
 */
int store_open(const struct store_options *o, struct store **ret);

/* Checkpoints and closes. Takes NULL, returns NULL. */
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close)

/* The number of the newest change; lists are "as of" it. */
int64_t store_last_change(const struct store *s);

/* The same without what this turn has written so far. */
int64_t store_committed_change(const struct store *s);

/* False while this turn has written: what is read now may still be undone. */
bool store_is_committed(const struct store *s);

/* The version of the database library; lives as long as `s`. */
const char *store_library_version(const struct store *s);

/* The same without a store; empty when it cannot be told. */
void store_read_library_version(char *ret, size_t size);

/* Reading has met damage: what it found counts for nothing, and the store is opened anew. */
bool store_has_met_damage(const struct store *s);

/* What a damaged media.db is called now that is beside the store; NULL: none was put aside. */
const char *store_put_aside(const struct store *s);

/* What came of a damaged chat.db. */
struct store_salvaged {
	const char *put_aside;           /* what it is called now */
	int64_t chats, messages, unsent; /* carried over; the unsent ones are among the messages */
	int64_t unsent_lost;             /* messages to be sent that are known to be lost */
};

/* Lives as long as `s`; NULL: chat.db was whole. */
const struct store_salvaged *store_get_salvaged(const struct store *s);

/* Bytes on disk. */
int64_t store_size(struct store *s);

/* 0, or the negative errno of the write that failed last, until one succeeds. */
int store_write_state(const struct store *s);

/* What holds how much. Free bytes are of the file and hold nothing. */
struct store_stats {
	int64_t chats, messages, users;
	int64_t photos, photo_bytes;
	int64_t previews, preview_bytes;
	int64_t chat_bytes, chat_free;
	int64_t media_bytes, media_free;
};

void store_get_stats(struct store *s, struct store_stats *ret);

/*
 * Reads all of both databases; told of each piece of damage, `database` being "chat" or "media".
 * What is damaged is marked: the next store_open() deals with it. -ENOMEM.
 */
typedef void (*store_problem_fn)(void *userdata, const char *database, const char *detail);
int store_check(struct store *s, store_problem_fn fn, void *userdata);

/* Users. */

typedef int (*store_user_fn)(void *userdata, const struct user *u);
int store_user_get(struct store *s, const char *user_id, store_user_fn fn, void *userdata);

/* Chats. */

typedef int (*store_chat_info_fn)(void *userdata, const struct chat_info *c);

/*
 * Newest first, at most `limit`, after `cursor` (NULL: from the top). `ret_cursor`: where to go on,
 * owned, NULL at the end. -EINVAL for a cursor that is none.
 */
int store_chat_list(struct store *s, const char *cursor, int64_t limit, store_chat_info_fn fn,
	void *userdata, char **ret_cursor);
int store_chat_get(struct store *s, const char *chat_id, store_chat_info_fn fn, void *userdata);
int store_chat_get_by_user(
	struct store *s, const char *user_id, store_chat_info_fn fn, void *userdata);
int64_t store_unread_total(struct store *s);

/* Messages. */

typedef int (*store_message_fn)(void *userdata, const struct message *m);

enum page_direction {
	PAGE_NEWEST,
	PAGE_BEFORE, /* the anchor, going back */
	PAGE_AFTER,
};

/*
 * At most `limit` messages of a chat, always ascending. `anchor` is a message id, NULL with
 * PAGE_NEWEST. `ret_more`: there are further ones stored in that direction. -ENOENT: no such chat,
 * or the anchor is not in it.
 */
int store_message_page(struct store *s, const char *chat_id, enum page_direction direction,
	const char *anchor, int64_t limit, store_message_fn fn, void *userdata, bool *ret_more);
int store_message_get(struct store *s, const char *message_id, store_message_fn fn, void *userdata);

/*
 * At most `limit` PENDING and FAILED messages in order of sending, after that with the id `after`
 * (NULL: from the start), which need not be among them any more. `fn` may return 1: the page ends
 * behind this one. -ENOENT: `after` is not here.
 */
int store_outbox_page(struct store *s, const char *after, int64_t limit, store_message_fn fn,
	void *userdata, bool *ret_more);

/* Full-text search. */

struct search_query {
	const char *text;    /* words, each of them the beginning of one; "in quotes" a phrase */
	const char *chat_id; /* NULL: everywhere */
	const char *cursor;  /* NULL: from the newest */
	int64_t limit;
};

#define SEARCH_WORDS_MAX 32

/* These stand around what was found in the snippet, and are no part of any text in UTF-8. */
#define SEARCH_MARK_START '\xfe'
#define SEARCH_MARK_END '\xff'

/* As the other callbacks; 1 ends the page behind this message. */
typedef int (*store_search_fn)(void *userdata, const struct message *m, const char *snippet);

/*
 * Messages with all the words, newest first, whatever their case and, with Latin letters, accents.
 * Finds what is in the index (store_search_lag()). `ret_cursor`: where to go on, owned, NULL at the
 * end. -EINVAL: no word, or more than SEARCH_WORDS_MAX; -EBADMSG: a cursor that is none; -ENOENT:
 * no such chat.
 */
int store_search(struct store *s, const struct search_query *q, store_search_fn fn, void *userdata,
	char **ret_cursor);

/* How many changes the index is behind; 0 when it holds every message. */
int64_t store_search_lag(const struct store *s);

/* Attachments and their bytes. */

typedef int (*store_attachment_fn)(void *userdata, const struct attachment *a);
int store_attachment_get(
	struct store *s, const char *attachment_id, store_attachment_fn fn, void *userdata);

/* Bytes stored of a variant from its start, without a gap; 0 when none are. */
int64_t store_media_size(struct store *s, const char *attachment_id, enum attachment_variant v);

/* Reads up to `len` bytes at `offset`; returns how many (0 at the end) or negative errno. */
ssize_t store_media_read(struct store *s, const char *attachment_id, enum attachment_variant v,
	int64_t offset, void *buf, size_t len);

/* Consumers: names for a position in the order of changes. */

typedef int (*store_consumer_fn)(void *userdata, const char *name, int64_t seq);
int store_consumer_get(struct store *s, const char *name, int64_t *ret_seq);
int store_consumer_list(struct store *s, store_consumer_fn fn, void *userdata);
int64_t store_consumer_count(struct store *s);

/* Changes. */

enum change_topic {
	CHANGE_MESSAGE_ADDED,
	CHANGE_MESSAGE_UPDATED,
	CHANGE_MESSAGE_REMOVED,
	CHANGE_CHAT_UPDATED,
	CHANGE_CHAT_REMOVED,
	CHANGE_ATTACHMENT_UPDATED,
};

/* A changed row as it is now. Of the pointers just the one that the topic speaks of is set. */
struct change {
	int64_t seq;
	enum change_topic topic;
	int64_t added;          /* of messages: where MESSAGE_ADDED stands */
	const char *chat_id;    /* set for every topic */
	const char *message_id; /* MESSAGE_REMOVED */
	const struct message *message;
	const struct chat_info *chat;
	const struct attachment *attachment;
};

typedef int (*store_change_fn)(void *userdata, const struct change *c);

/*
 * Tells the changes after `since` of the topics in `topics` (bits 1 << topic), in order, at most
 * `limit` of them. A row that changed twice comes once, where it stands now; but a message stands
 * in two places, as added where it came and, if it has changed since, as updated where it did so
 * last: who follows one of the two topics misses nothing by going on from any place.
 * `ret_last`: the seq up to which all has been told, at least `since`; it is store_last_change()
 * once there is nothing more.
 */
int store_change_list(struct store *s, int64_t since, unsigned topics, int64_t limit,
	store_change_fn fn, void *userdata, int64_t *ret_last);
