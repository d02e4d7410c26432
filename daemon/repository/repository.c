/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repository/repository.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/parts.h"

#define HOLD_BASE_MS 1000
#define HOLD_CAP_MS 300000

void failure_from_problem(struct failure *f, const struct problem *p)
{
	const char *text = p->detail ? p->detail : p->title ? p->title : "no reason given";

	switch (p->class) {
	case PROBLEM_TRANSIENT:
		failure_set(f, FAILURE_OFFLINE, "%s", text);
		break;
	case PROBLEM_PERMANENT:
		if (p->status == 404)
			failure_set(f, FAILURE_NOT_FOUND, "%s", text);
		else if (p->status == 403)
			failure_set(f, FAILURE_DENIED, "%s", text);
		else if (p->status == 413)
			failure_set(f, FAILURE_TOO_LARGE, "%s", text);
		else
			failure_set(f, FAILURE_INVALID, "%s", text);
		break;
	case PROBLEM_CONFLICT:
		failure_set(f, FAILURE_CONFLICT, "%s", text);
		break;
	case PROBLEM_UNAUTHORISED:
		failure_set(f, FAILURE_LOGIN_REQUIRED, "%s", text);
		break;
	}
	f->retry_after_ms = p->retry_after_ms;
}

void hold_init(struct hold *h, uint64_t seed)
{
	*h = (struct hold){ 0 };
	backoff_init(&h->backoff, HOLD_BASE_MS, HOLD_CAP_MS, seed);
}

void hold_begin(struct hold *h, const struct problem *p)
{
	h->until_us = clock_monotonic_us() +
		(uint64_t)backoff_next(&h->backoff, p->retry_after_ms) * 1000;
}

void hold_over(struct hold *h)
{
	backoff_reset(&h->backoff);
	h->until_us = 0;
}

uint32_t hold_left_ms(const struct hold *h)
{
	uint64_t now = clock_monotonic_us();

	return h->until_us > now ? (uint32_t)((h->until_us - now) / 1000) + 1 : 0;
}

bool repository_is_asked(const struct repository *r)
{
	return !TAILQ_EMPTY(&r->history_loads) || !TAILQ_EMPTY(&r->lobby_calls);
}

void repository_add_observer(
	struct repository *r, const struct repository_observer *o, void *userdata)
{
	if (r->n_observers == MAX_OBSERVERS)
		abort();
	r->observers[r->n_observers].observer = o;
	r->observers[r->n_observers++].userdata = userdata;
}

void repository_remove_observer(struct repository *r, const void *userdata)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < r->n_observers; i++)
		if (r->observers[i].userdata != userdata)
			r->observers[kept++] = r->observers[i];
	r->n_observers = kept;
}

static int64_t count_transfers(struct repository *r)
{
	int64_t n = store_attachment_count_moving(r->store);

	return n > r->transfers.n_jobs ? n - r->transfers.n_jobs : 0;
}

void repository_get_status(struct repository *r, struct repository_status *ret)
{
	*ret = (struct repository_status){
		.connection = {
			.state = r->sync.state,
			.since = r->sync.since,
			.next_attempt_at = r->sync.next_attempt_at,
			.last_error = r->sync.last_error[0] ? r->sync.last_error : NULL,
		},
		.server = r->account.server,
		.user_id = r->account.user_id,
		.user_name = r->account.user_name,
		.signed_in = r->account.signed_in,
		.outbox_pending = store_outbox_count(r->store, MESSAGE_PENDING),
		.outbox_failed = store_outbox_count(r->store, MESSAGE_FAILED),
		.transfers_active = r->transfers.n_jobs,
		.transfers_waiting = count_transfers(r),
		.push = push_get_state(r),
		.push_distributor = r->push.connected ? r->push.distributor : NULL,
	};
}

/* What a turn that was undone had told the parts is not true; a new session tells it again. */
static void on_turn_end(void *userdata, int error)
{
	if (error < 0) {
		search_give_up(userdata);
		presence_load(userdata);
		transfers_undone(userdata, error);
		retention_load(userdata);
		retention_undone(userdata, error);
		history_retention_load(userdata);
		history_retention_undone(userdata, error);
		give_back_undone(userdata);
		notices_load(userdata);
		sync_restart(userdata,
			error == -ENOSPC ? "the disk is full" : "the database cannot be written");
	} else {
		search_schedule(userdata);
		history_retention_note_commit(userdata);
		notices_review(userdata);
	}
}

static int build(struct repository *r, const struct repository_options *o)
{
	int e;

	TAILQ_INIT(&r->sync.jobs);
	TAILQ_INIT(&r->outbox.flights);
	TAILQ_INIT(&r->outbox.unsure);
	TAILQ_INIT(&r->outbox.held);
	TAILQ_INIT(&r->receipts.told);
	TAILQ_INIT(&r->transfers.jobs);
	TAILQ_INIT(&r->transfers.imports);
	TAILQ_INIT(&r->history_loads);
	TAILQ_INIT(&r->lobby_calls);
	r->loop = o->loop;
	r->barrier = o->barrier;
	r->store = o->store;
	r->service = o->service;
	e = replace_string(&r->preview_helper, o->preview_helper);
	e = e < 0 ? e : search_init(r);
	e = e < 0 ? e : sync_init(r, o->seed);
	e = e < 0 ? e : outbox_init(r, o->seed + 1);
	e = e < 0 ? e : receipts_init(r);
	e = e < 0 ? e : lobby_init(r, o->seed + 3);
	hold_init(&r->history_hold, o->seed + 4);
	e = e < 0 ? e : presence_init(r);
	e = e < 0 ? e : push_init(r, o->seed + 5);
	e = e < 0 ? e : leave_init(r);
	e = e < 0 ? e : transfers_init(r, o->seed + 2);
	e = e < 0 ? e : storage_init(r);
	e = e < 0 ? e : retention_init(r);
	e = e < 0 ? e : history_retention_init(r);
	notices_init(r);
	return e < 0 ? e : account_init(r);
}

int repository_new(const struct repository_options *o, struct repository **ret)
{
	_cleanup_(repository_freep) struct repository *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	e = build(r, o);
	if (e < 0)
		return e;
	service_set_events(r->service, &sync_events, r);
	barrier_add_listener(r->barrier, BARRIER_AFTER_EFFECTS, on_turn_end, r);
	*ret = TAKE_PTR(r);
	return 0;
}

int repository_set_preview_helper(struct repository *r, const char *path)
{
	return replace_string(&r->preview_helper, path);
}

void repository_start(struct repository *r)
{
	int e = store_media_sweep(r->store);

	if (e < 0)
		log_warning("cannot look through the stored photos: %s", strerror(-e));
	retention_schedule(r);
	if (!r->account.signed_in)
		return;
	/* What was pushed while nobody was there is not known. */
	r->push.sync_due = r->presence.policy == POLICY_PUSH;
	if (r->account.refused)
		session_set_state(r, SESSION_LOGIN_REQUIRED, "the server refused the password");
	else
		sync_connect(r);
}

struct repository *repository_free(struct repository *r)
{
	if (!r)
		return NULL;
	if (r->barrier)
		barrier_remove_listener(r->barrier, r);
	if (r->service)
		r->service->session->disconnect(r->service, "shutdown");
	search_done(r);
	notices_done(r);
	room_done(r);
	lobby_done(r);
	transfers_done(r);
	retention_done(r);
	history_retention_done(r);
	storage_done(r);
	receipts_done(r);
	outbox_done(r);
	presence_done(r);
	push_done(r);
	leave_done(r);
	barrier_forget(r->barrier, &r->sweep);
	sync_done(r);
	account_done(r);
	free(r->preview_helper);
	free(r);
	return NULL;
}
