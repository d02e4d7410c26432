/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One encrypted SQLite database (SQLCipher 4): opening, the key, prepared statements, transactions.
 * Knows no noun of the product. Statements are prepared once for each text (string literals,
 * compared by address) and kept.
 *
 * Errors: -ENOSPC (disk full), -EIO (I/O error), -EEXIST (a constraint), -ENOMEM, -EKEYREJECTED
 * (not the key of this file; once it is open, damage too), -EUCLEAN (damaged), -EPROTONOSUPPORT (of
 * a newer version), -EBUSY (in use elsewhere).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "db/key.h"

struct db;
struct db_stmt;

/* One step from a schema version to the next; runs in a transaction with the version's change. */
struct db_migration {
	const char *sql;
};

struct db_options {
	const char *path; /* ":memory:" for one that is never written */
	const struct db_key *key;
	const struct db_migration *migrations; /* the n-th leads from version n to n + 1 */
	unsigned n_migrations;
	unsigned cache_kib;
	bool zeroes_pages; /* that hold nothing any more: db/rescue.h finds no deleted rows then */
};

/* Opens or creates, sets WAL and synchronous=FULL, migrates. Nothing is changed on failure. */
int db_open(const struct db_options *o, struct db **ret);

/* Called whenever a statement comes upon damage, from within it: it may not be used there. */
typedef void (*db_damage_fn)(void *userdata);
void db_set_damage_fn(struct db *db, db_damage_fn fn, void *userdata);

/* Rolls back what is not committed, checkpoints, closes. Takes NULL, returns NULL. */
struct db *db_close(struct db *db);
DEFINE_CLEANUP(struct db *, db_close)

/*
 * A statement ready to step, its parameters bound from the arguments that `format` describes, one
 * letter each: s const char * (NULL: null), i int64_t, b const void * and size_t. Release with
 * db_stmt_reset. A statement may be in use once at a time: asking for it again while it is walked
 * gives a second one of the same text.
 */
int db_query(struct db *db, struct db_stmt **ret, const char *sql, const char *format, ...);

/* 1: a row is there; 0: the end; negative errno. */
int db_step(struct db_stmt *s);

/* Columns of the present row; pointers are valid until the next step or reset. */
int64_t db_column_int(struct db_stmt *s, int column);
const char *db_column_text(struct db_stmt *s, int column); /* NULL for null */
const void *db_column_blob(struct db_stmt *s, int column, size_t *ret_size);

/* Takes NULL, returns NULL. */
struct db_stmt *db_stmt_reset(struct db_stmt *s);
DEFINE_CLEANUP(struct db_stmt *, db_stmt_reset)

/*
 * Runs a statement that writes, in the turn's transaction, which it opens if need be. Returns the
 * number of rows changed or negative errno. After -ENOSPC or -EIO the turn cannot commit any more.
 */
int db_write(struct db *db, const char *sql, const char *format, ...);

/*
 * Runs a query of one integer; `fallback` when there is no row. For reads that cannot fail
 * usefully.
 */
int64_t db_get_int(struct db *db, int64_t fallback, const char *sql, const char *format, ...);

/*
 * Several writes as one: db_savepoint, then either db_release or db_rollback_to (which undoes the
 * writes since). Savepoints nest. They belong to the turn's transaction.
 */
int db_savepoint(struct db *db);
void db_release(struct db *db);
void db_rollback_to(struct db *db);

/* For the barrier: what the turn wrote is committed or undone. 0 when there was nothing. */
bool db_in_transaction(const struct db *db);
int db_commit(struct db *db);
void db_rollback(struct db *db);

/* 0, or the negative errno that stands in the way of this turn's commit. */
int db_turn_error(const struct db *db);

/*
 * A cheap look at whether the file can be read, in a few microseconds and without a change.
 * -ESTALE: it is not at its path any more.
 */
int db_probe(struct db *db);

/* Writes a page as it is, in the turn's transaction. */
int db_touch(struct db *db);

/* The version of SQLCipher; lives as long as `db`. */
const char *db_version(const struct db *db);

/* Bytes of the file and its log. */
int64_t db_size(struct db *db);

/*
 * Copies the log into the file as far as nothing waits for it; at once and without blocking
 * readers.
 */
int db_checkpoint(struct db *db);
