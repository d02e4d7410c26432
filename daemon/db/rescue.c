/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/rescue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SQLITE_HAS_CODEC 1
#include <sqlite3.h>

#include "db/internal.h"

/* Rows in a row that cannot be read, after which nothing more is expected below a page. */
#define UNREADABLE_MAX 8

/* Imposters after which the connection forgets them, so that they do not fill the memory. */
#define IMPOSTERS_MAX 256

#define COLUMNS                                                                             \
	"c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, " \
	"c19"

struct db_rescue {
	char *path;
	const struct db_key *key; /* borrowed */
	sqlite3 *handle;
	int64_t pages;
	unsigned imposters;
};

struct db_row {
	sqlite3_stmt *stmt;
};

static int execute(struct db_rescue *r, const char *sql)
{
	return sqlite3_exec(r->handle, sql, NULL, NULL, NULL);
}

static int64_t get_int(struct db_rescue *r, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(r->handle, sql, -1, &q, NULL) == SQLITE_OK &&
		sqlite3_step(q) == SQLITE_ROW)
		value = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return value;
}

static void disconnect(struct db_rescue *r)
{
	sqlite3_close(r->handle);
	r->handle = NULL;
}

/*
 * Tables that cannot be made out are passed over (writable_schema); exclusive locking needs no
 * shared-memory index.
 */
static int connect(struct db_rescue *r)
{
	int rc = sqlite3_open_v2(
		r->path, &r->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	r->imposters = 0;
	if (rc == SQLITE_OK) {
		execute(r, "PRAGMA cipher_log_level = NONE");
		rc = db_apply_key(r->handle, r->key);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(r->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	if (rc == SQLITE_OK)
		rc = execute(r,
			"PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
			"PRAGMA query_only = ON; PRAGMA writable_schema = ON");
	return rc;
}

static int count_pages(struct db_rescue *r)
{
	int rc = execute(r, "SELECT count(*) FROM sqlite_schema");

	r->pages = get_int(r, "PRAGMA page_count");
	if (r->pages > 0)
		return 0;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EKEYREJECTED;
	}
}

/*
 * Gives the page a name as a table's root; nothing is written, or the library does not know this.
 */
static int name_imposter(struct db_rescue *r, int64_t page, enum db_tree tree)
{
	char sql[256];
	int rc;

	if (r->imposters++ == IMPOSTERS_MAX) {
		sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, r->handle, "main", 0, 1);
		execute(r, "SELECT count(*) FROM sqlite_schema");
		r->imposters = 1;
	}
	snprintf(sql, sizeof(sql),
		tree == DB_TREE_KEYED ? "CREATE TABLE imposter_%u(c0, " COLUMNS
					", PRIMARY KEY(c0)) WITHOUT ROWID"
				      : "CREATE TABLE imposter_%u(c0, " COLUMNS ")",
		r->imposters);
	sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, r->handle, "main", 1, (int)page);
	rc = execute(r, sql);
	sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, r->handle, "main", 0, 0);
	return rc;
}

/* A page, the way it is walked, and how far. */
struct walk {
	int64_t page;
	enum db_tree tree;
	bool backwards;
	int64_t at;
	db_row_fn fn;
	void *userdata;
};

static int open_imposter(struct db_rescue *r, const struct walk *w, sqlite3_stmt **ret)
{
	const char *key = w->tree == DB_TREE_KEYED ? "c0" : "rowid";
	char sql[256];
	int rc = name_imposter(r, w->page, w->tree);

	if (rc != SQLITE_OK)
		return rc;
	snprintf(sql, sizeof(sql),
		"SELECT %s, " COLUMNS " FROM imposter_%u ORDER BY %s %s LIMIT -1 OFFSET ?1", key,
		r->imposters, key, w->backwards ? "DESC" : "ASC");
	return sqlite3_prepare_v2(r->handle, sql, -1, ret, NULL);
}

/* An error of the cipher may stay with the connection. */
static bool still_reads(struct db_rescue *r)
{
	return get_int(r, "PRAGMA user_version") >= 0 &&
		execute(r, "SELECT 1 FROM sqlite_schema LIMIT 1") == SQLITE_OK;
}

/* The rows from `w->at` on, until the end or one that cannot be read. */
static int walk_on(struct db_rescue *r, struct walk *w, int *ret_rc)
{
	struct db_row row = { NULL };
	int rc = open_imposter(r, w, &row.stmt), e = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(row.stmt, 1, w->at);
	while (rc == SQLITE_OK && e >= 0) {
		rc = sqlite3_step(row.stmt);
		if (rc != SQLITE_ROW)
			break;
		w->at++;
		e = w->fn(w->userdata, &row);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(row.stmt);
	*ret_rc = rc;
	return e < 0 ? e : 0;
}

/* 0: to the end; 1: not all. */
static int walk_one_way(struct db_rescue *r, struct walk *w)
{
	int unreadable = 0, rc, e;
	bool whole = true;

	for (;;) {
		int64_t before = w->at;

		e = walk_on(r, w, &rc);
		if (e < 0)
			return e;
		if (rc == SQLITE_DONE)
			return whole ? 0 : 1;
		if ((rc & 0xff) == SQLITE_NOMEM)
			return -ENOMEM;
		if (!still_reads(r)) {
			disconnect(r);
			if (connect(r) != SQLITE_OK)
				return -EIO;
		}
		/* A page of another kind fails at its first row, and at the next one too. */
		unreadable = w->at > before ? 1 : unreadable + 1;
		if (unreadable > (w->at > 1 ? UNREADABLE_MAX : 1))
			return 1;
		whole = false;
		w->at++;
	}
}

int db_rescue_walk(
	struct db_rescue *r, int64_t page, enum db_tree tree, db_row_fn fn, void *userdata)
{
	struct walk w = { .page = page, .tree = tree, .fn = fn, .userdata = userdata };
	int e = walk_one_way(r, &w);

	/* Above a damaged page rows stand in the tree's forks, on both sides of it. */
	if (e != 1 || tree != DB_TREE_KEYED)
		return e;
	w.backwards = true;
	w.at = 0;
	e = walk_one_way(r, &w);
	return e < 0 ? e : 1;
}

static int check_imposters(struct db_rescue *r)
{
	int rc = name_imposter(r, 2, DB_TREE_ROWID);

	return rc == SQLITE_READONLY ? -EOPNOTSUPP : rc == SQLITE_OK ? 0 : -EIO;
}

int db_rescue_open(const char *path, const struct db_key *key, struct db_rescue **ret)
{
	_cleanup_(db_rescue_closep) struct db_rescue *r = calloc(1, sizeof(*r));
	int e;

	if (!r || !(r->path = strdup(path)))
		return -ENOMEM;
	r->key = key;
	if (connect(r) != SQLITE_OK)
		return -EIO;
	e = count_pages(r);
	e = e < 0 ? e : check_imposters(r);
	if (e < 0)
		return e;
	*ret = TAKE_PTR(r);
	return 0;
}

struct db_rescue *db_rescue_close(struct db_rescue *r)
{
	if (!r)
		return NULL;
	disconnect(r);
	free(r->path);
	free(r);
	return NULL;
}

int64_t db_rescue_pages(const struct db_rescue *r)
{
	return r->pages;
}

int64_t db_rescue_count_damaged(struct db_rescue *r)
{
	sqlite3_stmt *q = NULL;
	int64_t n = 0;

	if (sqlite3_prepare_v2(r->handle, "PRAGMA cipher_integrity_check", -1, &q, NULL) ==
		SQLITE_OK)
		while (sqlite3_step(q) == SQLITE_ROW)
			n++;
	sqlite3_finalize(q);
	return n;
}

static bool column_is(const struct db_row *row, int column, char shape)
{
	int type = sqlite3_column_type(row->stmt, column);

	switch (shape) {
	case 'i':
		return type == SQLITE_INTEGER;
	case 'I':
		return type == SQLITE_INTEGER || type == SQLITE_NULL;
	case 't':
		return type == SQLITE_TEXT;
	case 'T':
		return type == SQLITE_TEXT || type == SQLITE_NULL;
	default:
		return type == SQLITE_NULL;
	}
}

bool db_row_is(const struct db_row *row, const char *shape)
{
	for (int i = 0; i < DB_ROW_COLUMNS; i++) {
		if (!column_is(row, i, *shape))
			return false;
		if (*shape)
			shape++;
	}
	return true;
}

int64_t db_row_int(const struct db_row *row, int column)
{
	return sqlite3_column_int64(row->stmt, column);
}

bool db_row_is_null(const struct db_row *row, int column)
{
	return sqlite3_column_type(row->stmt, column) == SQLITE_NULL;
}

int db_write_row(struct db *to, const char *sql, const struct db_row *row, unsigned n)
{
	const sqlite3_value *values[DB_ROW_COLUMNS];

	for (unsigned i = 0; i < n; i++)
		values[i] = sqlite3_column_value(row->stmt, (int)i);
	return db_write_values(to, sql, values, n);
}
