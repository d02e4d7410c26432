/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "repository/transfer.h"

static void on_described(void *userdata, const struct problem *p, struct attachment *a)
{
	struct transfer_job *j = userdata;
	struct repository *r = j->repository;
	int e;

	j->call = NULL;
	/* What an earlier attempt had sent is not there any more. */
	if (p && p->status == 404 && !j->full_sent) {
		store_attachment_set_progress(r->store, j->attachment.id, 0);
		job_retry(j, 0);
		return;
	}
	if (p) {
		job_take_problem(j, p);
		return;
	}
	e = store_attachment_set_remote(r->store, j->attachment.id, a->url, a->preview_url);
	e = e < 0 ? e : store_attachment_set_status(r->store, j->attachment.id, ATTACHMENT_READY);
	if (e < 0) {
		job_take_store_error(j, e);
		return;
	}
	outbox_schedule(r, true);
	retention_schedule(r);
	job_succeed(j);
}

int upload_describe(struct transfer_job *j)
{
	struct service *s = j->repository->service;

	return s->attachments->describe(s, j->attachment.id, on_described, j, &j->call);
}

static void on_uploaded(void *userdata, const struct problem *p)
{
	struct transfer_job *j = userdata;
	int e = 0;

	j->call = NULL;
	if (p) {
		job_take_problem(j, p);
		return;
	}
	if (j->stage == STAGE_UPLOAD_FULL) {
		j->full_sent = true;
		e = store_attachment_set_progress(
			j->repository->store, j->attachment.id, j->attachment.size);
	}
	if (e < 0) {
		job_take_store_error(j, e);
		return;
	}
	j->stage = j->stage == STAGE_UPLOAD_FULL ? STAGE_UPLOAD_PREVIEW : STAGE_DESCRIBE;
	job_begin_stage(j);
}

static ssize_t read_source(void *userdata, int64_t offset, void *buf, size_t len)
{
	struct transfer_job *j = userdata;

	return store_media_read(
		j->repository->store, j->attachment.id, job_variant(j), offset, buf, len);
}

static void on_upload_progress(void *userdata, int64_t done, int64_t total)
{
	struct transfer_job *j = userdata;

	if (j->stage != STAGE_UPLOAD_FULL || done == total)
		return;
	store_attachment_set_progress(j->repository->store, j->attachment.id, done);
	job_tell_progress(j, done);
}

static void on_slot(void *userdata, const char *slot)
{
	struct transfer_job *j = userdata;

	store_media_set_slot(j->repository->store, j->attachment.id, job_variant(j), slot);
}

int upload_begin(struct transfer_job *j)
{
	struct repository *r = j->repository;
	enum attachment_variant v = job_variant(j);
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
