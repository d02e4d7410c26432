/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The transfer queue. What is to be done stands in the store (store_attachment_moving); here is
 * only what is under way: at most MAX_JOBS attachments at a time, each in one stage after another.
 * An upload is full, preview, then what the server made of them; a download is the preview, then
 * the full bytes where they are wanted.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "repository/media-open.h"
#include "repository/parts.h"

#define MAX_JOBS 4
#define BACKOFF_BASE_MS 1000
#define BACKOFF_CAP_MS 300000
#define PROGRESS_INTERVAL_US 100000
#define PIECE_SIZE 262144u /* downloaded bytes are stored in pieces of this size */

enum stage {
	STAGE_UPLOAD_FULL,
	STAGE_UPLOAD_PREVIEW,
	STAGE_DESCRIBE,
	STAGE_DOWNLOAD_PREVIEW,
	STAGE_DOWNLOAD_FULL,
};

struct transfer_job {
	struct repository *repository;
	struct service_call *call;
	struct attachment attachment; /* as it was when the job began, but for progress */
	enum stage stage;
	struct buffer piece; /* downloaded, not yet stored */
	crypto_hash_sha256_state hash;
	int64_t stored;
	uint64_t told_us;
	TAILQ_ENTRY(transfer_job) entry;
};

static void begin_stage(struct transfer_job *j);

static void job_end(struct transfer_job *j)
{
	struct repository *r = j->repository;

	TAILQ_REMOVE(&r->transfers.jobs, j, entry);
	r->transfers.n_jobs--;
	attachment_clear(&j->attachment);
	buffer_clear(&j->piece);
	free(j);
	transfers_schedule(r);
}

static void retry_later(struct repository *r, uint32_t floor_ms)
{
	uint32_t wait = backoff_next(&r->transfers.backoff, floor_ms);

	if (!loop_timer_is_running(r->transfers.retry))
		loop_timer_start_us(r->transfers.retry, (uint64_t)wait * 1000);
}

static enum attachment_variant variant_of(enum stage stage)
{
	return stage == STAGE_UPLOAD_PREVIEW || stage == STAGE_DOWNLOAD_PREVIEW ? VARIANT_PREVIEW
										: VARIANT_FULL;
}

static void tell_progress(struct transfer_job *j, int64_t done)
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

/* A refused upload takes its message with it: it can never be sent as it is. */
static void fail(struct transfer_job *j, const char *title, const char *detail)
{
	struct repository *r = j->repository;
	int e = store_attachment_set_status(r->store, j->attachment.id, ATTACHMENT_FAILED);

	if (e == 0 && j->attachment.outgoing)
		e = store_message_fail(r->store, j->attachment.message_id, title, detail);
	if (e < 0 && e != -ENOENT)
		log_error("a failed transfer could not be stored: %s", strerror(-e));
	job_end(j);
}

static void on_problem(struct transfer_job *j, const struct problem *p)
{
	struct repository *r = j->repository;

	switch (p->class) {
	case PROBLEM_TRANSIENT:
		retry_later(r, p->retry_after_ms);
		job_end(j);
		break;
	case PROBLEM_CONFLICT:
		store_media_set_slot(r->store, j->attachment.id, variant_of(j->stage), NULL);
		retry_later(r, 0);
		job_end(j);
		break;
	case PROBLEM_PERMANENT:
		fail(j, p->title ? p->title : "the server refused the photo", p->detail);
		break;
	case PROBLEM_UNAUTHORISED:
		job_end(j);
		sync_refused(r, p);
		break;
	}
}

static void on_storage_error(struct transfer_job *j, int e)
{
	log_error("a photo's bytes cannot be stored or read: %s", strerror(-e));
	retry_later(j->repository, 0);
	job_end(j);
}

static void on_described(void *userdata, const struct problem *p, struct attachment *a)
{
	struct transfer_job *j = userdata;
	struct repository *r = j->repository;
	int e;

	j->call = NULL;
	if (p) {
		on_problem(j, p);
		return;
	}
	e = store_attachment_set_remote(r->store, j->attachment.id, a->url, a->preview_url);
	e = e < 0 ? e : store_attachment_set_status(r->store, j->attachment.id, ATTACHMENT_READY);
	if (e < 0) {
		on_storage_error(j, e);
		return;
	}
	backoff_reset(&r->transfers.backoff);
	outbox_schedule(r, true);
	job_end(j);
}

static void on_uploaded(void *userdata, const struct problem *p)
{
	struct transfer_job *j = userdata;

	j->call = NULL;
	if (p) {
		on_problem(j, p);
		return;
	}
	j->stage = j->stage == STAGE_UPLOAD_FULL ? STAGE_UPLOAD_PREVIEW : STAGE_DESCRIBE;
	begin_stage(j);
}

static ssize_t read_source(void *userdata, int64_t offset, void *buf, size_t len)
{
	struct transfer_job *j = userdata;

	return store_media_read(
		j->repository->store, j->attachment.id, variant_of(j->stage), offset, buf, len);
}

static void on_upload_progress(void *userdata, int64_t done, int64_t total)
{
	struct transfer_job *j = userdata;

	if (j->stage != STAGE_UPLOAD_FULL)
		return;
	store_attachment_set_progress(j->repository->store, j->attachment.id, done);
	tell_progress(j, done);
}

static void on_slot(void *userdata, const char *slot)
{
	struct transfer_job *j = userdata;

	store_media_set_slot(j->repository->store, j->attachment.id, variant_of(j->stage), slot);
}

static int begin_upload(struct transfer_job *j)
{
	struct repository *r = j->repository;
	enum attachment_variant v = variant_of(j->stage);
	_cleanup_free_ char *slot = store_media_get_slot(r->store, j->attachment.id, v);
	struct upload_request request = {
		.attachment = &j->attachment,
		.variant = v,
		.mime = v == VARIANT_FULL ? j->attachment.mime : "image/jpeg",
		.size = store_media_size(r->store, j->attachment.id, v),
		.slot = slot,
		.source = read_source,
		.progress = on_upload_progress,
		.on_slot = on_slot,
		.done = on_uploaded,
		.userdata = j,
	};

	return r->service->attachments->upload(r->service, &request, &j->call);
}

static int store_piece(struct transfer_job *j)
{
	size_t n = buffer_size(&j->piece);
	int e;

	if (n == 0)
		return 0;
	e = store_media_append(j->repository->store, j->attachment.id, variant_of(j->stage),
		buffer_bytes(&j->piece), n, true);
	if (e < 0)
		return e;
	crypto_hash_sha256_update(&j->hash, buffer_bytes(&j->piece), n);
	j->stored += (int64_t)n;
	buffer_consume(&j->piece, n);
	if (j->stage != STAGE_DOWNLOAD_FULL)
		return 0;
	e = store_attachment_set_progress(j->repository->store, j->attachment.id, j->stored);
	tell_progress(j, j->stored);
	return e;
}

static int start_over(struct transfer_job *j)
{
	buffer_clear(&j->piece);
	crypto_hash_sha256_init(&j->hash);
	j->stored = 0;
	return store_media_truncate(j->repository->store, j->attachment.id, variant_of(j->stage));
}

static int on_bytes(void *userdata, int64_t offset, const void *data, size_t len)
{
	struct transfer_job *j = userdata;
	int64_t limit =
		j->stage == STAGE_DOWNLOAD_FULL ? j->attachment.size : j->attachment.preview_size;
	int e = 0;

	if (offset == 0 && j->stored + (int64_t)buffer_size(&j->piece) > 0)
		e = start_over(j);
	if (e == 0 && limit > 0 && offset + (int64_t)len > limit)
		return -EMSGSIZE;
	e = e < 0 ? e : buffer_append(&j->piece, data, len);
	if (e == 0 && buffer_size(&j->piece) >= PIECE_SIZE)
		e = store_piece(j);
	return e;
}

static void on_etag(void *userdata, const char *etag, int64_t total)
{
	struct transfer_job *j = userdata;

	store_media_set_etag(j->repository->store, j->attachment.id, variant_of(j->stage), etag);
}

static bool is_intact(struct transfer_job *j)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char hex[SHA256_HEX_SIZE];

	if (j->stage == STAGE_DOWNLOAD_PREVIEW)
		return j->stored > 0;
	if (!j->attachment.sha256 || !j->attachment.sha256[0])
		return j->stored == j->attachment.size;
	crypto_hash_sha256_final(&j->hash, digest);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	return strcmp(hex, j->attachment.sha256) == 0;
}

static void finish_download(struct transfer_job *j)
{
	struct repository *r = j->repository;
	enum attachment_variant v = variant_of(j->stage);
	int e;

	if (!is_intact(j)) {
		store_media_truncate(r->store, j->attachment.id, v);
		store_attachment_set_progress(r->store, j->attachment.id, 0);
		fail(j, "damaged", "the bytes are not those that were announced");
		return;
	}
	e = store_attachment_set_stored(r->store, j->attachment.id, v, true);
	if (e == 0 && v == VARIANT_FULL)
		e = store_attachment_set_status(r->store, j->attachment.id, ATTACHMENT_READY);
	if (e < 0) {
		on_storage_error(j, e);
		return;
	}
	backoff_reset(&r->transfers.backoff);
	if (v == VARIANT_PREVIEW && j->attachment.status == ATTACHMENT_DOWNLOADING) {
		j->stage = STAGE_DOWNLOAD_FULL;
		begin_stage(j);
	} else {
		job_end(j);
	}
}

static void on_downloaded(void *userdata, const struct problem *p)
{
	struct transfer_job *j = userdata;
	int e = store_piece(j);

	j->call = NULL;
	if (e < 0)
		on_storage_error(j, e);
	else if (p)
		on_problem(j, p);
	else
		finish_download(j);
}

/*
 * The hash of what an earlier attempt has stored; without the tag it belongs to, that is worth
 * nothing.
 */
static int resume(struct transfer_job *j, const char *etag)
{
	struct store *store = j->repository->store;
	enum attachment_variant v = variant_of(j->stage);
	_cleanup_free_ uint8_t *piece = malloc(PIECE_SIZE);
	int64_t size = store_media_size(store, j->attachment.id, v);
	ssize_t n = 0;

	if (!piece)
		return -ENOMEM;
	if (size > 0 && (!etag || j->stage == STAGE_DOWNLOAD_PREVIEW))
		return start_over(j);
	crypto_hash_sha256_init(&j->hash);
	for (j->stored = 0; j->stored < size; j->stored += n) {
		n = store_media_read(store, j->attachment.id, v, j->stored, piece, PIECE_SIZE);
		if (n <= 0)
			return start_over(j);
		crypto_hash_sha256_update(&j->hash, piece, (size_t)n);
	}
	return 0;
}

static int begin_download(struct transfer_job *j)
{
	struct repository *r = j->repository;
	enum attachment_variant v = variant_of(j->stage);
	_cleanup_free_ char *etag = store_media_get_etag(r->store, j->attachment.id, v);
	int e = resume(j, etag);
	struct download_request request = {
		.attachment = &j->attachment,
		.variant = v,
		.offset = j->stored,
		.etag = j->stored > 0 ? etag : NULL,
		.sink = on_bytes,
		.on_etag = on_etag,
		.done = on_downloaded,
		.userdata = j,
	};

	return e < 0 ? e : r->service->attachments->download(r->service, &request, &j->call);
}

static void begin_stage(struct transfer_job *j)
{
	struct service *s = j->repository->service;
	int e = -EINVAL;

	switch (j->stage) {
	case STAGE_UPLOAD_FULL:
	case STAGE_UPLOAD_PREVIEW:
		e = begin_upload(j);
		break;
	case STAGE_DESCRIBE:
		e = s->attachments->describe(s, j->attachment.id, on_described, j, &j->call);
		break;
	case STAGE_DOWNLOAD_PREVIEW:
	case STAGE_DOWNLOAD_FULL:
		e = begin_download(j);
		break;
	}
	if (e < 0)
		on_storage_error(j, e);
}

static bool has_job(const struct repository *r, const char *attachment_id)
{
	const struct transfer_job *j;

	TAILQ_FOREACH(j, &r->transfers.jobs, entry)
		if (strcmp(j->attachment.id, attachment_id) == 0)
			return true;
	return false;
}

/* What is to be done next for an attachment; false: nothing can be. */
static bool next_stage(const struct attachment *a, enum stage *ret)
{
	if (a->status == ATTACHMENT_UPLOADING)
		*ret = STAGE_UPLOAD_FULL;
	else if (!a->preview_stored && a->preview_url)
		*ret = STAGE_DOWNLOAD_PREVIEW;
	else if (a->status == ATTACHMENT_DOWNLOADING && a->url)
		*ret = STAGE_DOWNLOAD_FULL;
	else
		return false;
	return true;
}

struct choice {
	struct repository *repository;
	struct transfer_job *jobs[MAX_JOBS];
	unsigned n;
};

static int choose(void *userdata, const struct attachment *a)
{
	struct choice *c = userdata;
	struct transfer_job *j;
	enum stage stage;
	int e;

	if (c->repository->transfers.n_jobs + c->n == MAX_JOBS)
		return -ENOBUFS;
	if (has_job(c->repository, a->id) || !next_stage(a, &stage))
		return 0;
	j = calloc(1, sizeof(*j));
	e = j ? attachment_copy(a, &j->attachment) : -ENOMEM;
	if (e < 0) {
		free(j);
		return e;
	}
	j->repository = c->repository;
	j->stage = stage;
	c->jobs[c->n++] = j;
	return 0;
}

static void on_pump(void *userdata, int error)
{
	struct choice c = { .repository = userdata };
	struct repository *r = userdata;

	if (error < 0 || !session_is_up(r) || loop_timer_is_running(r->transfers.retry))
		return;
	if (!store_is_committed(r->store)) {
		barrier_after_commit(r->barrier, &r->transfers.pump);
		return;
	}
	store_attachment_moving(r->store, choose, &c);
	for (unsigned i = 0; i < c.n; i++) {
		TAILQ_INSERT_TAIL(&r->transfers.jobs, c.jobs[i], entry);
		r->transfers.n_jobs++;
		begin_stage(c.jobs[i]);
	}
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
	loop_timer_stop(r->transfers.retry);
	transfers_schedule(r);
}

void transfers_plan(struct repository *r, struct message *m, bool live)
{
	for (size_t i = 0; i < m->n_attachments; i++) {
		struct attachment *a = &m->attachments[i];

		if (!a->url)
			a->status = ATTACHMENT_FAILED;
		else
			a->status = live ? ATTACHMENT_DOWNLOADING : ATTACHMENT_WAITING;
	}
}

struct wanted {
	enum attachment_status status;
	bool fetchable;
	bool stored[2];
};

static int look_at(void *userdata, const struct attachment *a)
{
	*(struct wanted *)userdata = (struct wanted){
		.status = a->status,
		.fetchable = !a->outgoing && a->url,
		.stored = { [VARIANT_FULL] = a->full_stored,
			[VARIANT_PREVIEW] = a->preview_stored },
	};
	return 0;
}

static int find(
	struct repository *r, const char *attachment_id, struct wanted *ret, struct failure *f)
{
	int e = store_attachment_get(r->store, attachment_id, look_at, ret);

	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no attachment with this id");
	return e < 0 ? failure_from_errno(f, e) : 0;
}

int transfer_download(struct repository *r, const char *attachment_id, struct failure *f)
{
	struct wanted w;
	int e = find(r, attachment_id, &w, f);

	if (e < 0 || w.stored[VARIANT_FULL] || w.status == ATTACHMENT_DOWNLOADING)
		return e;
	if (!w.fetchable)
		return failure_set(f, FAILURE_CONFLICT, "this photo is not on the server");
	e = store_attachment_set_status(r->store, attachment_id, ATTACHMENT_DOWNLOADING);
	if (e < 0)
		return failure_from_errno(f, e);
	transfers_schedule(r);
	return 0;
}

int transfer_open(struct repository *r, const char *attachment_id, enum attachment_variant v,
	int *ret_fd, int64_t *ret_size, struct failure *f)
{
	struct wanted w;
	int e = find(r, attachment_id, &w, f);

	if (e < 0)
		return e;
	if (!w.stored[v])
		return failure_set(f, FAILURE_BUSY,
			"not all bytes are here yet; ask for them with attachments.download");
	e = media_open(r->store, attachment_id, v, ret_fd, ret_size);
	return e < 0 ? failure_from_errno(f, e) : 0;
}

int transfers_init(struct repository *r, uint64_t seed)
{
	struct transfers *t = &r->transfers;

	t->pump = (struct barrier_effect){ .fn = on_pump, .userdata = r };
	backoff_init(&t->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, seed);
	t->retry = loop_timer_new(r->loop, on_retry, r);
	return t->retry ? 0 : -ENOMEM;
}

void transfers_done(struct repository *r)
{
	struct transfers *t = &r->transfers;
	struct transfer_job *j;

	photos_done(r);
	while ((j = TAILQ_FIRST(&t->jobs))) {
		service_call_cancel(r->service, j->call);
		job_end(j);
	}
	barrier_forget(r->barrier, &t->pump);
	t->retry = loop_timer_free(t->retry);
}
