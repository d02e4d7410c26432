/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What frontends and arriving messages ask of the transfer queue. */
#include "repository/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repository/media-open.h"

static bool comes_by_itself(const struct repository *r)
{
	switch (r->transfers.policy.auto_download) {
	case AUTO_DOWNLOAD_NEVER:
		return false;
	case AUTO_DOWNLOAD_UNMETERED:
		return !r->transfers.metered;
	case AUTO_DOWNLOAD_ALWAYS:
		return true;
	}
	return false;
}

void transfers_plan(struct repository *r, struct message *m, bool live)
{
	bool wanted = live && comes_by_itself(r);

	for (size_t i = 0; i < m->n_attachments; i++) {
		struct attachment *a = &m->attachments[i];

		a->priority =
			r->sync.state == SESSION_LIVE ? PRIORITY_AUTOMATIC : PRIORITY_BACKFILL;
		if (!a->url)
			a->status = ATTACHMENT_FAILED;
		else
			a->status = wanted ? ATTACHMENT_DOWNLOADING : ATTACHMENT_WAITING;
	}
}

struct wanted {
	enum attachment_status status;
	enum attachment_priority priority;
	bool fetchable, outgoing;
	bool stored[2];
	char message_id[ID_SIZE];
};

static int look_at(void *userdata, const struct attachment *a)
{
	struct wanted *w = userdata;

	*w = (struct wanted){
		.status = a->status,
		.priority = a->priority,
		.fetchable = a->url,
		.outgoing = a->outgoing,
		.stored = { [VARIANT_FULL] = a->full_stored,
			[VARIANT_PREVIEW] = a->preview_stored },
	};
	snprintf(w->message_id, sizeof(w->message_id), "%s", a->message_id);
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
	struct transfer_job *j = transfers_find_job(r, attachment_id);
	struct wanted w;
	int e = find(r, attachment_id, &w, f);

	if (e < 0 || w.stored[VARIANT_FULL])
		return e;
	if (w.status == ATTACHMENT_DOWNLOADING && w.priority == PRIORITY_ASKED)
		return 0;
	if (!w.fetchable)
		return failure_set(f, FAILURE_CONFLICT, "this photo is not on the server");
	e = store_attachment_want(r->store, attachment_id, ATTACHMENT_DOWNLOADING, PRIORITY_ASKED);
	if (e < 0)
		return failure_from_errno(f, e);
	if (j)
		j->rank = PRIORITY_ASKED;
	transfers_schedule(r);
	return 0;
}

static int cancel_upload(struct repository *r, const char *attachment_id, const struct wanted *w)
{
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	e = store_attachment_set_status(r->store, attachment_id, ATTACHMENT_FAILED);
	e = e < 0 ? e
		  : store_message_fail(r->store, w->message_id, "cancelled",
			    "the upload of a photo was cancelled");
	store_end(r->store, e < 0);
	return e;
}

int transfer_cancel(struct repository *r, const char *attachment_id, struct failure *f)
{
	struct transfer_job *j = transfers_find_job(r, attachment_id);
	struct wanted w;
	int e = find(r, attachment_id, &w, f);

	if (e < 0)
		return e;
	if (w.outgoing && w.fetchable && w.status == ATTACHMENT_READY)
		return failure_set(f, FAILURE_CONFLICT, "the photo is on the server already");
	if (w.status == ATTACHMENT_UPLOADING)
		e = cancel_upload(r, attachment_id, &w);
	else if (w.status == ATTACHMENT_DOWNLOADING)
		e = store_attachment_want(
			r->store, attachment_id, ATTACHMENT_WAITING, PRIORITY_AUTOMATIC);
	else
		return 0;
	if (e < 0)
		return failure_from_errno(f, e);
	if (j)
		job_stop(j);
	return 0;
}

void transfer_note_use(struct repository *r, const char *attachment_id, enum attachment_variant v)
{
	/* With a full disk it would undo the turn that the bytes are read in. */
	if (store_write_state(r->store) == 0)
		store_media_set_used(r->store, attachment_id, v, clock_wall_ms() / 1000);
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
	if (e < 0)
		return failure_from_errno(f, e);
	transfer_note_use(r, attachment_id, v);
	return 0;
}
