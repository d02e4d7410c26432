/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bare-db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "tool.h"

#define NOW_MS INT64_C(1790000000000)
#define A_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS message("
	"	chat INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,"
	"	user INTEGER NOT NULL, outgoing INTEGER NOT NULL, text TEXT NOT NULL,"
	"	status INTEGER NOT NULL, error_title TEXT, error_detail TEXT,"
	"	created_at INTEGER NOT NULL, attachments INTEGER NOT NULL DEFAULT 0,"
	"	added INTEGER NOT NULL, change INTEGER NOT NULL, doc INTEGER,"
	"	PRIMARY KEY(chat, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS chunk(n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;";

static void check(struct bare_db *db, int rc)
{
	errno = 0;
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		die("database: %s", sqlite3_errmsg(db->handle));
}

static void execute(struct bare_db *db, const char *sql)
{
	check(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(struct bare_db *db, const char *sql)
{
	sqlite3_stmt *s = NULL;

	check(db, sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
	return s;
}

static void run(struct bare_db *db, sqlite3_stmt *s)
{
	check(db, sqlite3_step(s));
	sqlite3_reset(s);
}

void bare_db_open(struct bare_db *db, const char *path, const char *key)
{
	char literal[80];
	char *contents = NULL;
	size_t size = 0;

	*db = (struct bare_db){ 0 };
	if (key)
		contents = file_contents(key, &size);
	errno = 0;
	if (key && size < 64)
		die("%s holds no key", key);
	snprintf(literal, sizeof(literal), "x'%.64s'", key ? contents : A_KEY);
	free(contents);
	check(db,
		sqlite3_open_v2(path, &db->handle,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
	check(db, sqlite3_key(db->handle, literal, (int)strlen(literal)));
	execute(db,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -2048; SELECT count(*) FROM sqlite_master;"
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
}

void bare_db_prepare(struct bare_db *db)
{
	execute(db, schema);
	db->begin = prepare(db, "BEGIN IMMEDIATE");
	db->commit = prepare(db, "COMMIT");
	db->insert = prepare(db,
		"INSERT INTO message(chat, position, id, user, outgoing, text, status, created_at,"
		" added, change) VALUES(1, ?1, ?2, 1, 1, ?3, 0, ?4, ?1, ?1)");
	db->chunk = prepare(db, "INSERT INTO chunk(bytes) VALUES(?1)");
}

void bare_db_begin(struct bare_db *db)
{
	run(db, db->begin);
}

void bare_db_commit(struct bare_db *db)
{
	run(db, db->commit);
}

void bare_db_insert(struct bare_db *db, const char *text, size_t size)
{
	char id[UUID_STRING_SIZE];

	uuid7_generate(id);
	sqlite3_bind_int64(db->insert, 1, ++db->position);
	sqlite3_bind_text(db->insert, 2, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(db->insert, 3, text, (int)size, SQLITE_STATIC);
	sqlite3_bind_int64(db->insert, 4, NOW_MS);
	run(db, db->insert);
}

void bare_db_chunk(struct bare_db *db, const void *bytes, size_t size)
{
	sqlite3_bind_blob(db->chunk, 1, bytes, (int)size, SQLITE_STATIC);
	run(db, db->chunk);
}

int64_t bare_db_query(struct bare_db *db, const char *sql)
{
	int64_t rows = 0;

	if (!db->query)
		db->query = prepare(db, sql);
	while (sqlite3_step(db->query) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(db->query); i++)
			sqlite3_column_text(db->query, i);
		rows++;
	}
	check(db, sqlite3_reset(db->query));
	return rows;
}

void bare_db_close(struct bare_db *db)
{
	sqlite3_finalize(db->begin);
	sqlite3_finalize(db->commit);
	sqlite3_finalize(db->insert);
	sqlite3_finalize(db->chunk);
	sqlite3_finalize(db->query);
	check(db, sqlite3_close(db->handle));
}
