/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's one loop, over libevent. It runs in turns: all events that are ready, then what they
 * deferred, then the turn-end hooks (the commit barrier is one), then sleep. Single-threaded: every
 * call below belongs to the thread that runs the loop. Callbacks may free the object they were
 * called for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/cleanup.h"

struct event_loop;
struct loop_timer;
struct loop_io;
struct loop_signal;

enum {
	LOOP_READ = 1 << 0,
	LOOP_WRITE = 1 << 1,
	/* Tells when it begins to be so or is so anew, not as long as it is so. */
	LOOP_EDGE = 1 << 2,
};

typedef void (*loop_fn)(void *userdata);
typedef void (*loop_io_fn)(void *userdata, int fd, unsigned ready);

/* A call put off to the end of the turn. Embed it in its owner; it may be queued once at a time. */
struct loop_deferred {
	loop_fn fn;
	void *userdata;
	bool queued;
	TAILQ_ENTRY(loop_deferred) entry;
};

/* The version of libevent, static. */
const char *event_loop_version(void);

/* NULL when libevent cannot start. */
struct event_loop *event_loop_new(void);

/* Takes NULL. Timers, watches and signals must be gone before it. */
struct event_loop *event_loop_free(struct event_loop *loop);
DEFINE_CLEANUP(struct event_loop *, event_loop_free)

/* Runs turns until event_loop_exit(); returns the code given to it. */
int event_loop_run(struct event_loop *loop);

/*
 * Runs one turn, which sleeps for events only if `may_block`. For tests and for draining at exit.
 */
void event_loop_turn(struct event_loop *loop, bool may_block);

/* Ends event_loop_run() after the present turn, hooks included. */
void event_loop_exit(struct event_loop *loop, int code);

/* Queues `d` for the end of this turn; no effect when it is queued already. */
void event_loop_defer(struct event_loop *loop, struct loop_deferred *d);

/*
 * Takes `d` off the queue; no effect when it is not there. An owner calls it before it goes away.
 */
void event_loop_undefer(struct event_loop *loop, struct loop_deferred *d);

/* `fn` runs at the end of every turn, after the deferred calls, in order of adding. At most 4. */
void event_loop_add_turn_end(struct event_loop *loop, loop_fn fn, void *userdata);

/* Takes back every hook that was added with `userdata`. */
void event_loop_remove_turn_end(struct event_loop *loop, void *userdata);

/* The next turn does not sleep, whatever is or is not ready. */
void event_loop_wake(struct event_loop *loop);

/* Something waits for a turn's end: when none is going on, the next does not sleep. */
void event_loop_expect_turn_end(struct event_loop *loop);

/* A one-shot timer, stopped at first. NULL when memory is short. */
struct loop_timer *loop_timer_new(struct event_loop *loop, loop_fn fn, void *userdata);
void loop_timer_start_us(struct loop_timer *t, uint64_t us); /* from now; restarts a running one */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_running(const struct loop_timer *t);
struct loop_timer *loop_timer_free(struct loop_timer *t); /* takes NULL */
DEFINE_CLEANUP(struct loop_timer *, loop_timer_free)

/*
 * Watches `fd` (borrowed) for `events`; level-triggered, unless LOOP_EDGE is one of them. Watches
 * of one descriptor are either. NULL when memory is short.
 */
struct loop_io *loop_io_new(
	struct event_loop *loop, int fd, unsigned events, loop_io_fn fn, void *userdata);
void loop_io_set_events(struct loop_io *io, unsigned events); /* 0 pauses */
struct loop_io *loop_io_free(struct loop_io *io); /* takes NULL; call before closing the fd */
DEFINE_CLEANUP(struct loop_io *, loop_io_free)

struct loop_signal *loop_signal_new(struct event_loop *loop, int signo, loop_fn fn, void *userdata);
struct loop_signal *loop_signal_free(struct loop_signal *s); /* takes NULL */
DEFINE_CLEANUP(struct loop_signal *, loop_signal_free)
