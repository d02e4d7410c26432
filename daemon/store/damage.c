/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/salvage.h"
#include "store/schema.h"

#define BUILDING "chat.db.building"
#define BUILD_CACHE_KIB 16384

static int path_of(const char *directory, const char *name, const char *suffix, char ret[PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/%s%s", directory, name, suffix) < PATH_MAX
		? 0
		: -ENAMETOOLONG;
}

static bool exists(const char *directory, const char *name, const char *suffix)
{
	char path[PATH_MAX];

	return path_of(directory, name, suffix, path) == 0 && access(path, F_OK) == 0;
}

static int sync_directory(const char *directory)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int damage_mark(const char *directory, const char *name)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = path_of(directory, name, ".suspect", path);

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : sync_directory(directory);
}

bool damage_is_marked(const char *directory, const char *name)
{
	return exists(directory, name, ".suspect");
}

void damage_unmark(const char *directory, const char *name)
{
	char path[PATH_MAX];

	if (path_of(directory, name, ".suspect", path) == 0)
		unlink(path);
}

static void name_aside(const char *name, time_t at, char ret[DAMAGE_NAME_SIZE])
{
	char stamp[32];
	struct tm utc;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&at, &utc));
	snprintf(ret, DAMAGE_NAME_SIZE, "%s.damaged-%s", name, stamp);
}

/* A second that no earlier one is named by. */
static time_t free_second(const char *directory, const char *name)
{
	char aside[DAMAGE_NAME_SIZE];
	time_t at = time(NULL);

	for (;; at++) {
		name_aside(name, at, aside);
		if (!exists(directory, aside, "") && !exists(directory, aside, "-wal"))
			return at;
	}
}

/* 0 also when there is no such file. */
static int move(const char *directory, const char *from, const char *to, const char *suffix)
{
	char old[PATH_MAX], new[PATH_MAX];
	int r = path_of(directory, from, suffix, old);

	r = r < 0 ? r : path_of(directory, to, suffix, new);
	if (r < 0)
		return r;
	if (access(old, F_OK) == 0 && access(new, F_OK) == 0)
		return -EEXIST;
	return rename(old, new) < 0 && errno != ENOENT ? -errno : 0;
}

/* The log goes along: what is in it belongs to the file. */
static int move_with_log(const char *directory, const char *from, const char *to)
{
	int r = move(directory, from, to, "-wal");

	return r < 0 ? r : move(directory, from, to, "");
}

int damage_put_aside(const char *directory, const char *name, char ret[DAMAGE_NAME_SIZE])
{
	char aside[DAMAGE_NAME_SIZE];
	int r;

	name_aside(name, free_second(directory, name), aside);
	r = move_with_log(directory, name, aside);
	r = r < 0 ? r : sync_directory(directory);
	if (r < 0)
		return r;
	damage_unmark(directory, name);
	memcpy(ret, aside, sizeof(aside));
	return 0;
}

static void remove_building(const char *directory)
{
	static const char *const suffixes[] = { "-wal", "-journal", "" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (path_of(directory, BUILDING, suffixes[i], path) == 0)
			unlink(path);
}

static int fill(const char *directory, const struct db_key *key, const char *to_path)
{
	_cleanup_(db_rescue_closep) struct db_rescue *from = NULL;
	_cleanup_(db_closep) struct db *to = NULL;
	char path[PATH_MAX], aside[DAMAGE_NAME_SIZE];
	int r = path_of(directory, "chat.db", "", path);

	/* Without its first page nothing of it can be read. */
	r = r < 0 ? r : db_rescue_open(path, key, &from);
	if (r < 0 && r != -EKEYREJECTED)
		return r;
	r = chat_db_open(to_path, key, BUILD_CACHE_KIB, &to);
	if (r < 0)
		return r;
	name_aside("chat.db", free_second(directory, "chat.db"), aside);
	return salvage_rows(from, to, aside);
}

/* What closing could not copy out of the log is in the log still. */
static int finish_building(const char *directory, const char *path)
{
	char log[PATH_MAX];
	struct stat st;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = path_of(directory, BUILDING, "-wal", log);

	if (r < 0)
		return r;
	if (stat(log, &st) == 0 && st.st_size > 0)
		return -ENOSPC;
	unlink(log);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	r = move(directory, BUILDING, DAMAGE_BUILT, "");
	return r < 0 ? r : sync_directory(directory);
}

int damage_build(const char *directory, const struct db_key *key)
{
	char path[PATH_MAX];
	int r = path_of(directory, BUILDING, "", path);

	if (r < 0)
		return r;
	remove_building(directory);
	r = fill(directory, key, path);
	r = r < 0 ? r : finish_building(directory, path);
	if (r < 0)
		remove_building(directory);
	return r;
}

bool damage_is_built(const char *directory)
{
	return exists(directory, DAMAGE_BUILT, "");
}

int damage_swap(const char *directory, const char *aside)
{
	char log[PATH_MAX];
	int r = path_of(directory, DAMAGE_BUILT, "-wal", log);

	r = r < 0 ? r : move_with_log(directory, "chat.db", aside);
	r = r < 0 ? r : sync_directory(directory);
	if (r < 0)
		return r;
	unlink(log);
	r = move(directory, DAMAGE_BUILT, "chat.db", "");
	r = r < 0 ? r : sync_directory(directory);
	if (r == 0)
		damage_unmark(directory, "chat.db");
	return r;
}
