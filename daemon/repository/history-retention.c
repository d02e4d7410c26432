/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Old messages leave the device, a few a turn, in idle moments, where the settings say so. What is
 * to be sent, was refused or is unread stays; what goes can be read from the server again.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/parts.h"

#define IDLE_US 500000
#define CHATS_A_SLICE 64
#define MESSAGES_A_SLICE 100
#define DAY_MS INT64_C(86400000)

/* Between two rounds: what somebody has scrolled back to is not taken away at once. */
#define ROUND_US UINT64_C(3600000000)

static bool is_on(const struct history_retention *h)
{
	return h->purge_fn || h->days > 0 || h->per_chat > 0;
}

static struct store_evict_rule rule_of(const struct history_retention *h)
{
	struct store_evict_rule rule = { .keep = h->per_chat, .limit = MESSAGES_A_SLICE };

	if (h->purge_fn)
		rule.before = INT64_MAX;
	else if (h->days > 0)
		rule.before = clock_wall_ms() - h->days * DAY_MS;
	return rule;
}

static void end_round(struct history_retention *h, int error)
{
	repository_count_fn fn = h->purge_fn;
	struct failure f;

	h->chat = 0;
	h->purge_fn = NULL;
	if (fn && error < 0)
		failure_from_errno(&f, error);
	if (fn)
		fn(h->purge_userdata, error < 0 ? &f : NULL, h->evicted);
}

static int evict(struct repository *r, int64_t chat, const struct store_evict_rule *rule)
{
	int n = store_begin(r->store);

	if (n < 0)
		return n;
	n = store_evict_messages(r->store, chat, rule);
	store_end(r->store, n < 0);
	return n;
}

/* 1: more is to be done; 0: the round is over. */
static int work(struct repository *r)
{
	struct history_retention *h = &r->history_retention;
	const struct store_evict_rule rule = rule_of(h);

	for (int i = 0; i < CHATS_A_SLICE; i++) {
		int64_t chat = store_evict_next_chat(r->store, h->chat);
		int n;

		if (chat < 0)
			return chat == -ENOENT ? 0 : (int)chat;
		n = evict(r, chat, &rule);
		if (n < 0)
			return n;
		h->evicted += n;
		if (n < MESSAGES_A_SLICE)
			h->chat = chat;
		if (n > 0) {
			unsent_sweep(r);
			return 1;
		}
	}
	return 1;
}

static void on_slice(void *userdata)
{
	struct repository *r = userdata;
	struct history_retention *h = &r->history_retention;
	int n;

	if (!is_on(h))
		return;
	h->gone = h->evicted;
	/* Whoever waits for the server has the turns for themselves. */
	n = repository_is_asked(r) ? 1 : work(r);
	if (n > 0) {
		loop_timer_start_us(h->slice, repository_is_asked(r) ? IDLE_US : 0);
		return;
	}
	if (h->purge_fn && storage_spend_reserve(r, n)) {
		h->again = true;
		loop_timer_start_us(h->slice, 0);
		return;
	}
	if (n < 0)
		log_warning("old messages cannot be removed: %s", strerror(-n));
	if (h->evicted > 0)
		give_back_schedule(r);
	end_round(h, n);
}

static void begin_round(struct repository *r, uint64_t in_us)
{
	struct history_retention *h = &r->history_retention;

	h->chat = 0;
	h->evicted = 0;
	h->round_us = clock_monotonic_us();
	loop_timer_start_us(h->slice, in_us);
}

void history_retention_note_commit(struct repository *r)
{
	struct history_retention *h = &r->history_retention;

	if (is_on(h) && !loop_timer_is_running(h->slice) &&
		clock_monotonic_us() - h->round_us > ROUND_US)
		begin_round(r, IDLE_US);
}

void history_retention_undone(struct repository *r, int error)
{
	struct history_retention *h = &r->history_retention;

	if (!loop_timer_is_running(h->slice))
		return;
	if (h->again || (h->purge_fn && storage_spend_reserve(r, error))) {
		h->again = false;
		h->evicted = h->gone;
		loop_timer_start_us(h->slice, 0);
		return;
	}
	end_round(h, error);
	begin_round(r, REMOVING_RETRY_US);
}

void history_retention_load(struct repository *r)
{
	struct history_retention *h = &r->history_retention;
	int64_t days = setting_integer(r, "retention.messages_days");
	int64_t per_chat = setting_integer(r, "retention.messages_per_chat");
	bool changed = days != h->days || per_chat != h->per_chat;

	h->days = days;
	h->per_chat = per_chat;
	if (changed && is_on(h))
		begin_round(r, IDLE_US);
}

void storage_purge_history(struct repository *r, repository_count_fn fn, void *userdata)
{
	struct history_retention *h = &r->history_retention;
	struct failure f;

	if (h->purge_fn) {
		failure_set(&f, FAILURE_BUSY, "this is being done already");
		fn(userdata, &f, 0);
		return;
	}
	h->purge_fn = fn;
	h->purge_userdata = userdata;
	begin_round(r, 0);
}

int history_retention_init(struct repository *r)
{
	r->history_retention.slice = loop_timer_new(r->loop, on_slice, r);
	if (!r->history_retention.slice)
		return -ENOMEM;
	history_retention_load(r);
	return 0;
}

void history_retention_done(struct repository *r)
{
	r->history_retention.slice = loop_timer_free(r->history_retention.slice);
}
