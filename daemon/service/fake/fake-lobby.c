/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

static int64_t last_activity(const struct world_chat *c)
{
	return c->n_messages > 0 ? c->messages[c->n_messages - 1].created_at : c->info.created_at;
}

static int by_activity(const void *a, const void *b)
{
	const struct world_chat *x = *(struct world_chat *const *)a,
				*y = *(struct world_chat *const *)b;
	int64_t tx = last_activity(x), ty = last_activity(y);

	if (tx != ty)
		return tx > ty ? -1 : 1;
	return strcmp(x->info.id, y->info.id);
}

static int by_revision(const void *a, const void *b)
{
	const struct world_chat *x = *(struct world_chat *const *)a,
				*y = *(struct world_chat *const *)b;

	return (x->revision > y->revision) - (x->revision < y->revision);
}

static int add_user(struct chat_page *p, const struct world *w, const char *id)
{
	const struct user *u = world_find_user(w, id);

	for (size_t i = 0; i < p->n_users; i++)
		if (strcmp(p->users[i].id, id) == 0)
			return 0;
	if (!u)
		return 0;
	return world_copy_user(u, &p->users[p->n_users]) < 0 ? -ENOMEM : (int)++p->n_users;
}

static int add_chat(struct chat_page *p, const struct world *w, const struct world_chat *c)
{
	if (world_copy_chat(&c->info, &p->chats[p->n_chats]) < 0)
		return -ENOMEM;
	p->n_chats++;
	if (add_user(p, w, c->info.user_id) < 0)
		return -ENOMEM;
	if (c->n_messages == 0)
		return 0;
	if (world_copy_message(&c->messages[c->n_messages - 1], &p->messages[p->n_messages]) < 0)
		return -ENOMEM;
	p->n_messages++;
	return add_user(p, w, c->messages[c->n_messages - 1].user_id) < 0 ? -ENOMEM : 0;
}

/* The chats of one page: a part of a list that is in order. */
struct selection {
	const struct world_chat **chats;
	size_t n, start;
};

static int fill_page(struct chat_page *p, const struct world *w, const struct selection *s,
	int64_t limit, bool changes)
{
	size_t left = s->n - s->start, n = (uint64_t)limit < left ? (size_t)limit : left;
	uint64_t revision = w->revision;

	p->chats = calloc(n + 1, sizeof(*p->chats));
	p->messages = calloc(n + 1, sizeof(*p->messages));
	p->users = calloc(2 * n + 1, sizeof(*p->users));
	if (!p->chats || !p->messages || !p->users)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (add_chat(p, w, s->chats[s->start + i]) < 0)
			return -ENOMEM;
	p->more = n < left;
	if (changes && p->more)
		revision = s->chats[s->start + n - 1]->revision;
	p->state = world_state(w, revision);
	return p->state ? 0 : -ENOMEM;
}

/* Chats in the order asked for, from after the cursor. -EINVAL: cursor or state not known. */
static int select_chats(const struct world *w, const char *changed_after, const char *after_id,
	struct selection *ret)
{
	uint64_t since = 0;

	if (changed_after && world_state_parse(w, changed_after, &since) < 0)
		return -EINVAL;
	ret->chats = calloc(w->n_chats + 1, sizeof(*ret->chats));
	if (!ret->chats)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_chats; i++)
		if (!w->chats[i]->deleted && w->chats[i]->revision > since)
			ret->chats[ret->n++] = w->chats[i];
	qsort(ret->chats, ret->n, sizeof(*ret->chats), changed_after ? by_revision : by_activity);
	if (!after_id)
		return 0;
	for (size_t i = 0; i < ret->n && ret->start == 0; i++)
		if (strcmp(ret->chats[i]->info.id, after_id) == 0)
			ret->start = i + 1;
	return ret->start > 0 ? 0 : -EINVAL;
}

/* The last page tells of all that left the list. */
static int add_removed(struct chat_page *p, const struct world *w, const char *changed_after)
{
	uint64_t since = 0;

	if (p->more || !changed_after || world_state_parse(w, changed_after, &since) < 0)
		return 0;
	p->removed = calloc(w->n_chats + 1, sizeof(*p->removed));
	if (!p->removed)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_chats; i++) {
		if (!w->chats[i]->deleted || w->chats[i]->revision <= since)
			continue;
		if (fake_dup(&p->removed[p->n_removed], w->chats[i]->info.id) < 0)
			return -ENOMEM;
		p->n_removed++;
	}
	return 0;
}

static bool answer_list(struct service_call *c, const struct problem *p)
{
	struct selection s = { 0 };
	struct chat_page page = { 0 };
	struct problem own = { 0 };
	int r = p ? 0 : select_chats(&c->fake->world, c->before, c->after, &s);

	if (!p && r == 0)
		r = fill_page(&page, &c->fake->world, &s, c->limit, c->before);
	if (!p && r == 0)
		r = add_removed(&page, &c->fake->world, c->before);
	if (r < 0)
		p = r == -EINVAL ? fake_unknown_cursor(&own) : fake_no_memory(&own);
	c->fn.chats(c->userdata, p, p ? NULL : &page);
	chat_page_clear(&page);
	free(s.chats);
	problem_clear(&own);
	return false;
}

static int lobby_list_chats(struct service *s, const struct chat_page_query *q, service_chats_fn fn,
	void *userdata, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = NULL;
	int r = fake_call_new(s, FAKE_LIST_CHATS, answer_list, NULL, userdata, &c);

	if (r < 0 || fake_dup(&c->before, q->changed_after) < 0 ||
		fake_dup(&c->after, q->after_id) < 0)
		return -ENOMEM;
	c->limit = fake_clamp_limit(q->limit);
	c->fn.chats = fn;
	fake_call_start(TAKE_PTR(c), ret);
	return 0;
}

static bool answer_create(struct service_call *c, const struct problem *p)
{
	const struct user *known = world_find_user(&c->fake->world, c->id);
	const struct world_chat *made = NULL;
	struct chat chat = { 0 };
	struct user peer = { 0 };
	struct problem own = { 0 };

	if (!p && (!known || known == &c->fake->world.me))
		p = fake_problem(&own, PROBLEM_PERMANENT, 404, "There is no such user");
	if (!p)
		made = fake_chat_of(c->fake, c->id);
	if (!p &&
		(!made || world_copy_chat(&made->info, &chat) < 0 ||
			world_copy_user(known, &peer) < 0))
		p = fake_no_memory(&own);
	c->fn.chat(c->userdata, p, p ? NULL : &chat, p ? NULL : &peer);
	chat_clear(&chat);
	user_clear(&peer);
	problem_clear(&own);
	return false;
}

static int lobby_create_chat(struct service *s, const char *user_id, service_chat_fn fn,
	void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_CREATE_CHAT, answer_create, user_id, userdata, &c);

	if (r < 0)
		return r;
	c->fn.chat = fn;
	fake_call_start(c, ret);
	return 0;
}

static bool answer_delete(struct service_call *c, const struct problem *p)
{
	struct world_chat *chat = world_find_chat(&c->fake->world, c->id);
	struct problem own = { 0 };

	if (!p && chat)
		chat->deleted = true;
	else if (!p)
		p = fake_problem(&own, PROBLEM_PERMANENT, 404, "There is no such chat");
	c->fn.done(c->userdata, p);
	problem_clear(&own);
	return false;
}

static int lobby_delete_chat(struct service *s, const char *chat_id, service_done_fn fn,
	void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_DELETE_CHAT, answer_delete, chat_id, userdata, &c);

	if (r < 0)
		return r;
	c->fn.done = fn;
	fake_call_start(c, ret);
	return 0;
}

static bool answer_user(struct service_call *c, const struct problem *p)
{
	const struct user *known = world_find_user(&c->fake->world, c->id);
	struct user user = { 0 };
	struct problem own = { 0 };

	if (!p && !known)
		p = fake_problem(&own, PROBLEM_PERMANENT, 404, "There is no such user");
	else if (!p && world_copy_user(known, &user) < 0)
		p = fake_no_memory(&own);
	c->fn.user(c->userdata, p, p ? NULL : &user);
	user_clear(&user);
	problem_clear(&own);
	return false;
}

static int lobby_get_user(struct service *s, const char *user_id, service_user_fn fn,
	void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_GET_USER, answer_user, user_id, userdata, &c);

	if (r < 0)
		return r;
	c->fn.user = fn;
	fake_call_start(c, ret);
	return 0;
}

const struct chat_lobby_service fake_lobby = {
	.list_chats = lobby_list_chats,
	.create_chat = lobby_create_chat,
	.delete_chat = lobby_delete_chat,
	.get_user = lobby_get_user,
};
