/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commit barrier. The first write of a loop turn opens a transaction; when the turn is over it
 * commits once, and only then do the turn's effects leave the process. One fsync serves everything
 * that arrived together, and nobody is told of what is not on disk. Databases commit in the order
 * in which they were attached: bytes before the rows that speak of them.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct barrier;
struct db;

/*
 * Called once, after the commit (error 0) or after the turn was rolled back (negative errno:
 * -ENOSPC, -EIO). Called at the end of the turn too when the turn wrote nothing, so that effects
 * keep their order.
 */
typedef void (*barrier_fn)(void *userdata, int error);

/* An effect that waits for the commit. Embed it in its owner; it may be queued once at a time. */
struct barrier_effect {
	barrier_fn fn;
	void *userdata;
	bool queued;
	TAILQ_ENTRY(barrier_effect) entry;
};

struct barrier *barrier_new(struct event_loop *loop);

/* Effects still queued are forgotten; commit first. Takes NULL, returns NULL. */
struct barrier *barrier_free(struct barrier *b);
DEFINE_CLEANUP(struct barrier *, barrier_free)

/* At most 2; `db` is borrowed until barrier_free or barrier_detach_all. */
void barrier_attach(struct barrier *b, struct db *db);
void barrier_detach_all(struct barrier *b);

/*
 * Queues an effect for this turn's commit, behind those queued before; no effect when it is queued
 * already.
 */
void barrier_after_commit(struct barrier *b, struct barrier_effect *e);

/* Takes an effect off the queue; an owner calls it before it goes away. */
void barrier_forget(struct barrier *b, struct barrier_effect *e);

/* Where a listener stands in a turn that had a transaction. */
enum barrier_place {
	BARRIER_BEFORE_EFFECTS, /* for what the effects rely on; must not write */
	BARRIER_AFTER_EFFECTS,  /* these may have begun the next transaction already */
};

/* `fn` is called for every turn that had a transaction. At most 8. */
void barrier_add_listener(
	struct barrier *b, enum barrier_place place, barrier_fn fn, void *userdata);

/* Takes back what was added with `userdata`. */
void barrier_remove_listener(struct barrier *b, void *userdata);

/* Ends the turn now: commit, effects, listeners. Returns what the effects were told. */
int barrier_commit(struct barrier *b);
