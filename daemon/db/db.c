/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SQLITE_HAS_CODEC 1
#include <sqlite3.h>

#include "base/log.h"
#include "db/internal.h"

#define AUTO_VACUUM_INCREMENTAL 2
#define CHECKPOINT_PAGES 4000 /* a safety net under the idle checkpoint: 16 MiB of log */

static int note_damage(struct db *db, int error)
{
	if (db->on_damage)
		db->on_damage(db->damage_userdata);
	return error;
}

int db_to_errno(struct db *db, int rc)
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
		return note_damage(db, -EKEYREJECTED);
	case SQLITE_CORRUPT:
		return note_damage(db, -EUCLEAN);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

/* A constraint only fails its own statement. */
int db_note_error(struct db *db, int rc)
{
	int r = db_to_errno(db, rc);

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

	return rc == SQLITE_OK ? 0 : db_to_errno(db, rc);
}

int db_begin(struct db *db)
{
	if (db->turn_error)
		return db->turn_error;
	return sqlite3_get_autocommit(db->handle) ? db_run(db, "BEGIN IMMEDIATE") : 0;
}

int db_savepoint(struct db *db)
{
	int r = db_begin(db);

	return r < 0 ? r : db_run(db, "SAVEPOINT part");
}

void db_release(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		db_run(db, "RELEASE part");
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
		r = db_run(db, "COMMIT");
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

	return rc == SQLITE_OK ? 0 : db_to_errno(db, rc);
}

/* The first bytes, past the pages that are cached: a disk that is gone is noticed by this. */
static int read_file_start(struct db *db)
{
	sqlite3_file *file = NULL;
	char start[16];
	int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (rc == SQLITE_OK && file && file->pMethods)
		rc = file->pMethods->xRead(file, start, sizeof(start), 0);
	return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ ? 0 : db_to_errno(db, rc);
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
	int r = db_begin(db), rc;

	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", (int)version);
	rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_note_error(db, rc);
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

int db_apply_key(struct sqlite3 *handle, const struct db_key *key)
{
	char literal[DB_KEY_LITERAL_SIZE];
	int rc;

	db_key_literal(key, literal);
	rc = sqlite3_key(handle, literal, (int)strlen(literal));
	sodium_memzero(literal, sizeof(literal));
	return rc;
}

static int apply_key(struct db *db, const struct db_key *key)
{
	int rc = db_apply_key(db->handle, key);

	return rc == SQLITE_OK ? 0 : db_to_errno(db, rc);
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
 * The first read says whether the key fits. What is deleted is filled with zeros, so that a rescue
 * does not find it (rescue.h).
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
	r = r < 0 ? r
		  : execute(db,
			    o->zeroes_pages ? "PRAGMA secure_delete = ON"
					    : "PRAGMA secure_delete = FAST");
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
		return db_to_errno(db, rc);
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

void db_set_damage_fn(struct db *db, db_damage_fn fn, void *userdata)
{
	db->on_damage = fn;
	db->damage_userdata = userdata;
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
	db_forget_statements(db);
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
	return NULL;
}
