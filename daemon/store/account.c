/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/rows.h"

int store_account_get(struct store *s, store_account_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT server, user_id, user_name, password, device_id, token, sync_state,"
		" token_expires_at, refused FROM account",
		"");

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return fn(userdata,
		&(struct store_account){
			.server = db_column_text(q, 0),
			.user_id = db_column_text(q, 1),
			.user_name = db_column_text(q, 2),
			.password = db_column_text(q, 3),
			.device_id = db_column_text(q, 4),
			.token = db_column_text(q, 5),
			.sync_state = db_column_text(q, 6),
			.token_expires_at = db_column_int(q, 7),
			.refused = db_column_int(q, 8),
		});
}

int store_account_put(struct store *s, const struct store_account *a)
{
	int r = db_write(s->chat,
		"INSERT INTO account(only, server, user_id, user_name, password, device_id, token,"
		" token_expires_at, refused) VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
		" ON CONFLICT(only) DO UPDATE SET server = ?1, user_id = ?2, user_name = ?3, "
		"password = ?4,"
		" device_id = ?5, token = ?6, token_expires_at = ?7, refused = ?8",
		"ssssssii", a->server, a->user_id, a->user_name, a->password, a->device_id,
		a->token, a->token_expires_at, (int64_t)a->refused);

	return r < 0 ? r : 0;
}

int store_account_set_token(struct store *s, const char *token, int64_t expires_at)
{
	int r = db_write(s->chat, "UPDATE account SET token = ?1, token_expires_at = ?2", "si",
		token, expires_at);

	return r < 0 ? r : 0;
}

int store_account_set_sync_state(struct store *s, const char *state)
{
	int r = db_write(s->chat, "UPDATE account SET sync_state = ?1 WHERE sync_state IS NOT ?1",
		"s", state);

	return r < 0 ? r : 0;
}

int store_account_set_refused(struct store *s, bool refused)
{
	int r = db_write(s->chat, "UPDATE account SET refused = ?1", "i", (int64_t)refused);

	return r < 0 ? r : 0;
}
