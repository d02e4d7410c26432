/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/rows.h"

int store_consumer_get(struct store *s, const char *name, int64_t *ret_seq)
{
	int64_t seq =
		db_get_int(s->chat, -ENOENT, "SELECT seq FROM consumer WHERE name = ?1", "s", name);

	if (seq < 0)
		return (int)seq;
	*ret_seq = seq;
	return 0;
}

int store_consumer_list(struct store *s, store_consumer_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, "SELECT name, seq FROM consumer ORDER BY name", "");

	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0) {
		r = fn(userdata, db_column_text(q, 0), db_column_int(q, 1));
		if (r < 0)
			return r;
	}
	return r;
}

int64_t store_consumer_count(struct store *s)
{
	return db_get_int(s->chat, 0, "SELECT count(*) FROM consumer", "");
}

int store_consumer_put(struct store *s, const char *name, int64_t seq)
{
	int r = db_write(s->chat,
		"INSERT INTO consumer(name, seq) VALUES(?1, ?2)"
		" ON CONFLICT(name) DO UPDATE SET seq = ?2 WHERE seq < ?2",
		"si", name, seq);

	return r < 0 ? r : 0;
}

int store_consumer_remove(struct store *s, const char *name)
{
	int r = db_write(s->chat, "DELETE FROM consumer WHERE name = ?1", "s", name);

	if (r < 0)
		return r;
	return r > 0 ? 0 : -ENOENT;
}
