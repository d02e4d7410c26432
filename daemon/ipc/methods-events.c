/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/request.h"
#include "ipc/topics.h"

struct subscribe_params {
	const cJSON *topics;
	const cJSON *chats;
	int64_t since;
};

static const struct json_field subscribe_fields[] = {
	{ "topics", JSON_ARRAY, JSON_NULLABLE, offsetof(struct subscribe_params, topics), 1,
		N_TOPICS, "Left out: all but transfer.progress." },
	{ "chats", JSON_ARRAY, JSON_NULLABLE, offsetof(struct subscribe_params, chats), 1,
		SUBSCRIPTION_CHATS_MAX, "Only what concerns these; connection comes regardless." },
	{ "since", JSON_INTEGER, JSON_NULLABLE, offsetof(struct subscribe_params, since), 0,
		INT64_C(1) << 53,
		"A seq or as_of that is known already: every later change is told. Left out, "
		"from now on." },
	{ 0 },
};

static const struct subscribe_params subscribe_defaults = { .since = -1 };

static const struct param_detail subscribe_details[] = {
	{ .name = "topics", .values = topic_names },
	{ .name = "chats", .ids = true },
	{ 0 },
};

static const struct schema_field subscribe_result_fields[] = {
	{ "seq", SCHEMA_INTEGER, .doc = "Changes after this one are told." },
	{ 0 },
};

static const struct schema subscribe_result = {
	.doc = "Where the subscription begins.",
	.fields = subscribe_result_fields,
};

static unsigned topics_of(const cJSON *list)
{
	const cJSON *item;
	unsigned bits = 0;

	if (!list)
		return TOPICS_DEFAULT;
	cJSON_ArrayForEach(item, list) {
		int topic = topic_from_string(item->valuestring);

		if (topic >= 0)
			bits |= 1u << topic;
	}
	return bits;
}

static int copy_chats(const cJSON *list, struct subscription *s)
{
	const cJSON *item;

	if (!list)
		return 0;
	s->chats = calloc((size_t)cJSON_GetArraySize(list), sizeof(s->chats[0]));
	if (!s->chats)
		return -ENOMEM;
	cJSON_ArrayForEach(item, list) {
		s->chats[s->n_chats] = strdup(item->valuestring);
		if (!s->chats[s->n_chats++])
			return -ENOMEM;
	}
	return 0;
}

static void on_subscribe(struct request *rq)
{
	const struct subscribe_params *p = rq->params;
	_cleanup_(subscription_clear) struct subscription s = { .topics = topics_of(p->topics) };
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	int64_t last = store_last_change(rq->api->store);

	if (p->since > last)
		return request_fail_with(
			rq, FAILURE_INVALID, "'since' is ahead of the newest change; list anew");
	s.position = p->since < 0 ? last : p->since;
	if (!o || !json_add_integer(o, "seq", s.position) || copy_chats(p->chats, &s) < 0)
		return request_reply(rq, NULL);
	subscriber_stage(&rq->client->subscriber, &s);
	rq->stages_subscription = true;
	request_reply(rq, TAKE_PTR(o));
}

static void on_unsubscribe(struct request *rq)
{
	subscriber_stage(&rq->client->subscriber, NULL);
	rq->stages_subscription = true;
	request_reply(rq, cJSON_CreateObject());
}

const struct method methods_events[] = {
	{
		.name = "events.subscribe",
		.summary = "From now on, tells this connection of changes.",
		.doc = "A connection has one subscription; subscribing again replaces its "
		       "topics, chats and position. The answer precedes the first change "
		       "notification. A row that changed several times unseen is told once, as "
		       "it is now. The error invalid says that 'since' is not of this database: "
		       "list anew.",
		.params = subscribe_fields,
		.params_size = sizeof(struct subscribe_params),
		.defaults = &subscribe_defaults,
		.details = subscribe_details,
		.result = &subscribe_result,
		.errors = 1u << FAILURE_INVALID,
		.scopes = SCOPE_READ,
		.handler = on_subscribe,
	},
	{
		.name = "events.unsubscribe",
		.summary = "Ends this connection's subscription.",
		.doc = "No change notification follows the answer.",
		.result = &schema_nothing,
		.scopes = SCOPE_READ,
		.handler = on_unsubscribe,
	},
	{ 0 },
};
