/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/rows.h"

int store_push_get(struct store *s, store_push_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT token, private_key, p256dh, auth, distributor, endpoint, told FROM push",
		"");

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return fn(userdata,
		&(struct store_push){
			.token = db_column_text(q, 0),
			.private_key = db_column_text(q, 1),
			.p256dh = db_column_text(q, 2),
			.auth = db_column_text(q, 3),
			.distributor = db_column_text(q, 4),
			.endpoint = db_column_text(q, 5),
			.told = db_column_int(q, 6),
		});
}

int store_push_put(struct store *s, const struct store_push *p)
{
	int r;

	if (!p)
		r = db_write(s->chat, "DELETE FROM push", "");
	else
		r = db_write(s->chat,
			"INSERT OR REPLACE INTO push(only, token, private_key, p256dh, auth,"
			" distributor, endpoint, told) VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
			"ssssssi", p->token, p->private_key, p->p256dh, p->auth, p->distributor,
			p->endpoint, (int64_t)p->told);
	return r < 0 ? r : 0;
}

int store_chat_find_by_name(
	struct store *s, const char *name, char ret_chat_id[65], int64_t *ret_newest_at)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	char id[65];
	int64_t at;
	int r = db_query(s->chat, &q,
		"SELECT chat.id, ifnull((SELECT created_at FROM message WHERE message.chat = chat.n"
		" AND outgoing = 0 ORDER BY position DESC LIMIT 1), 0)"
		" FROM user CROSS JOIN chat ON chat.user = user.n WHERE user.name = ?1 LIMIT 2",
		"s", name);

	r = r < 0 ? r : db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	snprintf(id, sizeof(id), "%s", db_column_text(q, 0));
	at = db_column_int(q, 1);
	r = db_step(q);
	if (r != 0)
		return r < 0 ? r : -ENOENT;
	snprintf(ret_chat_id, sizeof(id), "%s", id);
	*ret_newest_at = at;
	return 0;
}
