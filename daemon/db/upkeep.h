/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a database needs now and then: a look for damage, its free pages given back, a copy. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "db/db.h"

/* Told of each piece of damage; the detail (borrowed) speaks of pages and tables. */
typedef void (*db_problem_fn)(void *userdata, const char *name, const char *detail);

/*
 * Reads all of it, which takes its time: every page's authenticity, then the structure. 0 whatever
 * was found; -ENOMEM.
 */
int db_check(struct db *db, db_problem_fn fn, const char *name, void *userdata);

/* Bytes of the file that hold nothing. */
int64_t db_free_bytes(struct db *db);

/*
 * Gives some of them back, in the turn's transaction; a few stay. 1: there are more; 0: there are
 * not.
 */
int db_give_back(struct db *db);

struct db_backup;

/*
 * Begins a copy of the database as it is at the end, encrypted by `key`, which is its own, into a
 * file that is not there yet. -EEXIST, -EACCES, -EROFS and others of open(2); -EIO.
 */
int db_backup_new(
	struct db *db, const char *path, const struct db_key *key, struct db_backup **ret);

/* A further piece, not in the midst of a turn's writes. 1: there is more; 0: it is whole. */
int db_backup_step(struct db_backup *b);

/* Takes NULL, returns NULL. */
struct db_backup *db_backup_free(struct db_backup *b);
DEFINE_CLEANUP(struct db_backup *, db_backup_free)
