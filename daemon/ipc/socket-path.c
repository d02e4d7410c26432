/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/socket-path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define BACKLOG 128

/* Makes the directory and those above it; returns it open. */
static int make_directory(const char *directory)
{
	_cleanup_free_ char *copy = strdup(directory);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!copy)
		return -ENOMEM;
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	if (mkdir(copy, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* Where others can write, they can put a socket of their own in this one's place. */
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	return TAKE_FD(fd);
}

static int open_parent(const char *path)
{
	_cleanup_free_ char *directory = strdup(path);
	char *slash;

	if (!directory)
		return -ENOMEM;
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return -EINVAL;
	*slash = '\0';
	return make_directory(directory);
}

/* 0: nobody answers and the file, if there is one, is gone. */
static int remove_stale(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return -EADDRINUSE;
	/* EAGAIN: somebody listens whose queue is full. */
	if (errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
	/*
	 * The mode of the file comes from the socket's: it is never open to others, not even for a
	 * moment.
	 */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	if (listen(fd, BACKLOG) < 0) {
		int r = -errno;

		unlink(address->sun_path);
		return r;
	}
	return 0;
}

int socket_path_listen(struct socket_path *sp, const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int directory = -1, fd = -1;
	_cleanup_free_ char *copy = NULL;
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	copy = strdup(path);
	directory = open_parent(path);
	if (!copy || directory < 0)
		return copy ? directory : -ENOMEM;
	/*
	 * Of two daemons that start together one must not take the other's fresh socket for a stale
	 * one.
	 */
	if (flock(directory, LOCK_EX) < 0)
		return -errno;
	r = remove_stale(&address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = bind_and_listen(fd, &address);
	if (r < 0)
		return r;
	if (lstat(path, &st) < 0)
		return -errno;
	*sp = (struct socket_path){
		.path = TAKE_PTR(copy), .device = st.st_dev, .inode = st.st_ino
	};
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void socket_path_remove(struct socket_path *sp)
{
	struct stat st;

	if (sp->path && lstat(sp->path, &st) == 0 && st.st_dev == sp->device &&
		st.st_ino == sp->inode)
		unlink(sp->path);
	free(sp->path);
	*sp = (struct socket_path){ 0 };
}
