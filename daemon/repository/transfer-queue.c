/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The transfer queue. What is to be done stands in the store (store_attachment_moving), in the
 * order of doing it, so that nothing of it is lost and one attachment is moved once however many
 * ask; here is only what is under way.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/transfer.h"

#define BACKOFF_BASE_MS 1000
#define BACKOFF_CAP_MS 300000
#define PROGRESS_INTERVAL_US 100000

enum attachment_variant job_variant(const struct transfer_job *j)
{
	return j->stage == STAGE_UPLOAD_PREVIEW || j->stage == STAGE_DOWNLOAD_PREVIEW
		? VARIANT_PREVIEW
		: VARIANT_FULL;
}

static enum transfer_class class_of(const struct attachment *a)
{
	return a->status == ATTACHMENT_UPLOADING ? TRANSFER_UPLOADS : TRANSFER_DOWNLOADS;
}

void job_end(struct transfer_job *j)
{
	struct repository *r = j->repository;

	TAILQ_REMOVE(&r->transfers.jobs, j, entry);
	r->transfers.n_jobs--;
	attachment_clear(&j->attachment);
	buffer_clear(&j->piece);
	free(j);
	transfers_schedule(r);
}

void job_succeed(struct transfer_job *j)
{
	backoff_reset(&j->repository->transfers.classes[class_of(&j->attachment)].backoff);
	job_end(j);
}

void job_retry(struct transfer_job *j, uint32_t floor_ms)
{
	struct transfers *t = &j->repository->transfers;
	enum transfer_class class = class_of(&j->attachment);
	uint32_t wait = backoff_next(&t->classes[class].backoff, floor_ms);

	if (floor_ms > 0 || !loop_timer_is_running(t->classes[class].retry))
		loop_timer_start_us(t->classes[class].retry, (uint64_t)wait * 1000);
	job_end(j);
}

void job_tell_progress(struct transfer_job *j, int64_t done)
{
	struct repository *r = j->repository;
	uint64_t now = clock_monotonic_us();

	j->attachment.progress = done;
	if (now - j->told_us < PROGRESS_INTERVAL_US && done < j->attachment.size)
		return;
	j->told_us = now;
	for (unsigned i = 0; i < r->n_observers; i++)
		if (r->observers[i].observer->on_transfer_progress)
			r->observers[i].observer->on_transfer_progress(
				r->observers[i].userdata, &j->attachment);
}

static void log_transfer(const struct transfer_job *j, const char *what, int e)
{
	char fields[200];

	snprintf(fields, sizeof(fields), "ATTACHMENT_ID=%s\nMESSAGE_ID=%s", j->attachment.id,
		j->attachment.message_id);
	log_full(LOG_ERR, fields, "%s: %s", what, strerror(-e));
}

/* A refused upload takes its message with it: it can never be sent as it is. */
static int store_failure(struct transfer_job *j, const char *title, const char *detail)
{
	struct store *store = j->repository->store;
	int e = store_attachment_set_status(store, j->attachment.id, ATTACHMENT_FAILED);

	return e == 0 && j->attachment.outgoing
		? store_message_fail(store, j->attachment.message_id, title, detail)
		: e;
}

void job_fail(struct transfer_job *j, const char *title, const char *detail)
{
	int e = store_failure(j, title, detail);

	if (e < 0 && e != -ENOENT)
		log_transfer(j, "a failed transfer could not be stored", e);
	job_end(j);
}

/* A photo that has no preview is still a photo. */
static void do_without_preview(struct transfer_job *j)
{
	int e = store_attachment_set_remote(
		j->repository->store, j->attachment.id, j->attachment.url, NULL);

	if (e < 0)
		job_take_store_error(j, e);
	else
		job_end(j);
}

static void take_refusal(struct transfer_job *j, const struct problem *p)
{
	if (j->stage == STAGE_DOWNLOAD_PREVIEW)
		do_without_preview(j);
	else
		job_fail(j, p->title ? p->title : "the server refused the photo", p->detail);
}

void job_take_problem(struct transfer_job *j, const struct problem *p)
{
	struct repository *r = j->repository;

	switch (p->class) {
	case PROBLEM_TRANSIENT:
		job_retry(j, p->retry_after_ms);
		break;
	case PROBLEM_CONFLICT:
		store_media_set_slot(r->store, j->attachment.id, job_variant(j), NULL);
		job_retry(j, 0);
		break;
	case PROBLEM_PERMANENT:
		take_refusal(j, p);
		break;
	case PROBLEM_UNAUTHORISED:
		job_end(j);
		sync_refused(r, p);
		break;
	}
}

void job_take_store_error(struct transfer_job *j, int e)
{
	if (e == -ENOENT) { /* its message is gone, and all its bytes with it */
		job_end(j);
		return;
	}
	log_transfer(j, "a photo's bytes cannot be stored or read", e);
	job_retry(j, 0);
}

void job_stop(struct transfer_job *j)
{
	j->call = service_call_cancel(j->repository->service, j->call);
	download_flush(j);
	job_end(j);
}

/* What a job has counted and hashed may be of the turn that was undone. */
void transfers_undone(struct repository *r, int error)
{
	struct transfer_job *j;

	photos_undone(r, error);
	while ((j = TAILQ_FIRST(&r->transfers.jobs))) {
		j->call = service_call_cancel(r->service, j->call);
		job_end(j);
	}
	transfers_load(r);
}

void job_begin_stage(struct transfer_job *j)
{
	int e = -EINVAL;

	switch (j->stage) {
	case STAGE_UPLOAD_FULL:
	case STAGE_UPLOAD_PREVIEW:
		e = upload_begin(j);
		break;
	case STAGE_DESCRIBE:
		e = upload_describe(j);
		break;
	case STAGE_DOWNLOAD_PREVIEW:
	case STAGE_DOWNLOAD_FULL:
		e = download_begin(j);
		break;
	}
	if (e < 0)
		job_take_store_error(j, e);
}

struct transfer_job *transfers_find_job(struct repository *r, const char *attachment_id)
{
	struct transfer_job *j;

	TAILQ_FOREACH(j, &r->transfers.jobs, entry)
		if (strcmp(j->attachment.id, attachment_id) == 0)
			return j;
	return NULL;
}

/* What is to be done next for an attachment; false: nothing can be. */
static bool next_stage(const struct attachment *a, enum transfer_stage *ret)
{
	if (a->status == ATTACHMENT_UPLOADING)
		*ret = a->size > 0 && a->progress == a->size ? STAGE_UPLOAD_PREVIEW
							     : STAGE_UPLOAD_FULL;
	else if (!a->preview_stored && a->preview_url)
		*ret = STAGE_DOWNLOAD_PREVIEW;
	else if (a->status == ATTACHMENT_DOWNLOADING && a->url)
		*ret = STAGE_DOWNLOAD_FULL;
	else
		return false;
	return true;
}

/* The order of the store's list in a word. */
static enum attachment_priority rank_of(const struct attachment *a, enum transfer_stage stage)
{
	if (a->priority == PRIORITY_ASKED)
		return PRIORITY_ASKED;
	if (a->status == ATTACHMENT_UPLOADING)
		return PRIORITY_OUTGOING;
	return stage == STAGE_DOWNLOAD_PREVIEW ? PRIORITY_PREVIEW : a->priority;
}

static bool is_held_back(const struct repository *r, enum attachment_priority rank)
{
	const struct transfers *t = &r->transfers;

	if (rank != PRIORITY_AUTOMATIC && rank != PRIORITY_BACKFILL)
		return false;
	return t->policy.auto_download == AUTO_DOWNLOAD_NEVER ||
		(t->policy.auto_download == AUTO_DOWNLOAD_UNMETERED && t->metered);
}

struct choice {
	struct repository *repository;
	struct transfer_job *jobs[TRANSFERS_MAX];
	unsigned n;
	bool user_waits; /* for a slot */
};

static int add_job(struct choice *c, const struct attachment *a, enum transfer_stage stage,
	enum attachment_priority rank)
{
	struct transfer_job *j = calloc(1, sizeof(*j));
	int e = j ? attachment_copy(a, &j->attachment) : -ENOMEM;

	if (e < 0) {
		free(j);
		return e;
	}
	j->repository = c->repository;
	j->stage = stage;
	j->rank = rank;
	c->jobs[c->n++] = j;
	return 0;
}

/* Stops where nothing of what follows can be begun, or each turn would walk through all of it. */
static int choose(void *userdata, const struct attachment *a)
{
	struct choice *c = userdata;
	struct transfers *t = &c->repository->transfers;
	enum attachment_priority rank;
	enum transfer_stage stage;

	if (!next_stage(a, &stage) || transfers_find_job(c->repository, a->id))
		return 0;
	rank = rank_of(a, stage);
	if (is_held_back(c->repository, rank))
		return -ENOBUFS;
	if (loop_timer_is_running(t->classes[class_of(a)].retry))
		return rank >= PRIORITY_PREVIEW ? -ENOBUFS : 0;
	if (t->n_jobs + c->n >= t->policy.max_active) {
		c->user_waits = rank == PRIORITY_ASKED;
		return -ENOBUFS;
	}
	return add_job(c, a, stage, rank);
}

/* The user does not wait behind what nobody has asked for. */
static void make_room(struct repository *r)
{
	struct transfer_job *j, *least = NULL;

	TAILQ_FOREACH(j, &r->transfers.jobs, entry)
		if (j->rank > PRIORITY_OUTGOING && (!least || j->rank >= least->rank))
			least = j;
	if (least)
		job_stop(least);
}

static void on_pump(void *userdata, int error)
{
	struct choice c = { .repository = userdata };
	struct repository *r = userdata;

	if (error < 0 || !session_is_up(r))
		return;
	if (!store_is_committed(r->store)) {
		barrier_after_commit(r->barrier, &r->transfers.pump);
		return;
	}
	store_attachment_moving(r->store, choose, &c);
	for (unsigned i = 0; i < c.n; i++) {
		TAILQ_INSERT_TAIL(&r->transfers.jobs, c.jobs[i], entry);
		r->transfers.n_jobs++;
	}
	for (unsigned i = 0; i < c.n; i++)
		job_begin_stage(c.jobs[i]);
	if (c.user_waits)
		make_room(r);
}

void transfers_schedule(struct repository *r)
{
	barrier_after_commit(r->barrier, &r->transfers.pump);
}

static void on_retry(void *userdata)
{
	transfers_schedule(userdata);
}

void transfers_session_began(struct repository *r)
{
	loop_timer_stop(r->transfers.classes[TRANSFER_UPLOADS].retry);
	loop_timer_stop(r->transfers.classes[TRANSFER_DOWNLOADS].retry);
	transfers_schedule(r);
}

static void stop_held_back(struct repository *r)
{
	struct transfer_job *j, *next;

	for (j = TAILQ_FIRST(&r->transfers.jobs); j; j = next) {
		next = TAILQ_NEXT(j, entry);
		if (is_held_back(r, j->rank))
			job_stop(j);
	}
	transfers_schedule(r);
}

void transfers_set_metered(struct repository *r, bool metered)
{
	r->transfers.metered = metered;
	stop_held_back(r);
}

static const char *const auto_download_names[] = {
	[AUTO_DOWNLOAD_NEVER] = "never",
	[AUTO_DOWNLOAD_UNMETERED] = "unmetered",
	[AUTO_DOWNLOAD_ALWAYS] = "always",
};

/* Where nothing is under way, as at first, this only takes the settings over. */
void transfers_load(struct repository *r)
{
	struct transfers *t = &r->transfers;

	t->policy.max_active = (unsigned)setting_integer(r, "transfers.max_active");
	for (size_t i = 0; i < ARRAY_SIZE(auto_download_names); i++)
		if (setting_is(r, "auto_download", auto_download_names[i]))
			t->policy.auto_download = (enum auto_download)i;
	stop_held_back(r);
}

int transfers_init(struct repository *r, uint64_t seed)
{
	struct transfers *t = &r->transfers;

	t->pump = (struct barrier_effect){ .fn = on_pump, .userdata = r };
	transfers_load(r);
	for (size_t i = 0; i < ARRAY_SIZE(t->classes); i++) {
		backoff_init(&t->classes[i].backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, seed + i);
		t->classes[i].retry = loop_timer_new(r->loop, on_retry, r);
		if (!t->classes[i].retry)
			return -ENOMEM;
	}
	return 0;
}

void transfers_done(struct repository *r)
{
	struct transfers *t = &r->transfers;
	struct transfer_job *j;

	photos_done(r);
	while ((j = TAILQ_FIRST(&t->jobs)))
		job_stop(j);
	barrier_forget(r->barrier, &t->pump);
	for (size_t i = 0; i < ARRAY_SIZE(t->classes); i++)
		t->classes[i].retry = loop_timer_free(t->classes[i].retry);
}
