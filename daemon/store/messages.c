/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "store/rows.h"

static int keep_attachment(void *userdata, const struct attachment *a)
{
	struct attachment *kept = message_add_attachment(userdata);

	return kept ? attachment_copy(a, kept) : -ENOMEM;
}

static int load_attachments(struct store *s, struct message *m)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		SELECT_ATTACHMENT FROM_ATTACHMENT "WHERE a.message = ?1 ORDER BY a.ordinal", "s",
		m->id);

	return r < 0 ? r : each_attachment(q, keep_attachment, m);
}

static void drop_attachments(struct message *m)
{
	for (size_t i = 0; i < m->n_attachments; i++)
		attachment_clear(&m->attachments[i]);
	free(m->attachments);
}

static int emit_message(struct store *s, struct db_stmt *q, store_message_fn fn, void *userdata)
{
	int64_t position = db_column_int(q, 6);
	struct message m = {
		.id = (char *)db_column_text(q, 0),
		.chat_id = (char *)db_column_text(q, 1),
		.user_id = (char *)db_column_text(q, 2),
		.text = (char *)db_column_text(q, 3),
		.error_title = (char *)db_column_text(q, 4),
		.error_detail = (char *)db_column_text(q, 5),
		.seq = position < POSITION_PENDING ? position : 0,
		.created_at = db_column_int(q, 7),
		.status = (enum message_status)db_column_int(q, 8),
		.outgoing = db_column_int(q, 9),
		.handed_over = db_column_int(q, 13),
	};
	int r = 0;

	if (db_column_int(q, 10) > 0)
		r = load_attachments(s, &m);
	if (r == 0)
		r = fn(userdata, &m);
	drop_attachments(&m);
	return r;
}

int each_message(struct store *s, struct db_stmt *q, store_message_fn fn, void *userdata)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = emit_message(s, q, fn, userdata);
		if (r < 0)
			return r;
	}
	return r;
}

int store_message_get(struct store *s, const char *message_id, store_message_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, SELECT_MESSAGE "WHERE m.id = ?1", "s", message_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return emit_message(s, q, fn, userdata);
}

/* Below it, rows may be left of a run that another has replaced: these are not here. */
static int64_t floor_of(struct store *s, int64_t chat)
{
	return db_get_int(s->chat, 0, "SELECT floor_seq FROM chat WHERE n = ?1", "i", chat);
}

/*
 * Where a page stops: the position of its far end, so that it can be walked ascending whichever way
 * it was cut.
 */
static int64_t page_start(
	struct store *s, int64_t chat, int64_t floor, int64_t before, int64_t limit)
{
	return db_get_int(s->chat, before,
		"SELECT min(position) FROM (SELECT position FROM message WHERE chat = ?1"
		" AND position >= ?4 AND position < ?2 ORDER BY position DESC LIMIT ?3)",
		"iiii", chat, before, limit, floor);
}

static bool exists_between(struct store *s, int64_t chat, int64_t above, int64_t below)
{
	return db_get_int(s->chat, 0,
		"SELECT EXISTS(SELECT 1 FROM message WHERE chat = ?1 AND position > ?2 AND "
		"position < ?3)",
		"iii", chat, above, below);
}

static int walk_range(struct store *s, int64_t chat, int64_t from, int64_t below, int64_t limit,
	store_message_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		SELECT_MESSAGE "WHERE m.chat = ?1 AND m.position >= ?2 AND m.position < ?3"
			       " ORDER BY m.position LIMIT ?4",
		"iiii", chat, from, below, limit);

	return r < 0 ? r : each_message(s, q, fn, userdata);
}

static int64_t position_of(struct store *s, int64_t chat, int64_t floor, const char *message_id)
{
	return db_get_int(s->chat, -ENOENT,
		"SELECT position FROM message WHERE id = ?2 AND chat = ?1 AND position >= ?3",
		"isi", chat, message_id, floor);
}

int store_message_page(struct store *s, const char *chat_id, enum page_direction direction,
	const char *anchor, int64_t limit, store_message_fn fn, void *userdata, bool *ret_more)
{
	int64_t chat = chat_number(s, chat_id), at = INT64_MAX, from, floor;
	int64_t end;
	int r;

	if (chat < 0)
		return (int)chat;
	floor = floor_of(s, chat);
	if (direction != PAGE_NEWEST)
		at = position_of(s, chat, floor, anchor);
	if (at < 0)
		return (int)at;
	if (direction == PAGE_AFTER) {
		r = walk_range(s, chat, at + 1, INT64_MAX, limit, fn, userdata);
		end = db_get_int(s->chat, INT64_MAX,
			"SELECT max(position) FROM (SELECT position FROM message WHERE chat = ?1"
			" AND position > ?2 ORDER BY position LIMIT ?3)",
			"iii", chat, at, limit);
		*ret_more = r == 0 && end > 0 && exists_between(s, chat, end, INT64_MAX);
		return r;
	}
	from = page_start(s, chat, floor, at, limit);
	if (from == 0) /* min() of no rows */
		from = at;
	r = walk_range(s, chat, from, at, limit, fn, userdata);
	*ret_more = r == 0 && exists_between(s, chat, floor - 1, from);
	return r;
}

int64_t store_message_count_before(
	struct store *s, const char *chat_id, const char *before_id, int64_t limit)
{
	int64_t chat = chat_number(s, chat_id), at = INT64_MAX, floor;

	if (chat < 0)
		return chat;
	floor = floor_of(s, chat);
	if (before_id)
		at = position_of(s, chat, floor, before_id);
	if (at < 0)
		return at;
	return db_get_int(s->chat, 0,
		"SELECT count(*) FROM (SELECT 1 FROM message WHERE chat = ?1 AND position < ?2"
		" AND position >= ?4 LIMIT ?3)",
		"iiii", chat, at, limit, floor);
}
