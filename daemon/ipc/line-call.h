/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the lines of a connection ask for: JSON-RPC requests and batches of them, each a call whose
 * answer is a line again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "ipc/call.h"
#include "ipc/line-reader.h"

struct peer;
struct batch;

TAILQ_HEAD(batch_list, batch);

struct line_queue {
	struct call_queue calls; /* first */
	struct peer *peer;
	struct batch_list batches; /* not answered yet */
	struct batch *starting;    /* whose requests have not all been started; borrowed */
	size_t request_bytes;      /* of lines that are not answered yet */
	struct load finished;      /* of answers that wait for the commit */
	size_t batch_bytes;        /* of answers that wait for the rest of their batch */
	unsigned n_withholding;    /* batches that hold answers to changes */
};

void line_queue_init(struct line_queue *q, struct peer *p);

/* Forgets the answers; calls that run go on alone. */
void line_queue_clear(struct line_queue *q);

/* Starts what a line asks for, or answers that it cannot. The line's descriptors are taken. */
void line_queue_add(struct line_queue *q, struct line *line);

/* Answers a line that was skipped for its length. */
void line_queue_too_long(struct line_queue *q);

/* Bytes that wait for something other than the starting of the rest of their batch. */
size_t line_queue_waiting_bytes(const struct line_queue *q);

/*
 * A batch holds the answer to a change: what tells of changes waits, as it comes after that answer.
 */
static inline bool line_queue_withholds(const struct line_queue *q)
{
	return q->n_withholding > 0;
}

/* Starts the next request of q->starting, or ends the starting when none is left. */
void line_queue_next_of_batch(struct line_queue *q);
