/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/page.h"
#include "ipc/request.h"

struct list_params {
	const char *after;
	int64_t limit;
};

static const struct json_field list_fields[] = {
	{ "after", JSON_ID, JSON_NULLABLE, offsetof(struct list_params, after),
		.doc = "The last message of the page before. It may have been sent since." },
	{ "limit", JSON_INTEGER, 0, offsetof(struct list_params, limit), 1, PAGE_MAX,
		"How many at most. Fewer come when they are large." },
	{ 0 },
};

static const struct list_params list_defaults = { .limit = PAGE_DEFAULT };

static const struct schema_field list_result_fields[] = {
	{ "messages", SCHEMA_OBJECT, SCHEMA_LIST, .object = &schema_message,
		.doc = "In order of sending, of all chats." },
	{ "more", SCHEMA_BOOLEAN, .doc = "There are further ones after these." },
	{ "as_of", SCHEMA_INTEGER,
		.doc = "The newest change that the page shows: subscribe since this." },
	{ 0 },
};

static const struct schema list_result = {
	.doc = "A page of the outbox.",
	.fields = list_result_fields,
};

static int append_message(void *userdata, const struct message *m)
{
	return page_append(userdata, encode_message(m), encode_message_size(m));
}

static void on_list(struct request *rq)
{
	const struct list_params *p = rq->params;
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct page page = { .elements = o ? cJSON_AddArrayToObject(o, "messages") : NULL };
	bool more = false;
	int r;

	if (!page.elements)
		return request_reply(rq, NULL);
	r = store_outbox_page(rq->api->store, p->after, p->limit, append_message, &page, &more);
	if (r == -ENOENT)
		return request_fail_with(
			rq, FAILURE_NOT_FOUND, "'after' is no message here; list from the start");
	if (r < 0)
		return request_fail_errno(rq, r);
	if (!json_add_bool(o, "more", more) ||
		!json_add_integer(o, "as_of", store_last_change(rq->api->store)))
		return request_reply(rq, NULL);
	request_reply(rq, TAKE_PTR(o));
}

const struct method methods_outbox[] = {
	{
		.name = "outbox.list",
		.summary = "What the server has not accepted: PENDING, and FAILED with the reason.",
		.doc = "messages.retry and messages.cancel are for these.",
		.params = list_fields,
		.params_size = sizeof(struct list_params),
		.defaults = &list_defaults,
		.result = &list_result,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_list,
	},
	{ 0 },
};
