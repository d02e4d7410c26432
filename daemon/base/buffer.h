/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable run of bytes that is appended to at the end and consumed from the front.
 * Zero-initialise it to start; buffer_clear() releases it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t start; /* consumed bytes at the front of data */
	size_t end;   /* one past the last byte held */
	size_t allocated;
};

static inline size_t buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

static inline uint8_t *buffer_bytes(const struct buffer *b)
{
	return b->data + b->start;
}

/* Makes room for `n` more bytes and returns where they go; NULL when memory is short. */
void *buffer_reserve(struct buffer *b, size_t n);

/* Says that `n` bytes were written where buffer_reserve() pointed. */
void buffer_commit(struct buffer *b, size_t n);

/* Appends a copy. 0, or -ENOMEM with nothing changed. */
int buffer_append(struct buffer *b, const void *data, size_t n);

/*
 * Drops `n` bytes (at most the size) from the front. Gives memory back when it was the last of
 * many.
 */
void buffer_consume(struct buffer *b, size_t n);

void buffer_clear(struct buffer *b);
