/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define WRITE_MAX 64u

/*
 * The kernel counts what is unread by the memory that it takes, which is more for the least of it;
 * while it lets go of the last piece it shows a few bytes.
 */
#define UNREAD_MIN 128

void load_add(struct load *l, const struct chunk *c)
{
	if (!c)
		return;
	l->bytes += c->size;
	l->fds += c->fd >= 0;
	l->fd_bytes += c->fd_bytes;
}

void load_remove(struct load *l, const struct chunk *c)
{
	if (!c)
		return;
	l->bytes -= c->size;
	l->fds -= c->fd >= 0;
	l->fd_bytes -= c->fd_bytes;
}

void load_subtract(struct load *l, const struct load *part)
{
	l->bytes -= part->bytes;
	l->fds -= part->fds;
	l->fd_bytes -= part->fd_bytes;
}

static struct chunk *chunk_alloc(size_t size)
{
	struct chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	c->refs = 1;
	c->fd = -1;
	c->fd_bytes = 0;
	c->size = size;
	return c;
}

struct chunk *chunk_new(const void *data, size_t size)
{
	struct chunk *c = chunk_alloc(size);

	if (c)
		memcpy(c->data, data, size);
	return c;
}

void chunk_set_fd(struct chunk *c, int fd)
{
	struct stat st;

	c->fd = fd;
	c->fd_bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

struct chunk *chunk_unref(struct chunk *c)
{
	if (!c || --c->refs > 0)
		return NULL;
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	return NULL;
}

static struct chunk *chunk_at(const struct output *o, size_t i)
{
	return o->chunks[(o->first + i) % o->allocated];
}

static int grow(struct output *o)
{
	size_t want = o->allocated ? o->allocated * 2 : 8;
	struct chunk **chunks = calloc(want, sizeof(chunks[0]));

	if (!chunks)
		return -ENOMEM;
	for (size_t i = 0; i < o->n; i++)
		chunks[i] = chunk_at(o, i);
	free(o->chunks);
	o->chunks = chunks;
	o->first = 0;
	o->allocated = want;
	return 0;
}

int output_append(struct output *o, struct chunk *c)
{
	if (o->n == o->allocated && grow(o) < 0)
		return -ENOMEM;
	o->chunks[(o->first + o->n) % o->allocated] = chunk_ref(c);
	o->n++;
	load_add(&o->load, c);
	return 0;
}

/*
 * A chunk with a descriptor is written by itself: the kernel hands the descriptor over with bytes
 * of that call only, so that the receiver knows which line it came with.
 */
static size_t gather(const struct output *o, struct iovec iov[WRITE_MAX])
{
	size_t n = 0;

	for (; n < o->n && n < WRITE_MAX; n++) {
		struct chunk *c = chunk_at(o, n);
		size_t skip = n == 0 ? o->sent : 0;

		if (n > 0 && c->fd >= 0)
			break;
		iov[n] = (struct iovec){ c->data + skip, c->size - skip };
		if (c->fd >= 0)
			return n + 1;
	}
	return n;
}

static ssize_t write_some(struct output *o, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov[WRITE_MAX];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = gather(o, iov) };
	struct chunk *first = chunk_at(o, 0);
	ssize_t n;

	if (first->fd >= 0 && o->sent == 0) {
		struct cmsghdr *header;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&m);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &first->fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void drop_sent(struct output *o, size_t n)
{
	o->load.bytes -= n;
	n += o->sent;
	while (o->n > 0 && n >= chunk_at(o, 0)->size) {
		struct chunk *c = chunk_at(o, 0);

		n -= c->size;
		if (c->fd >= 0)
			load_add(&o->given, c);
		chunk_unref(c);
		o->first = (o->first + 1) % o->allocated;
		o->n--;
	}
	o->sent = n;
}

int output_write(struct output *o, int fd, bool *ret_progress)
{
	*ret_progress = false;
	while (o->n > 0) {
		ssize_t n = write_some(o, fd);

		if (n < 0)
			return (int)n;
		*ret_progress = true;
		drop_sent(o, (size_t)n);
	}
	return 0;
}

void output_check_taken(struct output *o, int fd)
{
	int unread;

	if (o->given.fds == 0 || (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread >= UNREAD_MIN))
		return;
	o->load.fds -= o->given.fds;
	o->load.fd_bytes -= o->given.fd_bytes;
	o->given = (struct load){ 0 };
}

void output_clear(struct output *o)
{
	for (size_t i = 0; i < o->n; i++)
		chunk_unref(chunk_at(o, i));
	free(o->chunks);
	*o = (struct output){ 0 };
}
