/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/barrier.h"

#include "db/db.h"

#define MAX_DATABASES 2
#define MAX_LISTENERS 8

TAILQ_HEAD(effect_list, barrier_effect);

struct listener {
	enum barrier_place place;
	barrier_fn fn;
	void *userdata;
};

struct barrier {
	struct event_loop *loop;
	struct db *databases[MAX_DATABASES];
	unsigned n_databases;
	struct listener listeners[MAX_LISTENERS];
	unsigned n_listeners;
	struct effect_list effects;
};

static bool has_transaction(const struct barrier *b)
{
	for (unsigned i = 0; i < b->n_databases; i++)
		if (db_in_transaction(b->databases[i]))
			return true;
	return false;
}

static int end_transaction(struct barrier *b)
{
	int r = 0;

	for (unsigned i = 0; i < b->n_databases; i++) {
		if (r == 0)
			r = db_turn_error(b->databases[i]);
	}
	for (unsigned i = 0; i < b->n_databases; i++) {
		if (r == 0)
			r = db_commit(b->databases[i]);
		else
			db_rollback(b->databases[i]);
	}
	return r;
}

static void run_effects(struct barrier *b, int error)
{
	/*
	 * What an effect queues belongs to the next turn: it may speak of what is not committed
	 * yet.
	 */
	struct barrier_effect mark = { .queued = true }, *e;

	TAILQ_INSERT_TAIL(&b->effects, &mark, entry);
	while ((e = TAILQ_FIRST(&b->effects)) != &mark) {
		barrier_forget(b, e);
		e->fn(e->userdata, error);
	}
	barrier_forget(b, &mark);
}

static void tell_listeners(struct barrier *b, enum barrier_place place, int error)
{
	for (unsigned i = 0; i < b->n_listeners; i++)
		if (b->listeners[i].place == place)
			b->listeners[i].fn(b->listeners[i].userdata, error);
}

int barrier_commit(struct barrier *b)
{
	bool wrote = has_transaction(b);
	int r = wrote ? end_transaction(b) : 0;

	if (wrote)
		tell_listeners(b, BARRIER_BEFORE_EFFECTS, r);
	run_effects(b, r);
	if (wrote)
		tell_listeners(b, BARRIER_AFTER_EFFECTS, r);
	return r;
}

/*
 * Effects and listeners may write, or queue further effects, when the turn's events are over
 * already; without another round these would wait for the next event.
 */
static void on_turn_end(void *userdata)
{
	struct barrier *b = userdata;

	for (int round = 0; round < 8 && (has_transaction(b) || !TAILQ_EMPTY(&b->effects)); round++)
		barrier_commit(b);
	if (has_transaction(b) || !TAILQ_EMPTY(&b->effects))
		event_loop_wake(b->loop);
}

void barrier_after_commit(struct barrier *b, struct barrier_effect *e)
{
	if (e->queued)
		return;
	e->queued = true;
	TAILQ_INSERT_TAIL(&b->effects, e, entry);
	event_loop_expect_turn_end(b->loop);
}

void barrier_forget(struct barrier *b, struct barrier_effect *e)
{
	if (!e->queued)
		return;
	e->queued = false;
	TAILQ_REMOVE(&b->effects, e, entry);
}

void barrier_attach(struct barrier *b, struct db *db)
{
	if (b->n_databases == MAX_DATABASES)
		abort();
	b->databases[b->n_databases++] = db;
}

void barrier_detach_all(struct barrier *b)
{
	b->n_databases = 0;
}

void barrier_remove_listener(struct barrier *b, void *userdata)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->n_listeners; i++)
		if (b->listeners[i].userdata != userdata)
			b->listeners[kept++] = b->listeners[i];
	b->n_listeners = kept;
}

void barrier_add_listener(
	struct barrier *b, enum barrier_place place, barrier_fn fn, void *userdata)
{
	if (b->n_listeners == MAX_LISTENERS)
		abort();
	b->listeners[b->n_listeners++] = (struct listener){ place, fn, userdata };
}

struct barrier *barrier_new(struct event_loop *loop)
{
	struct barrier *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->loop = loop;
	TAILQ_INIT(&b->effects);
	event_loop_add_turn_end(loop, on_turn_end, b);
	return b;
}

struct barrier *barrier_free(struct barrier *b)
{
	struct barrier_effect *e;

	if (!b)
		return NULL;
	event_loop_remove_turn_end(b->loop, b);
	while ((e = TAILQ_FIRST(&b->effects)))
		barrier_forget(b, e);
	free(b);
	return NULL;
}
