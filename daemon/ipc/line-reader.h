/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Splits what a peer sends into lines, and says which descriptors came with which. The kernel hands
 * descriptors over with the last bytes of a read, possibly glued to bytes sent before them, and
 * never to bytes sent after. So a descriptor belongs to the line that holds the last byte of the
 * read it came in: a client attaches the descriptors of a request to its first byte and sends
 * nothing behind that request in the same call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "libclient/protocol.h"

/*
 * Descriptors of one line; shared by the requests of a batch. Those still in it are closed with the
 * last reference.
 */
struct fd_list {
	unsigned refs;
	unsigned n;
	int fds[CHAT_FDS_MAX];
	bool too_many; /* more came than are allowed, these were closed */
	bool lost;     /* the kernel could not hand over all of them, or they were dropped */
	uint64_t at;   /* of the reader */
	TAILQ_ENTRY(fd_list) entry;
};

struct fd_list *fd_list_new(void);
static inline struct fd_list *fd_list_ref(struct fd_list *l)
{
	l->refs++;
	return l;
}
struct fd_list *fd_list_unref(struct fd_list *l); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct fd_list *, fd_list_unref)

/* Closes what is in the list, which is then one whose descriptors were lost. */
void fd_list_drop(struct fd_list *l);

TAILQ_HEAD(fd_list_head, fd_list);

struct line_reader {
	struct buffer buffer;
	size_t scanned;      /* bytes of the buffer that hold no newline */
	size_t line_size;    /* of the line handed out, newline included; 0: none */
	uint64_t offset;     /* in the stream, of the buffer's first byte */
	uint64_t line_start; /* in the stream, of the line whose end has not come */
	bool skipping;
	struct fd_list_head arrivals;
};

enum line_result {
	LINE_NONE, /* no whole line is here */
	LINE_READY,
	LINE_TOO_LONG, /* a line above CHAT_LINE_MAX was skipped */
};

struct line {
	char *data; /* borrowed until line_reader_done; without its newline */
	size_t len;
	struct fd_list *fds; /* owned by the caller; NULL: none came */
};

void line_reader_init(struct line_reader *r);
void line_reader_clear(struct line_reader *r);

/*
 * Says that `n` bytes were written where buffer_reserve(&r->buffer) pointed. `fds` came with them;
 * taken, may be NULL.
 */
void line_reader_commit(struct line_reader *r, size_t n, struct fd_list *fds);

/* The next line. A line that is ready is released with line_reader_done before the next call. */
enum line_result line_reader_next(struct line_reader *r, struct line *ret);
void line_reader_done(struct line_reader *r);
