/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "store/rows.h"

/* What is known of a chat while messages are put into it. */
struct run {
	int64_t chat;
	int64_t floor_seq, last_seq, server_seq, received_seq;
	int64_t read_seq, peer_received_seq, peer_read_seq;
	int64_t unread_added;
};

static int load_run(struct store *s, const char *chat_id, struct run *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT n, floor_seq, last_seq, server_seq, received_seq, read_seq, "
		"peer_received_seq,"
		" peer_read_seq FROM chat WHERE id = ?1",
		"s", chat_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (struct run){
		.chat = db_column_int(q, 0),
		.floor_seq = db_column_int(q, 1),
		.last_seq = db_column_int(q, 2),
		.server_seq = db_column_int(q, 3),
		.received_seq = db_column_int(q, 4),
		.read_seq = db_column_int(q, 5),
		.peer_received_seq = db_column_int(q, 6),
		.peer_read_seq = db_column_int(q, 7),
	};
	return 0;
}

static int insert_row(struct store *s, int64_t chat, int64_t position, enum message_status status,
	const struct message *m)
{
	int64_t user = user_number_ensure(s, m->user_id);
	int r;

	if (user < 0)
		return (int)user;
	r = db_write(s->chat,
		"INSERT INTO message(chat, position, id, user, outgoing, text, status, created_at,"
		" attachments, added, change, handed_over)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)",
		"iisiisiiiii", chat, position, m->id, user, (int64_t)m->outgoing, m->text,
		(int64_t)status, m->created_at, (int64_t)m->n_attachments, s->last_change + 1,
		(int64_t)m->handed_over);
	r = stamp_if_written(s, r);
	return r < 0 ? r : attachments_insert(s, m);
}

static enum message_status status_of(const struct run *run, bool outgoing, int64_t seq)
{
	if (!outgoing)
		return seq <= run->read_seq ? MESSAGE_READ : MESSAGE_RECEIVED;
	if (seq <= run->peer_read_seq)
		return MESSAGE_READ;
	return seq <= run->peer_received_seq ? MESSAGE_RECEIVED : MESSAGE_SENT;
}

/* Gives a message that was pending (or failed) the place that the server has for it. */
static int accept_row(
	struct store *s, const struct run *run, const char *id, int64_t seq, int64_t created_at)
{
	int r = db_write(s->chat,
		"UPDATE message SET position = ?2, created_at = ?3, error_title = NULL, "
		"error_detail = NULL,"
		" status = CASE WHEN status = ?6 THEN ?4 ELSE max(status, ?4) END, change = ?5 "
		"WHERE id = ?1",
		"siiiii", id, seq, created_at, (int64_t)status_of(run, true, seq),
		s->last_change + 1, (int64_t)MESSAGE_FAILED);

	return stamp_if_written(s, r);
}

/* 1: a message that was not here before. */
static int put_one(struct store *s, struct run *run, const struct message *m)
{
	int64_t position = db_get_int(s->chat, -1,
		"SELECT position FROM message WHERE id = ?1 AND chat = ?2", "si", m->id, run->chat);
	int r;

	if (m->seq > run->server_seq)
		run->server_seq = m->seq;
	if (position >= POSITION_PENDING) {
		r = accept_row(s, run, m->id, m->seq, m->created_at);
		return r < 0 ? r : 0;
	}
	if (position >= 0)
		return 0;
	r = insert_row(s, run->chat, m->seq, status_of(run, m->outgoing, m->seq), m);
	if (r < 0)
		return r;
	run->unread_added += !m->outgoing && m->seq > run->read_seq;
	return 1;
}

static int64_t newest_incoming(struct store *s, const struct run *run)
{
	return db_get_int(s->chat, run->received_seq,
		"SELECT position FROM message WHERE chat = ?1 AND position > ?2 AND position <= ?3"
		" AND outgoing = 0 ORDER BY position DESC LIMIT 1",
		"iii", run->chat, run->received_seq, run->last_seq);
}

/* The end of the unbroken run of messages that begins above `from`. */
static int64_t end_of_run(struct store *s, int64_t chat, int64_t from)
{
	return db_get_int(s->chat, from,
		"WITH RECURSIVE run(seq) AS (SELECT ?2 UNION ALL SELECT seq + 1 FROM run WHERE "
		"EXISTS"
		" (SELECT 1 FROM message WHERE chat = ?1 AND position = seq + 1))"
		" SELECT max(seq) FROM run",
		"ii", chat, from);
}

/*
 * What arrived one by one extends the run when it touches it; else it waits above a gap. `placed`:
 * a message was put at `first` just now, nearly always behind the last, which needs no look.
 */
static void extend_by_arrivals(struct store *s, struct run *run, int64_t first, bool placed)
{
	if (run->last_seq == 0)
		run->floor_seq = first;
	if (run->last_seq == 0 || (placed && run->last_seq + 1 == first))
		run->last_seq = first;
	if (run->server_seq > run->last_seq)
		run->last_seq = end_of_run(s, run->chat, run->last_seq);
}

/*
 * A page is a run itself: joined to the stored one, or in its place when there is a gap between
 * them.
 */
static bool extend_by_run(struct store *s, struct run *run, int64_t low, int64_t high)
{
	bool joins = run->last_seq > 0 && low <= run->last_seq + 1 && high >= run->floor_seq - 1;
	int64_t floor_seq = run->floor_seq;

	if (!joins && high < run->last_seq)
		return false;
	run->floor_seq = joins && run->floor_seq < low ? run->floor_seq : low;
	run->last_seq = joins && run->last_seq > high ? run->last_seq : high;
	if (run->server_seq > run->last_seq)
		run->last_seq = end_of_run(s, run->chat, run->last_seq);
	return floor_seq != run->floor_seq;
}

static int save_run(struct store *s, struct run *run, bool recount)
{
	int r;

	run->received_seq = newest_incoming(s, run);
	r = db_write(s->chat,
		"UPDATE chat SET floor_seq = ?2, last_seq = ?3, server_seq = ?4, received_seq = ?5,"
		" unread = unread + ?6, change = ?7, (last_position, last_at) ="
		" (SELECT position, created_at FROM message WHERE chat = ?1"
		" ORDER BY position DESC LIMIT 1) WHERE n = ?1",
		"iiiiiii", run->chat, run->floor_seq, run->last_seq, run->server_seq,
		run->received_seq, run->unread_added, next_change(s));
	return r >= 0 && recount ? chat_recount(s, run->chat) : r < 0 ? r : 0;
}

int store_messages_put(struct store *s, const char *chat_id, const struct message *m, size_t n,
	bool run, struct store_put *ret)
{
	struct run state;
	int64_t added = 0;
	bool recount = false;
	int r = load_run(s, chat_id, &state);

	if (r < 0 || n == 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		r = put_one(s, &state, &m[i]);
		if (r < 0)
			return r;
		added += r;
	}
	if (run)
		recount = extend_by_run(s, &state, m[0].seq, m[n - 1].seq);
	else
		extend_by_arrivals(s, &state, m[0].seq, n == 1 && added == 1);
	r = save_run(s, &state, recount);
	if (r < 0)
		return r;
	*ret = (struct store_put){ .added = added, .gap = state.server_seq > state.last_seq };
	return 0;
}

int store_message_add(struct store *s, const struct message *m)
{
	int64_t chat = chat_number(s, m->chat_id), position;
	int r;

	if (chat < 0)
		return (int)chat;
	position = db_get_int(s->chat, 0,
		"SELECT ifnull(max(position), 0) + 1 FROM message WHERE chat = ?1", "i", chat);
	if (position < POSITION_PENDING)
		position = POSITION_PENDING;
	r = insert_row(s, chat, position, MESSAGE_PENDING, m);
	return r < 0 ? r : chat_set_newest(s, chat, position, m->created_at);
}

static int chat_id_of(struct store *s, const char *message_id, struct db_stmt **ret)
{
	int r = db_query(s->chat, ret,
		"SELECT c.id, m.position FROM message m JOIN chat c ON c.n = m.chat WHERE m.id = "
		"?1",
		"s", message_id);

	if (r < 0)
		return r;
	r = db_step(*ret);
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int store_message_accept(struct store *s, const char *message_id, int64_t seq, int64_t created_at)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	struct run run;
	int r = chat_id_of(s, message_id, &q);

	if (r < 0 || db_column_int(q, 1) < POSITION_PENDING)
		return r;
	r = load_run(s, db_column_text(q, 0), &run);
	if (r < 0)
		return r;
	if (seq > run.server_seq)
		run.server_seq = seq;
	r = accept_row(s, &run, message_id, seq, created_at);
	if (r < 0)
		return r;
	extend_by_arrivals(s, &run, seq, true);
	return save_run(s, &run, false);
}

int store_message_fail(
	struct store *s, const char *message_id, const char *title, const char *detail)
{
	int64_t chat = db_get_int(s->chat, -ENOENT,
		"SELECT chat FROM message WHERE id = ?1 AND status = 0", "s", message_id);
	int r;

	if (chat < 0)
		return (int)chat;
	r = db_write(s->chat,
		"UPDATE message SET status = ?2, error_title = ?3, error_detail = ?4, change = ?5 "
		"WHERE id = ?1",
		"sissi", message_id, (int64_t)MESSAGE_FAILED, title, detail, next_change(s));
	return r < 0 ? r : chat_refresh(s, chat);
}

int store_chat_fail_pending(
	struct store *s, const char *chat_id, const char *title, const char *detail)
{
	int64_t chat = chat_number(s, chat_id), span;
	int r;

	if (chat < 0)
		return (int)chat;
	span = db_get_int(s->chat, 0,
		"SELECT ifnull(max(position), ?2) - ?2 + 1 FROM message WHERE chat = ?1", "ii",
		chat, POSITION_PENDING);
	r = db_write(s->chat,
		"UPDATE message SET status = ?2, error_title = ?3, error_detail = ?4, change = ?5 "
		"+ position - ?6"
		" WHERE chat = ?1 AND status = 0",
		"iissii", chat, (int64_t)MESSAGE_FAILED, title, detail,
		next_changes(s, span > 0 ? span : 0), POSITION_PENDING);
	return r < 0 ? r : chat_refresh(s, chat);
}
