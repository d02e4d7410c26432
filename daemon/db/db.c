/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SQLITE_HAS_CODEC 1
#include <sqlite3.h>

#include "base/log.h"
#include "db/internal.h"

#define CACHE_SLOTS 256u
#define AUTO_VACUUM_INCREMENTAL 2
#define CHECKPOINT_PAGES 4000 /* a safety net under the idle checkpoint: 16 MiB of log */

struct db_stmt {
	struct db *db;
	const char *sql;
	sqlite3_stmt *handle;
	struct db_stmt *next; /* in its slot */
	bool in_use;
};

struct db {
	sqlite3 *handle;
	char *path;
	int turn_error;
	char version[32];
	struct db_stmt *slots[CACHE_SLOTS];
};

static int to_errno(struct db *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return db->handle && sqlite3_system_errno(db->handle) == ENOSPC ? -ENOSPC : -EIO;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_NOTADB:
		return -EKEYREJECTED;
	case SQLITE_CORRUPT:
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

/*
 * After these the turn's writes cannot be trusted to be whole; a constraint only fails its own
 * statement.
 */
static int note_error(struct db *db, int rc)
{
	int r = to_errno(db, rc);

	if (r != -EEXIST) {
		log_debug("database: %s", sqlite3_errmsg(db->handle));
		if (!db->turn_error)
			db->turn_error = r;
	}
	return r;
}

static int execute(struct db *db, const char *sql)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : to_errno(db, rc);
}

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
			return to_errno(db, rc);
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
	return rc == SQLITE_OK ? 0 : to_errno(s->db, rc);
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
	return to_errno(s->db, rc);
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

/* What has no rows and no parameters and is run over and over: parsed once. */
static int run(struct db *db, const char *sql)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	int r = acquire(db, sql, &s), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(s->handle);
	return rc == SQLITE_DONE ? 0 : note_error(db, rc);
}

static int begin(struct db *db)
{
	if (db->turn_error)
		return db->turn_error;
	return sqlite3_get_autocommit(db->handle) ? run(db, "BEGIN IMMEDIATE") : 0;
}

int db_write(struct db *db, const char *sql, const char *format, ...)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *s = NULL;
	va_list ap;
	int r = begin(db), rc;

	if (r < 0)
		return r;
	va_start(ap, format);
	r = query_va(db, &s, SQLITE_STATIC, sql, format, ap);
	va_end(ap);
	if (r < 0)
		return r;
	do
		rc = sqlite3_step(s->handle);
	while (rc == SQLITE_ROW);
	return rc == SQLITE_DONE ? sqlite3_changes(db->handle) : note_error(db, rc);
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

int db_savepoint(struct db *db)
{
	int r = begin(db);

	return r < 0 ? r : run(db, "SAVEPOINT part");
}

void db_release(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		run(db, "RELEASE part");
}

void db_rollback_to(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		execute(db, "ROLLBACK TO part; RELEASE part");
}

bool db_in_transaction(const struct db *db)
{
	return db->turn_error || !sqlite3_get_autocommit(db->handle);
}

int db_turn_error(const struct db *db)
{
	return db->turn_error;
}

void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		execute(db, "ROLLBACK");
	db->turn_error = 0;
}

int db_commit(struct db *db)
{
	int r = db->turn_error;

	if (r == 0 && !sqlite3_get_autocommit(db->handle))
		r = run(db, "COMMIT");
	if (r < 0)
		db_rollback(db);
	return r;
}

int64_t db_size(struct db *db)
{
	static const char *const suffixes[] = { "", "-wal" };
	char path[PATH_MAX];
	int64_t size = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", db->path, suffixes[i]);
		if (stat(path, &st) == 0)
			size += st.st_size;
	}
	return size;
}

int db_checkpoint(struct db *db)
{
	int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	return rc == SQLITE_OK ? 0 : to_errno(db, rc);
}

/* The first bytes, past the pages that are cached: a disk that is gone is noticed by this. */
static int read_file_start(struct db *db)
{
	sqlite3_file *file = NULL;
	char start[16];
	int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (rc == SQLITE_OK && file && file->pMethods)
		rc = file->pMethods->xRead(file, start, sizeof(start), 0);
	return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ ? 0 : to_errno(db, rc);
}

int db_probe(struct db *db)
{
	int moved = 0;

	/* What is in memory knows no such question. */
	if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
		moved)
		return -ESTALE;
	return read_file_start(db);
}

int db_touch(struct db *db)
{
	int64_t version = db_get_int(db, 0, "PRAGMA user_version", "");
	char sql[48];
	int r = begin(db), rc;

	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", (int)version);
	rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : note_error(db, rc);
}

static void note_version(struct db *db)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;

	if (db_query(db, &q, "PRAGMA cipher_version", "") == 0 && db_step(q) > 0)
		snprintf(db->version, sizeof(db->version), "%s", db_column_text(q, 0));
}

const char *db_version(const struct db *db)
{
	return db->version;
}

static int migrate(struct db *db, const struct db_options *o)
{
	int64_t version = db_get_int(db, -1, "PRAGMA user_version", "");
	char bump[48];
	int r;

	if (version < 0)
		return -EIO;
	if (version > o->n_migrations)
		return -EPROTONOSUPPORT;
	for (; version < o->n_migrations; version++) {
		snprintf(bump, sizeof(bump), "PRAGMA user_version = %d", (int)version + 1);
		r = execute(db, "BEGIN IMMEDIATE");
		r = r < 0 ? r : execute(db, o->migrations[version].sql);
		r = r < 0 ? r : execute(db, bump);
		r = r < 0 ? r : execute(db, "COMMIT");
		if (r < 0) {
			log_error("database: cannot migrate to version %d: %s", (int)version + 1,
				sqlite3_errmsg(db->handle));
			db_rollback(db);
			return r;
		}
	}
	return 0;
}

static int apply_key(struct db *db, const struct db_key *key)
{
	char literal[DB_KEY_LITERAL_SIZE];
	int rc;

	db_key_literal(key, literal);
	rc = sqlite3_key(db->handle, literal, (int)strlen(literal));
	sodium_memzero(literal, sizeof(literal));
	return rc == SQLITE_OK ? 0 : to_errno(db, rc);
}

/*
 * SQLite creates files with the umask's mode; made beforehand they, and the log beside them, are
 * private.
 */
static int make_private(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : 0;
}

/*
 * Exclusive locking keeps a second daemon off the same files and spares the shared-memory index.
 * The first read says whether the key fits.
 */
static int set_up(struct db *db, const struct db_options *o)
{
	char cache[64];
	int r;

	snprintf(cache, sizeof(cache), "PRAGMA cache_size = -%u",
		o->cache_kib ? o->cache_kib : 2048);
	r = execute(db,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
		"PRAGMA foreign_keys = ON");
	/* Setting it writes to the file, also what is there already. */
	if (r == 0 && db_get_int(db, 0, "PRAGMA auto_vacuum", "") != AUTO_VACUUM_INCREMENTAL)
		r = execute(db, "PRAGMA auto_vacuum = INCREMENTAL");
	r = r < 0 ? r : execute(db, cache);
	r = r < 0 ? r : execute(db, "SELECT count(*) FROM sqlite_master");
	r = r < 0 ? r : execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
	if (r == 0)
		sqlite3_wal_autocheckpoint(db->handle, CHECKPOINT_PAGES);
	return r;
}

int db_open(const struct db_options *o, struct db **ret)
{
	_cleanup_(db_closep) struct db *db = calloc(1, sizeof(*db));
	bool in_memory = strcmp(o->path, ":memory:") == 0;
	int rc, r = 0;

	if (!db || !(db->path = strdup(o->path)))
		return -ENOMEM;
	/* Nobody asks how much memory it has, which takes a lock at every piece. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* no effect but before the first database */
	if (!in_memory)
		r = make_private(o->path);
	if (r < 0)
		return r;
	rc = sqlite3_open_v2(o->path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
			(in_memory ? SQLITE_OPEN_CREATE : 0),
		NULL);
	if (rc != SQLITE_OK)
		return to_errno(db, rc);
	execute(db, "PRAGMA cipher_log_level = NONE"); /* it would write to stderr by itself */
	if (!in_memory)
		r = apply_key(db, o->key);
	r = r < 0 ? r : set_up(db, o);
	r = r < 0 ? r : migrate(db, o);
	if (r < 0)
		return r;
	note_version(db);
	*ret = TAKE_PTR(db);
	return 0;
}

struct sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

struct db *db_close(struct db *db)
{
	if (!db)
		return NULL;
	if (db->handle)
		db_rollback(db);
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		while (db->slots[i]) {
			struct db_stmt *s = db->slots[i];

			db->slots[i] = s->next;
			sqlite3_finalize(s->handle);
			free(s);
		}
	}
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
	return NULL;
}
