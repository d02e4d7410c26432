/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy of both databases, made while they are used, one after the other. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "db/upkeep.h"
#include "store/rows.h"

struct store_backup {
	struct store *store;
	char *path;
	struct db_backup *copy; /* of the database that is being copied */
	unsigned next;
};

static const char *const names[] = { "chat.db", "media.db" };

static int file_path(const struct store_backup *b, const char *name, char ret[PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/%s", b->path, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Rows whose bytes are not in the copy are fetched again, and bytes without rows swept. */
static int begin_next(struct store_backup *b)
{
	struct db *const databases[] = { b->store->chat, b->store->media };
	char path[PATH_MAX];
	int r = file_path(b, names[b->next], path);

	b->copy = db_backup_free(b->copy);
	if (r < 0)
		return r;
	return db_backup_new(databases[b->next++], path, b->store->key, &b->copy);
}

int store_backup_new(struct store *s, const char *path, struct store_backup **ret)
{
	struct store_backup *b;
	int r;

	if (!s->key)
		return -EOPNOTSUPP;
	b = calloc(1, sizeof(*b));
	if (!b || !(b->path = strdup(path))) {
		free(b);
		return -ENOMEM;
	}
	b->store = s;
	r = mkdir(path, 0700) < 0 ? -errno : 0;
	if (r < 0) {
		free(b->path);
		free(b);
		return r;
	}
	r = begin_next(b);
	if (r < 0)
		store_backup_free(b, true);
	else
		*ret = b;
	return r;
}

int store_backup_step(struct store_backup *b)
{
	int r = db_backup_step(b->copy);

	if (r != 0)
		return r;
	if (b->next == ARRAY_SIZE(names)) {
		b->copy = db_backup_free(b->copy);
		return 0;
	}
	r = begin_next(b);
	return r < 0 ? r : 1;
}

int64_t store_backup_size(const struct store_backup *b)
{
	char path[PATH_MAX];
	int64_t size = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (file_path(b, names[i], path) == 0 && stat(path, &st) == 0)
			size += st.st_size;
	return size;
}

void store_backup_discard(const char *directory)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (snprintf(path, sizeof(path), "%s/%s", directory, names[i]) < (int)sizeof(path))
			unlink(path);
	rmdir(directory);
}

struct store_backup *store_backup_free(struct store_backup *b, bool discard)
{
	if (!b)
		return NULL;
	db_backup_free(b->copy);
	if (discard)
		store_backup_discard(b->path);
	free(b->path);
	free(b);
	return NULL;
}
