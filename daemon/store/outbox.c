/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that the server has not accepted: in order of sending, tried again, taken back. */
#include <errno.h>

#include "store/rows.h"

struct outbox_row {
	store_outbox_fn fn;
	void *userdata;
	int64_t number;
};

static int emit_outbox(void *userdata, const struct message *m)
{
	const struct outbox_row *row = userdata;

	return row->fn(row->userdata, m, row->number);
}

static int walk(struct store *s, struct db_stmt *q, store_outbox_fn fn, void *userdata)
{
	int r;

	while ((r = db_step(q)) > 0) {
		struct outbox_row row = { fn, userdata, db_column_int(q, 1) };

		r = store_message_get(s, db_column_text(q, 0), emit_outbox, &row);
		if (r != 0)
			return r;
	}
	return r;
}

int store_outbox_list(
	struct store *s, int64_t after, int64_t limit, store_outbox_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id, added FROM message WHERE status IN (0, 4) AND status = 0"
		" AND added > ?1 ORDER BY added LIMIT ?2",
		"ii", after, limit);

	r = r < 0 ? r : walk(s, q, fn, userdata);
	return r < 0 ? r : 0;
}

int store_outbox_hand_over(struct store *s, const char *message_id)
{
	int r = db_write(
		s->chat, "UPDATE message SET handed_over = 1 WHERE id = ?1", "s", message_id);

	return r < 0 ? r : 0;
}

int store_outbox_handed_over(struct store *s, store_id_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id FROM message WHERE status IN (0, 4) AND status = 0 AND handed_over = 1",
		"");

	return r < 0 ? r : each_id(q, fn, userdata);
}

struct page {
	store_message_fn fn;
	void *userdata;
	int64_t left;
	bool more;
};

static int emit_page(void *userdata, const struct message *m, int64_t number)
{
	struct page *p = userdata;

	int r;

	if (p->left == 0) {
		p->more = true;
		return 1;
	}
	r = p->fn(p->userdata, m);
	p->left = r > 0 ? 0 : p->left - 1;
	return r < 0 ? r : 0;
}

int store_outbox_page(struct store *s, const char *after, int64_t limit, store_message_fn fn,
	void *userdata, bool *ret_more)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	struct page page = { .fn = fn, .userdata = userdata, .left = limit };
	int64_t from = 0;
	int r;

	if (after)
		from = db_get_int(
			s->chat, -ENOENT, "SELECT added FROM message WHERE id = ?1", "s", after);
	if (from < 0)
		return (int)from;
	r = db_query(s->chat, &q,
		"SELECT id, added FROM message WHERE status IN (0, 4) AND added > ?1"
		" ORDER BY added LIMIT ?2",
		"ii", from, limit + 1);
	r = r < 0 ? r : walk(s, q, emit_page, &page);
	if (r < 0)
		return r;
	*ret_more = page.more;
	return 0;
}

int64_t store_outbox_count(struct store *s, enum message_status status)
{
	return db_get_int(s->chat, 0,
		"SELECT count(*) FROM message WHERE status IN (0, 4) AND status = ?1", "i",
		(int64_t)status);
}

bool store_outbox_has_pending(struct store *s)
{
	return db_get_int(s->chat, 0,
		"SELECT EXISTS(SELECT 1 FROM message WHERE status IN (0, 4) AND status = 0)", "");
}

struct unsent {
	int64_t chat;
	enum message_status status;
};

/* -ENOENT; -EALREADY for a message that the server has accepted, or that came from it. */
static int find_unsent(struct store *s, const char *message_id, struct unsent *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(
		s->chat, &q, "SELECT chat, status FROM message WHERE id = ?1", "s", message_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (struct unsent){ db_column_int(q, 0), (enum message_status)db_column_int(q, 1) };
	return ret->status == MESSAGE_PENDING || ret->status == MESSAGE_FAILED ? 0 : -EALREADY;
}

/* Photos that did not get to the server are on their way again. */
static int restart_uploads(struct store *s, const char *message_id)
{
	int64_t n = db_get_int(s->chat, 0,
		"SELECT ifnull(max(ordinal) + 1, 0) FROM attachment WHERE message = ?1 AND "
		"outgoing = 1"
		" AND url IS NULL",
		"s", message_id);

	if (n == 0)
		return 0;
	if (db_get_int(s->chat, 0,
		    "SELECT EXISTS(SELECT 1 FROM attachment WHERE message = ?1 AND outgoing = 1"
		    " AND url IS NULL AND full_stored = 0)",
		    "s", message_id))
		return -ENODATA;
	return db_write(s->chat,
		"UPDATE attachment SET status = ?2, progress = 0, change = ?3 + ordinal"
		" WHERE message = ?1 AND outgoing = 1 AND url IS NULL",
		"sii", message_id, (int64_t)ATTACHMENT_UPLOADING, next_changes(s, n));
}

int store_message_retry(struct store *s, const char *message_id)
{
	struct unsent m;
	int r = find_unsent(s, message_id, &m);

	if (r < 0 || m.status == MESSAGE_PENDING)
		return r;
	r = restart_uploads(s, message_id);
	r = r < 0
		? r
		: db_write(s->chat,
			  "UPDATE message SET status = ?2, error_title = NULL, error_detail = NULL,"
			  " handed_over = 0, change = ?3 WHERE id = ?1",
			  "sii", message_id, (int64_t)MESSAGE_PENDING, next_change(s));
	r = r < 0 ? r : chat_refresh(s, m.chat);
	return r < 0 ? r : 1;
}

/* A chat that was begun here for this message alone goes with it. */
static int drop_empty_provisional(struct store *s, int64_t chat)
{
	if (!db_get_int(s->chat, 0,
		    "SELECT provisional = 1 AND NOT EXISTS(SELECT 1 FROM message WHERE chat = ?1)"
		    " FROM chat WHERE n = ?1",
		    "i", chat))
		return chat_refresh(s, chat);
	return chat_delete(s, chat);
}

int store_message_cancel(struct store *s, const char *message_id)
{
	struct unsent m;
	int r = find_unsent(s, message_id, &m);

	if (r < 0)
		return r;
	r = db_write(s->chat,
		"INSERT INTO tombstone(change, kind, id, chat_id)"
		" SELECT ?2, ?3, ?1, id FROM chat WHERE n = ?4",
		"siii", message_id, next_change(s), (int64_t)CHANGE_MESSAGE_REMOVED, m.chat);
	r = r < 0 ? r : attachments_delete(s, message_id);
	r = r < 0 ? r : db_write(s->chat, "DELETE FROM message WHERE id = ?1", "s", message_id);
	return r < 0 ? r : drop_empty_provisional(s, m.chat);
}
