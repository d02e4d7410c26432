/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/hub.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ipc/encode.h"
#include "ipc/ephemeral.h"
#include "ipc/json-text.h"
#include "ipc/rpc.h"
#include "ipc/topics.h"

/* Rows of one query, and of all queries of one turn: so long other work waits at most. */
#define PAGE_ROWS 128
#define TURN_ROWS 512

#define EPHEMERAL_INTERVAL_US 100000

TAILQ_HEAD(subscriber_list, subscriber);

struct hub {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	bool is_open;
	struct barrier_effect effect;
	struct loop_deferred later; /* goes on with those who catch up, in the next turn */
	struct subscriber_list subscribers;
	unsigned n_subscribers;
	unsigned n_watching; /* of them active, and others who hold it */
	hub_watch_fn watch_fn;
	void *watch_userdata;
	unsigned topics; /* that any of them has asked for */
	/* The newest change as of the last commit whose replies are on their way. */
	int64_t horizon;
	struct ephemeral ephemeral;
	struct loop_timer *ephemeral_timer; /* runs while the next ones have to wait */
	bool failed;                        /* the last reading did; it is logged once */
};

/* Subscribers at one position, while they are served. */
struct group {
	struct hub *hub;
	struct subscriber **members;
	size_t n;
	unsigned topics;
	size_t n_stopped;
	int64_t rows;
};

struct chunk *event_line(struct event *e)
{
	if (!e->line)
		e->line = rpc_change_line(e->seq, topic_names[e->topic], e->data);
	return e->line;
}

const cJSON *event_tree(struct event *e)
{
	return json_unfold(e->data) ? e->data : NULL;
}

void subscription_clear(struct subscription *s)
{
	for (size_t i = 0; i < s->n_chats; i++)
		free(s->chats[i]);
	free(s->chats);
	*s = (struct subscription){ 0 };
}

static bool wants(const struct subscriber *s, unsigned topic, const char *chat_id)
{
	if (!(s->current.topics & 1u << topic))
		return false;
	if (s->current.n_chats == 0 || !chat_id)
		return true;
	for (size_t i = 0; i < s->current.n_chats; i++)
		if (strcmp(s->current.chats[i], chat_id) == 0)
			return true;
	return false;
}

static void give(struct subscriber *s, struct event *e)
{
	s->ops->take(s->userdata, e);
	s->took = true;
}

/* Told already, as it is now, when this pass told the message as added. */
static bool is_repeated(const struct subscriber *s, const struct change *c)
{
	return c->topic == CHANGE_MESSAGE_UPDATED && wants(s, CHANGE_MESSAGE_ADDED, c->chat_id) &&
		c->added > s->current.pass_from && c->seq <= s->current.pass_to;
}

static bool encode_event(struct event *e, const struct change *c)
{
	if (!e->data)
		e->data = encode_change(c);
	return e->data;
}

/* Gives a row to one who wants it and has room; else that one stays at its position. */
static void give_row_to(
	struct group *g, const struct change *c, struct event *e, struct subscriber *s)
{
	if (wants(s, e->topic, c->chat_id) && !is_repeated(s, c)) {
		if (s->ops->is_full(s->userdata) || !encode_event(e, c)) {
			s->stopped = true;
			g->n_stopped++;
			return;
		}
		give(s, e);
	}
	s->current.position = c->seq;
}

static int copy_id(void *userdata, const struct chat_info *c)
{
	char **ret = userdata;

	*ret = strdup(c->id);
	return *ret ? 0 : -ENOMEM;
}

char *hub_resolve_chat(struct hub *h, const char *chat_id)
{
	char *id = NULL;

	if (store_chat_get(h->store, chat_id, copy_id, &id) == -ENOENT)
		id = strdup(chat_id);
	return id;
}

/* A chat that began here got its name from the server: who follows it goes on under that. */
static void follow(struct subscriber *s, const char *old, const char *new)
{
	for (size_t i = 0; i < s->current.n_chats; i++) {
		char *copy;

		if (strcmp(s->current.chats[i], old) != 0 || !(copy = strdup(new)))
			continue;
		free(s->current.chats[i]);
		s->current.chats[i] = copy;
	}
}

static void follow_chat(struct group *g, const char *old)
{
	_cleanup_free_ char *new = hub_resolve_chat(g->hub, old);

	if (!new || strcmp(new, old) == 0)
		return;
	for (size_t i = 0; i < g->n; i++)
		if (!g->members[i]->stopped)
			follow(g->members[i], old, new);
}

static int on_row(void *userdata, const struct change *c)
{
	struct group *g = userdata;
	struct event e = { .seq = c->seq, .topic = c->topic };

	g->rows++;
	for (size_t i = 0; i < g->n; i++)
		if (!g->members[i]->stopped)
			give_row_to(g, c, &e, g->members[i]);
	if (c->topic == CHANGE_CHAT_REMOVED)
		follow_chat(g, c->chat_id);
	cJSON_Delete(e.data);
	chunk_unref(e.line);
	return g->n_stopped == g->n ? -ECANCELED : 0;
}

/* Everything up to `seq` has been told to those who were not stopped. */
static void move_on(struct group *g, int64_t seq)
{
	for (size_t i = 0; i < g->n; i++) {
		struct subscriber *s = g->members[i];

		if (!s->stopped && s->current.position < seq)
			s->current.position = seq;
	}
}

static void serve_group(struct hub *h, struct group *g)
{
	int64_t last = 0;
	int r;

	for (size_t i = 0; i < g->n; i++) {
		g->topics |= g->members[i]->current.topics & TOPICS_DURABLE;
		if (g->members[i]->current.n_chats > 0)
			g->topics |= 1u << CHANGE_CHAT_REMOVED; /* it may go on under another id */
	}
	r = store_change_list(
		h->store, g->members[0]->current.position, g->topics, PAGE_ROWS, on_row, g, &last);
	if (r >= 0)
		move_on(g, last);
	else if (r != -ECANCELED && !h->failed)
		log_error("Cannot read changes for frontends: %s", strerror(-r));
	h->failed = r < 0 && r != -ECANCELED;
}

static int by_position(const void *a, const void *b)
{
	const struct subscriber *const *x = a, *const *y = b;

	/* The newest first: who is up to date must not wait for those who catch up. */
	return ((*x)->current.position < (*y)->current.position) -
		((*x)->current.position > (*y)->current.position);
}

static size_t collect_waiting(struct hub *h, struct subscriber **ret)
{
	struct subscriber *s;
	size_t n = 0;

	TAILQ_FOREACH(s, &h->subscribers, entry) {
		if (!s->active || s->current.position >= h->horizon || s->ops->is_full(s->userdata))
			continue;
		s->stopped = false;
		if (s->current.position >= s->current.pass_to) {
			s->current.pass_from = s->current.position;
			s->current.pass_to = h->horizon;
		}
		ret[n++] = s;
	}
	qsort(ret, n, sizeof(ret[0]), by_position);
	return n;
}

/* Returns true when somebody is left who has not been told all and could take more. */
static bool serve_durable(struct hub *h)
{
	_cleanup_free_ struct subscriber **waiting = NULL;
	int64_t rows = 0;
	size_t n;
	bool more = false;

	if (h->n_subscribers == 0)
		return false;
	waiting = calloc(h->n_subscribers, sizeof(waiting[0]));
	if (!waiting)
		return true;
	n = collect_waiting(h, waiting);
	for (size_t i = 0; i < n && rows < TURN_ROWS && !h->failed;) {
		struct group g = { .hub = h, .members = waiting + i };

		while (i + g.n < n &&
			waiting[i + g.n]->current.position == waiting[i]->current.position)
			g.n++;
		i += g.n;
		serve_group(h, &g);
		rows += g.rows;
	}
	for (size_t i = 0; i < n; i++)
		more |= !waiting[i]->stopped && waiting[i]->current.position < h->horizon;
	return more;
}

static void give_ephemeral(struct hub *h, struct subscriber *s)
{
	struct ephemeral_event *e;

	TAILQ_FOREACH(e, &h->ephemeral.events, entry)
		if (e->number > s->seen && wants(s, e->event.topic, e->chat_id))
			give(s, &e->event);
	s->seen = h->ephemeral.last;
}

static void serve_ephemeral(struct hub *h)
{
	uint64_t all_have = h->ephemeral.last;
	struct subscriber *s;
	bool gave = false;

	if (h->ephemeral.n == 0 || loop_timer_is_running(h->ephemeral_timer))
		return;
	TAILQ_FOREACH(s, &h->subscribers, entry) {
		if (!s->active || s->seen == h->ephemeral.last)
			continue;
		if (s->ops->is_full(s->userdata)) {
			all_have = s->seen < all_have ? s->seen : all_have;
			continue;
		}
		give_ephemeral(h, s);
		gave = true;
	}
	ephemeral_forget(&h->ephemeral, all_have);
	if (gave)
		loop_timer_start_us(h->ephemeral_timer, EPHEMERAL_INTERVAL_US);
}

static void flush(struct hub *h)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(&h->subscribers); s; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->took)
			continue;
		s->took = false;
		s->ops->flush(s->userdata);
	}
}

static void serve(struct hub *h)
{
	bool more = false;

	/*
	 * Not before the replies to what was committed just now. And effects may have begun the
	 * next transaction already: a row that it changes has left its place, and would be missed
	 * if the change were undone.
	 */
	if (h->is_open && store_last_change(h->store) != h->horizon) {
		hub_schedule(h);
		return;
	}
	if (h->is_open)
		more = serve_durable(h);
	serve_ephemeral(h);
	flush(h);
	if (more && !h->failed)
		event_loop_defer(h->loop, &h->later);
}

static void on_effect(void *userdata, int error)
{
	serve(userdata);
}

static void on_commit(void *userdata, int error)
{
	struct hub *h = userdata;

	if (!h->is_open)
		return;
	h->horizon = store_committed_change(h->store);
	if (error < 0)
		return;
	h->failed = false;
	serve(h);
}

void hub_schedule(struct hub *h)
{
	barrier_after_commit(h->barrier, &h->effect);
}

static void on_later(void *userdata)
{
	hub_schedule(userdata);
}

static void on_ephemeral_timer(void *userdata)
{
	struct hub *h = userdata;

	if (h->ephemeral.n > 0)
		hub_schedule(h);
}

bool hub_is_wanted(const struct hub *h, unsigned topic)
{
	return h->topics & 1u << topic;
}

void hub_publish(
	struct hub *h, unsigned topic, const char *subject, const char *chat_id, cJSON *data)
{
	if (!data || !hub_is_wanted(h, topic)) {
		cJSON_Delete(data);
		return;
	}
	if (ephemeral_put(&h->ephemeral, topic, subject, chat_id, data) == 0 &&
		!loop_timer_is_running(h->ephemeral_timer))
		hub_schedule(h);
}

static void watch(struct hub *h, int by)
{
	bool before = h->n_watching > 0;

	h->n_watching += (unsigned)by;
	if (before != (h->n_watching > 0) && h->watch_fn)
		h->watch_fn(h->watch_userdata, !before);
}

bool hub_is_watched(const struct hub *h)
{
	return h->n_watching > 0;
}

unsigned hub_count(const struct hub *h)
{
	return h->n_subscribers;
}

void hub_hold(struct hub *h)
{
	watch(h, 1);
}

void hub_release(struct hub *h)
{
	watch(h, -1);
}

void hub_set_watch(struct hub *h, hub_watch_fn fn, void *userdata)
{
	h->watch_fn = fn;
	h->watch_userdata = userdata;
}

static void set_active(struct subscriber *s, bool active)
{
	if (s->active == active)
		return;
	s->active = active;
	watch(s->hub, active ? 1 : -1);
}

static void count_topics(struct hub *h)
{
	struct subscriber *s;

	h->topics = 0;
	TAILQ_FOREACH(s, &h->subscribers, entry)
		if (s->active)
			h->topics |= s->current.topics;
}

void subscriber_stage(struct subscriber *s, struct subscription *subscription)
{
	subscription_clear(&s->staged);
	s->staged_change = subscription ? SUBSCRIPTION_REPLACED : SUBSCRIPTION_ENDED;
	if (!subscription)
		return;
	s->staged = *subscription;
	*subscription = (struct subscription){ 0 };
}

void subscriber_settle(struct subscriber *s, bool in_force)
{
	enum subscription_change change = s->staged_change;

	s->staged_change = SUBSCRIPTION_KEPT;
	if (!in_force || change == SUBSCRIPTION_KEPT) {
		subscription_clear(&s->staged);
		return;
	}
	subscription_clear(&s->current);
	s->current = s->staged;
	s->staged = (struct subscription){ 0 };
	set_active(s, change == SUBSCRIPTION_REPLACED);
	s->seen = s->hub->ephemeral.last;
	count_topics(s->hub);
	hub_schedule(s->hub);
}

void hub_add(struct hub *h, struct subscriber *s, const struct subscriber_ops *ops, void *userdata)
{
	*s = (struct subscriber){ .hub = h, .ops = ops, .userdata = userdata };
	TAILQ_INSERT_TAIL(&h->subscribers, s, entry);
	h->n_subscribers++;
}

void hub_remove(struct subscriber *s)
{
	if (!s->hub)
		return;
	TAILQ_REMOVE(&s->hub->subscribers, s, entry);
	s->hub->n_subscribers--;
	if (s->active)
		count_topics(s->hub);
	set_active(s, false);
	subscription_clear(&s->current);
	subscription_clear(&s->staged);
	s->hub = NULL;
}

void hub_open(struct hub *h, struct store *store)
{
	h->store = store;
	h->horizon = store_last_change(store);
	h->is_open = true;
	hub_schedule(h);
}

void hub_close(struct hub *h)
{
	h->is_open = false;
	h->store = NULL;
}

struct hub *hub_new(struct event_loop *loop, struct barrier *barrier)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->loop = loop;
	h->barrier = barrier;
	h->effect = (struct barrier_effect){ .fn = on_effect, .userdata = h };
	h->later = (struct loop_deferred){ .fn = on_later, .userdata = h };
	TAILQ_INIT(&h->subscribers);
	ephemeral_init(&h->ephemeral);
	h->ephemeral_timer = loop_timer_new(loop, on_ephemeral_timer, h);
	if (!h->ephemeral_timer)
		return hub_free(h);
	barrier_add_listener(barrier, BARRIER_AFTER_EFFECTS, on_commit, h);
	return h;
}

struct hub *hub_free(struct hub *h)
{
	if (!h)
		return NULL;
	event_loop_undefer(h->loop, &h->later);
	barrier_forget(h->barrier, &h->effect);
	barrier_remove_listener(h->barrier, h);
	ephemeral_forget(&h->ephemeral, h->ephemeral.last);
	loop_timer_free(h->ephemeral_timer);
	free(h);
	return NULL;
}
