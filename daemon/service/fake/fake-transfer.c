/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes go up and down in steps, one a turn, so that they can be watched, cancelled and broken off.
 */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define STEP_BYTES 65536

struct fake_transfer *fake_transfer_free(struct fake_transfer *t)
{
	if (!t)
		return NULL;
	attachment_clear(&t->attachment);
	free(t->slot);
	free(t->etag);
	free(t);
	return NULL;
}

static void slot_clear(struct fake_slot *slot)
{
	free(slot->id);
	free(slot->attachment_id);
	buffer_clear(&slot->bytes);
}

void fake_slots_clear(struct fake *f)
{
	for (size_t i = 0; i < f->n_slots; i++)
		slot_clear(&f->slots[i]);
	free(f->slots);
	f->slots = NULL;
	f->n_slots = 0;
}

/* The last callback of a transfer; the service may be gone when it returns. */
static bool finish(struct service_call *c, const struct problem *p)
{
	c->transfer->counted = false;
	c->fake->running[c->op]--;
	c->fn.done(c->userdata, p);
	return false;
}

static bool fail(struct service_call *c, enum problem_class class, int status, const char *title)
{
	struct problem p = { 0 };

	finish(c, fake_problem(&p, class, status, title));
	problem_clear(&p);
	return false;
}

/* True when a test wants the transfer broken off here; the call has ended then. */
static bool breaks_off(struct service_call *c)
{
	struct problem p = { 0 };

	if (c->transfer->moved < c->fake->faults[c->op].after_bytes ||
		!fake_take_fault(c->fake, c->op, &p))
		return false;
	finish(c, &p);
	problem_clear(&p);
	return true;
}

/* How much to move next: no further than where a test wants it broken off. */
static size_t step_size(const struct service_call *c, int64_t left)
{
	const struct fake_fault *fault = &c->fake->faults[c->op];
	int64_t n = left < STEP_BYTES ? left : STEP_BYTES;

	if (fault->count > 0 && fault->after_bytes - c->transfer->moved < n)
		n = fault->after_bytes - c->transfer->moved;
	return (size_t)n;
}

static bool go_on(struct service_call *c)
{
	schedule_add(&c->fake->schedule, &c->task, 0);
	return true;
}

static int transfer_new(struct service *s, enum fake_operation op, fake_answer_fn answer,
	const struct attachment *a, void *userdata, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = NULL;
	int r = fake_call_new(s, op, answer, a->id, userdata, &c);

	if (r < 0)
		return r;
	c->transfer = calloc(1, sizeof(*c->transfer));
	if (!c->transfer || attachment_copy(a, &c->transfer->attachment) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(c);
	return 0;
}

static void transfer_start(struct service_call *c, struct service_call **ret)
{
	c->transfer->counted = true;
	c->fake->running[c->op]++;
	fake_call_start(c, ret);
}

static struct fake_slot *find_slot(struct fake *f, const struct service_call *c)
{
	for (size_t i = 0; c->transfer->slot && i < f->n_slots; i++) {
		struct fake_slot *slot = &f->slots[i];

		if (strcmp(slot->id, c->transfer->slot) == 0 &&
			strcmp(slot->attachment_id, c->id) == 0 &&
			slot->variant == c->transfer->variant)
			return slot;
	}
	return NULL;
}

static void remove_slot(struct fake *f, struct fake_slot *slot)
{
	slot_clear(slot);
	*slot = f->slots[--f->n_slots];
}

static int add_slot(struct service_call *c)
{
	struct fake *f = c->fake;
	struct fake_slot *grown = reallocarray(f->slots, f->n_slots + 1, sizeof(*grown)),
			 slot = { 0 };
	char id[32];

	if (!grown)
		return -ENOMEM;
	f->slots = grown;
	snprintf(id, sizeof(id), "fake-slot:%zu", ++f->n_slots_made);
	slot.variant = c->transfer->variant;
	free(c->transfer->slot);
	c->transfer->slot = NULL;
	if (fake_dup(&slot.id, id) < 0 || fake_dup(&slot.attachment_id, c->id) < 0 ||
		fake_dup(&c->transfer->slot, id) < 0) {
		slot_clear(&slot);
		return -ENOMEM;
	}
	f->slots[f->n_slots++] = slot;
	return 0;
}

/* The slot to go on in, or a new one. */
static bool begin_upload(struct service_call *c)
{
	struct fake_transfer *t = c->transfer;
	const struct fake_slot *slot = find_slot(c->fake, c);

	if (slot) {
		t->offset = (int64_t)buffer_size(&slot->bytes);
		return go_on(c);
	}
	if (add_slot(c) < 0)
		return fail(c, PROBLEM_TRANSIENT, 0, "Not enough memory");
	if (t->on_slot)
		t->on_slot(c->userdata, t->slot);
	return c->cancelled ? false : go_on(c);
}

static bool complete_upload(struct service_call *c, struct fake_slot *slot)
{
	const struct fake_transfer *t = c->transfer;
	struct world *w = &c->fake->world;
	struct world_attachment *a = world_find_attachment(w, c->id);
	int r;

	if (!a)
		a = world_add_attachment(w, c->id);
	if (!a)
		return fail(c, PROBLEM_TRANSIENT, 0, "Not enough memory");
	r = world_set_bytes(a, t->variant, buffer_bytes(&slot->bytes), buffer_size(&slot->bytes));
	if (r == 0 && t->variant == VARIANT_FULL) {
		attachment_clear(&a->info);
		r = attachment_copy(&t->attachment, &a->info);
	}
	if (r == 0 && world_attachment_is_complete(a))
		r = world_complete_attachment(a);
	if (r < 0)
		return fail(c, PROBLEM_TRANSIENT, 0, "Not enough memory");
	remove_slot(c->fake, slot);
	return finish(c, NULL);
}

/* Reads one step from the caller into the slot. False: the call has ended. */
static bool move_up(struct service_call *c)
{
	struct fake_transfer *t = c->transfer;
	struct fake_slot *slot;
	uint8_t step[STEP_BYTES];
	ssize_t n = t->source(c->userdata, t->offset, step, step_size(c, t->size - t->offset));

	if (c->cancelled)
		return false;
	if (n <= 0)
		return fail(c, PROBLEM_PERMANENT, 0, "The bytes cannot be read");
	slot = find_slot(c->fake, c);
	if (!slot || buffer_append(&slot->bytes, step, (size_t)n) < 0)
		return fail(c, PROBLEM_TRANSIENT, 0, "The upload broke off");
	t->offset += n;
	t->moved += n;
	if (t->progress)
		t->progress(c->userdata, t->offset, t->size);
	return c->cancelled ? false : go_on(c);
}

static bool step_upload(struct service_call *c, const struct problem *p)
{
	struct fake_transfer *t = c->transfer;
	struct fake_slot *slot;

	if (p)
		return finish(c, p);
	if (breaks_off(c))
		return false;
	if (!t->begun) {
		t->begun = true;
		return begin_upload(c);
	}
	slot = find_slot(c->fake, c);
	if (!slot)
		return fail(c, PROBLEM_TRANSIENT, 404, "The upload is gone");
	return t->offset < t->size ? move_up(c) : complete_upload(c, slot);
}

static int attachments_upload(
	struct service *s, const struct upload_request *r, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = NULL;
	struct fake_transfer *t;
	int e = transfer_new(s, FAKE_UPLOAD, step_upload, r->attachment, r->userdata, &c);

	if (e < 0)
		return e;
	t = c->transfer;
	t->variant = r->variant;
	t->size = r->size;
	t->source = r->source;
	t->progress = r->progress;
	t->on_slot = r->on_slot;
	if (fake_dup(&t->slot, r->slot) < 0)
		return -ENOMEM;
	c->fn.done = r->done;
	transfer_start(TAKE_PTR(c), ret);
	return 0;
}

static bool answer_describe(struct service_call *c, const struct problem *p)
{
	const struct world_attachment *known = world_find_attachment(&c->fake->world, c->id);
	struct attachment a = { 0 };
	struct problem own = { 0 };

	if (!p && (!known || !world_attachment_is_complete(known)))
		p = fake_problem(&own, PROBLEM_PERMANENT, 404, "There is no such attachment");
	else if (!p && attachment_copy(&known->info, &a) < 0)
		p = fake_no_memory(&own);
	c->fn.attachment(c->userdata, p, p ? NULL : &a);
	attachment_clear(&a);
	problem_clear(&own);
	return false;
}

static int attachments_describe(struct service *s, const char *attachment_id,
	service_attachment_fn fn, void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_DESCRIBE, answer_describe, attachment_id, userdata, &c);

	if (r < 0)
		return r;
	c->fn.attachment = fn;
	fake_call_start(c, ret);
	return 0;
}

/* What the attachment's URL for the variant names, or NULL. */
static const struct world_bytes *find_bytes(const struct service_call *c)
{
	const struct fake_transfer *t = c->transfer;
	const char *url =
		t->variant == VARIANT_FULL ? t->attachment.url : t->attachment.preview_url;
	const struct world *w = &c->fake->world;

	for (size_t i = 0; url && i < w->n_attachments; i++) {
		const struct world_attachment *a = w->attachments[i];

		if (!world_attachment_is_complete(a))
			continue;
		if (strcmp(a->info.url, url) == 0)
			return &a->variants[VARIANT_FULL];
		if (strcmp(a->info.preview_url, url) == 0)
			return &a->variants[VARIANT_PREVIEW];
	}
	return NULL;
}

/* Tells the etag; bytes that belong to another one are void, and it starts over. */
static bool begin_download(struct service_call *c, const struct world_bytes *bytes)
{
	struct fake_transfer *t = c->transfer;
	int64_t total = (int64_t)buffer_size(&bytes->bytes);
	char etag[FAKE_ETAG_SIZE];

	memcpy(etag, bytes->etag, sizeof(etag));
	if (!t->etag || strcmp(t->etag, etag) != 0 || t->offset > total)
		t->offset = 0;
	free(t->etag);
	t->etag = NULL;
	if (fake_dup(&t->etag, etag) < 0)
		return fail(c, PROBLEM_TRANSIENT, 0, "Not enough memory");
	if (t->on_etag)
		t->on_etag(c->userdata, etag, total);
	return c->cancelled ? false : go_on(c);
}

static bool move_down(struct service_call *c, const struct world_bytes *bytes)
{
	struct fake_transfer *t = c->transfer;
	size_t n = step_size(c, (int64_t)buffer_size(&bytes->bytes) - t->offset);
	uint8_t step[STEP_BYTES];
	int r;

	memcpy(step, buffer_bytes(&bytes->bytes) + t->offset, n);
	r = t->sink(c->userdata, t->offset, step, n);
	if (c->cancelled)
		return false;
	if (r < 0)
		return fail(c, PROBLEM_PERMANENT, 0, "The bytes cannot be kept");
	t->offset += (int64_t)n;
	t->moved += (int64_t)n;
	return go_on(c);
}

static bool step_download(struct service_call *c, const struct problem *p)
{
	struct fake_transfer *t = c->transfer;
	const struct world_bytes *bytes = find_bytes(c);

	if (p)
		return finish(c, p);
	if (breaks_off(c))
		return false;
	if (!bytes)
		return fail(c, PROBLEM_PERMANENT, 404, "There is nothing at that address");
	if (t->begun && strcmp(t->etag, bytes->etag) != 0)
		return fail(c, PROBLEM_TRANSIENT, 0, "The bytes changed on the way");
	if (!t->begun) {
		t->begun = true;
		return begin_download(c, bytes);
	}
	return t->offset < (int64_t)buffer_size(&bytes->bytes) ? move_down(c, bytes)
							       : finish(c, NULL);
}

static int attachments_download(
	struct service *s, const struct download_request *r, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = NULL;
	struct fake_transfer *t;
	int e = transfer_new(s, FAKE_DOWNLOAD, step_download, r->attachment, r->userdata, &c);

	if (e < 0)
		return e;
	t = c->transfer;
	t->variant = r->variant;
	t->offset = r->offset;
	t->sink = r->sink;
	t->on_etag = r->on_etag;
	if (fake_dup(&t->etag, r->etag) < 0)
		return -ENOMEM;
	c->fn.done = r->done;
	transfer_start(TAKE_PTR(c), ret);
	return 0;
}

const struct attachment_service fake_attachments = {
	.upload = attachments_upload,
	.describe = attachments_describe,
	.download = attachments_download,
};
