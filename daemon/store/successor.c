/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An empty store that takes the place of another. It is made beside that one and is whole before it
 * is moved, so that after a kill there is the one or the other. The numbers of changes go on in it:
 * whoever follows them is told that every chat is gone, and misses nothing that comes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/rows.h"
#include "store/schema.h"

#define SUCCESSOR "chat.db.new"
#define CACHE_KIB 512

DEFINE_CLEANUP(DIR *, closedir)

static int remove_in(int directory, const char *name)
{
	return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A database with its log. */
static int remove_database(int directory, const char *name)
{
	static const char *const suffixes[] = { "-wal", "-shm", "" };
	char path[NAME_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", name, suffixes[i]);
		r = remove_in(directory, path);
	}
	return r;
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int take_settings(struct store *s, struct db *to)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, "SELECT name, value FROM setting", "");

	while (r >= 0 && (r = db_step(q)) > 0)
		r = db_write(to, "INSERT INTO setting(name, value) VALUES(?1, ?2)", "ss",
			db_column_text(q, 0), db_column_text(q, 1));
	return r;
}

static int take_consumers(struct store *s, struct db *to)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, "SELECT name, seq FROM consumer", "");

	while (r >= 0 && (r = db_step(q)) > 0)
		r = db_write(to, "INSERT INTO consumer(name, seq) VALUES(?1, ?2)", "si",
			db_column_text(q, 0), db_column_int(q, 1));
	return r;
}

static int add_tombstone(
	struct db *to, int64_t change, int64_t kind, const char *id, const char *chat_id)
{
	return db_write(to,
		"INSERT INTO tombstone(change, kind, id, chat_id) VALUES(?1, ?2, ?3, ?4)", "iiss",
		change, kind, id, chat_id);
}

static int take_tombstones(struct store *s, struct db *to)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, "SELECT change, kind, id, chat_id FROM tombstone", "");

	while (r >= 0 && (r = db_step(q)) > 0)
		r = add_tombstone(to, db_column_int(q, 0), db_column_int(q, 1),
			db_column_text(q, 2), db_column_text(q, 3));
	return r;
}

static int bury_chats(struct store *s, struct db *to)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int64_t change = s->last_change;
	int r = db_query(s->chat, &q, "SELECT id FROM chat ORDER BY n", "");

	while (r >= 0 && (r = db_step(q)) > 0)
		r = add_tombstone(to, ++change, CHANGE_CHAT_REMOVED, db_column_text(q, 0),
			db_column_text(q, 0));
	return r;
}

int store_make_successor(struct store *s, const char *directory)
{
	_cleanup_close_ int dir = open_directory(directory);
	_cleanup_(db_closep) struct db *to = NULL;
	char path[PATH_MAX];
	int r = dir < 0 ? dir : remove_database(dir, SUCCESSOR);

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/%s", directory, SUCCESSOR) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = chat_db_open(path, s->key, CACHE_KIB, &to);
	r = r < 0 ? r : take_settings(s, to);
	r = r < 0 ? r : take_consumers(s, to);
	r = r < 0 ? r : take_tombstones(s, to);
	r = r < 0 ? r : bury_chats(s, to);
	r = r < 0 ? r : db_commit(to);
	r = r < 0 ? r : db_checkpoint(to);
	to = db_close(to);
	if (r < 0)
		remove_database(dir, SUCCESSOR);
	return r < 0 ? r : 0;
}

/* What was put aside when it was found damaged holds messages as well. */
static int remove_put_aside(int directory, const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	const struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d)))
		if (strncmp(e->d_name, "chat.db.damaged-", 16) == 0 ||
			strncmp(e->d_name, "media.db.damaged-", 17) == 0)
			r = remove_in(directory, e->d_name);
	return r;
}

int store_install_successor(const char *directory)
{
	_cleanup_close_ int dir = open_directory(directory);
	int r = dir < 0 ? dir : remove_put_aside(dir, directory);

	/* The log is of the file that goes: it must not be there when the other one comes. */
	r = r < 0 ? r : remove_in(dir, "chat.db-wal");
	r = r < 0 ? r : remove_in(dir, "chat.db-shm");
	if (r == 0 && renameat(dir, SUCCESSOR, dir, "chat.db") < 0)
		r = -errno;
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	/*
	 * Bytes without rows: what is left of them after a kill here is dropped at the next start.
	 */
	return r < 0 ? r : remove_database(dir, "media.db");
}
