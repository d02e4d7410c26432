/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "store/rows.h"

int store_setting_get(struct store *s, const char *name, char **ret_value)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	char *value;
	int r = db_query(s->chat, &q, "SELECT value FROM setting WHERE name = ?1", "s", name);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	value = strdup(db_column_text(q, 0));
	if (!value)
		return -ENOMEM;
	*ret_value = value;
	return 0;
}

int store_setting_put(struct store *s, const char *name, const char *value)
{
	int r;

	if (!value)
		r = db_write(s->chat, "DELETE FROM setting WHERE name = ?1", "s", name);
	else
		r = db_write(s->chat,
			"INSERT INTO setting(name, value) VALUES(?1, ?2)"
			" ON CONFLICT(name) DO UPDATE SET value = ?2",
			"ss", name, value);
	return r < 0 ? r : 0;
}
