/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "herd-model.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/backoff.h"

#define FIXED_MS 30000
#define NOTICING_MS 1000 /* all notice within so long that the server is gone */
#define NOBODY UINT32_MAX

struct client {
	struct backoff backoff;
	uint32_t at_ms;
	uint32_t next; /* in the list of those who try in the same second */
};

struct herd {
	const struct herd_options *o;
	struct herd_result *result;
	struct client *clients;
	uint32_t *first; /* client that tries in a second, NOBODY at the end */
	uint32_t n_back;
};

static const char *const names[HERD_RULE_COUNT] = {
	[HERD_FULL_JITTER] = "full-jitter",
	[HERD_EXPONENTIAL] = "exponential",
	[HERD_FIXED] = "fixed-30s",
	[HERD_FIXED_SPREAD] = "fixed-30s-spread",
};

const char *herd_rule_name(enum herd_rule rule)
{
	return names[rule];
}

double herd_even_share(const struct herd_options *o)
{
	return (double)o->clients / (BACKOFF_RECONNECT_CAP_MS / 1000.0);
}

static uint32_t next_wait(struct client *c, enum herd_rule rule, uint32_t floor_ms)
{
	struct backoff *b = &c->backoff;
	uint64_t wait;

	switch (rule) {
	case HERD_FULL_JITTER:
		return backoff_next(b, floor_ms);
	case HERD_EXPONENTIAL:
		wait = b->attempt < 32 ? (uint64_t)b->base_ms << b->attempt : b->cap_ms;
		b->attempt++;
		return floor_ms + (uint32_t)(wait < b->cap_ms ? wait : b->cap_ms);
	case HERD_FIXED_SPREAD:
		if (b->attempt++ == 0)
			return floor_ms + backoff_jitter(b, FIXED_MS);
		return floor_ms > FIXED_MS ? floor_ms : FIXED_MS;
	case HERD_FIXED:
		return floor_ms > FIXED_MS ? floor_ms : FIXED_MS;
	case HERD_RULE_COUNT:
		break;
	}
	return 0;
}

/* Puts a client where its next attempt is; beyond the end it is not looked at any more. */
static void plan(struct herd *h, uint32_t client, uint32_t floor_ms)
{
	struct client *c = &h->clients[client];
	uint64_t at = (uint64_t)c->at_ms + next_wait(c, h->o->rule, floor_ms);
	uint64_t second = at / 1000;

	if (second >= h->result->seconds)
		return;
	c->at_ms = (uint32_t)at;
	c->next = h->first[second];
	h->first[second] = client;
}

static bool has_room(const struct herd *h, uint32_t accepted)
{
	return h->o->capacity == 0 || accepted < h->o->capacity;
}

static void play_second(struct herd *h, uint32_t second)
{
	struct herd_result *r = h->result;
	bool is_up = second >= h->o->outage_s;
	uint32_t accepted = 0, client;

	/* Who waits less than a second may come twice in it, so the list grows while it is read. */
	while ((client = h->first[second]) != NOBODY) {
		h->first[second] = h->clients[client].next;
		r->arrivals[second]++;
		if (is_up && has_room(h, accepted)) {
			accepted++;
			continue;
		}
		r->in_vain += !is_up;
		r->refused += is_up;
		plan(h, client, is_up ? h->o->retry_after_s * 1000 : 0);
	}
	h->n_back += accepted;
	r->back[second] = h->n_back;
	if (is_up && r->arrivals[second] > r->peak)
		r->peak = r->arrivals[second];
	if (r->all_but_1pct < 0 && h->n_back >= (uint64_t)h->o->clients * 99 / 100)
		r->all_but_1pct = (int64_t)second + 1 - h->o->outage_s;
}

static void lose_server(struct herd *h)
{
	for (uint32_t i = 0; i < h->o->clients; i++) {
		struct client *c = &h->clients[i];

		/* Seeds as far apart as the daemons' own, which are random. */
		backoff_init(&c->backoff, BACKOFF_RECONNECT_BASE_MS, BACKOFF_RECONNECT_CAP_MS,
			(h->o->seed + i) * 0xd1342543de82ef95u);
		c->at_ms = backoff_jitter(&c->backoff, NOTICING_MS - 1);
		plan(h, i, 0);
	}
}

int herd_run(const struct herd_options *o, struct herd_result *ret)
{
	uint32_t seconds = o->outage_s + o->horizon_s;
	struct herd h = { .o = o, .result = ret };

	*ret = (struct herd_result){ .seconds = seconds, .all_but_1pct = -1 };
	ret->arrivals = calloc(seconds, sizeof(*ret->arrivals));
	ret->back = calloc(seconds, sizeof(*ret->back));
	h.first = malloc(seconds * sizeof(*h.first));
	h.clients = calloc(o->clients, sizeof(*h.clients));
	if (!ret->arrivals || !ret->back || !h.first || !h.clients) {
		herd_clear(ret);
		free(h.first);
		free(h.clients);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < seconds; i++)
		h.first[i] = NOBODY;
	lose_server(&h);
	for (uint32_t i = 0; i < seconds; i++)
		play_second(&h, i);
	free(h.first);
	free(h.clients);
	return 0;
}

void herd_clear(struct herd_result *r)
{
	free(r->arrivals);
	free(r->back);
	*r = (struct herd_result){ 0 };
}
