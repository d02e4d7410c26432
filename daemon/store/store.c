/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/rows.h"
#include "store/schema.h"

#define CHAT_CACHE_KIB 2048
#define MEDIA_CACHE_KIB 512

int64_t next_changes(struct store *s, int64_t n)
{
	int64_t first = s->last_change + 1;

	s->last_change += n;
	return first;
}

int64_t next_change(struct store *s)
{
	return next_changes(s, 1);
}

int stamp_if_written(struct store *s, int r)
{
	if (r > 0)
		next_change(s);
	return r;
}

int64_t store_last_change(const struct store *s)
{
	return s->last_change;
}

int64_t store_committed_change(const struct store *s)
{
	return s->committed_change;
}

const char *store_library_version(const struct store *s)
{
	return db_version(s->chat);
}

void store_read_library_version(char *ret, size_t size)
{
	_cleanup_(db_closep) struct db *db = NULL;
	int r = db_open(&(struct db_options){ .path = ":memory:" }, &db);

	snprintf(ret, size, "%s", r < 0 ? "" : db_version(db));
}

int64_t store_size(struct store *s)
{
	return db_size(s->chat) + db_size(s->media);
}

int store_write_state(const struct store *s)
{
	return s->write_state;
}

bool store_is_committed(const struct store *s)
{
	return !db_in_transaction(s->chat) && !db_in_transaction(s->media);
}

int store_probe(struct store *s)
{
	int r = db_probe(s->chat);

	return r < 0 ? r : db_probe(s->media);
}

int store_try_write(struct store *s)
{
	int r = db_touch(s->media);

	return r < 0 ? r : db_touch(s->chat);
}

void store_checkpoint(struct store *s)
{
	db_checkpoint(s->media);
	db_checkpoint(s->chat);
}

int store_begin(struct store *s)
{
	int r;

	if (s->begun == STORE_NESTING)
		return -EBUSY;
	r = db_savepoint(s->chat);
	if (r < 0)
		return r;
	s->begun_changes[s->begun++] = s->last_change;
	return 0;
}

void store_end(struct store *s, bool failed)
{
	s->begun--;
	if (failed) {
		db_rollback_to(s->chat);
		s->last_change = s->begun_changes[s->begun];
	} else {
		db_release(s->chat);
	}
}

/*
 * Numbers of a turn that was undone go back: nobody has seen them, and after a restart they would
 * be given again.
 */
static void on_commit(void *userdata, int error)
{
	struct store *s = userdata;

	s->write_state = error;
	if (error < 0) {
		s->last_change = s->committed_change;
		s->search_progress = s->committed_search_progress;
	} else {
		s->committed_change = s->last_change;
		s->committed_search_progress = s->search_progress;
	}
}

/* Negative errno: it must not be taken for 0, from which numbers would be given again. */
static int64_t newest_change(struct db *chat)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(chat, &q,
		"SELECT max(ifnull((SELECT max(added) FROM message), 0),"
		" ifnull((SELECT max(change) FROM message WHERE change > added), 0),"
		" ifnull((SELECT max(change) FROM chat), 0),"
		" ifnull((SELECT max(change) FROM attachment WHERE change > 0), 0),"
		" ifnull((SELECT max(change) FROM tombstone), 0))",
		"");

	r = r < 0 ? r : db_step(q);
	return r < 0 ? r : db_column_int(q, 0);
}

static int open_one(const char *directory, const char *name, const struct db_key *key,
	const struct db_migration *migrations, unsigned n, unsigned cache_kib, struct db **ret)
{
	char path[PATH_MAX] = ":memory:";

	if (directory &&
		snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return db_open(
		&(struct db_options){
			.path = path,
			.key = key,
			.migrations = migrations,
			.n_migrations = n,
			.cache_kib = cache_kib,
		},
		ret);
}

/* The log goes along: what is in it belongs to the file. */
static int put_aside(const char *directory, const char *name, char *ret, size_t size)
{
	static const char *const suffixes[] = { "-wal", "" };
	char from[PATH_MAX], to[PATH_MAX], stamp[32];
	time_t now = time(NULL);
	struct tm utc;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	snprintf(ret, size, "%s.damaged-%s", name, stamp);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (snprintf(from, sizeof(from), "%s/%s%s", directory, name, suffixes[i]) >=
				(int)sizeof(from) ||
			snprintf(to, sizeof(to), "%s/%s%s", directory, ret, suffixes[i]) >=
				(int)sizeof(to))
			return -ENAMETOOLONG;
		if (access(to, F_OK) == 0)
			return -EEXIST;
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int open_media(struct store *s, const char *directory, const struct db_key *key)
{
	return open_one(directory, "media.db", key, media_migrations, n_media_migrations,
		MEDIA_CACHE_KIB, &s->media);
}

/* The key has opened the other database: it is not what is wrong. */
static int open_media_or_begin_anew(
	struct store *s, const char *directory, const struct db_key *key)
{
	int r = open_media(s, directory, key);

	if (!directory || (r != -EUCLEAN && r != -EKEYREJECTED))
		return r;
	r = put_aside(directory, "media.db", s->put_aside, sizeof(s->put_aside));
	return r < 0 ? r : open_media(s, directory, key);
}

const char *store_put_aside(const struct store *s)
{
	return s->put_aside[0] ? s->put_aside : NULL;
}

int store_open(const char *directory, const struct db_key *key, struct barrier *barrier,
	struct store **ret)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if (directory && mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = open_one(directory, "chat.db", key, chat_migrations, n_chat_migrations, CHAT_CACHE_KIB,
		&s->chat);
	if (r < 0)
		return r;
	r = open_media_or_begin_anew(s, directory, key);
	if (r < 0)
		return r;
	s->last_change = s->committed_change = newest_change(s->chat);
	if (s->last_change < 0)
		return (int)s->last_change;
	search_load(s);
	s->barrier = barrier;
	s->key = key;
	barrier_attach(barrier, s->media);
	barrier_attach(barrier, s->chat);
	barrier_add_listener(barrier, BARRIER_BEFORE_EFFECTS, on_commit, s);
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->barrier) {
		barrier_detach_all(s->barrier);
		barrier_remove_listener(s->barrier, s);
	}
	db_close(s->media);
	db_close(s->chat);
	free(s);
	return NULL;
}
