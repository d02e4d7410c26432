/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "ipc/json-build.h"
#include "ipc/request.h"

struct consumer_params {
	const char *consumer;
	int64_t seq;
};

static const struct json_field ack_fields[] = {
	{ "consumer", JSON_ID, JSON_REQUIRED, offsetof(struct consumer_params, consumer),
		.doc = "Its name, as given to events.subscribe." },
	{ "seq", JSON_INTEGER, JSON_REQUIRED, offsetof(struct consumer_params, seq), 0,
		INT64_C(1) << 53, "Everything up to and including this change is dealt with." },
	{ 0 },
};

static const struct json_field forget_fields[] = {
	{ "consumer", JSON_ID, JSON_REQUIRED, offsetof(struct consumer_params, consumer),
		.doc = "Its name." },
	{ 0 },
};

static const struct schema_field consumer_fields[] = {
	{ "consumer", SCHEMA_ID, .doc = "Its name." },
	{ "seq", SCHEMA_INTEGER, .doc = "The last change that it has dealt with." },
	{ 0 },
};

static const struct schema consumer = {
	.doc = "A program that acknowledges changes.",
	.fields = consumer_fields,
};

static const struct schema_field list_result_fields[] = {
	{ "consumers", SCHEMA_OBJECT, SCHEMA_LIST, .object = &consumer, .doc = "By name." },
	{ "as_of", SCHEMA_INTEGER, .doc = "The newest change." },
	{ 0 },
};

static const struct schema list_result = {
	.doc = "All consumers.",
	.fields = list_result_fields,
};

static cJSON *encode_consumer(const char *name, int64_t seq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "consumer", name) || !json_add_integer(o, "seq", seq))
		return NULL;
	return TAKE_PTR(o);
}

static int append_consumer(void *userdata, const char *name, int64_t seq)
{
	return json_append(userdata, encode_consumer(name, seq)) ? 0 : -ENOMEM;
}

static void on_list(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *list = o ? cJSON_AddArrayToObject(o, "consumers") : NULL;
	int r;

	if (!list || !json_add_integer(o, "as_of", store_last_change(rq->api->store)))
		return request_reply(rq, NULL);
	r = store_consumer_list(rq->api->store, append_consumer, list);
	if (r < 0)
		request_fail_errno(rq, r);
	else
		request_reply(rq, TAKE_PTR(o));
}

static void on_ack(struct request *rq)
{
	const struct consumer_params *p = rq->params;
	struct failure failure;
	int64_t seq;

	if (consumer_ack(rq->api->repository, p->consumer, p->seq, &seq, &failure) < 0)
		request_fail(rq, &failure);
	else
		request_reply(rq, encode_consumer(p->consumer, seq));
}

static void on_forget(struct request *rq)
{
	const struct consumer_params *p = rq->params;
	struct failure failure;

	if (consumer_forget(rq->api->repository, p->consumer, &failure) < 0)
		request_fail(rq, &failure);
	else
		request_reply(rq, cJSON_CreateObject());
}

const struct method methods_consumers[] = {
	{
		.name = "events.ack",
		.summary = "A consumer has dealt with changes.",
		.doc = "Moves its durable position, never back. The answer tells where it is.",
		.params = ack_fields,
		.params_size = sizeof(struct consumer_params),
		.result = &consumer,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_INVALID |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_ack,
	},
	{
		.name = "events.consumers",
		.summary = "The consumers and how far each has come.",
		.result = &list_result,
		.scopes = SCOPE_READ,
		.handler = on_list,
	},
	{
		.name = "events.forget",
		.summary = "Drops a consumer's position.",
		.doc = "A subscription of that name begins anew next time; one that is going on "
		       "goes on, and can acknowledge nothing more.",
		.params = forget_fields,
		.params_size = sizeof(struct consumer_params),
		.result = &schema_nothing,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_forget,
	},
	{ 0 },
};
