/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that leave the device and stay at the server: the chat's floor rises above them. */
#include <errno.h>

#include "store/rows.h"

/* What is looked at of one chat. */
struct candidates {
	int64_t floor, last, until; /* seqs; nothing above `until` goes */
	int64_t newest;             /* change of those that go */
};

int64_t store_evict_next_chat(struct store *s, int64_t after)
{
	return db_get_int(s->chat, -ENOENT,
		"SELECT n FROM chat WHERE n > ?1 AND floor_seq > 0 AND last_seq > floor_seq"
		" ORDER BY n LIMIT 1",
		"i", after);
}

/* What is unread stays, and the newest message: the list of chats shows it. */
static int load_candidates(struct store *s, int64_t chat, struct candidates *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT floor_seq, last_seq, min(read_seq, last_seq - 1) FROM chat WHERE n = ?1",
		"i", chat);

	r = r < 0 ? r : db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (struct candidates){
		.floor = db_column_int(q, 0),
		.last = db_column_int(q, 1),
		.until = db_column_int(q, 2),
	};
	return 0;
}

static bool is_moving(struct store *s, const char *message_id)
{
	return db_get_int(s->chat, 0,
		"SELECT EXISTS(SELECT 1 FROM attachment WHERE message = ?1 AND status IN (?2, ?3))",
		"sii", message_id, (int64_t)ATTACHMENT_UPLOADING, (int64_t)ATTACHMENT_DOWNLOADING);
}

static bool may_go(const struct candidates *c, const struct store_evict_rule *rule, int64_t seq,
	int64_t created_at)
{
	if (rule->before > 0 && created_at < rule->before)
		return true;
	return rule->keep > 0 && seq <= c->last - rule->keep;
}

/* Drops the attachments of those that go. Returns how many go; `c->until` is the last of them. */
static int choose(
	struct store *s, int64_t chat, const struct store_evict_rule *rule, struct candidates *c)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int n = 0;
	int r = db_query(s->chat, &q,
		"SELECT position, created_at, id, attachments, max(added, change) FROM message"
		" WHERE chat = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position LIMIT ?4",
		"iiii", chat, c->floor, c->until, rule->limit);

	c->until = 0;
	while (r >= 0 && (r = db_step(q)) > 0) {
		const char *id = db_column_text(q, 2);

		if (!may_go(c, rule, db_column_int(q, 0), db_column_int(q, 1)))
			break;
		if (db_column_int(q, 3) > 0) {
			if (is_moving(s, id))
				break;
			r = attachments_delete(s, id);
			if (r < 0)
				break;
		}
		c->until = db_column_int(q, 0);
		c->newest = db_column_int(q, 4) > c->newest ? db_column_int(q, 4) : c->newest;
		n++;
	}
	return r < 0 ? r : n;
}

int store_evict_messages(struct store *s, int64_t chat, const struct store_evict_rule *rule)
{
	struct candidates c;
	int r = load_candidates(s, chat, &c), n;

	if (r < 0)
		return r;
	n = choose(s, chat, rule, &c);
	if (n <= 0)
		return n;
	r = db_write(s->chat, "DELETE FROM message WHERE chat = ?1 AND position BETWEEN ?2 AND ?3",
		"iii", chat, c.floor, c.until);
	r = r < 0 ? r
		  : db_write(s->chat, "UPDATE chat SET floor_seq = ?2 WHERE n = ?1", "ii", chat,
			    c.until + 1);
	/* The newest number must stand in a row. */
	if (r >= 0 && c.newest == s->last_change)
		r = chat_refresh(s, chat);
	return r < 0 ? r : n;
}
