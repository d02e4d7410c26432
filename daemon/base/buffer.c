/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_WHEN_EMPTY 16384u

void *buffer_reserve(struct buffer *b, size_t n)
{
	size_t used = buffer_size(b);
	size_t want;
	uint8_t *data;

	if (b->allocated - b->end >= n && b->data)
		return b->data + b->end;
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, used);
		b->start = 0;
		b->end = used;
		if (b->allocated - b->end >= n)
			return b->data + b->end;
	}
	if (n > SIZE_MAX / 2 - used)
		return NULL;
	want = b->allocated ? b->allocated : 256;
	while (want < used + n)
		want *= 2;
	data = realloc(b->data, want);
	if (!data)
		return NULL;
	b->data = data;
	b->allocated = want;
	return b->data + b->end;
}

void buffer_commit(struct buffer *b, size_t n)
{
	b->end += n;
}

int buffer_append(struct buffer *b, const void *data, size_t n)
{
	void *at;

	if (n == 0)
		return 0;
	at = buffer_reserve(b, n);
	if (!at)
		return -ENOMEM;
	memcpy(at, data, n);
	buffer_commit(b, n);
	return 0;
}

void buffer_consume(struct buffer *b, size_t n)
{
	b->start += n;
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->allocated > KEEP_WHEN_EMPTY)
		buffer_clear(b);
}

void buffer_clear(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}
