/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The outbox is the set of PENDING messages in the store. They are handed to the service in order
 * of sending, several unacknowledged at a time, and again after every reconnect, under the same id,
 * which lets the server drop repeats. A message whose photos are not up yet is passed over without
 * holding the others back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/parts.h"

#define ACK_TIMEOUT_US 30000000
#define SEND_BASE_MS 1000
#define SEND_CAP_MS 300000
#define NAMING_BASE_MS 1000
#define NAMING_CAP_MS 300000
#define LOOK_AT 64

struct flight {
	char message_id[ID_SIZE];
	uint64_t sent_us;
	TAILQ_ENTRY(flight) entry;
};

static struct flight *find(const struct flights *list, const char *message_id)
{
	struct flight *f;

	TAILQ_FOREACH(f, list, entry)
		if (strcmp(f->message_id, message_id) == 0)
			return f;
	return NULL;
}

static void take_off(struct flights *list, struct flight *f)
{
	if (!f)
		return;
	TAILQ_REMOVE(list, f, entry);
	free(f);
}

static void clear(struct flights *list)
{
	while (!TAILQ_EMPTY(list))
		take_off(list, TAILQ_FIRST(list));
}

static int add(struct flights *list, const char *message_id)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	snprintf(f->message_id, sizeof(f->message_id), "%s", message_id);
	f->sent_us = clock_monotonic_us();
	TAILQ_INSERT_TAIL(list, f, entry);
	return 0;
}

/* The server has answered for a message, whatever it said. */
static void land(struct outbox *o, const char *message_id)
{
	struct flight *f = find(&o->flights, message_id);

	o->n_flights -= f != NULL;
	take_off(&o->flights, f);
	take_off(&o->unsure, find(&o->unsure, message_id));
}

/* The session ended before the answers: what was on its way may have arrived, or not. */
static void lose_sight(struct outbox *o)
{
	struct flight *f;

	while ((f = TAILQ_FIRST(&o->flights))) {
		TAILQ_REMOVE(&o->flights, f, entry);
		if (find(&o->unsure, f->message_id))
			free(f);
		else
			TAILQ_INSERT_TAIL(&o->unsure, f, entry);
	}
	o->n_flights = 0;
	loop_timer_stop(o->ack_timeout);
}

bool outbox_is_on_its_way(const struct repository *r, const char *message_id)
{
	return find(&r->outbox.flights, message_id) || find(&r->outbox.unsure, message_id);
}

bool outbox_is_open(struct repository *r)
{
	return session_is_up(r) && !r->outbox.paused && r->outbox.n_flights < r->sync.max_in_flight;
}

static int remember(void *userdata, const char *message_id)
{
	struct repository *r = userdata;

	return add(&r->outbox.unsure, message_id);
}

static void watch_oldest(struct repository *r)
{
	struct flight *oldest = TAILQ_FIRST(&r->outbox.flights);
	uint64_t age;

	if (!oldest) {
		loop_timer_stop(r->outbox.ack_timeout);
		return;
	}
	age = clock_monotonic_us() - oldest->sent_us;
	loop_timer_start_us(r->outbox.ack_timeout, age < ACK_TIMEOUT_US ? ACK_TIMEOUT_US - age : 0);
}

static void on_ack_timeout(void *userdata)
{
	sync_restart(userdata, "the server did not acknowledge a message");
}

static int launch(struct repository *r, const struct message *m)
{
	struct outbox *o = &r->outbox;
	int e = add(&o->flights, m->id);

	if (e < 0)
		return e;
	e = r->service->room->send(r->service, m);
	if (e < 0) {
		take_off(&o->flights, find(&o->flights, m->id));
		return e;
	}
	o->n_flights++;
	if (o->n_flights == 1)
		watch_oldest(r);
	return 0;
}

struct look {
	struct repository *repository;
	unsigned seen, noted;
	char too_large[ID_SIZE]; /* a message that the network cannot carry */
};

static bool may_go(struct repository *r, const struct message *m)
{
	const struct outbox *o = &r->outbox;

	return !find(&o->flights, m->id) && !find(&o->held, m->id) &&
		!store_message_awaits_upload(r->store, m->id) &&
		!store_chat_is_provisional(r->store, m->chat_id);
}

/*
 * That a message is about to go is on disk before it goes, so that nobody takes it back after a
 * kill. Those behind it wait too, to keep their order.
 */
static int note(struct look *look, const struct message *m)
{
	struct repository *r = look->repository;

	if (r->outbox.n_flights + look->noted >= r->sync.max_in_flight)
		return -ENOBUFS;
	look->noted++;
	return m->handed_over ? 0 : store_outbox_hand_over(r->store, m->id);
}

static int consider(void *userdata, const struct message *m, int64_t number)
{
	struct look *look = userdata;
	struct repository *r = look->repository;
	int e = 0;

	if (r->outbox.n_flights >= r->sync.max_in_flight)
		return -ENOBUFS;
	if (may_go(r, m)) {
		if (look->noted > 0 || !m->handed_over)
			return note(look, m);
		e = launch(r, m);
	}
	if (e == -EMSGSIZE)
		snprintf(look->too_large, sizeof(look->too_large), "%s", m->id);
	if (e < 0)
		return e;
	look->seen++;
	if (look->noted == 0)
		r->outbox.cursor = number;
	return 0;
}

static void name_next_chat(struct repository *r);

static const struct problem too_large = {
	.class = PROBLEM_PERMANENT,
	.title = (char *)"the message is too large for this network",
};

/* Sends what is PENDING and committed. What this turn has written waits for its commit. */
static void on_flush(void *userdata, int error)
{
	struct look look = { .repository = userdata };
	struct repository *r = userdata;
	int e;

	if (error < 0 || !session_is_up(r))
		return;
	if (!store_is_committed(r->store)) {
		barrier_after_commit(r->barrier, &r->outbox.flush);
		return;
	}
	if (r->outbox.paused) {
		name_next_chat(r);
		return;
	}
	do {
		look.seen = 0;
		e = store_outbox_list(r->store, r->outbox.cursor, LOOK_AT, consider, &look);
	} while (e == 0 && look.noted == 0 && look.seen == LOOK_AT);
	if (look.noted > 0)
		barrier_after_commit(r->barrier, &r->outbox.flush);
	if (e == -EMSGSIZE)
		outbox_rejected(r, look.too_large, &too_large);
	else if (e < 0 && e != -ENOBUFS && e != -ENOTCONN)
		sync_restart(r, "the outbox could not be sent");
	else
		name_next_chat(r);
}

void outbox_schedule(struct repository *r, bool from_start)
{
	if (from_start)
		r->outbox.cursor = 0;
	barrier_after_commit(r->barrier, &r->outbox.flush);
}

void outbox_accepted(struct repository *r, const char *message_id, int64_t seq, int64_t created_at)
{
	struct outbox *o = &r->outbox;
	int e;

	land(o, message_id);
	watch_oldest(r);
	if (!o->told_to_wait)
		o->paused = false;
	if (TAILQ_EMPTY(&o->held))
		backoff_reset(&o->send_backoff);
	e = store_message_accept(r->store, message_id, seq, created_at);
	if (e < 0 && e != -ENOENT)
		sync_restart(r, "an acknowledgement could not be stored");
	outbox_schedule(r, false);
	catchup_fill_gaps(r);
}

/*
 * The server cannot take this message now. The others wait too until one of them is taken, which
 * shows that it is this message's own trouble, or as long as the server asked for.
 */
static void hold(struct repository *r, const char *message_id, const struct problem *p)
{
	struct outbox *o = &r->outbox;
	bool waits = loop_timer_is_running(o->resend);
	uint32_t wait;

	if (!find(&o->held, message_id) && add(&o->held, message_id) < 0) {
		sync_restart(r, "memory is short");
		return;
	}
	o->paused = true;
	if (p->status == 429 || p->retry_after_ms > 0)
		o->told_to_wait = true;
	if (waits && p->retry_after_ms <= o->resend_floor_ms)
		return;
	wait = backoff_next(&o->send_backoff, p->retry_after_ms);
	o->resend_floor_ms = p->retry_after_ms;
	log_full(LOG_INFO, NULL, "the server takes no message now; again in %u ms", wait);
	loop_timer_start_us(o->resend, (uint64_t)wait * 1000);
}

static void on_resend(void *userdata)
{
	struct repository *r = userdata;
	struct outbox *o = &r->outbox;

	clear(&o->held);
	o->paused = o->told_to_wait = false;
	o->resend_floor_ms = 0;
	outbox_schedule(r, true);
}

void outbox_rejected(struct repository *r, const char *message_id, const struct problem *p)
{
	int e;

	land(&r->outbox, message_id);
	watch_oldest(r);
	if (p->class == PROBLEM_TRANSIENT) {
		hold(r, message_id, p);
		return;
	}
	e = store_message_fail(r->store, message_id,
		p->title ? p->title : "the server refused the message", p->detail);
	if (e < 0 && e != -ENOENT)
		sync_restart(r, "a refusal could not be stored");
	outbox_schedule(r, false);
}

static void name_later(struct repository *r, uint32_t floor_ms)
{
	struct outbox *o = &r->outbox;

	loop_timer_start_us(
		o->naming_retry, (uint64_t)backoff_next(&o->naming_backoff, floor_ms) * 1000);
}

/* Chats that began here, without the server, get their name before their messages go. */
static void on_named(
	void *userdata, const struct problem *p, const struct chat *chat, const struct user *peer)
{
	struct repository *r = userdata;
	struct outbox *o = &r->outbox;
	int e = 0;

	o->naming = NULL;
	if (p && p->class == PROBLEM_UNAUTHORISED) {
		sync_refused(r, p);
		return;
	}
	if (p && p->class == PROBLEM_TRANSIENT) {
		name_later(r, p->retry_after_ms);
		return;
	}
	backoff_reset(&o->naming_backoff);
	if (p)
		e = store_chat_fail_pending(r->store, o->naming_chat,
			p->title ? p->title : "the server refused the chat", p->detail);
	else
		e = peer ? store_user_put(r->store, peer) : 0;
	if (e == 0 && !p)
		e = store_chat_put(r->store, chat);
	if (e < 0)
		sync_restart(r, "a chat could not be stored");
	lobby_learn_users(r);
	outbox_schedule(r, true);
	catchup_fill_gaps(r);
}

static void name_next_chat(struct repository *r)
{
	struct outbox *o = &r->outbox;
	char user_id[ID_SIZE];

	if (o->naming || loop_timer_is_running(o->naming_retry))
		return;
	if (store_chat_next_provisional(r->store, user_id, o->naming_chat) == 0 &&
		r->service->lobby->create_chat(r->service, user_id, on_named, r, &o->naming) < 0)
		name_later(r, 0);
}

static void on_naming_retry(void *userdata)
{
	struct repository *r = userdata;

	if (session_is_up(r))
		name_next_chat(r);
}

void outbox_session_began(struct repository *r)
{
	outbox_schedule(r, true);
}

/* What the server asked to wait for outlives the session. */
void outbox_session_ended(struct repository *r)
{
	struct outbox *o = &r->outbox;

	lose_sight(o);
	loop_timer_stop(o->naming_retry);
	o->naming = service_call_cancel(r->service, o->naming);
}

int outbox_init(struct repository *r, uint64_t seed)
{
	struct outbox *o = &r->outbox;

	o->flush = (struct barrier_effect){ .fn = on_flush, .userdata = r };
	backoff_init(&o->naming_backoff, NAMING_BASE_MS, NAMING_CAP_MS, seed);
	backoff_init(&o->send_backoff, SEND_BASE_MS, SEND_CAP_MS, seed + 13);
	o->ack_timeout = loop_timer_new(r->loop, on_ack_timeout, r);
	o->resend = loop_timer_new(r->loop, on_resend, r);
	o->naming_retry = loop_timer_new(r->loop, on_naming_retry, r);
	if (!o->ack_timeout || !o->resend || !o->naming_retry)
		return -ENOMEM;
	return store_outbox_handed_over(r->store, remember, r);
}

void outbox_done(struct repository *r)
{
	struct outbox *o = &r->outbox;

	if (o->ack_timeout && o->naming_retry)
		outbox_session_ended(r);
	clear(&o->unsure);
	clear(&o->held);
	barrier_forget(r->barrier, &o->flush);
	o->ack_timeout = loop_timer_free(o->ack_timeout);
	o->resend = loop_timer_free(o->resend);
	o->naming_retry = loop_timer_free(o->naming_retry);
}
