/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/event-loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#define MAX_HOOKS 4

TAILQ_HEAD(deferred_list, loop_deferred);

struct hook {
	loop_fn fn;
	void *userdata;
};

struct event_loop {
	struct event_base *base;
	struct deferred_list deferred;
	struct hook hooks[MAX_HOOKS];
	unsigned n_hooks;
	bool exiting;
	bool woken;
	bool in_turn;
	int code;
};

struct loop_timer {
	struct event event;
	loop_fn fn;
	void *userdata;
};

struct loop_io {
	struct event event;
	struct event_loop *loop;
	loop_io_fn fn;
	void *userdata;
	int fd;
	unsigned events;
};

struct loop_signal {
	struct event event;
	loop_fn fn;
	void *userdata;
};

static void run_deferred(struct event_loop *loop)
{
	/*
	 * What a deferred call defers in its turn waits for the next round, so that hooks are not
	 * starved.
	 */
	struct loop_deferred mark = { .queued = true }, *d;

	TAILQ_INSERT_TAIL(&loop->deferred, &mark, entry);
	while ((d = TAILQ_FIRST(&loop->deferred)) != &mark) {
		event_loop_undefer(loop, d);
		d->fn(d->userdata);
	}
	event_loop_undefer(loop, &mark);
}

void event_loop_turn(struct event_loop *loop, bool may_block)
{
	int flags = EVLOOP_ONCE;

	if (!may_block || loop->woken || !TAILQ_EMPTY(&loop->deferred))
		flags |= EVLOOP_NONBLOCK;
	loop->woken = false;
	loop->in_turn = true;
	event_base_loop(loop->base, flags);
	run_deferred(loop);
	for (unsigned i = 0; i < loop->n_hooks; i++)
		loop->hooks[i].fn(loop->hooks[i].userdata);
	loop->in_turn = false;
}

int event_loop_run(struct event_loop *loop)
{
	while (!loop->exiting)
		event_loop_turn(loop, true);
	return loop->code;
}

void event_loop_exit(struct event_loop *loop, int code)
{
	loop->exiting = true;
	loop->code = code;
}

void event_loop_defer(struct event_loop *loop, struct loop_deferred *d)
{
	if (d->queued)
		return;
	d->queued = true;
	TAILQ_INSERT_TAIL(&loop->deferred, d, entry);
}

void event_loop_undefer(struct event_loop *loop, struct loop_deferred *d)
{
	if (!d->queued)
		return;
	d->queued = false;
	TAILQ_REMOVE(&loop->deferred, d, entry);
}

void event_loop_add_turn_end(struct event_loop *loop, loop_fn fn, void *userdata)
{
	if (loop->n_hooks == MAX_HOOKS)
		abort();
	loop->hooks[loop->n_hooks++] = (struct hook){ fn, userdata };
}

void event_loop_remove_turn_end(struct event_loop *loop, void *userdata)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < loop->n_hooks; i++)
		if (loop->hooks[i].userdata != userdata)
			loop->hooks[kept++] = loop->hooks[i];
	loop->n_hooks = kept;
}

void event_loop_wake(struct event_loop *loop)
{
	loop->woken = true;
}

void event_loop_expect_turn_end(struct event_loop *loop)
{
	if (!loop->in_turn)
		loop->woken = true;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct loop_timer *t = userdata;

	t->fn(t->userdata);
}

struct loop_timer *loop_timer_new(struct event_loop *loop, loop_fn fn, void *userdata)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fn = fn;
	t->userdata = userdata;
	evtimer_assign(&t->event, loop->base, on_timer, t);
	return t;
}

void loop_timer_start_us(struct loop_timer *t, uint64_t us)
{
	struct timeval tv = { .tv_sec = (time_t)(us / 1000000),
		.tv_usec = (suseconds_t)(us % 1000000) };

	evtimer_add(&t->event, &tv);
}

void loop_timer_stop(struct loop_timer *t)
{
	evtimer_del(&t->event);
}

bool loop_timer_is_running(const struct loop_timer *t)
{
	return evtimer_pending(&t->event, NULL);
}

struct loop_timer *loop_timer_free(struct loop_timer *t)
{
	if (t)
		evtimer_del(&t->event);
	free(t);
	return NULL;
}

static void on_io(evutil_socket_t fd, short what, void *userdata)
{
	struct loop_io *io = userdata;
	unsigned ready = (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u);

	io->fn(io->userdata, io->fd, ready);
}

void loop_io_set_events(struct loop_io *io, unsigned events)
{
	short what = EV_PERSIST;

	if (events == io->events)
		return;
	if (io->events)
		event_del(&io->event);
	io->events = events;
	if (!events)
		return;
	if (events & LOOP_READ)
		what |= EV_READ;
	if (events & LOOP_WRITE)
		what |= EV_WRITE;
	if (events & LOOP_EDGE)
		what |= EV_ET;
	event_assign(&io->event, io->loop->base, io->fd, what, on_io, io);
	event_add(&io->event, NULL);
}

struct loop_io *loop_io_new(
	struct event_loop *loop, int fd, unsigned events, loop_io_fn fn, void *userdata)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->loop = loop;
	io->fd = fd;
	io->fn = fn;
	io->userdata = userdata;
	loop_io_set_events(io, events);
	return io;
}

struct loop_io *loop_io_free(struct loop_io *io)
{
	if (io && io->events)
		event_del(&io->event);
	free(io);
	return NULL;
}

static void on_signal(evutil_socket_t signo, short what, void *userdata)
{
	struct loop_signal *s = userdata;

	s->fn(s->userdata);
}

struct loop_signal *loop_signal_new(struct event_loop *loop, int signo, loop_fn fn, void *userdata)
{
	struct loop_signal *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fn = fn;
	s->userdata = userdata;
	evsignal_assign(&s->event, loop->base, signo, on_signal, s);
	evsignal_add(&s->event, NULL);
	return s;
}

struct loop_signal *loop_signal_free(struct loop_signal *s)
{
	if (s)
		evsignal_del(&s->event);
	free(s);
	return NULL;
}

const char *event_loop_version(void)
{
	return event_get_version();
}

struct event_loop *event_loop_new(void)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	TAILQ_INIT(&loop->deferred);
	loop->base = event_base_new();
	if (!loop->base)
		return event_loop_free(loop);
	return loop;
}

struct event_loop *event_loop_free(struct event_loop *loop)
{
	if (!loop)
		return NULL;
	if (loop->base)
		event_base_free(loop->base);
	free(loop);
	return NULL;
}
