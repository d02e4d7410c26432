/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview/read-image.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#define READ_STEP 65536

/*
 * A file is read from its beginning, without moving its owner's offset; anything else as it comes.
 * Whether reading it blocks is its owner's business too, so both ways are waited for.
 */
static ssize_t read_some(int fd, int64_t at, bool seekable, void *to, size_t n)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t got = seekable ? pread(fd, to, n, at) : read(fd, to, n);

		if (got >= 0)
			return got;
		if (errno == EAGAIN)
			poll(&readable, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
}

int read_image(int fd, int64_t max_bytes, struct buffer *to)
{
	bool seekable = lseek(fd, 0, SEEK_CUR) >= 0;

	for (;;) {
		void *at = buffer_reserve(to, READ_STEP);
		ssize_t n = at ? read_some(fd, (int64_t)buffer_size(to), seekable, at, READ_STEP)
			       : -ENOMEM;

		if (n <= 0)
			return (int)n;
		buffer_commit(to, (size_t)n);
		if ((int64_t)buffer_size(to) > max_bytes)
			return -EFBIG;
	}
}
