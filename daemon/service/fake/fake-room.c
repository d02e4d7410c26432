/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

/* The messages [from, to) of a chat. */
struct range {
	size_t from, to;
	bool more;
};

/* -EINVAL: a cursor that is not in the chat. */
static int find_range(
	const struct world_chat *chat, const struct service_call *c, struct range *ret)
{
	const char *cursor = c->after ? c->after : c->before;
	const struct message *at = cursor ? world_find_message(chat, cursor) : NULL;
	size_t limit = (size_t)c->limit;

	if (cursor && !at)
		return -EINVAL;
	if (c->after) {
		ret->from = (size_t)at->seq;
		ret->to =
			chat->n_messages - ret->from > limit ? ret->from + limit : chat->n_messages;
		ret->more = ret->to < chat->n_messages;
		return 0;
	}
	ret->to = at ? (size_t)at->seq - 1 : chat->n_messages;
	ret->from = ret->to > limit ? ret->to - limit : 0;
	ret->more = ret->from > 0;
	return 0;
}

static int add_users(struct message_page *p, const struct world *w, const struct world_chat *chat)
{
	const struct user *both[] = { &w->me, world_find_user(w, chat->info.user_id) };

	p->users = calloc(ARRAY_SIZE(both), sizeof(*p->users));
	if (!p->users)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		if (!both[i])
			continue;
		if (world_copy_user(both[i], &p->users[p->n_users]) < 0)
			return -ENOMEM;
		p->n_users++;
	}
	return 0;
}

static int fill_page(struct message_page *p, const struct world *w, const struct world_chat *chat,
	const struct range *range)
{
	p->messages = calloc(range->to - range->from + 1, sizeof(*p->messages));
	if (!p->messages)
		return -ENOMEM;
	for (size_t i = range->from; i < range->to; i++) {
		if (world_copy_message(&chat->messages[i], &p->messages[p->n_messages]) < 0)
			return -ENOMEM;
		p->n_messages++;
	}
	p->more = range->more;
	return add_users(p, w, chat);
}

static bool answer_list(struct service_call *c, const struct problem *p)
{
	const struct world_chat *chat = world_find_chat(&c->fake->world, c->id);
	struct message_page page = { 0 };
	struct problem own = { 0 };
	struct range range;
	int r = 0;

	if (!p && !chat)
		p = fake_problem(&own, PROBLEM_PERMANENT, 404, "There is no such chat");
	if (!p)
		r = find_range(chat, c, &range);
	if (!p && r == 0)
		r = fill_page(&page, &c->fake->world, chat, &range);
	if (r < 0)
		p = r == -EINVAL ? fake_unknown_cursor(&own) : fake_no_memory(&own);
	c->fn.messages(c->userdata, p, p ? NULL : &page);
	message_page_clear(&page);
	problem_clear(&own);
	return false;
}

static int room_list_messages(struct service *s, const struct message_page_query *q,
	service_messages_fn fn, void *userdata, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = NULL;
	int r;

	if (q->after_id && q->before_id)
		return -EINVAL;
	r = fake_call_new(s, FAKE_LIST_MESSAGES, answer_list, q->chat_id, userdata, &c);
	if (r < 0 || fake_dup(&c->after, q->after_id) < 0 || fake_dup(&c->before, q->before_id) < 0)
		return -ENOMEM;
	c->limit = fake_clamp_limit(q->limit);
	c->fn.messages = fn;
	fake_call_start(TAKE_PTR(c), ret);
	return 0;
}

static bool has_session(const struct fake *f)
{
	return f->state == FAKE_OPEN || f->state == FAKE_DROPPED;
}

static int room_send(struct service *s, const struct message *m)
{
	struct fake *f = fake_from(s);
	int r;

	if (!has_session(f))
		return -ENOTCONN;
	if (f->n_in_flight >= (unsigned)f->world.behaviour.max_in_flight)
		return -ENOBUFS;
	/* What is written to a connection that has gone is lost without a word. */
	r = f->state == FAKE_OPEN ? fake_act_arrive(f, m) : 0;
	if (r < 0)
		return r;
	f->calls[FAKE_SEND]++;
	f->n_in_flight++;
	return 0;
}

static int set_watermark(
	struct service *s, enum fake_operation op, const char *chat_id, const char *message_id)
{
	struct fake *f = fake_from(s);
	struct world_chat *c = world_find_chat(&f->world, chat_id);
	const struct message *m = c ? world_find_message(c, message_id) : NULL;
	int64_t *watermark;

	if (!has_session(f))
		return -ENOTCONN;
	f->calls[op]++;
	if (f->state != FAKE_OPEN || !m)
		return 0;
	watermark = op == FAKE_SEND_READ ? &c->info.read_seq : &c->received_seq;
	if (*watermark >= m->seq)
		return 0;
	*watermark = m->seq;
	world_touch(&f->world, c);
	return 0;
}

static int room_send_received(struct service *s, const char *chat_id, const char *message_id)
{
	return set_watermark(s, FAKE_SEND_RECEIVED, chat_id, message_id);
}

static int room_send_read(struct service *s, const char *chat_id, const char *message_id)
{
	return set_watermark(s, FAKE_SEND_READ, chat_id, message_id);
}

const struct chat_room_service fake_room = {
	.list_messages = room_list_messages,
	.send = room_send,
	.send_received = room_send_received,
	.send_read = room_send_read,
};
