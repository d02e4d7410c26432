/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/rows.h"

enum row_kind {
	ROW_MESSAGE,
	ROW_CHAT,
	ROW_ATTACHMENT,
	ROW_TOMBSTONE,
};

struct walk {
	struct store *store;
	store_change_fn fn;
	void *userdata;
	int64_t since;
	unsigned topics;
	struct change change;
};

static int tell(struct walk *w)
{
	if (!(w->topics & 1u << w->change.topic))
		return 0;
	return w->fn(w->userdata, &w->change);
}

static int tell_message(void *userdata, const struct message *m)
{
	struct walk *w = userdata;

	w->change.chat_id = m->chat_id;
	w->change.message = m;
	return tell(w);
}

static int tell_chat(void *userdata, const struct chat_info *c)
{
	struct walk *w = userdata;

	w->change.chat_id = c->id;
	w->change.chat = c;
	return tell(w);
}

static int tell_attachment(void *userdata, const struct attachment *a)
{
	struct walk *w = userdata;

	w->change.chat_id = a->chat_id;
	w->change.attachment = a;
	return tell(w);
}

/* Columns: change, kind, added or tombstone's topic, id, chat id (tombstones). */
static int tell_row(struct walk *w, struct db_stmt *q)
{
	const char *id = db_column_text(q, 3);
	int64_t detail = db_column_int(q, 2);

	w->change = (struct change){ .seq = db_column_int(q, 0) };
	switch ((enum row_kind)db_column_int(q, 1)) {
	case ROW_MESSAGE:
		w->change.topic = detail > w->since ? CHANGE_MESSAGE_ADDED : CHANGE_MESSAGE_UPDATED;
		w->change.added = detail;
		return store_message_get(w->store, id, tell_message, w);
	case ROW_CHAT:
		w->change.topic = CHANGE_CHAT_UPDATED;
		return store_chat_get(w->store, id, tell_chat, w);
	case ROW_ATTACHMENT:
		w->change.topic = CHANGE_ATTACHMENT_UPDATED;
		return store_attachment_get(w->store, id, tell_attachment, w);
	case ROW_TOMBSTONE:
		w->change.topic = (enum change_topic)detail;
		w->change.message_id = id;
		w->change.chat_id = db_column_text(q, 4);
		return tell(w);
	}
	return -EIO;
}

int store_change_list(struct store *s, int64_t since, unsigned topics, int64_t limit,
	store_change_fn fn, void *userdata, int64_t *ret_last)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	struct walk w = {
		.store = s, .fn = fn, .userdata = userdata, .since = since, .topics = topics
	};
	int64_t rows = 0, last = since;
	int r = db_query(s->chat, &q,
		"SELECT change, 0, added, id, NULL FROM message WHERE change > ?1"
		" UNION ALL SELECT change, 1, 0, id, NULL FROM chat WHERE change > ?1"
		" UNION ALL SELECT change, 2, 0, id, NULL FROM attachment WHERE change > ?1 AND "
		"change > 0"
		" UNION ALL SELECT change, 3, kind, id, chat_id FROM tombstone WHERE change > ?1"
		" ORDER BY 1 LIMIT ?2",
		"ii", since, limit);

	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0) {
		r = tell_row(&w, q);
		if (r < 0)
			return r;
		last = w.change.seq;
		rows++;
	}
	if (r < 0)
		return r;
	*ret_last = rows < limit ? s->last_change : last;
	return 0;
}
