/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The requests of one client, from their start to their answer's commit, the same for every face.
 * They start in the order in which they came; those that wait for the network may be overtaken, but
 * for ordered methods, which wait for each other. Answers of one turn leave together once its
 * writes are committed, or as errors when they could not be.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "db/barrier.h"
#include "ipc/request.h"

struct call_queue;

/* A request under way; embedded in the face's own, which begins with it. */
struct call {
	struct request rq; /* first */
	const struct call_ops *ops;
	struct call_queue *queue; /* NULL: the client has gone */
	cJSON *params;            /* owned; while held */
	bool is_error;
	unsigned attempts; /* how often its handler was called */
	TAILQ_ENTRY(call) entry;
};

/* What a face does with its calls. */
struct call_ops {
	/*
	 * Makes of the outcome what is to be sent, in place of what an earlier outcome was made
	 * into. One of `result` (taken) and `error` is NULL; `fd` is taken. False: the result
	 * cannot be told, and an error stands in its place.
	 */
	bool (*encode)(struct call *c, cJSON *result, const struct rpc_error *error, int fd);
	/* The outcome is committed: sends it. */
	void (*deliver)(struct call *c);
	/* Comes after one or more calls of `deliver`. */
	void (*delivered)(struct call_queue *q);
	/* Frees the face's struct and what it holds beside the call. */
	void (*free)(struct call *c);
};

struct call_queue {
	struct api *api;
	struct client *client;
	const struct call_ops *ops;
	struct barrier_effect effect; /* sends what has finished */
	struct call_list running;     /* their handlers have been called */
	struct call_list held;        /* ordered, behind one that runs */
	struct call_list finished;    /* answers wait for the commit */
	TAILQ_ENTRY(call_queue) entry;
	unsigned n; /* calls in the three lists */
	bool ordered_runs;
	bool starts_held;
};

void call_queue_init(
	struct call_queue *q, struct api *api, struct client *client, const struct call_ops *ops);

/* Forgets the answers; calls that run go on alone. */
void call_queue_clear(struct call_queue *q);

/* Enters a call that is zeroed but for what the face added. `fds` may be NULL; referenced. */
void call_queue_enter(struct call_queue *q, struct call *c, struct fd_list *fds);

/* Carries it out, now or when its turn comes; its method is set. Takes `params` (may be NULL). */
void call_queue_start(struct call *c, cJSON *params);

/* Ends one that was begun and not started. */
void call_queue_fail(struct call *c, const struct rpc_error *e);

/* Descriptors that the calls of a queue hold. */
unsigned call_queue_count_fds(const struct call_queue *q);

/*
 * Drops the descriptors of a request that came when the waiting ones hold many: they could keep
 * most of what the process may have open.
 */
void call_queue_limit_fds(const struct call_queue *q, struct fd_list *fds);

/* The account was locked: ends all calls, of all clients, that cannot go on without it. */
void calls_lock(struct api *api);

/* Frees the calls whose clients have gone; nothing may come for them any more. */
void calls_free_orphans(struct call_list *orphans);
