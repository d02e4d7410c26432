/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the layer's files share. */
#pragma once

#include "db/db.h"

struct sqlite3;
struct sqlite3_value;

#define DB_STATEMENT_SLOTS 256u

struct db {
	struct sqlite3 *handle;
	char *path;
	int turn_error; /* what this turn wrote is not whole */
	db_damage_fn on_damage;
	void *damage_userdata;
	char version[32];
	struct db_stmt *slots[DB_STATEMENT_SLOTS];
};

struct sqlite3 *db_handle(struct db *db);

/* The errno, negative, of a code of SQLite's. */
int db_to_errno(struct db *db, int rc);

/* The same of a write, after which the turn's writes cannot be trusted to be whole. */
int db_note_error(struct db *db, int rc);

/* The turn's transaction is open when it returns 0. */
int db_begin(struct db *db);

/* What has no rows and no parameters and is run over and over: parsed once. */
int db_run(struct db *db, const char *sql);

void db_forget_statements(struct db *db);

/* To a connection that was just opened. A code of SQLite's. */
int db_apply_key(struct sqlite3 *handle, const struct db_key *key);

/*
 * db_write() with values as SQLite has them; those that the statement has no parameter for are
 * left.
 */
int db_write_values(
	struct db *db, const char *sql, const struct sqlite3_value *const *values, unsigned n);
