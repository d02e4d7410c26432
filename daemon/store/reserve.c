/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room on the disk that is kept back: what is removed must be written to the log first, and on a
 * disk that is wholly full that would not go.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "store/rows.h"

#define RESERVE_BYTES (1 << 20)

/* False: there is no disk. */
static bool get_path(const struct store *s, char ret[PATH_MAX])
{
	return s->directory && snprintf(ret, PATH_MAX, "%s/reserve", s->directory) < PATH_MAX;
}

int store_reserve_keep(struct store *s)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int r;

	if (!get_path(s, path) || access(path, F_OK) == 0)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, RESERVE_BYTES);
	if (r < 0)
		unlink(path);
	return r;
}

int store_reserve_spend(struct store *s)
{
	char path[PATH_MAX];

	if (!get_path(s, path))
		return -ENOENT;
	return unlink(path) < 0 ? -errno : 0;
}
