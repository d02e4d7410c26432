/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A listening Unix socket in the file system that only its user can reach.
 */
#pragma once

#include <sys/types.h>

struct socket_path {
	char *path; /* NULL: none is held */
	dev_t device;
	ino_t inode;
};

/*
 * Makes the directory (0700, unless it is there) and the socket (0600) and listens; the socket is
 * non-blocking. A socket file that nobody answers at is replaced. -EADDRINUSE: somebody does;
 * -EPERM: others can write to the directory; -ENAMETOOLONG.
 */
int socket_path_listen(struct socket_path *sp, const char *path, int *ret_fd);

/* Removes the socket file, unless another has taken its place. */
void socket_path_remove(struct socket_path *sp);
