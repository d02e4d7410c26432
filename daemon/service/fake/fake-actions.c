/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens in the network: messages get there, peers store them, read them and answer. */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static struct fake_action *action_free(struct fake_action *a)
{
	if (!a)
		return NULL;
	message_clear(&a->message);
	free(a->chat_id);
	free(a->message_id);
	free(a);
	return NULL;
}
DEFINE_CLEANUP(struct fake_action *, action_free)

static void action_drop(struct task *t)
{
	action_free((struct fake_action *)t);
}

static void action_run(struct task *t);

static struct fake_action *action_new(struct fake *f, enum fake_action_kind kind)
{
	struct fake_action *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->task.run = action_run;
	a->task.drop = action_drop;
	a->fake = f;
	a->kind = kind;
	return a;
}

int fake_set_peer_watermark(
	struct fake *f, enum fake_event_kind kind, const char *chat_id, const char *message_id)
{
	struct world_chat *c = world_find_chat(&f->world, chat_id);
	const struct message *m = c ? world_find_message(c, message_id) : NULL;

	if (!m)
		return -ENOENT;
	if (c->info.peer_received_seq < m->seq)
		c->info.peer_received_seq = m->seq;
	if (kind == FAKE_EVENT_READ && c->info.peer_read_seq < m->seq)
		c->info.peer_read_seq = m->seq;
	world_touch(&f->world, c);
	fake_tell_watermark(f, kind, chat_id, message_id, c->info.user_id);
	return 0;
}

static void schedule_peer(
	struct fake *f, enum fake_action_kind kind, const struct message *m, int64_t delay_ms)
{
	_cleanup_(action_freep) struct fake_action *a = NULL;

	if (delay_ms < 0)
		return;
	a = action_new(f, kind);
	if (a && fake_dup(&a->chat_id, m->chat_id) == 0 && fake_dup(&a->message_id, m->id) == 0)
		schedule_add(
			&f->schedule, &TAKE_PTR(a)->task, f->world.behaviour.ack_ms + delay_ms);
}

/* The next scripted reply that the peer of `c` may give, or NULL. */
static const struct world_reply *choose_reply(struct world_behaviour *b, const struct world_chat *c)
{
	for (size_t i = 0; i < b->n_replies; i++) {
		size_t at = (b->next_reply + i) % b->n_replies;
		const struct world_reply *r = &b->replies[at];

		if (r->user_id && strcmp(r->user_id, c->info.user_id) != 0)
			continue;
		b->next_reply = at + 1;
		return r;
	}
	return NULL;
}

static void schedule_reply(struct fake *f, const struct world_chat *c)
{
	const struct world_reply *r = choose_reply(&f->world.behaviour, c);
	_cleanup_(action_freep) struct fake_action *a = r ? action_new(f, FAKE_ACTION_REPLY) : NULL;

	if (!a || fake_dup(&a->chat_id, c->info.id) < 0)
		return;
	a->reply = r;
	schedule_add(&f->schedule, &TAKE_PTR(a)->task, f->world.behaviour.reply_ms);
}

static void give_reply(struct fake *f, const char *chat_id, const struct world_reply *r)
{
	const struct world_chat *c = world_find_chat(&f->world, chat_id);
	struct fake_message m = { .chat_id = chat_id, .text = r->text };
	int64_t seq;

	if (!c)
		return;
	m.user_id = c->info.user_id;
	fake_service_inject(&f->service, &m, &seq);
}

static bool reject(struct fake *f, const struct message *m, int status, const char *title)
{
	struct problem p;

	problem_set(&p, PROBLEM_PERMANENT, status, title, NULL);
	fake_tell_rejected(f, m->id, &p);
	problem_clear(&p);
	return false;
}

/* Attachments are what the network was given before the message; the message only names them. */
static bool resolve_attachments(struct fake *f, struct message *m)
{
	for (size_t i = 0; i < m->n_attachments; i++) {
		struct attachment *a = &m->attachments[i], copy;
		const struct world_attachment *known = world_find_attachment(&f->world, a->id);

		if (!known || !world_attachment_is_complete(known))
			return reject(f, m, 422, "An attachment has not been uploaded");
		if (attachment_copy(&known->info, &copy) < 0)
			return reject(f, m, 500, "Not enough memory");
		attachment_clear(a);
		*a = copy;
	}
	return true;
}

static void accept(struct fake *f, struct world_chat *c, struct message *m)
{
	const struct world_behaviour *b = &f->world.behaviour;
	struct message *placed;

	free(m->user_id);
	m->user_id = strdup(f->world.me.id);
	m->created_at = clock_wall_ms();
	m->outgoing = true;
	m->status = MESSAGE_SENT;
	if (!m->user_id || world_append(&f->world, c, m, &placed) < 0) {
		reject(f, m, 500, "Not enough memory");
		return;
	}
	fake_tell_accepted(f, placed);
	schedule_peer(f, FAKE_ACTION_RECEIVED, placed, b->received_ms);
	schedule_peer(f, FAKE_ACTION_READ, placed, b->read_ms);
	schedule_reply(f, c);
}

static void arrive(struct fake *f, struct message *m)
{
	struct world_chat *c = world_find_chat(&f->world, m->chat_id);
	const struct message *known = c ? world_find_message(c, m->id) : NULL;
	struct problem p = { 0 };

	if (f->lose_sends > 0) {
		f->lose_sends--;
	} else if (fake_take_fault(f, FAKE_SEND, &p)) {
		fake_tell_rejected(f, m->id, &p);
		problem_clear(&p);
	} else if (known) {
		fake_tell_accepted(f, known);
	} else if (!c) {
		reject(f, m, 404, "There is no such chat");
	} else if (resolve_attachments(f, m)) {
		accept(f, c, m);
	}
}

static void action_run(struct task *t)
{
	_cleanup_(action_freep) struct fake_action *a = (struct fake_action *)t;

	switch (a->kind) {
	case FAKE_ACTION_ARRIVE:
		arrive(a->fake, &a->message);
		break;
	case FAKE_ACTION_RECEIVED:
		fake_set_peer_watermark(a->fake, FAKE_EVENT_RECEIVED, a->chat_id, a->message_id);
		break;
	case FAKE_ACTION_READ:
		fake_set_peer_watermark(a->fake, FAKE_EVENT_READ, a->chat_id, a->message_id);
		break;
	case FAKE_ACTION_REPLY:
		give_reply(a->fake, a->chat_id, a->reply);
		break;
	}
}

int fake_act_arrive(struct fake *f, const struct message *m)
{
	_cleanup_(action_freep) struct fake_action *a = action_new(f, FAKE_ACTION_ARRIVE);

	if (!a || world_copy_message(m, &a->message) < 0)
		return -ENOMEM;
	schedule_add(&f->schedule, &TAKE_PTR(a)->task, 0);
	return 0;
}

static bool is_session_action(const struct task *t)
{
	return t->run == action_run && ((const struct fake_action *)t)->kind == FAKE_ACTION_ARRIVE;
}

void fake_actions_forget(struct fake *f)
{
	schedule_purge(&f->schedule, is_session_action);
}
