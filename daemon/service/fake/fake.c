/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

static bool answer_push(struct service_call *c, const struct problem *p)
{
	if (!p) {
		free(c->fake->push_endpoint);
		c->fake->push_endpoint = TAKE_PTR(c->id);
	}
	c->fn.done(c->userdata, p);
	return false;
}

static int push_set(struct service *s, const struct push_registration *registration,
	service_done_fn fn, void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_SET_PUSH, answer_push,
		registration ? registration->endpoint : NULL, userdata, &c);

	if (r < 0)
		return r;
	c->fn.done = fn;
	fake_call_start(c, ret);
	return 0;
}

/* Nobody pushes in a made-up world: its keys open nothing. */
static int push_make_keys(struct push_keys *ret)
{
	*ret = (struct push_keys){ .private_key = "k", .p256dh = "p", .auth = "a" };
	return 0;
}

static int push_open(
	const struct push_keys *keys, const void *data, size_t size, struct push_content *ret)
{
	return -EBADMSG;
}

static const struct push_service fake_push = {
	.set_push = push_set,
	.make_keys = push_make_keys,
	.open = push_open,
};

static void fake_free(struct service *s)
{
	struct fake *f = fake_from(s);

	fake_calls_clear(f);
	fake_session_end(f);
	schedule_clear(&f->schedule);
	for (size_t i = 0; i < ARRAY_SIZE(f->faults); i++)
		problem_clear(&f->faults[i].problem);
	fake_slots_clear(f);
	world_clear(&f->world);
	free(f->password);
	free(f->token);
	free(f->push_endpoint);
	free(f);
}

static const struct service template = {
	.name = "fake",
	.capabilities = SERVICE_CHAT_LIST | SERVICE_RECEIPTS | SERVICE_PUSH |
		SERVICE_RESUMABLE_UPLOAD | SERVICE_HISTORY_PAGING,
	.session = &fake_session,
	.lobby = &fake_lobby,
	.room = &fake_room,
	.attachments = &fake_attachments,
	.push = &fake_push,
	.cancel = fake_call_cancel,
	.free = fake_free,
};

struct service *fake_service_new(
	struct event_loop *loop, const char *json_path, struct json_error *ret_error)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f) {
		snprintf(ret_error->text, sizeof(ret_error->text), "not enough memory");
		return NULL;
	}
	f->service = template;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->withheld);
	TAILQ_INIT(&f->reordering);
	if (schedule_init(&f->schedule, loop) < 0)
		snprintf(ret_error->text, sizeof(ret_error->text), "not enough memory");
	else if (world_load(&f->world, json_path, ret_error) == 0)
		return &f->service;
	return service_free(&f->service);
}
