/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HEX_SIZE (2 * DB_KEY_SIZE)

struct db_key {
	uint8_t bytes[DB_KEY_SIZE];
};

struct db_key *db_key_new(const uint8_t bytes[DB_KEY_SIZE])
{
	struct db_key *k;

	if (sodium_init() < 0)
		return NULL;
	k = sodium_malloc(sizeof(*k));
	if (!k)
		return NULL;
	memcpy(k->bytes, bytes, DB_KEY_SIZE);
	sodium_mprotect_readonly(k);
	return k;
}

struct db_key *db_key_generate(void)
{
	uint8_t bytes[DB_KEY_SIZE];
	struct db_key *k;

	if (sodium_init() < 0)
		return NULL;
	randombytes_buf(bytes, sizeof(bytes));
	k = db_key_new(bytes);
	sodium_memzero(bytes, sizeof(bytes));
	return k;
}

const uint8_t *db_key_bytes(const struct db_key *k)
{
	return k->bytes;
}

struct db_key *db_key_free(struct db_key *k)
{
	sodium_free(k);
	return NULL;
}

void db_key_literal(const struct db_key *k, char ret[DB_KEY_LITERAL_SIZE])
{
	ret[0] = 'x';
	ret[1] = '\'';
	sodium_bin2hex(ret + 2, HEX_SIZE + 1, k->bytes, DB_KEY_SIZE);
	ret[2 + HEX_SIZE] = '\'';
	ret[3 + HEX_SIZE] = '\0';
}

static int sync_directory_of(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	_cleanup_close_ int fd = -1;

	if (snprintf(parent, sizeof(parent), "%.*s/", slash ? (int)(slash - path) : 1,
		    slash ? path : ".") >= (int)sizeof(parent))
		return -ENAMETOOLONG;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int db_key_write_private(const char *path, const void *bytes, size_t size, bool replaces)
{
	char temporary[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, bytes, size) != (ssize_t)size || fsync(fd) < 0)
		r = errno == 0 || errno == ENOSPC || errno == EDQUOT ? -ENOSPC : -EIO;
	else if ((replaces ? rename(temporary, path) : link(temporary, path)) < 0)
		r = -errno;
	unlink(temporary);
	return r < 0 ? r : sync_directory_of(path);
}

int db_key_move_private(const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : sync_directory_of(to);
}

int db_key_write_file(const char *path, const struct db_key *k)
{
	char line[HEX_SIZE + 2];
	int r;

	sodium_bin2hex(line, sizeof(line), k->bytes, DB_KEY_SIZE);
	line[HEX_SIZE] = '\n';
	r = db_key_write_private(path, line, HEX_SIZE + 1, false);
	sodium_memzero(line, sizeof(line));
	return r;
}

int db_key_read_file(const char *path, struct db_key **ret)
{
	uint8_t bytes[DB_KEY_SIZE];
	char line[HEX_SIZE + 2] = { 0 };
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	size_t n = 0;
	int r = 0;

	if (sodium_init() < 0)
		return -EIO;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_mode & 077)
		return -EPERM;
	if (read(fd, line, sizeof(line)) < HEX_SIZE ||
		sodium_hex2bin(bytes, sizeof(bytes), line, HEX_SIZE, NULL, &n, NULL) != 0 ||
		n != DB_KEY_SIZE)
		r = -EUCLEAN;
	sodium_memzero(line, sizeof(line));
	if (r == 0) {
		*ret = db_key_new(bytes);
		r = *ret ? 0 : -ENOMEM;
	}
	sodium_memzero(bytes, sizeof(bytes));
	return r;
}
