/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/log.h"

#define SCHEMA_VERSION 1

struct after_commit {
	void (*fn)(void *userdata, bool committed);
	void *userdata;
	STAILQ_ENTRY(after_commit) entry;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[QUERY_COUNT];
	sqlite3_stmt *begin, *commit;
	bool in_transaction, failed;
	uint64_t turn; /* the number of the commit to come */
	STAILQ_HEAD(, after_commit) after_commit;
};

static const char schema[] =
	"CREATE TABLE setting(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE chat(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at INTEGER "
	"NOT NULL,"
	" last_seq INTEGER NOT NULL, last_message TEXT NOT NULL, last_user TEXT NOT NULL) STRICT;"
	"CREATE TABLE member(chat INTEGER NOT NULL REFERENCES chat, user TEXT NOT NULL, hidden "
	"INTEGER NOT NULL,"
	" read_seq INTEGER NOT NULL, received_seq INTEGER NOT NULL, change INTEGER NOT NULL,"
	" activity INTEGER NOT NULL, PRIMARY KEY(chat, user)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE message(chat INTEGER NOT NULL REFERENCES chat, seq INTEGER NOT NULL, id TEXT "
	"NOT NULL,"
	" user TEXT NOT NULL, text TEXT NOT NULL, created_at INTEGER NOT NULL, attachments TEXT "
	"NOT NULL,"
	" PRIMARY KEY(chat, seq)) STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX message_id ON message(id);"
	"CREATE TABLE upload(id TEXT PRIMARY KEY, attachment TEXT NOT NULL, variant TEXT NOT NULL,"
	" owner TEXT NOT NULL, mime TEXT NOT NULL, name TEXT, width INTEGER NOT NULL, height "
	"INTEGER NOT NULL,"
	" length INTEGER NOT NULL, received INTEGER NOT NULL, sha256 TEXT, metadata TEXT NOT NULL,"
	" UNIQUE(attachment, variant)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE attachment_use(attachment TEXT PRIMARY KEY, chat INTEGER NOT NULL REFERENCES "
	"chat,"
	" message TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE push(user TEXT NOT NULL, device TEXT NOT NULL, endpoint TEXT NOT NULL, "
	"p256dh TEXT NOT NULL,"
	" auth TEXT NOT NULL, PRIMARY KEY(user, device)) STRICT, WITHOUT ROWID;";

#define MESSAGE_COLUMNS \
	"SELECT message.id, message.user, text, message.created_at, attachments, seq, chat "
#define UPLOAD_COLUMNS                                                                         \
	"SELECT id, attachment, variant, owner, mime, name, width, height, length, received, " \
	"sha256,"                                                                              \
	" metadata FROM upload "

static const char *const texts[QUERY_COUNT] = {
	[QUERY_SETTING_GET] = "SELECT value FROM setting WHERE name = ?1",
	[QUERY_SETTING_SET] = "INSERT OR REPLACE INTO setting(name, value) VALUES(?1, ?2)",
	[QUERY_CHAT_LOAD] =
		"SELECT number, id, created_at, last_seq, last_message, last_user FROM chat",
	[QUERY_CHAT_SAVE] =
		"INSERT INTO chat(number, id, created_at, last_seq, last_message, last_user)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(number) DO UPDATE SET"
		" last_seq = ?4, last_message = ?5, last_user = ?6",
	[QUERY_MEMBER_LOAD] =
		"SELECT chat, user, hidden, read_seq, received_seq, change, activity FROM member",
	[QUERY_MEMBER_SAVE] =
		"INSERT OR REPLACE INTO member(chat, user, hidden, read_seq, received_seq, change,"
		" activity) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[QUERY_MESSAGE_INSERT] =
		"INSERT INTO message(chat, seq, id, user, text, created_at, attachments)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(id) DO NOTHING",
	[QUERY_MESSAGE_BY_ID] = MESSAGE_COLUMNS "FROM message WHERE id = ?1",
	[QUERY_MESSAGE_BY_SEQ] = MESSAGE_COLUMNS "FROM message WHERE chat = ?1 AND seq = ?2",
	[QUERY_MESSAGE_UPWARD] = MESSAGE_COLUMNS
	"FROM message WHERE chat = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq ASC LIMIT ?4",
	[QUERY_MESSAGE_DOWNWARD] = MESSAGE_COLUMNS
	"FROM message WHERE chat = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
	[QUERY_UPLOAD_INSERT] =
		"INSERT INTO upload(id, attachment, variant, owner, mime, name, width, height,"
		" length, received, sha256, metadata)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11)",
	[QUERY_UPLOAD_BY_ID] = UPLOAD_COLUMNS "WHERE id = ?1",
	[QUERY_UPLOAD_BY_VARIANT] = UPLOAD_COLUMNS "WHERE attachment = ?1 AND variant = ?2",
	[QUERY_UPLOAD_OWNER] = "SELECT owner FROM upload WHERE attachment = ?1 LIMIT 1",
	[QUERY_UPLOAD_ADVANCE] = "UPDATE upload SET received = ?2, sha256 = ?3 WHERE id = ?1",
	[QUERY_UPLOAD_DELETE] = "DELETE FROM upload WHERE id = ?1",
	[QUERY_USE_INSERT] =
		"INSERT INTO attachment_use(attachment, chat, message) VALUES(?1, ?2, ?3)",
	[QUERY_USE_GET] = "SELECT chat, message FROM attachment_use WHERE attachment = ?1",
	[QUERY_PUSH_SET] = "INSERT OR REPLACE INTO push(user, device, endpoint, p256dh, auth)"
			   " VALUES(?1, ?2, ?3, ?4, ?5)",
	[QUERY_PUSH_DELETE] = "DELETE FROM push WHERE user = ?1 AND device = ?2",
	[QUERY_PUSH_DELETE_ALL] = "DELETE FROM push WHERE user = ?1",
	[QUERY_PUSH_DROP] =
		"DELETE FROM push WHERE user = ?1 AND device = ?2 AND endpoint = ?3",
	[QUERY_PUSH_LIST] = "SELECT device, endpoint, p256dh, auth FROM push WHERE user = ?1",
};

static int fail(struct store *s, const char *what)
{
	log_error("database: %s: %s", what, sqlite3_errmsg(s->db));
	return -EIO;
}

static int execute(struct store *s, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(s, "cannot set up");
	return 0;
}

static int user_version(struct store *s, int *ret)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL);

	if (r == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		*ret = sqlite3_column_int(q, 0);
	else
		r = SQLITE_ERROR;
	sqlite3_finalize(q);
	return r == SQLITE_OK ? 0 : fail(s, "cannot read");
}

static int create_schema(struct store *s)
{
	char version[48];
	int found = 0;
	int r = user_version(s, &found);

	if (r < 0)
		return r;
	if (found == SCHEMA_VERSION)
		return 0;
	if (found != 0) {
		log_error("database: version %d is not this program's", found);
		return -EIO;
	}
	snprintf(version, sizeof(version), "PRAGMA user_version = %d; COMMIT", SCHEMA_VERSION);
	r = execute(s, "BEGIN");
	if (r == 0)
		r = execute(s, schema);
	return r == 0 ? execute(s, version) : r;
}

static int prepare(struct store *s, const char *sql, sqlite3_stmt **ret)
{
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
		return fail(s, "cannot prepare");
	return 0;
}

static int prepare_all(struct store *s)
{
	int r = prepare(s, "BEGIN IMMEDIATE", &s->begin);

	if (r == 0)
		r = prepare(s, "COMMIT", &s->commit);
	for (int i = 0; r == 0 && i < QUERY_COUNT; i++)
		r = prepare(s, texts[i], &s->statements[i]);
	return r;
}

int store_open(const char *directory, struct store **ret)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	char path[4096];
	int r;

	if (!s)
		return -ENOMEM;
	s->turn = 1;
	STAILQ_INIT(&s->after_commit);
	if (snprintf(path, sizeof(path), "%s/backend.db", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		SQLITE_OK)
		return fail(s, "cannot open");
	r = execute(s,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = "
		"FULL;"
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint "
		"= 8000;");
	if (r == 0)
		r = create_schema(s);
	if (r == 0)
		r = prepare_all(s);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

int store_after_commit(struct store *s, void (*fn)(void *userdata, bool committed), void *userdata)
{
	struct after_commit *a;

	if (!s->in_transaction) {
		fn(userdata, true);
		return 0;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->fn = fn;
	a->userdata = userdata;
	STAILQ_INSERT_TAIL(&s->after_commit, a, entry);
	return 0;
}

static void run_after_commit(struct store *s, bool committed)
{
	struct after_commit *a;

	while ((a = STAILQ_FIRST(&s->after_commit))) {
		STAILQ_REMOVE_HEAD(&s->after_commit, entry);
		a->fn(a->userdata, committed);
		free(a);
	}
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	run_after_commit(s, false);
	for (int i = 0; i < QUERY_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_finalize(s->begin);
	sqlite3_finalize(s->commit);
	sqlite3_close(s->db);
	free(s);
	return NULL;
}

sqlite3_stmt *store_query(struct store *s, enum store_query query)
{
	sqlite3_stmt *q = s->statements[query];

	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return q;
}

int store_begin(struct store *s)
{
	if (s->in_transaction)
		return 0;
	if (sqlite3_step(s->begin) != SQLITE_DONE)
		return fail(s, "cannot begin");
	sqlite3_reset(s->begin);
	s->in_transaction = true;
	return 0;
}

int store_next(struct store *s, sqlite3_stmt *q)
{
	int r = sqlite3_step(q);

	if (r == SQLITE_ROW)
		return 1;
	sqlite3_reset(q);
	return r == SQLITE_DONE ? 0 : fail(s, "cannot read");
}

int store_run(struct store *s, sqlite3_stmt *q)
{
	int r = store_begin(s);

	if (r < 0)
		return r;
	r = sqlite3_step(q);
	sqlite3_reset(q);
	if (r == SQLITE_DONE)
		return 0;
	if ((r & 0xff) == SQLITE_CONSTRAINT)
		return -EEXIST;
	s->failed = true;
	return fail(s, "cannot write");
}

int store_changes(struct store *s)
{
	return sqlite3_changes(s->db);
}

/* A reader left in the middle of its rows would keep the commit from checkpointing. */
static void reset_readers(struct store *s)
{
	for (int i = 0; i < QUERY_COUNT; i++)
		if (sqlite3_stmt_busy(s->statements[i]))
			sqlite3_reset(s->statements[i]);
}

int store_commit(struct store *s)
{
	reset_readers(s);
	if (s->failed)
		return -EIO;
	if (!s->in_transaction)
		return 0;
	if (sqlite3_step(s->commit) != SQLITE_DONE)
		return fail(s, "cannot commit");
	sqlite3_reset(s->commit);
	s->in_transaction = false;
	s->turn++;
	run_after_commit(s, true);
	return 0;
}

uint64_t store_barrier(const struct store *s)
{
	return s->in_transaction ? s->turn : s->turn - 1;
}

bool store_committed(const struct store *s, uint64_t barrier)
{
	return barrier < s->turn;
}

int store_get_setting(struct store *s, const char *name, int64_t *ret)
{
	sqlite3_stmt *q = store_query(s, QUERY_SETTING_GET);
	int r;

	bind_text(q, 1, name);
	r = store_next(s, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = sqlite3_column_int64(q, 0);
	return 0;
}

int store_set_setting(struct store *s, const char *name, int64_t value)
{
	sqlite3_stmt *q = store_query(s, QUERY_SETTING_SET);

	bind_text(q, 1, name);
	bind_int(q, 2, value);
	return store_run(s, q);
}

void bind_text(sqlite3_stmt *q, int at, const char *text)
{
	sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
}

void bind_int(sqlite3_stmt *q, int at, int64_t value)
{
	sqlite3_bind_int64(q, at, value);
}

const char *column_text(sqlite3_stmt *q, int at)
{
	const char *text = (const char *)sqlite3_column_text(q, at);

	return text ? text : "";
}
