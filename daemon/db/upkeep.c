/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a database needs now and then: a look for damage, its free pages given back, a copy. */
#include "db/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SQLITE_HAS_CODEC 1
#include <sqlite3.h>

#include "db/internal.h"

#define PROBLEMS_MAX 20

/* Free pages that stay for what comes next, and those given back in one go. */
#define FREE_KEPT 256
#define FREE_STEP 256

#define BACKUP_STEP 256 /* pages a turn: a megabyte */

struct db_backup {
	sqlite3 *to;
	sqlite3_backup *backup;
};

static int run_check(
	struct db *db, const char *sql, db_problem_fn fn, const char *name, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(db, &q, sql, "");

	for (int n = 0; r >= 0 && (r = db_step(q)) > 0 && n < PROBLEMS_MAX; n++)
		if (strcmp(db_column_text(q, 0), "ok") != 0)
			fn(userdata, name, db_column_text(q, 0));
	/* Where it is damaged badly even the check fails. */
	if (r < 0 && r != -ENOMEM)
		fn(userdata, name, "it cannot be read through");
	return r == -ENOMEM ? r : 0;
}

int db_check(struct db *db, db_problem_fn fn, const char *name, void *userdata)
{
	int r = 0;

	/*
	 * It looks at the file alone. After a power cut pages of it may be torn whose content is in
	 * the log still, from which they are mended here; else it tells nothing.
	 */
	if (!db_in_transaction(db) && db_checkpoint(db) == 0)
		r = run_check(db, "PRAGMA cipher_integrity_check", fn, name, userdata);
	return r < 0 ? r : run_check(db, "PRAGMA integrity_check(20)", fn, name, userdata);
}

int64_t db_free_bytes(struct db *db)
{
	return db_get_int(db, 0, "PRAGMA freelist_count", "") *
		db_get_int(db, 0, "PRAGMA page_size", "");
}

int db_give_back(struct db *db)
{
	int64_t n = db_get_int(db, 0, "PRAGMA freelist_count", "");
	int r;

	if (n <= FREE_KEPT)
		return 0;
	r = db_write(db, "PRAGMA incremental_vacuum(256)", "");
	return r < 0 ? r : n - FREE_STEP > FREE_KEPT;
}

int db_backup_new(struct db *db, const char *path, const struct db_key *key, struct db_backup **ret)
{
	_cleanup_(db_backup_freep) struct db_backup *b = calloc(1, sizeof(*b));
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (!b || fd < 0)
		return b ? -errno : -ENOMEM;
	rc = sqlite3_open_v2(path, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = db_apply_key(b->to, key);
	if (rc != SQLITE_OK)
		return -EIO;
	b->backup = sqlite3_backup_init(b->to, "main", db_handle(db), "main");
	if (!b->backup)
		return -EIO;
	*ret = TAKE_PTR(b);
	return 0;
}

int db_backup_step(struct db_backup *b)
{
	int rc = sqlite3_backup_step(b->backup, BACKUP_STEP);

	switch (rc & 0xff) {
	case SQLITE_DONE:
		return 0;
	case SQLITE_OK:
	case SQLITE_BUSY:
	case SQLITE_LOCKED: /* the turn has written: in the next one */
		return 1;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
		return sqlite3_system_errno(b->to) == ENOSPC ? -ENOSPC : -EIO;
	default:
		return -EIO;
	}
}

struct db_backup *db_backup_free(struct db_backup *b)
{
	if (!b)
		return NULL;
	if (b->backup)
		sqlite3_backup_finish(b->backup);
	sqlite3_close(b->to);
	free(b);
	return NULL;
}
