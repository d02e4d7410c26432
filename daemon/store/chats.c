/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "store/rows.h"

int64_t chat_number(struct store *s, const char *chat_id)
{
	return db_get_int(s->chat, -ENOENT,
		"SELECT n FROM chat WHERE id = ?1 UNION ALL SELECT n FROM chat WHERE former_id = ?1"
		" LIMIT 1",
		"s", chat_id);
}

static int emit_chat_info(struct db_stmt *q, store_chat_info_fn fn, void *userdata)
{
	struct chat_info c = {
		.id = (char *)db_column_text(q, 0),
		.user_id = (char *)db_column_text(q, 1),
		.username = (char *)db_column_text(q, 2),
		.last_username = (char *)db_column_text(q, 3),
		.last_user_profile_url = (char *)db_column_text(q, 4),
		.last_message_id = (char *)db_column_text(q, 5),
		.last_message_text = (char *)db_column_text(q, 6),
		.last_message_at = db_column_int(q, 7),
		.last_message_status = (enum message_status)db_column_int(q, 8),
		.unread = db_column_int(q, 9),
		.provisional = db_column_int(q, 10),
	};

	return fn(userdata, &c);
}

int each_chat_info(struct db_stmt *q, store_chat_info_fn fn, void *userdata)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = emit_chat_info(q, fn, userdata);
		if (r < 0)
			return r;
	}
	return r;
}

/*
 * A cursor is the sort key of the last row told: when the chat was last active, and its number
 * among equals.
 */
static int parse_cursor(const char *cursor, int64_t *ret_at, int64_t *ret_n)
{
	int end = 0;

	if (!cursor) {
		*ret_at = *ret_n = INT64_MAX;
		return 0;
	}
	if (sscanf(cursor, "%" SCNd64 ".%" SCNd64 "%n", ret_at, ret_n, &end) != 2 || cursor[end])
		return -EINVAL;
	return 0;
}

int store_chat_list(struct store *s, const char *cursor, int64_t limit, store_chat_info_fn fn,
	void *userdata, char **ret_cursor)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int64_t at, n, rows = 0;
	char *next = NULL;
	int r = parse_cursor(cursor, &at, &n);

	if (r < 0)
		return r;
	r = db_query(s->chat, &q,
		SELECT_CHAT_INFO "WHERE (c.last_at, c.n) < (?1, ?2)"
				 " ORDER BY c.last_at DESC, c.n DESC LIMIT ?3",
		"iii", at, n, limit + 1);
	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0 && rows < limit) {
		r = emit_chat_info(q, fn, userdata);
		if (r < 0)
			return r;
		at = db_column_int(q, 11);
		n = db_column_int(q, 12);
		rows++;
	}
	if (r < 0)
		return r;
	if (r > 0 && asprintf(&next, "%" PRId64 ".%" PRId64, at, n) < 0)
		return -ENOMEM;
	*ret_cursor = next;
	return 0;
}

static int one_chat_info(struct db_stmt *q, store_chat_info_fn fn, void *userdata)
{
	int r = db_step(q);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return emit_chat_info(q, fn, userdata);
}

int store_chat_get(struct store *s, const char *chat_id, store_chat_info_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(
		s->chat, &q, SELECT_CHAT_INFO "WHERE c.n = ?1", "i", chat_number(s, chat_id));

	return r < 0 ? r : one_chat_info(q, fn, userdata);
}

int store_chat_get_by_user(
	struct store *s, const char *user_id, store_chat_info_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, SELECT_CHAT_INFO "WHERE p.id = ?1", "s", user_id);

	return r < 0 ? r : one_chat_info(q, fn, userdata);
}

int64_t store_unread_total(struct store *s)
{
	return db_get_int(
		s->chat, 0, "SELECT ifnull(sum(unread), 0) FROM chat WHERE unread > 0", "");
}

/* Looked up and then written: one statement that does both makes a table of its own on the way. */
int chat_set_newest(struct store *s, int64_t chat, int64_t position, int64_t created_at)
{
	int r = db_write(s->chat,
		"UPDATE chat SET last_position = ?2, last_at = ?3, change = ?4 WHERE n = ?1",
		"iiii", chat, position, created_at, next_change(s));

	return r < 0 ? r : 0;
}

int chat_refresh(struct store *s, int64_t chat)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT position, created_at FROM message WHERE chat = ?1"
		" ORDER BY position DESC LIMIT 1",
		"i", chat);

	r = r < 0 ? r : db_step(q);
	if (r == 0)
		r = db_write(s->chat,
			"UPDATE chat SET last_position = NULL, last_at = created_at, change = ?2"
			" WHERE n = ?1",
			"ii", chat, next_change(s));
	else if (r > 0)
		r = chat_set_newest(s, chat, db_column_int(q, 0), db_column_int(q, 1));
	return r < 0 ? r : 0;
}

int chat_recount(struct store *s, int64_t chat)
{
	int r = db_write(s->chat,
		"UPDATE chat SET unread = max(0, floor_seq - 1 - read_seq) + (SELECT count(*) FROM "
		"message m"
		" WHERE m.chat = ?1 AND m.position > chat.read_seq AND m.position >= "
		"chat.floor_seq AND "
		"m.position < ?2 AND "
		"m.outgoing = 0)"
		" WHERE n = ?1",
		"ii", chat, POSITION_PENDING);

	return r < 0 ? r : 0;
}

int store_chat_sync(struct store *s, const char *chat_id, struct store_chat_sync *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	const char *last_id, *floor_id;
	int r = db_query(s->chat, &q,
		"SELECT c.floor_seq, c.last_seq, c.server_seq,"
		" (SELECT id FROM message WHERE chat = c.n AND position = c.last_seq),"
		" (SELECT id FROM message WHERE chat = c.n AND position = c.floor_seq), c.id"
		" FROM chat c WHERE c.n = ?1",
		"i", chat_number(s, chat_id));

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (struct store_chat_sync){
		.floor_seq = db_column_int(q, 0),
		.last_seq = db_column_int(q, 1),
		.server_seq = db_column_int(q, 2),
	};
	last_id = db_column_text(q, 3);
	floor_id = db_column_text(q, 4);
	snprintf(ret->id, sizeof(ret->id), "%s", db_column_text(q, 5));
	snprintf(ret->last_id, sizeof(ret->last_id), "%s", last_id ? last_id : "");
	snprintf(ret->floor_id, sizeof(ret->floor_id), "%s", floor_id ? floor_id : "");
	return 0;
}

static int one_id(struct db_stmt *q, int column, char ret[65])
{
	int r = db_step(q);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	snprintf(ret, 65, "%s", db_column_text(q, column));
	return 0;
}

int store_chat_id(struct store *s, const char *chat_id, char ret_id[65])
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id FROM chat WHERE id = ?1 UNION ALL SELECT id FROM chat WHERE former_id = "
		"?1 LIMIT 1",
		"s", chat_id);

	return r < 0 ? r : one_id(q, 0, ret_id);
}

int each_id(struct db_stmt *q, store_id_fn fn, void *userdata)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = fn(userdata, db_column_text(q, 0));
		if (r < 0)
			return r;
	}
	return r;
}

int store_chat_gaps(struct store *s, int64_t limit, store_id_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id FROM chat INDEXED BY chat_gap WHERE server_seq > last_seq"
		" ORDER BY last_at DESC LIMIT ?1",
		"i", limit);

	return r < 0 ? r : each_id(q, fn, userdata);
}

int store_chat_close_gap(struct store *s, const char *chat_id)
{
	int r = db_write(
		s->chat, "UPDATE chat SET server_seq = last_seq WHERE id = ?1", "s", chat_id);

	return r < 0 ? r : 0;
}

int store_chat_next_provisional(struct store *s, char ret_user_id[65], char ret_chat_id[65])
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT u.id, c.id FROM chat c JOIN user u ON u.n = c.user WHERE c.provisional = 1"
		" AND EXISTS(SELECT 1 FROM message m WHERE m.chat = c.n AND m.status = 0) LIMIT 1",
		"");

	if (r < 0)
		return r;
	r = one_id(q, 0, ret_user_id);
	if (r == 0)
		snprintf(ret_chat_id, 65, "%s", db_column_text(q, 1));
	return r;
}

bool store_chat_is_provisional(struct store *s, const char *chat_id)
{
	return db_get_int(s->chat, 0, "SELECT provisional FROM chat WHERE id = ?1", "s", chat_id);
}

static int copy_chat_id(void *userdata, const struct chat_info *c)
{
	snprintf(userdata, 65, "%s", c->id);
	return 0;
}

int store_chat_provisional(struct store *s, const char *user_id, char ret_chat_id[65])
{
	char id[UUID_STRING_SIZE];
	int64_t user;
	int r = store_chat_get_by_user(s, user_id, copy_chat_id, ret_chat_id);

	if (r != -ENOENT)
		return r;
	user = user_number_ensure(s, user_id);
	if (user < 0)
		return (int)user;
	uuid7_generate(id);
	r = db_write(s->chat,
		"INSERT INTO chat(id, user, provisional, created_at, last_at, change)"
		" VALUES(?1, ?2, 1, ?3, ?3, ?4)",
		"siii", id, user, clock_wall_ms(), next_change(s));
	if (r < 0)
		return r;
	snprintf(ret_chat_id, 65, "%s", id);
	return 0;
}

/*
 * The server's name for a chat that this side began. Observers see the old id go and its messages
 * anew.
 */
static int name_provisional(struct store *s, const struct chat *c, int64_t user)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int64_t chat, span;
	char old[65];
	int r = db_query(s->chat, &q, "SELECT id, n FROM chat WHERE user = ?1 AND provisional = 1",
		"i", user);

	if (r < 0)
		return r;
	r = one_id(q, 0, old);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	chat = db_column_int(q, 1);
	q = db_stmt_reset(q);
	r = db_write(s->chat,
		"INSERT INTO tombstone(change, kind, id, chat_id) VALUES(?1, ?2, ?3, ?3)", "iis",
		next_change(s), (int64_t)CHANGE_CHAT_REMOVED, old);
	span = db_get_int(s->chat, 0, "SELECT max(position) - ?2 + 1 FROM message WHERE chat = ?1",
		"ii", chat, POSITION_PENDING);
	r = r < 0 ? r
		  : db_write(s->chat,
			    "UPDATE message SET change = ?2 + position - ?3, added = ?2 + position "
			    "- ?3"
			    " WHERE chat = ?1",
			    "iii", chat, next_changes(s, span), POSITION_PENDING);
	r = r < 0 ? r
		  : db_write(s->chat,
			    "UPDATE chat SET former_id = id, id = ?2, provisional = 0, change = ?3 "
			    "WHERE n = ?1",
			    "isi", chat, c->id, next_change(s));
	return r < 0 ? r : 1;
}

static int insert_chat(struct store *s, const struct chat *c, int64_t user)
{
	return db_write(s->chat,
		"INSERT INTO chat(id, user, created_at, last_at, server_seq, read_seq, read_told,"
		" peer_received_seq, peer_read_seq, change) VALUES(?1, ?2, ?3, ?3, ?4, ?5, ?5, ?6, "
		"?7, ?8)",
		"siiiiiii", c->id, user, c->created_at, c->last_seq, c->read_seq,
		c->peer_received_seq, c->peer_read_seq, next_change(s));
}

static int update_chat(struct store *s, const struct chat *c, int64_t chat)
{
	int r = db_write(s->chat,
		"UPDATE chat SET server_seq = ?2 WHERE n = ?1 AND server_seq < ?2", "ii", chat,
		c->last_seq);

	r = r < 0 ? r : own_watermark(s, chat, c->read_seq, true);
	r = r < 0 ? r : peer_watermark(s, chat, MESSAGE_RECEIVED, c->peer_received_seq);
	r = r < 0 ? r : peer_watermark(s, chat, MESSAGE_READ, c->peer_read_seq);
	return r < 0 ? r : 0;
}

int store_chat_put(struct store *s, const struct chat *c)
{
	int64_t chat = chat_number(s, c->id), user;
	int r;

	if (chat >= 0)
		return update_chat(s, c, chat);
	user = user_number_ensure(s, c->user_id);
	if (user < 0)
		return (int)user;
	r = name_provisional(s, c, user);
	if (r == 0)
		r = insert_chat(s, c, user);
	else if (r > 0)
		r = update_chat(s, c, chat_number(s, c->id));
	return r < 0 ? r : 0;
}
