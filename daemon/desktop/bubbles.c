/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/bubbles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static struct bubble *find_chat(struct bubbles *b, const char *chat_id)
{
	struct bubble *e;

	TAILQ_FOREACH(e, &b->list, entry)
		if (!e->withdrawn && strcmp(e->chat_id, chat_id) == 0)
			return e;
	return NULL;
}

static void release(struct bubble *e)
{
	TAILQ_REMOVE(&e->owner->list, e, entry);
	e->owner->n--;
	free(e->sender);
	free(e->text);
	free(e->token);
	free(e);
}

/* What is being told cannot be freed: its answer comes. */
static void drop(struct bubble *e)
{
	e->withdrawn = true;
	e->pending = e->gathered = false;
	if (!e->in_flight)
		release(e);
}

static struct bubble *make(struct bubbles *b, const char *chat_id)
{
	struct bubble *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->owner = b;
	snprintf(e->chat_id, sizeof(e->chat_id), "%s", chat_id);
	TAILQ_INSERT_TAIL(&b->list, e, entry);
	b->n++;
	return e;
}

/* Where nobody shows them, the oldest that is not on screen makes room. */
static void make_room(struct bubbles *b)
{
	struct bubble *e;

	if (b->n < BUBBLES_MAX)
		return;
	TAILQ_FOREACH(e, &b->list, entry)
		if (!e->id && !e->in_flight && e->chat_id[0])
			break;
	drop(e ? e : TAILQ_FIRST(&b->list));
}

static int set(struct bubble *e, const struct notice *n)
{
	_cleanup_free_ char *sender = n->sender ? strdup(n->sender) : NULL;
	_cleanup_free_ char *text = n->text ? strdup(n->text) : NULL;

	if ((n->sender && !sender) || (n->text && !text))
		return -ENOMEM;
	free(e->sender);
	free(e->text);
	e->sender = TAKE_PTR(sender);
	e->text = TAKE_PTR(text);
	if (n->message_id)
		snprintf(e->message_id, sizeof(e->message_id), "%s", n->message_id);
	e->n_photos = n->n_photos;
	e->unread = n->unread;
	e->failed = n->failed;
	e->foretold = n->foretold;
	return 0;
}

/* What a push foretold, perhaps cut short, and was told. */
static bool is_fulfilled(const struct bubble *e, const struct notice *n)
{
	const char *told = e->text ? e->text : "", *text = n->text ? n->text : "";

	return e->foretold && !n->foretold && e->told_us && !e->pending && n->unread <= e->unread &&
		strncmp(told, text, strlen(told)) == 0;
}

/* Brings the one for many chats up to date. */
static void gather(struct bubbles *b)
{
	struct bubble *all = find_chat(b, ""), *e;
	unsigned n_chats = 0;
	int64_t unread = 0;

	TAILQ_FOREACH(e, &b->list, entry) {
		if (!e->gathered)
			continue;
		n_chats++;
		unread += e->unread;
	}
	if (n_chats == 0 && !all)
		return;
	if (!all)
		all = make(b, "");
	if (!all || (all->n_chats == n_chats && all->unread == unread))
		return;
	all->silent = all->told_us && unread <= all->unread;
	all->n_chats = n_chats;
	all->unread = unread;
	all->pending = n_chats > 0;
}

int bubbles_put(struct bubbles *b, const struct notice *n)
{
	struct bubble *e = find_chat(b, n->chat_id);
	bool silent = e && is_fulfilled(e, n);

	if (!e) {
		make_room(b);
		e = make(b, n->chat_id);
	} else {
		TAILQ_REMOVE(&b->list, e, entry);
		TAILQ_INSERT_TAIL(&b->list, e, entry);
	}
	if (!e || set(e, n) < 0)
		return -ENOMEM;
	e->silent = silent;
	if (e->gathered)
		gather(b);
	else
		e->pending = true;
	return 0;
}

static bool is_meant(const struct bubble *e, const char *chat_id)
{
	return !e->withdrawn &&
		(!chat_id || strcmp(e->chat_id, chat_id) == 0 ||
			(!e->chat_id[0] && e->n_chats == 0));
}

bool bubbles_withdraw(struct bubbles *b, const char *chat_id, uint32_t *ret_id)
{
	struct bubble *e, *next;

	for (e = TAILQ_FIRST(&b->list); e; e = next) {
		uint32_t id = e->id;
		bool was_gathered = e->gathered, waits = e->in_flight;

		next = TAILQ_NEXT(e, entry);
		if (!is_meant(e, chat_id))
			continue;
		drop(e);
		if (was_gathered)
			gather(b);
		if (was_gathered)
			next = TAILQ_FIRST(&b->list);
		if (id == 0 || waits)
			continue;
		*ret_id = id;
		return true;
	}
	return false;
}

static void refill(struct bubbles *b, uint64_t now_us)
{
	uint64_t n = (now_us - b->refilled_us) / BUBBLE_REFILL_US;

	if (b->tokens + n >= BUBBLES_BURST) {
		b->tokens = BUBBLES_BURST;
		b->refilled_us = now_us;
	} else {
		b->tokens += (unsigned)n;
		b->refilled_us += n * BUBBLE_REFILL_US;
	}
}

static bool is_new(const struct bubble *e)
{
	return e->pending && !e->in_flight && e->id == 0 && e->chat_id[0] && !e->failed;
}

static void gather_many(struct bubbles *b)
{
	struct bubble *e;
	unsigned n = 0;

	TAILQ_FOREACH(e, &b->list, entry)
		n += is_new(e);
	if (n <= BUBBLES_APART)
		return;
	TAILQ_FOREACH(e, &b->list, entry) {
		if (!is_new(e))
			continue;
		e->gathered = true;
		e->pending = false;
	}
	gather(b);
}

static uint64_t wait_of(const struct bubble *e, uint64_t now_us)
{
	uint64_t due = e->told_us ? e->told_us + BUBBLE_INTERVAL_US : 0;

	return due > now_us ? due - now_us : 0;
}

struct bubble *bubbles_next(struct bubbles *b, uint64_t now_us, uint64_t *ret_wait_us)
{
	uint64_t wait = UINT64_MAX, own;
	struct bubble *e;

	refill(b, now_us);
	gather_many(b);
	TAILQ_FOREACH(e, &b->list, entry) {
		if (!e->pending || e->in_flight)
			continue;
		own = wait_of(e, now_us);
		if (own == 0 && b->tokens > 0)
			break;
		if (b->tokens == 0 && own < b->refilled_us + BUBBLE_REFILL_US - now_us)
			own = b->refilled_us + BUBBLE_REFILL_US - now_us;
		wait = own < wait ? own : wait;
	}
	*ret_wait_us = e ? 0 : wait;
	if (!e)
		return NULL;
	b->tokens--;
	e->pending = false;
	e->in_flight = true;
	e->told_us = now_us;
	return e;
}

uint32_t bubble_told(struct bubble *e, uint32_t id)
{
	e->in_flight = false;
	if (e->withdrawn) {
		release(e);
		return id;
	}
	e->id = id;
	e->silent = false;
	if (id == 0 && !e->pending)
		bubble_closed(e);
	return 0;
}

struct bubble *bubbles_find(struct bubbles *b, uint32_t id)
{
	struct bubble *e;

	TAILQ_FOREACH(e, &b->list, entry)
		if (!e->withdrawn && id && e->id == id)
			return e;
	return NULL;
}

const struct bubble *bubble_subject(const struct bubble *bubble)
{
	const struct bubble *e;

	if (bubble->chat_id[0])
		return bubble;
	TAILQ_FOREACH_REVERSE(e, &bubble->owner->list, bubble_list, entry)
	if (e->gathered)
		return e;
	return bubble;
}

void bubble_closed(struct bubble *bubble)
{
	struct bubbles *b = bubble->owner;
	struct bubble *e, *next;

	if (bubble->pending || bubble->in_flight) {
		bubble->id = 0;
		return;
	}
	for (e = TAILQ_FIRST(&b->list); e && !bubble->chat_id[0]; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (e->gathered)
			drop(e);
	}
	drop(bubble);
}

void bubbles_forget_ids(struct bubbles *b)
{
	struct bubble *all = find_chat(b, ""), *e, *next;
	bool all_stays = all && (all->pending || all->in_flight);

	for (e = TAILQ_FIRST(&b->list); e; e = next) {
		next = TAILQ_NEXT(e, entry);
		e->id = 0;
		if (e->in_flight && !e->withdrawn)
			e->pending = true;
		e->in_flight = false;
		if (!e->pending && !(e->gathered && all_stays))
			release(e);
	}
}

void bubbles_init(struct bubbles *b, void *userdata)
{
	*b = (struct bubbles){ .userdata = userdata, .tokens = BUBBLES_BURST };
	TAILQ_INIT(&b->list);
}

void bubbles_clear(struct bubbles *b)
{
	while (!TAILQ_EMPTY(&b->list))
		release(TAILQ_FIRST(&b->list));
}
