/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What waits to be written to a peer: a queue of chunks, each a line of text that any number of
 * peers may share, and perhaps a descriptor that travels with its first byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct chunk {
	unsigned refs;
	int fd;            /* owned; -1: none */
	uint64_t fd_bytes; /* behind it */
	size_t size;
	char data[];
};

/* What chunks weigh. */
struct load {
	size_t bytes;
	unsigned fds;
	uint64_t fd_bytes;
};

/* Takes NULL for nothing. */
void load_add(struct load *l, const struct chunk *c);
void load_remove(struct load *l, const struct chunk *c);

/* Takes a part away that was added before. */
void load_subtract(struct load *l, const struct load *part);

/* Bytes with one reference; NULL when memory is short. */
struct chunk *chunk_new(const void *data, size_t size);

/* Adds the descriptor (taken) that travels with the chunk. */
void chunk_set_fd(struct chunk *c, int fd);

static inline struct chunk *chunk_ref(struct chunk *c)
{
	c->refs++;
	return c;
}

/* Gives a reference back; closes the descriptor with the last. Takes NULL, returns NULL. */
struct chunk *chunk_unref(struct chunk *c);
DEFINE_CLEANUP(struct chunk *, chunk_unref)

/* Zero-initialise it to start. */
struct output {
	struct chunk **chunks; /* a ring */
	size_t first, n, allocated;
	size_t sent; /* bytes of the first chunk that are gone */
	/*
	 * What waits here; of the descriptors also those that the kernel has and the peer may not.
	 */
	struct load load;
	struct load given; /* of the descriptors those that the kernel has */
};

/* Queues a chunk behind the others with a reference of its own. -ENOMEM. */
int output_append(struct output *o, struct chunk *c);

/*
 * Writes as much as the socket takes. 0: all is gone; -EAGAIN: the rest waits; another negative
 * errno: the connection is lost. `ret_progress`: something was written.
 */
int output_write(struct output *o, int fd, bool *ret_progress);

/*
 * Learns from the kernel whether the peer has taken all that it was given, which shows only when it
 * has read everything. No effect while there are no descriptors of which that is not known.
 */
void output_check_taken(struct output *o, int fd);

void output_clear(struct output *o);
