/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watermarks to the server. The store knows which are due; they leave after the commit that holds
 * what they speak of, the newest only and at most once a second a chat. A frame has no answer, so a
 * watermark is taken for known when the session has lived on for a while; if it breaks before, it
 * is told again in the next.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repository/parts.h"

#define INTERVAL_US 1000000
#define SETTLE_US 60000000

struct told {
	char chat_id[ID_SIZE];
	int64_t received_seq, read_seq;
	uint64_t sent_us;
	TAILQ_ENTRY(told) entry;
};

static struct told *find_told(struct receipts *rc, const char *chat_id)
{
	struct told *t;

	TAILQ_FOREACH(t, &rc->told, entry)
		if (strcmp(t->chat_id, chat_id) == 0)
			return t;
	return NULL;
}

static struct told *add_told(struct receipts *rc, const char *chat_id)
{
	struct told *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	snprintf(t->chat_id, sizeof(t->chat_id), "%s", chat_id);
	TAILQ_INSERT_TAIL(&rc->told, t, entry);
	return t;
}

static void drop_told(struct receipts *rc, struct told *t)
{
	TAILQ_REMOVE(&rc->told, t, entry);
	free(t);
}

static int send_due(struct repository *r, struct told *t, const struct store_receipt *due)
{
	const struct chat_room_service *room = r->service->room;
	int e = 0;

	if (due->received_id && due->received_seq > t->received_seq) {
		e = room->send_received(r->service, due->chat_id, due->received_id);
		if (e == 0)
			t->received_seq = due->received_seq;
	}
	if (e == 0 && due->read_id && due->read_seq > t->read_seq) {
		e = room->send_read(r->service, due->chat_id, due->read_id);
		if (e == 0)
			t->read_seq = due->read_seq;
	}
	return e;
}

static int tell(void *userdata, const struct store_receipt *due)
{
	struct repository *r = userdata;
	struct told *t = find_told(&r->receipts, due->chat_id);
	uint64_t now = clock_monotonic_us();
	int e;

	if (t && (!due->received_id || due->received_seq <= t->received_seq) &&
		(!due->read_id || due->read_seq <= t->read_seq))
		return 0;
	if (t && now - t->sent_us < INTERVAL_US && !r->receipts.parting) {
		if (!loop_timer_is_running(r->receipts.again))
			loop_timer_start_us(r->receipts.again, INTERVAL_US - (now - t->sent_us));
		return 0;
	}
	if (!t)
		t = add_told(&r->receipts, due->chat_id);
	if (!t)
		return -ENOMEM;
	e = send_due(r, t, due);
	t->sent_us = now;
	if (!loop_timer_is_running(r->receipts.settle))
		loop_timer_start_us(r->receipts.settle, SETTLE_US);
	return e;
}

static void on_flush(void *userdata, int error)
{
	struct repository *r = userdata;

	if (error < 0 || !session_is_up(r) || !(r->service->capabilities & SERVICE_RECEIPTS))
		return;
	if (!store_is_committed(r->store))
		barrier_after_commit(r->barrier, &r->receipts.flush);
	else if (store_receipts_due(r->store, tell, r) == -ENOBUFS)
		loop_timer_start_us(r->receipts.again, INTERVAL_US);
}

void receipts_part(struct repository *r)
{
	r->receipts.parting = true;
	on_flush(r, 0);
	r->receipts.parting = false;
}

void receipts_schedule(struct repository *r)
{
	barrier_after_commit(r->barrier, &r->receipts.flush);
}

static void on_again(void *userdata)
{
	receipts_schedule(userdata);
}

static void on_settle(void *userdata)
{
	struct repository *r = userdata;
	uint64_t now = clock_monotonic_us();
	struct told *t, *next;

	for (t = TAILQ_FIRST(&r->receipts.told); t; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (now - t->sent_us < SETTLE_US / 2)
			continue;
		if (store_receipt_told(r->store, t->chat_id, t->received_seq, t->read_seq) == 0)
			drop_told(&r->receipts, t);
	}
	if (!TAILQ_EMPTY(&r->receipts.told))
		loop_timer_start_us(r->receipts.settle, SETTLE_US);
}

void receipts_session_ended(struct repository *r)
{
	while (!TAILQ_EMPTY(&r->receipts.told))
		drop_told(&r->receipts, TAILQ_FIRST(&r->receipts.told));
	loop_timer_stop(r->receipts.again);
	loop_timer_stop(r->receipts.settle);
}

int receipts_init(struct repository *r)
{
	struct receipts *rc = &r->receipts;

	rc->flush = (struct barrier_effect){ .fn = on_flush, .userdata = r };
	rc->again = loop_timer_new(r->loop, on_again, r);
	rc->settle = loop_timer_new(r->loop, on_settle, r);
	return rc->again && rc->settle ? 0 : -ENOMEM;
}

void receipts_done(struct repository *r)
{
	struct receipts *rc = &r->receipts;

	if (rc->again && rc->settle)
		receipts_session_ended(r);
	barrier_forget(r->barrier, &rc->flush);
	rc->again = loop_timer_free(rc->again);
	rc->settle = loop_timer_free(rc->settle);
}
