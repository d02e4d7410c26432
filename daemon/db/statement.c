/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prepared statements, and the writes and reads that are made of them. */
#include <errno.h>
#include <stdarg.h>

#include <sqlite3.h>

#include "base/log.h"
#include "db/internal.h"

struct db_stmt {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
	struct db_stmt *next; /* in its slot */
	bool in_use;
};

static struct db_stmt **slot_of(struct db *db, const char *sql)
{
	uint64_t h = (uint64_t)(uintptr_t)sql * 0x9e3779b97f4a7c15u;

	return &db->slots[h >> 56];
}

static int acquire(struct db *db, const char *sql, struct db_stmt **ret)
{
	struct db_stmt **slot = slot_of(db, sql), *s;
	int rc;

	for (s = *slot; s; s = s->next)
		if (s->sql == sql && !s->in_use)
			break;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		rc = sqlite3_prepare_v3(
			db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, NULL);
		if (rc != SQLITE_OK) {
			log_error("database: cannot prepare: %s", sqlite3_errmsg(db->handle));
			free(s);
			return db_to_errno(db, rc);
		}
		s->db = db;
		s->sql = sql;
		s->next = *slot;
		*slot = s;
	}
	s->in_use = true;
	*ret = s;
	return 0;
}

static int bind(struct db_stmt *s, const char *format, va_list ap, sqlite3_destructor_type lifetime)
{
	int rc = SQLITE_OK;

	for (int i = 1; *format && rc == SQLITE_OK; i++, format++) {
		if (*format == 's') {
			const char *text = va_arg(ap, const char *);

			rc = sqlite3_bind_text(s->handle, i, text, -1, lifetime);
		} else if (*format == 'i') {
			rc = sqlite3_bind_int64(s->handle, i, va_arg(ap, int64_t));
		} else {
			const void *blob = va_arg(ap, const void *);
			size_t n = va_arg(ap, size_t);

			rc = sqlite3_bind_blob64(s->handle, i, blob, n, lifetime);
		}
	}
	return rc == SQLITE_OK ? 0 : db_to_errno(s->db, rc);
}

static int query_va(struct db *db, struct db_stmt **ret, sqlite3_destructor_type lifetime,
	const char *sql, const char *format, va_list ap)
{
	struct db_stmt *s = NULL;
	int r = acquire(db, sql, &s);

	if (r < 0)
		return r;
	r = bind(s, format, ap, lifetime);
	if (r < 0) {
		db_stmt_reset(s);
		return r;
	}
	*ret = s;
	return 0;
}

int db_query(struct db *db, struct db_stmt **ret, const char *sql, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = query_va(db, ret, SQLITE_TRANSIENT, sql, format, ap);
	va_end(ap);
	return r;
}

int db_step(struct db_stmt *s)
{
	int rc = sqlite3_step(s->handle);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return db_to_errno(s->db, rc);
}

int64_t db_column_int(struct db_stmt *s, int column)
{
	return sqlite3_column_int64(s->handle, column);
}

const char *db_column_text(struct db_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s->handle, column);
}

const void *db_column_blob(struct db_stmt *s, int column, size_t *ret_size)
{
	const void *blob = sqlite3_column_blob(s->handle, column);

	*ret_size = (size_t)sqlite3_column_bytes(s->handle, column);
	return blob;
}

struct db_stmt *db_stmt_reset(struct db_stmt *s)
{
	if (s) {
		sqlite3_reset(s->handle);
		sqlite3_clear_bindings(s->handle);
		s->in_use = false;
	}
	return NULL;
}

int db_run(struct db *db, const char *sql)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	int r = acquire(db, sql, &s), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(s->handle);
	return rc == SQLITE_DONE ? 0 : db_note_error(db, rc);
}

static int run_write(struct db *db, struct db_stmt *s)
{
	int rc;

	do
		rc = sqlite3_step(s->handle);
	while (rc == SQLITE_ROW);
	return rc == SQLITE_DONE ? sqlite3_changes(db->handle) : db_note_error(db, rc);
}

int db_write(struct db *db, const char *sql, const char *format, ...)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	va_list ap;
	int r = db_begin(db);

	if (r < 0)
		return r;
	va_start(ap, format);
	r = query_va(db, &s, SQLITE_STATIC, sql, format, ap);
	va_end(ap);
	return r < 0 ? r : run_write(db, s);
}

int db_write_values(
	struct db *db, const char *sql, const struct sqlite3_value *const *values, unsigned n)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	int r = db_begin(db), rc = SQLITE_OK;

	r = r < 0 ? r : acquire(db, sql, &s);
	if (r < 0)
		return r;
	if (n > (unsigned)sqlite3_bind_parameter_count(s->handle))
		n = (unsigned)sqlite3_bind_parameter_count(s->handle);
	for (unsigned i = 0; i < n && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_value(s->handle, (int)i + 1, values[i]);
	return rc == SQLITE_OK ? run_write(db, s) : db_note_error(db, rc);
}

int64_t db_get_int(struct db *db, int64_t fallback, const char *sql, const char *format, ...)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = query_va(db, &s, SQLITE_TRANSIENT, sql, format, ap);
	va_end(ap);
	return r == 0 && db_step(s) > 0 ? db_column_int(s, 0) : fallback;
}

void db_forget_statements(struct db *db)
{
	for (size_t i = 0; i < DB_STATEMENT_SLOTS; i++) {
		while (db->slots[i]) {
			struct db_stmt *s = db->slots[i];

			db->slots[i] = s->next;
			sqlite3_finalize(s->handle);
			free(s);
		}
	}
}
