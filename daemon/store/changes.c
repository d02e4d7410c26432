/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <errno.h>

#include "store/rows.h"

struct walk {
	struct store *store;
	store_change_fn fn;
	void *userdata;
	struct change change;
};

static int tell(struct walk *w)
{
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

/* Columns: seq, topic, id, chat id (tombstones), added (messages). */
static int tell_row(struct walk *w, struct db_stmt *q)
{
	const char *id = db_column_text(q, 2);

	w->change = (struct change){
		.seq = db_column_int(q, 0),
		.topic = (enum change_topic)db_column_int(q, 1),
		.added = db_column_int(q, 4),
	};
	switch (w->change.topic) {
	case CHANGE_MESSAGE_ADDED:
	case CHANGE_MESSAGE_UPDATED:
		return store_message_get(w->store, id, tell_message, w);
	case CHANGE_CHAT_UPDATED:
		return store_chat_get(w->store, id, tell_chat, w);
	case CHANGE_ATTACHMENT_UPDATED:
		return store_attachment_get(w->store, id, tell_attachment, w);
	case CHANGE_MESSAGE_REMOVED:
	case CHANGE_CHAT_REMOVED:
		w->change.message_id = id;
		w->change.chat_id = db_column_text(q, 3);
		return tell(w);
	}
	return -EIO;
}

/* The numbers are those of enum change_topic; what nobody asks for is not even looked at. */
static const char select_changes[] =
	"SELECT added, 0, id, NULL, added FROM message WHERE added > ?1 AND ?3 & 1"
	" UNION ALL SELECT change, 1, id, NULL, added FROM message"
	" WHERE change > ?1 AND change > added AND ?3 & 2"
	" UNION ALL SELECT change, 3, id, NULL, 0 FROM chat WHERE change > ?1 AND ?3 & 8"
	" UNION ALL SELECT change, 5, id, NULL, 0 FROM attachment"
	" WHERE change > ?1 AND change > 0 AND ?3 & 32"
	" UNION ALL SELECT change, kind, id, chat_id, 0 FROM tombstone"
	" WHERE change > ?1 AND ?3 >> kind & 1"
	" ORDER BY 1 LIMIT ?2";

static_assert(CHANGE_MESSAGE_ADDED == 0 && CHANGE_MESSAGE_UPDATED == 1 &&
		CHANGE_CHAT_UPDATED == 3 && CHANGE_ATTACHMENT_UPDATED == 5,
	"select_changes");

int store_change_list(struct store *s, int64_t since, unsigned topics, int64_t limit,
	store_change_fn fn, void *userdata, int64_t *ret_last)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	struct walk w = { .store = s, .fn = fn, .userdata = userdata };
	int64_t rows = 0, last = since;
	int r = db_query(s->chat, &q, select_changes, "iii", since, limit, (int64_t)topics);

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
