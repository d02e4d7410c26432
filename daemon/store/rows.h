/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the store's files share: the object, its counters, and the shape of rows. Internal to the
 * layer.
 */
#pragma once

#include "store/store.h"
#include "store/write.h"

/* Positions from here up belong to messages that the server has given no seq; seqs stay below. */
#define POSITION_PENDING (INT64_C(1) << 48)

/* How deep store_begin may nest. */
#define STORE_NESTING 4

struct store {
	struct db *chat;
	struct db *media;
	struct barrier *barrier;
	char *directory;                        /* NULL: in memory */
	char put_aside[64], chat_put_aside[64]; /* "": nothing */
	struct store_salvaged salvaged;
	bool is_salvaged;
	void (*on_damage)(void *userdata, const char *name);
	void *damage_userdata;
	bool checking, has_met_damage;
	const struct db_key *key; /* borrowed; NULL: in memory */
	int64_t last_change; /* handed out so far; that of the newest row, or it would be used twice
			      */
	int64_t committed_change; /* where it stood after the last commit */
	int64_t begun_changes[STORE_NESTING];
	unsigned begun;
	int64_t search_progress, committed_search_progress;
	int write_state;
};

/*
 * The next change number, and `n` of them in a row (returns the first). Whoever takes more than it
 * stamps stamps another row behind: the newest number must always stand in a row, since a restart
 * counts on from there.
 */
int64_t next_change(struct store *s);
int64_t next_changes(struct store *s, int64_t n);

/*
 * For a row that may not be there: `r` is the result of a write that stamped it with the number
 * after the last, which is taken only if it wrote one. Returns `r`.
 */
int stamp_if_written(struct store *s, int r);

/* Row numbers of a chat or user; -ENOENT. */
int64_t chat_number(struct store *s, const char *chat_id);
int64_t user_number(struct store *s, const char *user_id);

/* The user's row number, made without a name if it is not known yet; negative errno. */
int64_t user_number_ensure(struct store *s, const char *user_id);

/* A message with its chat and author; `where` follows, e.g. "WHERE m.id = ?1". */
#define SELECT_MESSAGE                                                                 \
	"SELECT m.id, c.id, u.id, m.text, m.error_title, m.error_detail, m.position, " \
	"m.created_at,"                                                                \
	" m.status, m.outgoing, m.attachments, m.added, m.change, m.handed_over"       \
	" FROM message m JOIN chat c ON c.n = m.chat JOIN user u ON u.n = m.user "

/* Walks a SELECT_MESSAGE statement; `fn` as in store.h. 0 at the end, else what stopped it. */
int each_message(struct store *s, struct db_stmt *stmt, store_message_fn fn, void *userdata);

#define SELECT_CHAT_INFO                                                                      \
	"SELECT c.id, p.id, ifnull(p.name, p.id), ifnull(w.name, w.id), w.picture_url, m.id," \
	" m.text, m.created_at, m.status,"                                                    \
	" c.unread, c.provisional, c.last_at, c.n"                                            \
	" FROM chat c JOIN user p ON p.n = c.user"                                            \
	" LEFT JOIN message m ON m.chat = c.n AND m.position = c.last_position"               \
	" LEFT JOIN user w ON w.n = m.user "

/* Calls `fn` with the first column of each row. 0 at the end, else what stopped it. */
int each_id(struct db_stmt *stmt, store_id_fn fn, void *userdata);

int each_chat_info(struct db_stmt *stmt, store_chat_info_fn fn, void *userdata);

#define SELECT_ATTACHMENT                                                                       \
	"SELECT a.id, a.message, c.id, a.mime, a.name, a.sha256, a.url, a.preview_url, a.size," \
	" a.preview_size, a.width, a.height, a.progress, a.status, a.outgoing, a.full_stored,"  \
	" a.preview_stored, a.priority "
#define FROM_ATTACHMENT                                        \
	"FROM attachment a JOIN message m ON m.id = a.message" \
	" JOIN chat c ON c.n = m.chat "

int each_attachment(struct db_stmt *stmt, store_attachment_fn fn, void *userdata);

/* Inserts the attachments of a message just stored. */
int attachments_insert(struct store *s, const struct message *m);

/* Brings last_position and last_at in line with the messages there are, and stamps the chat. */
int chat_refresh(struct store *s, int64_t chat);

/* The same, of a chat whose newest message is known. */
int chat_set_newest(struct store *s, int64_t chat, int64_t position, int64_t created_at);

/*
 * Counts unread again: the incoming stored above read_seq, and whatever lies between it and the
 * floor.
 */
int chat_recount(struct store *s, int64_t chat);

/*
 * Moves this user's watermark to `seq`, the statuses of incoming messages under it and the unread
 * count; `told`: the server knows. 1 when something moved.
 */
int own_watermark(struct store *s, int64_t chat, int64_t seq, bool told);

/*
 * Moves the peer's watermark to `seq` and the statuses of outgoing messages under it; 1 when
 * something moved.
 */
int peer_watermark(struct store *s, int64_t chat, enum message_status status, int64_t seq);

/* Keeps some room back, unless that is done already. -ENOSPC and what open(2) says. */
int store_reserve_keep(struct store *s);

/* Reads how far the full-text index has come. */
void search_load(struct store *s);

/* Drops a chat and all that is in it, and leaves a tombstone. */
int chat_delete(struct store *s, int64_t chat);

/* Drops the attachments of a message; store_media_sweep drops their bytes. */
int attachments_delete(struct store *s, const char *message_id);
