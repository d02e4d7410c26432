/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Media that nobody has opened for long make room, one photo a turn, in idle moments. Only what can
 * be fetched again goes; its preview stays.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/parts.h"

#define IDLE_US 500000
#define LOOK_AT 32
#define DAY_S INT64_C(86400)

struct look {
	struct repository *repository;
	int64_t used_at, n; /* of the last one looked at */
	int64_t before;     /* what was used before this goes whatever the space */
	bool over;          /* there is too much */
	unsigned seen;
	char id[ID_SIZE]; /* what goes next; "" when there is none */
};

static int is_replaceable(void *userdata, const struct attachment *a)
{
	return a->url && a->full_stored && a->status == ATTACHMENT_READY ? 1 : 0;
}

static int consider(void *userdata, const struct store_media_use *u)
{
	struct look *l = userdata;

	l->seen++;
	l->used_at = u->used_at;
	l->n = u->n;
	if (!l->over && u->used_at >= l->before)
		return -ECANCELED;
	if (store_attachment_get(l->repository->store, u->attachment_id, is_replaceable, NULL) <= 0)
		return 0;
	snprintf(l->id, sizeof(l->id), "%s", u->attachment_id);
	return -ECANCELED;
}

static void end_round(struct repository *r, int error)
{
	struct retention *t = &r->retention;
	repository_count_fn fn = t->purge_fn;
	int64_t purged = t->purged;
	struct failure f;

	if (purged > 0)
		give_back_schedule(r);
	if (error < 0)
		failure_from_errno(&f, error);
	t->purge_fn = NULL;
	t->purged = 0;
	if (fn)
		fn(t->purge_userdata, error < 0 ? &f : NULL, purged);
}

/* Looks at a few at a time; what cannot go is not looked at twice in a round. */
static void on_slice(void *userdata)
{
	struct repository *r = userdata;
	struct retention *t = &r->retention;
	struct look l = { .repository = r, .used_at = t->used_at, .n = t->n };
	int e;

	t->gone = t->purged;
	if (t->policy.media_days > 0)
		l.before = clock_wall_ms() / 1000 - t->policy.media_days * DAY_S;
	l.over = t->purge_fn ||
		(t->policy.media_bytes > 0 && store_media_total(r->store) > t->policy.media_bytes);
	e = store_media_by_use(r->store, t->used_at, t->n, LOOK_AT, consider, &l);
	t->used_at = l.used_at;
	t->n = l.n;
	if (l.id[0])
		e = store_attachment_evict(r->store, l.id);
	t->purged += l.id[0] && e >= 0;
	if (e < 0 && t->purge_fn && storage_spend_reserve(r, e)) {
		t->again = true;
		loop_timer_start_us(t->slice, 0);
	} else if (e < 0 && e != -ECANCELED && e != -ENOENT) {
		log_warning("old photos cannot be removed: %s", strerror(-e));
		end_round(r, e);
	} else if (l.id[0] || (e == 0 && l.seen == LOOK_AT)) {
		loop_timer_start_us(t->slice, 0);
	} else {
		end_round(r, 0);
	}
}

void retention_schedule(struct repository *r)
{
	struct retention *t = &r->retention;

	t->used_at = t->n = 0;
	if (!loop_timer_is_running(t->slice))
		loop_timer_start_us(t->slice, IDLE_US);
}

void retention_undone(struct repository *r, int error)
{
	struct retention *t = &r->retention;

	t->used_at = t->n = 0;
	if (!loop_timer_is_running(t->slice))
		return;
	if (t->again || (t->purge_fn && storage_spend_reserve(r, error))) {
		t->again = false;
		t->purged = t->gone;
		loop_timer_start_us(t->slice, 0);
		return;
	}
	loop_timer_start_us(t->slice, REMOVING_RETRY_US);
	end_round(r, error);
}

void storage_purge_media(struct repository *r, repository_count_fn fn, void *userdata)
{
	struct retention *t = &r->retention;
	struct failure f;

	if (t->purge_fn) {
		failure_set(&f, FAILURE_BUSY, "this is being done already");
		fn(userdata, &f, 0);
		return;
	}
	t->purge_fn = fn;
	t->purge_userdata = userdata;
	t->used_at = t->n = 0;
	loop_timer_start_us(t->slice, 0);
}

void retention_load(struct repository *r)
{
	r->retention.policy = (struct retention_policy){
		.media_bytes = setting_integer(r, "retention.media_bytes"),
		.media_days = setting_integer(r, "retention.media_days"),
	};
	retention_schedule(r);
}

int retention_init(struct repository *r)
{
	r->retention.slice = loop_timer_new(r->loop, on_slice, r);
	if (!r->retention.slice)
		return -ENOMEM;
	retention_load(r);
	return 0;
}

void retention_done(struct repository *r)
{
	r->retention.slice = loop_timer_free(r->retention.slice);
}
