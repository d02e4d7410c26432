/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/request.h"
#include "ipc/subscribe.h"
#include "ipc/topics.h"

struct subscribe_params {
	const cJSON *topics;
	const cJSON *chats;
	int64_t since;
	const char *consumer;
};

static const struct json_field subscribe_fields[] = {
	{ "topics", JSON_ARRAY, JSON_NULLABLE, offsetof(struct subscribe_params, topics), 1,
		N_TOPICS, "Left out: all but transfer.progress and chat.open." },
	{ "chats", JSON_ARRAY, JSON_NULLABLE, offsetof(struct subscribe_params, chats), 1,
		SUBSCRIPTION_CHATS_MAX, "Only what concerns these; connection comes regardless." },
	{ "since", JSON_INTEGER, JSON_NULLABLE, offsetof(struct subscribe_params, since), 0,
		INT64_C(1) << 53,
		"A seq or as_of that is known already: every later change is told. Left out, "
		"from now on." },
	{ "consumer", JSON_ID, JSON_NULLABLE, offsetof(struct subscribe_params, consumer),
		.doc = "A name under which the position is kept: begins behind what events.ack "
		       "acknowledged last. 'since' says where a new one begins." },
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

/*
 * While the account is locked nothing changes but that: a frontend can wait for it, and need not
 * ask again and again.
 */
static bool waits_for_unlocking(const struct subscribe_params *p)
{
	return cJSON_GetArraySize(p->topics) == 1 && !p->consumer && p->since < 0 && !p->chats &&
		strcmp(p->topics->child->valuestring, topic_names[TOPIC_CONNECTION]) == 0;
}

static void subscribe_while_locked(struct request *rq)
{
	struct subscription s = { .topics = 1u << TOPIC_CONNECTION };
	cJSON *o;

	if (!waits_for_unlocking(rq->params))
		return request_fail_with(rq, FAILURE_LOCKED, "%s", rq->api->lock.detail);
	o = cJSON_CreateObject();
	if (!o || !json_add_integer(o, "seq", 0)) {
		cJSON_Delete(o);
		return request_reply(rq, NULL);
	}
	subscriber_stage(&rq->client->subscriber, &s);
	rq->stages_subscription = true;
	request_reply(rq, o);
}

static void on_subscribe(struct request *rq)
{
	const struct subscribe_params *p = rq->params;
	_cleanup_(subscription_clear) struct subscription s = { 0 };
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct failure failure;

	if (rq->api->lock.locked)
		return subscribe_while_locked(rq);
	if (subscription_from(rq, p->topics, TOPICS_DEFAULT, p->chats, p->since, &s) < 0)
		return;
	if (p->consumer && !(rq->client->scopes & SCOPE_FULL))
		return request_fail_with(rq, FAILURE_DENIED,
			"a connection that may only look has no consumer of its own");
	if (p->consumer &&
		consumer_open(rq->api->repository, p->consumer, p->since, &s.position, &failure) <
			0)
		return request_fail(rq, &failure);
	if (!o || !json_add_integer(o, "seq", s.position))
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
		       "list anew. With a consumer, what is not "
		       "acknowledged is told again after a break, by either side. A consumer needs "
		       "full scope. While the account is locked, the topic connection can be "
		       "subscribed to alone: it tells of the unlocking.",
		.params = subscribe_fields,
		.params_size = sizeof(struct subscribe_params),
		.defaults = &subscribe_defaults,
		.details = subscribe_details,
		.result = &subscribe_result,
		.errors = 1u << FAILURE_INVALID | 1u << FAILURE_CONFLICT | 1u << FAILURE_DENIED |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_READ,
		.flags = METHOD_WRITES | METHOD_WHILE_LOCKED,
		.handler = on_subscribe,
	},
	{
		.name = "events.unsubscribe",
		.summary = "Ends this connection's subscription.",
		.doc = "No change notification follows the answer.",
		.result = &schema_nothing,
		.scopes = SCOPE_READ,
		.flags = METHOD_WHILE_LOCKED,
		.handler = on_unsubscribe,
	},
	{ 0 },
};
