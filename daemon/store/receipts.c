/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/rows.h"

/* A receipt names a message; one that has no seq yet stands for all that have one. */
static int find_watermark(struct store *s, const char *chat_id, const char *message_id,
	int64_t *ret_chat, int64_t *ret_position)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT m.chat, m.position FROM message m JOIN chat c ON c.n = m.chat"
		" WHERE m.id = ?2 AND c.n = ?1",
		"is", chat_number(s, chat_id), message_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_chat = db_column_int(q, 0);
	*ret_position = db_column_int(q, 1);
	return 0;
}

static int64_t newest_seq(struct store *s, int64_t chat)
{
	return db_get_int(s->chat, 0,
		"SELECT ifnull(max(position), 0) FROM message WHERE chat = ?1 AND position < ?2",
		"ii", chat, POSITION_PENDING);
}

static int move_outgoing(
	struct store *s, int64_t chat, int64_t from, int64_t to, enum message_status status)
{
	int64_t newest = newest_seq(s, chat), low;

	/*
	 * The watermark may be far above what is stored; numbers are taken for the stored span
	 * alone.
	 */
	to = to < newest ? to : newest;
	low = db_get_int(s->chat, 0,
		"SELECT ifnull(min(position), 0) FROM message WHERE chat = ?1 AND position > ?2"
		" AND position <= ?3 AND outgoing = 1 AND status < ?4",
		"iiii", chat, from, to, (int64_t)status);
	if (low == 0)
		return 0;
	return db_write(s->chat,
		"UPDATE message SET status = ?5, change = ?4 + position - ?2 WHERE chat = ?1"
		" AND position >= ?2 AND position <= ?3 AND outgoing = 1 AND status < ?5",
		"iiiii", chat, low, to, next_changes(s, to - low + 1), (int64_t)status);
}

static int watermark_column(struct store *s, int64_t chat, enum message_status status, int64_t seq)
{
	if (status == MESSAGE_READ)
		return db_write(s->chat,
			"UPDATE chat SET peer_read_seq = ?2, peer_received_seq = "
			"max(peer_received_seq, ?2),"
			" change = ?3 WHERE n = ?1 AND peer_read_seq < ?2",
			"iii", chat, seq, next_change(s));
	return db_write(s->chat,
		"UPDATE chat SET peer_received_seq = ?2, change = ?3 WHERE n = ?1 AND "
		"peer_received_seq < ?2",
		"iii", chat, seq, next_change(s));
}

int peer_watermark(struct store *s, int64_t chat, enum message_status status, int64_t seq)
{
	int64_t old = db_get_int(s->chat, 0,
		status == MESSAGE_READ ? "SELECT peer_read_seq FROM chat WHERE n = ?1"
				       : "SELECT peer_received_seq FROM chat WHERE n = ?1",
		"i", chat);
	int r;

	if (seq <= old)
		return 0;
	r = move_outgoing(s, chat, old, seq, status);
	r = r < 0 ? r : watermark_column(s, chat, status, seq);
	return r < 0 ? r : 1;
}

/*
 * A receipt can overtake the acknowledgement of its message: the row moves on, and the ack gives it
 * its place.
 */
static int overtaken(struct store *s, const char *message_id, enum message_status status)
{
	return stamp_if_written(s,
		db_write(s->chat,
			"UPDATE message SET status = ?2, change = ?3 WHERE id = ?1 AND outgoing = 1"
			" AND status < ?2",
			"sii", message_id, (int64_t)status, s->last_change + 1));
}

int store_receipt_peer(
	struct store *s, const char *chat_id, const char *message_id, enum message_status status)
{
	int64_t chat, position;
	int r = find_watermark(s, chat_id, message_id, &chat, &position);

	if (r < 0)
		return r;
	if (position >= POSITION_PENDING) {
		r = overtaken(s, message_id, status);
		position = newest_seq(s, chat);
	}
	r = r < 0 ? r : peer_watermark(s, chat, status, position);
	return r < 0 ? r : 0;
}

int own_watermark(struct store *s, int64_t chat, int64_t seq, bool told)
{
	int64_t old = db_get_int(s->chat, 0, "SELECT read_seq FROM chat WHERE n = ?1", "i", chat);
	int64_t span;
	int r = 0;

	if (told)
		r = db_write(s->chat,
			"UPDATE chat SET read_told = ?2 WHERE n = ?1 AND read_told < ?2", "ii",
			chat, seq);
	if (r < 0 || seq <= old)
		return r < 0 ? r : 0;
	span = newest_seq(s, chat) - old;
	if (span > seq - old)
		span = seq - old;
	r = db_write(s->chat,
		"UPDATE message SET status = ?4, change = ?5 + position - ?2 - 1 WHERE chat = ?1"
		" AND position > ?2 AND position <= ?3 AND outgoing = 0 AND status < ?4",
		"iiiii", chat, old, seq, (int64_t)MESSAGE_READ,
		next_changes(s, span > 0 ? span : 0));
	r = r < 0 ? r
		  : db_write(s->chat, "UPDATE chat SET read_seq = ?2, change = ?3 WHERE n = ?1",
			    "iii", chat, seq, next_change(s));
	r = r < 0 ? r : chat_recount(s, chat);
	return r < 0 ? r : 1;
}

int store_receipt_own(struct store *s, const char *chat_id, const char *message_id, bool told)
{
	int64_t chat, position;
	int r = find_watermark(s, chat_id, message_id, &chat, &position);

	if (r < 0)
		return r;
	if (position >= POSITION_PENDING)
		position = newest_seq(s, chat);
	return own_watermark(s, chat, position, told);
}

/* The message that stands for a watermark: the newest one at or below it that is stored. */
#define MESSAGE_AT(seq)                                                       \
	"(SELECT id FROM message m WHERE m.chat = c.n AND m.position <= " seq \
	" ORDER BY m.position DESC LIMIT 1)"

int store_receipts_due(struct store *s, store_receipt_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT c.id, c.received_seq, c.read_seq,"
		" CASE WHEN c.received_seq > c.received_told THEN " MESSAGE_AT(
			"c.received_seq") " END,"
					  " CASE WHEN c.read_seq > c.read_told THEN " MESSAGE_AT(
						  "c.read_seq") " END"
								" FROM chat c WHERE c.read_seq > "
								"c.read_told OR c.received_seq > "
								"c.received_told",
		"");

	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0) {
		struct store_receipt receipt = {
			.chat_id = db_column_text(q, 0),
			.received_seq = db_column_int(q, 1),
			.read_seq = db_column_int(q, 2),
			.received_id = db_column_text(q, 3),
			.read_id = db_column_text(q, 4),
		};

		r = fn(userdata, &receipt);
		if (r < 0)
			return r;
	}
	return r;
}

int store_receipt_told(struct store *s, const char *chat_id, int64_t received_seq, int64_t read_seq)
{
	int r = db_write(s->chat,
		"UPDATE chat SET received_told = max(received_told, ?2), read_told = "
		"max(read_told, ?3)"
		" WHERE id = ?1",
		"sii", chat_id, received_seq, read_seq);

	return r < 0 ? r : 0;
}
