/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "chats.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "base/clock.h"

struct chats {
	struct store *store;
	struct users *users;
	void *by_id, *by_number, *by_pair; /* tsearch(3) trees; by_id owns */
	int64_t last_number;
	int64_t last_activity;
	TAILQ_HEAD(, chat) dirty_chats;
	TAILQ_HEAD(, member) dirty_members;
};

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct chat *)a)->id, ((const struct chat *)b)->id);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = ((const struct chat *)a)->number, y = ((const struct chat *)b)->number;

	return (x > y) - (x < y);
}

/* The lower of a pair's addresses first, so that either way round is the same pair. */
static void sorted_pair(const struct chat *c, uintptr_t ret[2])
{
	uintptr_t a = (uintptr_t)c->members[0].user, b = (uintptr_t)c->members[1].user;

	ret[0] = a < b ? a : b;
	ret[1] = a < b ? b : a;
}

static int compare_pairs(const void *a, const void *b)
{
	uintptr_t x[2], y[2];

	sorted_pair(a, x);
	sorted_pair(b, y);
	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return (x[1] > y[1]) - (x[1] < y[1]);
}

static struct chat *find(
	void *const *tree, const struct chat *key, int (*compare)(const void *, const void *))
{
	struct chat *const *found = tfind(key, tree, compare);

	return found ? *found : NULL;
}

struct chat *chats_find(const struct chats *chats, const char *id)
{
	struct chat key;

	if (strlen(id) >= sizeof(key.id))
		return NULL;
	strcpy(key.id, id);
	return find(&chats->by_id, &key, compare_ids);
}

struct chat *chats_find_by_number(const struct chats *chats, int64_t number)
{
	struct chat key = { .number = number };

	return find(&chats->by_number, &key, compare_numbers);
}

static int touch_chat(struct chats *chats, struct chat *c)
{
	if (store_begin(chats->store) < 0)
		return -EIO;
	if (!c->dirty)
		TAILQ_INSERT_TAIL(&chats->dirty_chats, c, by_dirty);
	c->dirty = true;
	return 0;
}

static int touch_member(struct chats *chats, struct member *m)
{
	if (store_begin(chats->store) < 0)
		return -EIO;
	if (!m->dirty)
		TAILQ_INSERT_TAIL(&chats->dirty_members, m, by_dirty);
	m->dirty = true;
	return 0;
}

/* Puts the chat last in its user's order of changes. */
static int changed(struct chats *chats, struct member *m)
{
	TAILQ_REMOVE(&m->user->by_change, m, by_change);
	TAILQ_INSERT_TAIL(&m->user->by_change, m, by_change);
	m->change = ++m->user->change;
	return touch_member(chats, m);
}

/* Puts the chat first in its user's list. */
static void to_front(struct chats *chats, struct member *m)
{
	if (!m->hidden)
		TAILQ_REMOVE(&m->user->by_activity, m, by_activity);
	TAILQ_INSERT_HEAD(&m->user->by_activity, m, by_activity);
	m->hidden = false;
	m->activity = ++chats->last_activity;
}

static int insert(struct chats *chats, struct chat *c)
{
	if (!tsearch(c, &chats->by_number, compare_numbers) ||
		!tsearch(c, &chats->by_pair, compare_pairs) ||
		!tsearch(c, &chats->by_id, compare_ids))
		return -ENOMEM;
	return 0;
}

static struct chat *chat_new(struct user *a, struct user *b)
{
	struct chat *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->members[0] = (struct member){ .user = a, .chat = c, .hidden = true };
	c->members[1] = (struct member){ .user = b, .chat = c, .hidden = true };
	return c;
}

static int create(struct chats *chats, struct user *user, struct user *peer, struct chat **ret)
{
	struct chat *c = chat_new(user, peer);

	if (!c)
		return -ENOMEM;
	uuid7_generate(c->id);
	c->number = ++chats->last_number;
	c->created_at = clock_wall_ms();
	if (insert(chats, c) < 0)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		TAILQ_INSERT_TAIL(&c->members[i].user->by_change, &c->members[i], by_change);
	if (touch_chat(chats, c) < 0 || changed(chats, &c->members[1]) < 0)
		return -EIO;
	*ret = c;
	return 0;
}

int chats_between(struct chats *chats, struct user *user, struct user *peer, struct chat **ret,
	bool *ret_created)
{
	struct chat key = { .members = { { .user = user }, { .user = peer } } };
	struct chat *c = find(&chats->by_pair, &key, compare_pairs);
	bool created = !c;
	struct member *m;
	int r = c ? 0 : create(chats, user, peer, &c);

	if (r < 0)
		return r;
	m = chat_member(c, user);
	if (m->hidden) {
		to_front(chats, m);
		if (changed(chats, m) < 0)
			return -EIO;
	}
	*ret = c;
	*ret_created = created;
	return 0;
}

struct member *chat_member(struct chat *c, const struct user *user)
{
	if (c->members[0].user == user)
		return &c->members[0];
	return c->members[1].user == user ? &c->members[1] : NULL;
}

struct member *chat_peer(struct chat *c, const struct user *user)
{
	return c->members[0].user == user ? &c->members[1] : &c->members[0];
}

int chat_add_message(
	struct chats *chats, struct chat *c, const char *message_id, struct user *sender)
{
	c->last_seq++;
	snprintf(c->last_message, sizeof(c->last_message), "%s", message_id);
	c->last_user = sender;
	for (int i = 0; i < 2; i++) {
		to_front(chats, &c->members[i]);
		if (changed(chats, &c->members[i]) < 0)
			return -EIO;
	}
	return touch_chat(chats, c);
}

int chat_advance(struct chats *chats, struct member *m, int64_t seq, bool read)
{
	bool moved = seq > m->received_seq || (read && seq > m->read_seq);

	if (!moved)
		return 0;
	if (seq > m->received_seq)
		m->received_seq = seq;
	if (read && seq > m->read_seq)
		m->read_seq = seq;
	if (changed(chats, m) < 0 || changed(chats, chat_peer(m->chat, m->user)) < 0)
		return -EIO;
	return 1;
}

int chat_hide(struct chats *chats, struct member *m)
{
	if (m->hidden)
		return 0;
	TAILQ_REMOVE(&m->user->by_activity, m, by_activity);
	m->hidden = true;
	return changed(chats, m);
}

static int save_chat(struct store *store, const struct chat *c)
{
	sqlite3_stmt *q = store_query(store, QUERY_CHAT_SAVE);

	bind_int(q, 1, c->number);
	bind_text(q, 2, c->id);
	bind_int(q, 3, c->created_at);
	bind_int(q, 4, c->last_seq);
	bind_text(q, 5, c->last_message);
	bind_text(q, 6, c->last_user ? c->last_user->id : "");
	return store_run(store, q);
}

static int save_member(struct store *store, const struct member *m)
{
	sqlite3_stmt *q = store_query(store, QUERY_MEMBER_SAVE);

	bind_int(q, 1, m->chat->number);
	bind_text(q, 2, m->user->id);
	bind_int(q, 3, m->hidden);
	bind_int(q, 4, m->read_seq);
	bind_int(q, 5, m->received_seq);
	bind_int(q, 6, m->change);
	bind_int(q, 7, m->activity);
	return store_run(store, q);
}

int chats_flush(struct chats *chats)
{
	struct chat *c;
	struct member *m;
	int r = 0;

	while (r == 0 && (c = TAILQ_FIRST(&chats->dirty_chats))) {
		TAILQ_REMOVE(&chats->dirty_chats, c, by_dirty);
		c->dirty = false;
		r = save_chat(chats->store, c);
	}
	while (r == 0 && (m = TAILQ_FIRST(&chats->dirty_members))) {
		TAILQ_REMOVE(&chats->dirty_members, m, by_dirty);
		m->dirty = false;
		r = save_member(chats->store, m);
	}
	return r < 0 ? -EIO : 0;
}

/* A chat as its row has it, found again by number once the members are known. */
static int load_chat(struct chats *chats, sqlite3_stmt *q)
{
	struct chat *c = chat_new(NULL, NULL);
	const char *last_user = column_text(q, 5);

	if (!c)
		return -ENOMEM;
	c->number = sqlite3_column_int64(q, 0);
	snprintf(c->id, sizeof(c->id), "%s", column_text(q, 1));
	c->created_at = sqlite3_column_int64(q, 2);
	c->last_seq = sqlite3_column_int64(q, 3);
	snprintf(c->last_message, sizeof(c->last_message), "%s", column_text(q, 4));
	if (*last_user)
		c->last_user = users_find_or_add(chats->users, last_user);
	if (c->number > chats->last_number)
		chats->last_number = c->number;
	return tsearch(c, &chats->by_number, compare_numbers) &&
			tsearch(c, &chats->by_id, compare_ids)
		? 0
		: -ENOMEM;
}

static int load_member(struct chats *chats, sqlite3_stmt *q)
{
	struct chat *c = chats_find_by_number(chats, sqlite3_column_int64(q, 0));
	struct user *u = users_find_or_add(chats->users, column_text(q, 1));
	struct member *m;

	if (!c || !u)
		return -EBADMSG;
	m = c->members[0].user ? &c->members[1] : &c->members[0];
	m->user = u;
	m->hidden = sqlite3_column_int(q, 2);
	m->read_seq = sqlite3_column_int64(q, 3);
	m->received_seq = sqlite3_column_int64(q, 4);
	m->change = sqlite3_column_int64(q, 5);
	m->activity = sqlite3_column_int64(q, 6);
	if (m->change > u->change)
		u->change = m->change;
	if (m->activity > chats->last_activity)
		chats->last_activity = m->activity;
	if (m == &c->members[1] && !tsearch(c, &chats->by_pair, compare_pairs))
		return -ENOMEM;
	return 0;
}

static int load(
	struct chats *chats, enum store_query query, int (*row)(struct chats *, sqlite3_stmt *))
{
	sqlite3_stmt *q = store_query(chats->store, query);
	int r;

	while ((r = store_next(chats->store, q)) > 0) {
		r = row(chats, q);
		if (r < 0)
			return r;
	}
	return r;
}

static int by_activity_ascending(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

	return (x->activity > y->activity) - (x->activity < y->activity);
}

static int by_change_ascending(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

	return (x->change > y->change) - (x->change < y->change);
}

struct gathered {
	struct member **members;
	size_t n;
};

static void gather(const void *node, VISIT visit, void *closure)
{
	struct chat *c = *(struct chat *const *)node;
	struct gathered *g = closure;

	if (visit != preorder && visit != leaf)
		return;
	for (int i = 0; i < 2; i++)
		if (c->members[i].user)
			g->members[g->n++] = &c->members[i];
}

/* Links the loaded members into their users' two orders. */
static int put_in_order(struct chats *chats)
{
	_cleanup_free_ struct member **members =
		calloc((size_t)chats->last_number * 2 + 1, sizeof(*members));
	struct gathered g = { members, 0 };

	if (!members)
		return -ENOMEM;
	twalk_r(chats->by_number, gather, &g);
	qsort(members, g.n, sizeof(*members), by_activity_ascending);
	for (size_t i = 0; i < g.n; i++)
		if (!members[i]->hidden)
			TAILQ_INSERT_HEAD(&members[i]->user->by_activity, members[i], by_activity);
	qsort(members, g.n, sizeof(*members), by_change_ascending);
	for (size_t i = 0; i < g.n; i++)
		TAILQ_INSERT_TAIL(&members[i]->user->by_change, members[i], by_change);
	return 0;
}

int chats_open(struct store *store, struct users *users, struct chats **ret)
{
	_cleanup_(chats_freep) struct chats *chats = calloc(1, sizeof(*chats));
	int r;

	if (!chats)
		return -ENOMEM;
	chats->store = store;
	chats->users = users;
	TAILQ_INIT(&chats->dirty_chats);
	TAILQ_INIT(&chats->dirty_members);
	r = load(chats, QUERY_CHAT_LOAD, load_chat);
	if (r == 0)
		r = load(chats, QUERY_MEMBER_LOAD, load_member);
	if (r == 0)
		r = put_in_order(chats);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(chats);
	return 0;
}

static void keep(void *node)
{
}

struct chats *chats_free(struct chats *chats)
{
	if (!chats)
		return NULL;
	tdestroy(chats->by_number, keep);
	tdestroy(chats->by_pair, keep);
	tdestroy(chats->by_id, free);
	free(chats);
	return NULL;
}
