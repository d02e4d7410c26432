/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SQLCipher as it is, with the daemon's settings (raw key, WAL, synchronous=FULL, exclusive) and
 * one table that holds the row of a message, its place and its id. Ends the program on errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQLITE_HAS_CODEC 1
#include <sqlite3.h>

struct bare_db {
	sqlite3 *handle;
	sqlite3_stmt *begin, *commit, *insert, *chunk, *query;
	int64_t position;
};

/* `key`: the file that a daemon keeps beside its databases; NULL for a key that is always there. */
void bare_db_open(struct bare_db *db, const char *path, const char *key);
void bare_db_close(struct bare_db *db);

/* Makes what the functions below write into. */
void bare_db_prepare(struct bare_db *db);

void bare_db_begin(struct bare_db *db);
void bare_db_commit(struct bare_db *db);
void bare_db_insert(struct bare_db *db, const char *text, size_t size);
void bare_db_chunk(struct bare_db *db, const void *bytes, size_t size);

/* Reads every column of every row of `sql`, which is prepared once. The number of rows. */
int64_t bare_db_query(struct bare_db *db, const char *sql);
