/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/rows.h"

int64_t user_number(struct store *s, const char *user_id)
{
	return db_get_int(s->chat, -ENOENT, "SELECT n FROM user WHERE id = ?1", "s", user_id);
}

int64_t user_number_ensure(struct store *s, const char *user_id)
{
	int64_t n = user_number(s, user_id);
	int r;

	if (n != -ENOENT)
		return n;
	r = db_write(s->chat, "INSERT INTO user(id) VALUES(?1)", "s", user_id);
	return r < 0 ? r : user_number(s, user_id);
}

int store_user_get(struct store *s, const char *user_id, store_user_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id, ifnull(name, id), picture_url FROM user WHERE id = ?1", "s", user_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return fn(userdata,
		&(struct user){
			.id = (char *)db_column_text(q, 0),
			.name = (char *)db_column_text(q, 1),
			.picture_url = (char *)db_column_text(q, 2),
		});
}

/*
 * Each chat gets a number of its own: two rows with one number could fall on two pages of a
 * subscription.
 */
static int stamp_chats_of(struct store *s, int64_t user)
{
	int64_t n = db_get_int(s->chat, 0, "SELECT count(*) FROM chat WHERE user = ?1", "i", user);
	int64_t first;

	if (n == 0)
		return 0;
	first = next_changes(s, n);
	return db_write(s->chat,
		"UPDATE chat SET change = ?2 + (SELECT count(*) FROM chat o WHERE o.user = ?1 AND "
		"o.n < chat.n)"
		" WHERE user = ?1",
		"ii", user, first);
}

int store_user_put(struct store *s, const struct user *u)
{
	int r = db_write(s->chat,
		"INSERT INTO user(id, name, picture_url) VALUES(?1, ?2, ?3)"
		" ON CONFLICT(id) DO UPDATE SET name = ?2, picture_url = ?3"
		" WHERE name IS NOT ?2 OR picture_url IS NOT ?3",
		"sss", u->id, u->name, u->picture_url);

	if (r > 0)
		r = stamp_chats_of(s, user_number(s, u->id));
	return r < 0 ? r : 0;
}

int store_user_next_unknown(struct store *s, char ret_user_id[65])
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, "SELECT id FROM user WHERE name IS NULL LIMIT 1", "");

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	snprintf(ret_user_id, 65, "%s", db_column_text(q, 0));
	return 0;
}

bool store_user_is_known(struct store *s, const char *user_id)
{
	return db_get_int(
		s->chat, 0, "SELECT name IS NOT NULL FROM user WHERE id = ?1", "s", user_id);
}
