/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user does with messages that are not sent: try again, take back. */
#include <errno.h>

#include "repository/parts.h"

static int explain(struct failure *f, int e)
{
	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no such message here");
	if (e == -EALREADY)
		return failure_set(f, FAILURE_CONFLICT, "the server has this message");
	if (e == -ENODATA)
		return failure_set(f, FAILURE_CONFLICT,
			"the bytes of its photo are lost; send it anew, or cancel it");
	return failure_from_errno(f, e);
}

int room_retry(struct repository *r, const char *message_id, struct failure *f)
{
	int e = store_begin(r->store);

	if (e < 0)
		return failure_from_errno(f, e);
	e = store_message_retry(r->store, message_id);
	store_end(r->store, e < 0);
	if (e < 0)
		return explain(f, e);
	outbox_schedule(r, true);
	transfers_schedule(r);
	presence_review(r);
	return 0;
}

/*
 * After the commit: the rows that spoke of these bytes are gone. Photos being prepared have none
 * yet.
 */
static void on_sweep(void *userdata, int error)
{
	struct repository *r = userdata;

	if (error == 0 && TAILQ_EMPTY(&r->transfers.imports))
		store_media_sweep(r->store);
}

void unsent_sweep(struct repository *r)
{
	if (!r->sweep.fn)
		r->sweep = (struct barrier_effect){ .fn = on_sweep, .userdata = r };
	barrier_after_commit(r->barrier, &r->sweep);
}

int room_cancel(struct repository *r, const char *message_id, struct failure *f)
{
	int e;

	if (outbox_is_on_its_way(r, message_id))
		return failure_set(f, FAILURE_CONFLICT,
			"the message is on its way; whether the server has it is not known yet");
	e = store_begin(r->store);
	if (e < 0)
		return failure_from_errno(f, e);
	e = store_message_cancel(r->store, message_id);
	store_end(r->store, e < 0);
	if (e < 0)
		return explain(f, e);
	unsent_sweep(r);
	presence_review(r);
	return 0;
}
