/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests of a connection, from their line to their answer's commit. They start in the order in
 * which they came; those that wait for the network may be overtaken, but for ordered methods, which
 * wait for each other. Answers of one turn leave together once its writes are committed, or as
 * errors when they could not be.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "db/barrier.h"
#include "ipc/line-reader.h"
#include "ipc/request.h"

struct peer;
struct batch;

TAILQ_HEAD(batch_list, batch);

struct call_queue {
	struct peer *peer;
	struct barrier_effect effect; /* sends what has finished */
	struct call_list running;     /* their handlers have been called */
	struct call_list held;        /* ordered, behind one that runs */
	struct call_list finished;    /* answers wait for the commit */
	struct batch_list batches;    /* not answered yet */
	struct batch *starting;       /* whose requests have not all been started; borrowed */
	unsigned n;                   /* calls in the three lists */
	size_t finished_bytes;
	bool ordered_runs;
	bool starts_held;
};

void call_queue_init(struct call_queue *q, struct peer *p);

/* Forgets the answers; calls that run go on alone. */
void call_queue_clear(struct call_queue *q);

/* Starts what a line asks for, or answers that it cannot. The line's descriptors are taken. */
void call_queue_line(struct call_queue *q, struct line *line);

/* Answers a line that was skipped for its length. */
void call_queue_too_long(struct call_queue *q);

/* Starts the next request of q->starting, or ends the starting when none is left. */
void call_queue_next_of_batch(struct call_queue *q);

/* Frees the calls whose peers have gone; nothing may come for them any more. */
void calls_free_orphans(struct call_list *orphans);
