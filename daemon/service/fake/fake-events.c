/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the network tells by itself. */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

static struct fake_event *event_free(struct fake_event *e)
{
	if (!e)
		return NULL;
	free(e->chat_id);
	free(e->message_id);
	free(e->user_id);
	message_clear(&e->message);
	user_clear(&e->author);
	problem_clear(&e->problem);
	free(e);
	return NULL;
}
DEFINE_CLEANUP(struct fake_event *, event_free)

static void event_drop(struct task *t)
{
	event_free((struct fake_event *)t);
}

static void tell_message(
	const struct fake_event *e, const struct service_events *events, void *userdata)
{
	struct message m = { 0 };

	if (!events->on_message || world_copy_message(&e->message, &m) < 0)
		return;
	events->on_message(userdata, &m, e->author.id ? &e->author : NULL);
	message_clear(&m);
}

static void tell_greeted(struct fake_event *e, const struct service_events *events, void *userdata)
{
	struct fake *f = e->fake;

	if (!fake_session_open(f, &e->problem)) {
		if (events->on_closed)
			events->on_closed(userdata, &e->problem);
		return;
	}
	if (events->on_greeted)
		events->on_greeted(
			userdata, f->world.me.id, (unsigned)f->world.behaviour.max_in_flight);
}

static void tell_closed(struct fake_event *e, const struct service_events *events, void *userdata)
{
	e->fake->state = FAKE_CLOSED;
	if (events->on_closed)
		events->on_closed(userdata, &e->problem);
}

static void end_flight(struct fake *f)
{
	if (f->n_in_flight > 0)
		f->n_in_flight--;
}

static void tell_accepted(struct fake_event *e, const struct service_events *events, void *userdata)
{
	end_flight(e->fake);
	if (events->on_accepted)
		events->on_accepted(userdata, e->message_id, e->chat_id, e->seq, e->created_at);
}

static void tell_rejected(struct fake_event *e, const struct service_events *events, void *userdata)
{
	end_flight(e->fake);
	if (events->on_rejected)
		events->on_rejected(userdata, e->message_id, &e->problem);
}

/* The service may be gone when this returns. */
static void tell(struct fake_event *e, const struct service_events *events, void *userdata)
{
	switch (e->kind) {
	case FAKE_EVENT_GREETED:
		tell_greeted(e, events, userdata);
		break;
	case FAKE_EVENT_CLOSED:
		tell_closed(e, events, userdata);
		break;
	case FAKE_EVENT_MESSAGE:
		tell_message(e, events, userdata);
		break;
	case FAKE_EVENT_ACCEPTED:
		tell_accepted(e, events, userdata);
		break;
	case FAKE_EVENT_REJECTED:
		tell_rejected(e, events, userdata);
		break;
	case FAKE_EVENT_RECEIVED:
		if (events->on_received)
			events->on_received(userdata, e->chat_id, e->message_id);
		break;
	case FAKE_EVENT_READ:
		if (events->on_read)
			events->on_read(userdata, e->chat_id, e->message_id, e->user_id);
		break;
	case FAKE_EVENT_RESYNC:
		if (events->on_resync)
			events->on_resync(userdata);
		break;
	case FAKE_EVENT_TOKEN:
		if (events->on_token)
			events->on_token(userdata, e->message_id, e->created_at);
		break;
	}
}

static void event_run(struct task *t)
{
	static const struct service_events nobody_listens;
	_cleanup_(event_freep) struct fake_event *e = (struct fake_event *)t;
	const struct service_events *events = e->fake->service.events;

	tell(e, events ? events : &nobody_listens, e->fake->service.userdata);
}

static struct fake_event *event_new(struct fake *f, enum fake_event_kind kind)
{
	struct fake_event *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->task.run = event_run;
	e->task.drop = event_drop;
	e->fake = f;
	e->kind = kind;
	return e;
}

static struct fake_event *event_copy(const struct fake_event *e)
{
	_cleanup_(event_freep) struct fake_event *copy = event_new(e->fake, e->kind);

	if (!copy || fake_dup(&copy->chat_id, e->chat_id) < 0 ||
		fake_dup(&copy->message_id, e->message_id) < 0 ||
		fake_dup(&copy->user_id, e->user_id) < 0 ||
		world_copy_message(&e->message, &copy->message) < 0 ||
		world_copy_user(&e->author, &copy->author) < 0)
		return NULL;
	copy->seq = e->seq;
	copy->created_at = e->created_at;
	return TAKE_PTR(copy);
}

static void tell_reversed(struct fake *f)
{
	struct task *t;

	while ((t = TAILQ_LAST(&f->reordering, task_list))) {
		TAILQ_REMOVE(&f->reordering, t, entry);
		schedule_add(&f->schedule, t, 0);
	}
	f->reorder = f->n_reordering = 0;
}

/* Onto the wire, with what the tests want done to it there. */
static void transmit(struct fake_event *e, int64_t delay_ms)
{
	struct fake *f = e->fake;
	struct fake_event *second;

	if (f->reorder > 0) {
		TAILQ_INSERT_TAIL(&f->reordering, &e->task, entry);
		if (++f->n_reordering == f->reorder)
			tell_reversed(f);
		return;
	}
	second = f->duplicate > 0 ? event_copy(e) : NULL;
	schedule_add(&f->schedule, &e->task, delay_ms);
	if (!second)
		return;
	f->duplicate--;
	schedule_add(&f->schedule, &second->task, delay_ms);
}

static bool is_acknowledgement(const struct fake_event *e)
{
	return e->kind == FAKE_EVENT_ACCEPTED || e->kind == FAKE_EVENT_RECEIVED ||
		e->kind == FAKE_EVENT_READ;
}

/* Takes `e`, which may be NULL. */
static void send_event(struct fake_event *e, int64_t delay_ms)
{
	struct fake *f;

	if (!e)
		return;
	f = e->fake;
	if (f->state != FAKE_OPEN)
		event_free(e);
	else if (f->withhold_acks && is_acknowledgement(e))
		TAILQ_INSERT_TAIL(&f->withheld, &e->task, entry);
	else
		transmit(e, delay_ms);
}

void fake_tell_withheld(struct fake *f)
{
	struct task *t;

	while ((t = TAILQ_FIRST(&f->withheld))) {
		TAILQ_REMOVE(&f->withheld, t, entry);
		transmit((struct fake_event *)t, 0);
	}
}

void fake_tell_closed(struct fake *f, const struct problem *p)
{
	struct fake_event *e = event_new(f, FAKE_EVENT_CLOSED);

	if (!e)
		return;
	problem_copy(p, &e->problem);
	schedule_add(&f->schedule, &e->task, 0);
}

void fake_tell_greeted(struct fake *f)
{
	struct fake_event *e = event_new(f, FAKE_EVENT_GREETED);

	if (e)
		schedule_add(&f->schedule, &e->task, f->world.behaviour.latency_ms);
}

void fake_tell_token(struct fake *f)
{
	_cleanup_(event_freep) struct fake_event *e = event_new(f, FAKE_EVENT_TOKEN);

	if (e && fake_dup(&e->message_id, f->token) == 0)
		schedule_add(&f->schedule, &TAKE_PTR(e)->task, 0);
}

void fake_tell_resync(struct fake *f)
{
	struct fake_event *e = f->state == FAKE_OPEN ? event_new(f, FAKE_EVENT_RESYNC) : NULL;

	if (e)
		schedule_add(&f->schedule, &e->task, 0);
}

void fake_tell_message(struct fake *f, const struct message *m)
{
	_cleanup_(event_freep) struct fake_event *e = event_new(f, FAKE_EVENT_MESSAGE);
	const struct user *author = world_find_user(&f->world, m->user_id);

	if (!e || world_copy_message(m, &e->message) < 0)
		return;
	if (!author || m->outgoing || world_copy_user(author, &e->author) == 0)
		send_event(TAKE_PTR(e), 0);
}

void fake_tell_accepted(struct fake *f, const struct message *m)
{
	_cleanup_(event_freep) struct fake_event *e = event_new(f, FAKE_EVENT_ACCEPTED);

	if (!e || fake_dup(&e->message_id, m->id) < 0 || fake_dup(&e->chat_id, m->chat_id) < 0)
		return;
	e->seq = m->seq;
	e->created_at = m->created_at;
	send_event(TAKE_PTR(e), f->world.behaviour.ack_ms);
}

void fake_tell_rejected(struct fake *f, const char *message_id, const struct problem *p)
{
	_cleanup_(event_freep) struct fake_event *e = event_new(f, FAKE_EVENT_REJECTED);

	if (!e || fake_dup(&e->message_id, message_id) < 0)
		return;
	problem_copy(p, &e->problem);
	if (f->state == FAKE_OPEN)
		schedule_add(&f->schedule, &TAKE_PTR(e)->task, f->world.behaviour.ack_ms);
}

void fake_tell_watermark(struct fake *f, enum fake_event_kind kind, const char *chat_id,
	const char *message_id, const char *user_id)
{
	_cleanup_(event_freep) struct fake_event *e = event_new(f, kind);

	if (e && fake_dup(&e->chat_id, chat_id) == 0 && fake_dup(&e->message_id, message_id) == 0 &&
		fake_dup(&e->user_id, user_id) == 0)
		send_event(TAKE_PTR(e), 0);
}

static bool is_session_event(const struct task *t)
{
	return t->run == event_run && ((const struct fake_event *)t)->kind != FAKE_EVENT_TOKEN;
}

static void drop_list(struct task_list *list)
{
	struct task *t;

	while ((t = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, t, entry);
		t->drop(t);
	}
}

void fake_events_forget(struct fake *f)
{
	schedule_purge(&f->schedule, is_session_event);
	drop_list(&f->withheld);
	drop_list(&f->reordering);
	f->n_reordering = 0;
}
