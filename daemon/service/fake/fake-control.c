/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tests do to the network behind the client's back. */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

void fake_service_fail(struct service *s, enum fake_operation op, unsigned count,
	int64_t after_bytes, const struct problem *p)
{
	struct fake_fault *fault = &fake_from(s)->faults[op];

	problem_clear(&fault->problem);
	problem_copy(p, &fault->problem);
	fault->count = count;
	fault->after_bytes = after_bytes;
}

void fake_service_stall(struct service *s, enum fake_operation op, bool stall)
{
	struct fake *f = fake_from(s);

	f->stalled[op] = stall;
	if (!stall)
		fake_calls_resume(f, op);
}

unsigned fake_service_count_calls(struct service *s, enum fake_operation op)
{
	return fake_from(s)->calls[op];
}

unsigned fake_service_count_running(struct service *s, enum fake_operation op)
{
	return fake_from(s)->running[op];
}

void fake_service_drop(struct service *s, const struct problem *p)
{
	struct fake *f = fake_from(s);
	struct problem own = { 0 };

	if (f->state != FAKE_OPEN && f->state != FAKE_CONNECTING)
		return;
	fake_session_end(f);
	f->state = FAKE_DROPPED;
	fake_tell_closed(
		f, p ? p : fake_problem(&own, PROBLEM_TRANSIENT, 0, "The connection broke"));
	problem_clear(&own);
}

void fake_service_withhold_acks(struct service *s, bool withhold)
{
	struct fake *f = fake_from(s);

	f->withhold_acks = withhold;
	if (!withhold)
		fake_tell_withheld(f);
}

void fake_service_lose_sends(struct service *s, unsigned count)
{
	fake_from(s)->lose_sends = count;
}

void fake_service_duplicate_events(struct service *s, unsigned count)
{
	fake_from(s)->duplicate = count;
}

void fake_service_reorder_events(struct service *s, unsigned count)
{
	fake_from(s)->reorder = count;
}

void fake_service_resync(struct service *s)
{
	struct fake *f = fake_from(s);

	uuid4_generate(f->world.instance);
	fake_tell_resync(f);
}

void fake_service_expire_token(struct service *s)
{
	fake_from(s)->token_expired = true;
}

void fake_service_refuse_logins(struct service *s, bool refuse)
{
	fake_from(s)->world.behaviour.refuse_login = refuse;
}

struct world_chat *fake_chat_of(struct fake *f, const char *user_id)
{
	struct world_chat *c = world_find_chat_with(&f->world, user_id);

	return c ? c : world_add_chat(&f->world, NULL, user_id, clock_wall_ms());
}

static int find_chat(struct fake *f, const struct fake_message *m, struct world_chat **ret)
{
	struct world_chat *c;

	if (m->chat_id) {
		c = world_find_chat(&f->world, m->chat_id);
		if (!c)
			return -ENOENT;
	} else {
		c = fake_chat_of(f, m->user_id);
		if (!c)
			return -ENOMEM;
	}
	if (m->id && world_find_message(c, m->id))
		return -EEXIST;
	*ret = c;
	return 0;
}

static int make_message(struct fake *f, const struct fake_message *from, struct message *ret)
{
	char made[UUID_STRING_SIZE];
	const struct message borrowed = {
		.id = from->id ? (char *)from->id : made,
		.user_id = (char *)from->user_id,
		.text = (char *)from->text,
		.created_at = clock_wall_ms(),
		.attachments = (struct attachment *)from->attachments,
		.n_attachments = from->n_attachments,
		.outgoing = strcmp(from->user_id, f->world.me.id) == 0,
		.status = strcmp(from->user_id, f->world.me.id) == 0 ? MESSAGE_SENT
								     : MESSAGE_RECEIVED,
	};

	uuid7_generate(made);
	return world_copy_message(&borrowed, ret);
}

int fake_service_inject(struct service *s, const struct fake_message *m, int64_t *ret_seq)
{
	struct fake *f = fake_from(s);
	struct message made = { 0 }, *placed;
	struct world_chat *c;
	int r;

	if (!world_find_user(&f->world, m->user_id) &&
		!world_add_user(&f->world, m->user_id, m->user_id, NULL))
		return -ENOMEM;
	r = find_chat(f, m, &c);
	if (r == 0)
		r = make_message(f, m, &made);
	if (r == 0)
		r = world_append(&f->world, c, &made, &placed);
	message_clear(&made);
	if (r != 0)
		return r;
	if (!m->silent)
		fake_tell_message(f, placed);
	*ret_seq = placed->seq;
	return 0;
}

int fake_service_peer_received(struct service *s, const char *chat_id, const char *message_id)
{
	return fake_set_peer_watermark(fake_from(s), FAKE_EVENT_RECEIVED, chat_id, message_id);
}

int fake_service_peer_read(struct service *s, const char *chat_id, const char *message_id)
{
	return fake_set_peer_watermark(fake_from(s), FAKE_EVENT_READ, chat_id, message_id);
}

int fake_service_read_elsewhere(struct service *s, const char *chat_id, const char *message_id)
{
	struct fake *f = fake_from(s);
	struct world_chat *c = world_find_chat(&f->world, chat_id);
	const struct message *m = c ? world_find_message(c, message_id) : NULL;

	if (!m)
		return -ENOENT;
	if (c->info.read_seq < m->seq)
		c->info.read_seq = m->seq;
	world_touch(&f->world, c);
	fake_tell_watermark(f, FAKE_EVENT_READ, chat_id, message_id, f->world.me.id);
	return 0;
}

int fake_service_delete_elsewhere(struct service *s, const char *chat_id)
{
	struct fake *f = fake_from(s);
	struct world_chat *c = world_find_chat(&f->world, chat_id);

	if (!c)
		return -ENOENT;
	c->deleted = true;
	world_touch(&f->world, c);
	return 0;
}

int fake_service_view_chat(struct service *s, const char *chat_id, struct fake_chat_view *ret)
{
	const struct world_chat *c = world_find_chat(&fake_from(s)->world, chat_id);

	if (!c)
		return -ENOENT;
	*ret = (struct fake_chat_view){
		.n_messages = c->n_messages,
		.received_seq = c->received_seq,
		.read_seq = c->info.read_seq,
		.peer_received_seq = c->info.peer_received_seq,
		.peer_read_seq = c->info.peer_read_seq,
	};
	return 0;
}

int64_t fake_service_message_seq(struct service *s, const char *chat_id, const char *message_id)
{
	const struct world_chat *c = world_find_chat(&fake_from(s)->world, chat_id);
	const struct message *m = c ? world_find_message(c, message_id) : NULL;

	return m ? m->seq : 0;
}

int fake_service_replace_bytes(struct service *s, const char *attachment_id,
	enum attachment_variant variant, const void *bytes, size_t size)
{
	struct world_attachment *a = world_find_attachment(&fake_from(s)->world, attachment_id);
	int r = a ? world_set_bytes(a, variant, bytes, size) : -ENOENT;

	if (r == 0 && world_attachment_is_complete(a))
		r = world_complete_attachment(a);
	return r;
}

const char *fake_service_push_endpoint(struct service *s)
{
	return fake_from(s)->push_endpoint;
}
