/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the lines of a connection ask for: JSON-RPC requests and batches of them, each a call whose
 * answer is a line again.
 */
#pragma once

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
	size_t finished_bytes;     /* of answers that wait for the commit */
};

void line_queue_init(struct line_queue *q, struct peer *p);

/* Forgets the answers; calls that run go on alone. */
void line_queue_clear(struct line_queue *q);

/* Starts what a line asks for, or answers that it cannot. The line's descriptors are taken. */
void line_queue_add(struct line_queue *q, struct line *line);

/* Answers a line that was skipped for its length. */
void line_queue_too_long(struct line_queue *q);

/* Starts the next request of q->starting, or ends the starting when none is left. */
void line_queue_next_of_batch(struct line_queue *q);
