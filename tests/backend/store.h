/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backend's database: one SQLite file in the data directory, and the commit barrier. The first
 * write of a loop turn opens a transaction, the end of the turn commits it, and what the turn has
 * to say to clients waits for that commit: a reply or frame takes store_barrier() when it is queued
 * and leaves once store_committed() is there.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct store;

/* Every statement of the program; the texts stand in store.c in this order. */
enum store_query {
	QUERY_SETTING_GET,
	QUERY_SETTING_SET,
	QUERY_CHAT_LOAD,
	QUERY_CHAT_SAVE,
	QUERY_MEMBER_LOAD,
	QUERY_MEMBER_SAVE,
	QUERY_MESSAGE_INSERT,
	QUERY_MESSAGE_BY_ID,
	QUERY_MESSAGE_BY_SEQ,
	QUERY_MESSAGE_UPWARD,
	QUERY_MESSAGE_DOWNWARD,
	QUERY_UPLOAD_INSERT,
	QUERY_UPLOAD_BY_ID,
	QUERY_UPLOAD_BY_VARIANT,
	QUERY_UPLOAD_OWNER,
	QUERY_UPLOAD_ADVANCE,
	QUERY_UPLOAD_DELETE,
	QUERY_USE_INSERT,
	QUERY_USE_GET,
	QUERY_PUSH_SET,
	QUERY_PUSH_DELETE,
	QUERY_PUSH_DELETE_ALL,
	QUERY_PUSH_DROP,
	QUERY_PUSH_LIST,
	QUERY_COUNT,
};

/* Opens or makes `directory`/backend.db. 0 or negative errno. */
int store_open(const char *directory, struct store **ret);

/* Takes NULL. What is not committed is rolled back. */
struct store *store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close)

/* The statement, reset and without bindings; borrowed. */
sqlite3_stmt *store_query(struct store *store, enum store_query query);

/* Opens this turn's transaction if it is not open. To be called before every write. 0 or -EIO. */
int store_begin(struct store *store);

/* Steps a reading statement: 1 with a row, 0 at the end, -EIO. */
int store_next(struct store *store, sqlite3_stmt *statement);

/*
 * Runs a writing statement inside this turn's transaction: 0, -EEXIST on a broken constraint, -EIO.
 */
int store_run(struct store *store, sqlite3_stmt *statement);

/* Rows changed by the last store_run(). */
int store_changes(struct store *store);

/*
 * Commits what the turn wrote, durably. -EIO when that or any write of the turn failed: memory and
 * disk no longer agree, and the process has to end.
 */
int store_commit(struct store *store);

/* The commit that holds everything written so far. */
uint64_t store_barrier(const struct store *store);

/* True once the commit that store_barrier() named is on disk. */
bool store_committed(const struct store *store, uint64_t barrier);

/*
 * Has `fn` called after the commit that holds what is written so far; at once when nothing is
 * pending. `fn` takes `userdata` over, also when the store is closed before that commit. 0 or
 * -ENOMEM.
 */
int store_after_commit(
	struct store *store, void (*fn)(void *userdata, bool committed), void *userdata);

/* A durable number under a name; `ret` is untouched when there is none: -ENOENT. */
int store_get_setting(struct store *store, const char *name, int64_t *ret);
int store_set_setting(struct store *store, const char *name, int64_t value);

/* Shorthands for binding and reading; a text column that is NULL reads as "". */
void bind_text(sqlite3_stmt *statement, int at, const char *text);
void bind_int(sqlite3_stmt *statement, int at, int64_t value);
const char *column_text(sqlite3_stmt *statement, int at);
