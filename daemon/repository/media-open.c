/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repository/media-open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define PIECE_SIZE 262144

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy(struct store *s, const char *attachment_id, enum attachment_variant v, int fd,
	int64_t *ret_size)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE_SIZE);
	int64_t offset = 0;
	ssize_t n;
	int r = 0;

	if (!piece)
		return -ENOMEM;
	while ((n = store_media_read(s, attachment_id, v, offset, piece, PIECE_SIZE)) > 0 &&
		r == 0) {
		r = write_all(fd, piece, (size_t)n);
		offset += n;
	}
	if (n < 0 || r < 0)
		return n < 0 ? (int)n : r;
	*ret_size = offset;
	return 0;
}

int media_open(struct store *s, const char *attachment_id, enum attachment_variant v, int *ret_fd,
	int64_t *ret_size)
{
	_cleanup_close_ int fd = memfd_create("photo", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = copy(s, attachment_id, v, fd, ret_size);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
		lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
