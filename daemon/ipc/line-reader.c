/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/line-reader.h"

#include <string.h>

struct fd_list *fd_list_new(void)
{
	struct fd_list *l = calloc(1, sizeof(*l));

	if (l)
		l->refs = 1;
	return l;
}

struct fd_list *fd_list_unref(struct fd_list *l)
{
	if (!l || --l->refs > 0)
		return NULL;
	fd_list_drop(l);
	free(l);
	return NULL;
}

void fd_list_drop(struct fd_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		close(l->fds[i]);
	l->n = 0;
	l->lost = true;
}

/* Moves what `from` holds behind what `to` holds, as far as there is room. */
static void fd_list_merge(struct fd_list *to, struct fd_list *from)
{
	unsigned taken = 0;

	while (taken < from->n && to->n < CHAT_FDS_MAX)
		to->fds[to->n++] = from->fds[taken++];
	to->too_many |= from->too_many || taken < from->n;
	to->lost |= from->lost;
	memmove(from->fds, from->fds + taken, (from->n - taken) * sizeof(from->fds[0]));
	from->n -= taken;
	fd_list_unref(from);
}

void line_reader_init(struct line_reader *r)
{
	*r = (struct line_reader){ 0 };
	TAILQ_INIT(&r->arrivals);
}

void line_reader_clear(struct line_reader *r)
{
	struct fd_list *l;

	while ((l = TAILQ_FIRST(&r->arrivals))) {
		TAILQ_REMOVE(&r->arrivals, l, entry);
		fd_list_unref(l);
	}
	buffer_clear(&r->buffer);
}

static void add_arrival(struct line_reader *r, struct fd_list *fds, uint64_t at)
{
	struct fd_list *last = TAILQ_LAST(&r->arrivals, fd_list_head);

	/* The line in progress has its own already. */
	if (last && last->at >= r->line_start) {
		fd_list_merge(last, fds);
		last->at = at;
		return;
	}
	fds->at = at;
	TAILQ_INSERT_TAIL(&r->arrivals, fds, entry);
}

void line_reader_commit(struct line_reader *r, size_t n, struct fd_list *fds)
{
	const char *data = (const char *)buffer_bytes(&r->buffer) + buffer_size(&r->buffer);
	uint64_t end = r->offset + buffer_size(&r->buffer) + n;
	const char *newline;

	if (n == 0) {
		fd_list_unref(fds);
		return;
	}
	newline = memrchr(data, '\n', n - 1);
	if (newline)
		r->line_start = end - n + (uint64_t)(newline - data) + 1;
	if (fds)
		add_arrival(r, fds, end - 1);
	if (data[n - 1] == '\n')
		r->line_start = end;
	buffer_commit(&r->buffer, n);
}

/* The descriptors of the line that ends before `end`. */
static struct fd_list *take_fds(struct line_reader *r, uint64_t end)
{
	struct fd_list *l = TAILQ_FIRST(&r->arrivals);

	if (!l || l->at >= end)
		return NULL;
	TAILQ_REMOVE(&r->arrivals, l, entry);
	return l;
}

static void consume(struct line_reader *r, size_t n)
{
	buffer_consume(&r->buffer, n);
	r->offset += n;
	r->scanned = 0;
}

/* Too much came without a newline: none of it is kept. */
static void start_skipping(struct line_reader *r)
{
	consume(r, buffer_size(&r->buffer));
	fd_list_unref(take_fds(r, r->offset));
	r->skipping = true;
}

enum line_result line_reader_next(struct line_reader *r, struct line *ret)
{
	size_t size = buffer_size(&r->buffer), end;
	struct fd_list *fds;
	char *data, *newline;

	if (size == r->scanned && !r->skipping)
		return LINE_NONE;
	data = (char *)buffer_bytes(&r->buffer);
	newline = memchr(data + r->scanned, '\n', size - r->scanned);
	if (!newline) {
		r->scanned = size;
		if (r->skipping || size >= CHAT_LINE_MAX)
			start_skipping(r);
		return LINE_NONE;
	}
	end = (size_t)(newline - data) + 1;
	fds = take_fds(r, r->offset + end);
	if (r->skipping || end > CHAT_LINE_MAX) {
		r->skipping = false;
		fd_list_unref(fds);
		consume(r, end);
		return LINE_TOO_LONG;
	}
	r->line_size = end;
	*ret = (struct line){ .data = data, .len = end - 1, .fds = fds };
	return LINE_READY;
}

void line_reader_done(struct line_reader *r)
{
	consume(r, r->line_size);
	r->line_size = 0;
}
