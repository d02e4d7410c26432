/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading what can be read of a damaged database: page by page, so that a page that cannot be read
 * costs its own rows and no other page's. Nothing is written to it. A page is read as if it were
 * the root of a table (SQLite's imposter tables), whatever has become of the pages above it; what
 * the database has deleted is not found, since pages that hold nothing are filled with zeros.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "db/db.h"

struct db_rescue;

/* A row as it is stored: its columns in their order, the key's first. */
struct db_row;

/* The columns of a row that are looked at. */
#define DB_ROW_COLUMNS 20

/* How a tree keeps its rows. */
enum db_tree {
	DB_TREE_ROWID, /* a table; column 0 is its INTEGER PRIMARY KEY */
	DB_TREE_KEYED, /* a table WITHOUT ROWID, or an index */
};

/*
 * -EKEYREJECTED: nothing can be read with this key, since the first page is damaged or the key is
 * another one; -EBUSY: in use; -EOPNOTSUPP: the library cannot read single pages; -EIO, -ENOMEM.
 */
int db_rescue_open(const char *path, const struct db_key *key, struct db_rescue **ret);

/* Takes NULL, returns NULL. The log beside the file stays. */
struct db_rescue *db_rescue_close(struct db_rescue *r);
DEFINE_CLEANUP(struct db_rescue *, db_rescue_close)

/* How many pages there are; the first of those that hold rows is 2. */
int64_t db_rescue_pages(const struct db_rescue *r);

/* How many pages do not have the content that was written to them. */
int64_t db_rescue_count_damaged(struct db_rescue *r);

/* Borrowed for the duration of the call. A negative return ends the walk and is returned. */
typedef int (*db_row_fn)(void *userdata, const struct db_row *row);

/*
 * The rows of the page and of those below it; one may come twice. 0: all of them; 1: not all, or
 * the page does not belong to such a tree; -ENOMEM, and what `fn` returned. What stands in a fork
 * of a keyed tree between two damaged pages is not found.
 */
int db_rescue_walk(
	struct db_rescue *r, int64_t page, enum db_tree tree, db_row_fn fn, void *userdata);

/*
 * Whether the row looks like this: a letter a column, i for an integer and t for text, capital
 * where it may be null; further columns must be null.
 */
bool db_row_is(const struct db_row *row, const char *shape);
int64_t db_row_int(const struct db_row *row, int column);
bool db_row_is_null(const struct db_row *row, int column);

/* db_write() with the row's first `n` columns as the parameters. */
int db_write_row(struct db *to, const char *sql, const struct db_row *row, unsigned n);
