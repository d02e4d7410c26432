/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * changes.wait: a subscriber for the time of one request. It is told like any other, and ends with
 * the first that it is told.
 */
#include <errno.h>

#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/request.h"
#include "ipc/subscribe.h"
#include "ipc/topics.h"

#define TIMEOUT_DEFAULT_MS 30000
#define TIMEOUT_MAX_MS 600000

struct wait {
	struct request *request;
	struct subscriber subscriber;
	struct loop_timer *timer;
	cJSON *changes;
	unsigned n;
	bool failed; /* memory was short */
};

struct wait_params {
	const cJSON *topics;
	const cJSON *chats;
	int64_t since;
	int64_t timeout_ms;
};

static const struct json_field wait_fields[] = {
	{ "topics", JSON_ARRAY, JSON_NULLABLE, offsetof(struct wait_params, topics), 1,
		TOPIC_CONNECTION, "Left out: all that are durable." },
	{ "chats", JSON_ARRAY, JSON_NULLABLE, offsetof(struct wait_params, chats), 1,
		SUBSCRIPTION_CHATS_MAX, "Only what concerns these." },
	{ "since", JSON_INTEGER, JSON_NULLABLE, offsetof(struct wait_params, since), 0,
		INT64_C(1) << 53, "A seq or as_of that is known already. Left out, from now on." },
	{ "timeout_ms", JSON_INTEGER, 0, offsetof(struct wait_params, timeout_ms), 0,
		TIMEOUT_MAX_MS, "How long to wait at most." },
	{ 0 },
};

static const struct wait_params wait_defaults = { .since = -1, .timeout_ms = TIMEOUT_DEFAULT_MS };

static const struct param_detail wait_details[] = {
	{ .name = "topics", .values = topic_durable_names },
	{ .name = "chats", .ids = true },
	{ 0 },
};

static const struct schema_field change_fields[] = {
	{ "seq", SCHEMA_INTEGER, .doc = "Its place in the order of changes." },
	{ "topic", SCHEMA_ENUM, .values = topic_durable_names, .doc = "What it is about." },
	{ "chat_id", SCHEMA_ID, .doc = "The chat." },
	{ "message_id", SCHEMA_ID, SCHEMA_OPTIONAL, .doc = "The message, if it is about one." },
	{ "attachment_id", SCHEMA_ID, SCHEMA_OPTIONAL,
		.doc = "The attachment, if it is about one." },
	{ 0 },
};

static const struct schema change = {
	.doc = "What changed.",
	.fields = change_fields,
};

static const struct schema_field wait_result_fields[] = {
	{ "seq", SCHEMA_INTEGER, .doc = "Where to go on: the next call's 'since'." },
	{ "changes", SCHEMA_OBJECT, SCHEMA_LIST, .object = &change,
		.doc = "In order; none when the time is over." },
	{ 0 },
};

static const struct schema wait_result = {
	.doc = "What changed, by id.",
	.fields = wait_result_fields,
};

/* Ends the waiting; `rq` has been or is being ended too. */
static void wait_free(struct wait *w)
{
	hub_remove(&w->subscriber);
	loop_timer_free(w->timer);
	cJSON_Delete(w->changes);
	free(w);
}

static void answer(struct wait *w)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct request *rq = w->request;
	bool ok = o && !w->failed && json_add_integer(o, "seq", w->subscriber.current.position) &&
		json_add_item(o, "changes", TAKE_PTR(w->changes));

	wait_free(w);
	request_reply(rq, ok ? TAKE_PTR(o) : NULL);
}

static void on_timeout(void *userdata)
{
	answer(userdata);
}

static void on_client_gone(struct request *rq)
{
	answer(rq->handler_data);
}

static bool is_full(void *userdata)
{
	const struct wait *w = userdata;

	return w->n == PAGE_MAX;
}

/* The members of the event's data that are ids. */
static bool copy_id(cJSON *to, const cJSON *from, const char *name)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(from, name);

	return !id || json_add_string(to, name, id->valuestring);
}

static void take(void *userdata, struct event *e)
{
	struct wait *w = userdata;
	const cJSON *data = event_tree(e);
	cJSON *o = cJSON_CreateObject();

	w->n++;
	if (!json_append(w->changes, o) || !data || !json_add_integer(o, "seq", e->seq) ||
		!json_add_string(o, "topic", topic_names[e->topic]) ||
		!copy_id(o, data, "chat_id") || !copy_id(o, data, "message_id") ||
		!copy_id(o, data, "attachment_id"))
		w->failed = true;
}

static void on_flush(void *userdata)
{
	answer(userdata);
}

static const struct subscriber_ops subscriber_ops = {
	.is_full = is_full,
	.take = take,
	.flush = on_flush,
};

static void on_wait(struct request *rq)
{
	const struct wait_params *p = rq->params;
	_cleanup_(subscription_clear) struct subscription s = { 0 };
	struct wait *w;

	if (subscription_from(rq, p->topics, TOPICS_DURABLE, p->chats, p->since, &s) < 0)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return request_reply(rq, NULL);
	w->request = rq;
	w->changes = cJSON_CreateArray();
	w->timer = loop_timer_new(rq->api->loop, on_timeout, w);
	if (!w->changes || !w->timer) {
		wait_free(w);
		return request_reply(rq, NULL);
	}
	rq->handler_data = w;
	rq->on_client_gone = on_client_gone;
	loop_timer_start_us(w->timer, (uint64_t)p->timeout_ms * 1000);
	hub_add(rq->api->hub, &w->subscriber, &subscriber_ops, w);
	subscriber_stage(&w->subscriber, &s);
	subscriber_settle(&w->subscriber, true);
}

const struct method methods_changes[] = {
	{
		.name = "changes.wait",
		.summary = "Waits until something changes.",
		.doc = "For scripts that would rather ask than be told: call it again with the "
		       "answer's seq, and nothing is missed.",
		.params = wait_fields,
		.params_size = sizeof(struct wait_params),
		.defaults = &wait_defaults,
		.details = wait_details,
		.result = &wait_result,
		.errors = 1u << FAILURE_INVALID,
		.scopes = SCOPE_READ,
		.flags = METHOD_TELLS_COMMITTED,
		.handler = on_wait,
	},
	{ 0 },
};
