/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the full-text index: in slices of a few milliseconds, once enough has come together,
 * nothing is being written and no catching up is going on, and whatever is missing before a search.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "repository/parts.h"

#define SLICE 200      /* messages */
#define LAG 1024       /* changes that may wait for the next search */
#define LAG_MOST 32768 /* changes after which it does not wait for a calm moment either */
#define CALM_US 200000 /* without a commit */

struct search_wait {
	repository_done_fn fn;
	void *userdata;
	TAILQ_ENTRY(search_wait) entry;
};

static void end_waits(struct repository *r)
{
	struct search_waits ended = TAILQ_HEAD_INITIALIZER(ended);
	struct search_wait *w;

	TAILQ_CONCAT(&ended, &r->search.waits, entry);
	while ((w = TAILQ_FIRST(&ended))) {
		TAILQ_REMOVE(&ended, w, entry);
		w->fn(w->userdata, NULL);
		free(w);
	}
}

static bool wants_more(const struct repository *r)
{
	int64_t lag = store_search_lag(r->store);

	if (!TAILQ_EMPTY(&r->search.waits))
		return lag > 0;
	return lag >= LAG && r->sync.state != SESSION_CATCHING_UP;
}

/* The turn is over, one way or the other: a disk that takes nothing keeps nobody from searching. */
static void on_end(void *userdata, int error)
{
	end_waits(userdata);
}

static void on_slice(void *userdata)
{
	struct repository *r = userdata;
	int e = store_search_index(r->store, SLICE);

	if (e < 0)
		log_debug("the search index was not written: %s", strerror(-e));
	if (e < 0 || store_search_lag(r->store) == 0)
		barrier_after_commit(r->barrier, &r->search.end);
	else if (wants_more(r))
		event_loop_defer(r->loop, &r->search.slice);
}

static void on_calm(void *userdata)
{
	struct repository *r = userdata;

	if (wants_more(r))
		event_loop_defer(r->loop, &r->search.slice);
}

void search_give_up(struct repository *r)
{
	loop_timer_stop(r->search.calm);
	event_loop_undefer(r->loop, &r->search.slice);
	barrier_after_commit(r->barrier, &r->search.end);
}

void search_schedule(struct repository *r)
{
	if (!wants_more(r))
		return;
	if (!TAILQ_EMPTY(&r->search.waits) || store_search_lag(r->store) >= LAG_MOST)
		event_loop_defer(r->loop, &r->search.slice);
	else
		loop_timer_start_us(r->search.calm, CALM_US);
}

void search_prepare(struct repository *r, repository_done_fn fn, void *userdata)
{
	struct failure failure;
	struct search_wait *w;

	if (store_search_lag(r->store) == 0) {
		fn(userdata, NULL);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		failure_from_errno(&failure, -ENOMEM);
		fn(userdata, &failure);
		return;
	}
	w->fn = fn;
	w->userdata = userdata;
	TAILQ_INSERT_TAIL(&r->search.waits, w, entry);
	search_schedule(r);
}

int search_init(struct repository *r)
{
	TAILQ_INIT(&r->search.waits);
	r->search.slice = (struct loop_deferred){ .fn = on_slice, .userdata = r };
	r->search.end = (struct barrier_effect){ .fn = on_end, .userdata = r };
	r->search.calm = loop_timer_new(r->loop, on_calm, r);
	return r->search.calm ? 0 : -ENOMEM;
}

void search_done(struct repository *r)
{
	struct search_wait *w;

	if (!r->search.slice.fn)
		return;
	event_loop_undefer(r->loop, &r->search.slice);
	barrier_forget(r->barrier, &r->search.end);
	r->search.calm = loop_timer_free(r->search.calm);
	while ((w = TAILQ_FIRST(&r->search.waits))) {
		TAILQ_REMOVE(&r->search.waits, w, entry);
		free(w);
	}
}
