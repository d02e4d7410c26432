/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chats that go, with all that is in them. */
#include <errno.h>

#include "store/rows.h"

/*
 * Bytes are committed before the rows that speak of them, so they cannot go first: they are marked
 * as loose, and are swept when the rows are gone.
 */
static int loosen(struct store *s, struct db_stmt *q)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = db_write(s->media, "UPDATE blob SET linked = 0 WHERE attachment = ?1", "s",
			db_column_text(q, 0));
		if (r < 0)
			return r;
	}
	return r;
}

int attachments_delete(struct store *s, const char *message_id)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(
		s->chat, &q, "SELECT id FROM attachment WHERE message = ?1", "s", message_id);

	r = r < 0 ? r : loosen(s, q);
	q = db_stmt_reset(q);
	r = r < 0 ? r
		  : db_write(s->chat, "DELETE FROM attachment WHERE message = ?1", "s", message_id);
	return r < 0 ? r : 0;
}

static int delete_attachments_of_chat(struct store *s, int64_t chat)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT a.id FROM message m JOIN attachment a ON a.message = m.id"
		" WHERE m.chat = ?1 AND m.attachments > 0",
		"i", chat);

	r = r < 0 ? r : loosen(s, q);
	q = db_stmt_reset(q);
	return r < 0 ? r
		     : db_write(s->chat,
			       "DELETE FROM attachment WHERE message IN"
			       " (SELECT id FROM message WHERE chat = ?1 AND attachments > 0)",
			       "i", chat);
}

int chat_delete(struct store *s, int64_t chat)
{
	int r = db_write(s->chat,
		"INSERT INTO tombstone(change, kind, id, chat_id)"
		" SELECT ?2, ?3, id, id FROM chat WHERE n = ?1",
		"iii", chat, next_change(s), (int64_t)CHANGE_CHAT_REMOVED);

	r = r < 0 ? r : delete_attachments_of_chat(s, chat);
	r = r < 0 ? r : db_write(s->chat, "DELETE FROM message WHERE chat = ?1", "i", chat);
	r = r < 0 ? r : db_write(s->chat, "DELETE FROM chat WHERE n = ?1", "i", chat);
	return r < 0 ? r : 0;
}

static bool has_pending(struct store *s, int64_t chat)
{
	return db_get_int(s->chat, 0,
		"SELECT EXISTS(SELECT 1 FROM message WHERE chat = ?1 AND position >= ?2"
		" AND status <> ?3)",
		"iii", chat, POSITION_PENDING, (int64_t)MESSAGE_FAILED);
}

bool store_chat_has_pending(struct store *s, const char *chat_id)
{
	int64_t chat = chat_number(s, chat_id);

	return chat >= 0 && has_pending(s, chat);
}

int store_chat_delete(struct store *s, const char *chat_id)
{
	int64_t chat = chat_number(s, chat_id);

	if (chat < 0)
		return chat == -ENOENT ? 0 : (int)chat;
	if (has_pending(s, chat))
		return 0;
	return chat_delete(s, chat);
}
