/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/request.h"

struct list_params {
	const char *cursor;
	int64_t limit;
};

static const struct json_field list_fields[] = {
	{ "limit", JSON_INTEGER, 0, offsetof(struct list_params, limit), 1, PAGE_MAX,
		"How many at most." },
	{ "cursor", JSON_STRING, JSON_NULLABLE, offsetof(struct list_params, cursor), 1, 512,
		"Where an earlier page ended; left out, the newest come." },
	{ 0 },
};

static const struct list_params list_defaults = { .limit = PAGE_DEFAULT };

static const struct schema_field list_result_fields[] = {
	{ "chats", SCHEMA_OBJECT, SCHEMA_LIST, .object = &schema_chat_info,
		.doc = "Newest first." },
	{ "cursor", SCHEMA_STRING, SCHEMA_NULLABLE,
		.doc = "Where the next page begins; null at the end." },
	{ "as_of", SCHEMA_INTEGER,
		.doc = "The newest change that the page shows: subscribe since this." },
	{ 0 },
};

static const struct schema list_result = {
	.doc = "A page of chats.",
	.fields = list_result_fields,
};

static int append_chat(void *userdata, const struct chat_info *c)
{
	return json_append(userdata, encode_chat_info(c)) ? 0 : -ENOMEM;
}

static void on_list(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	const struct list_params *p = rq->params;
	_cleanup_free_ char *cursor = NULL;
	cJSON *chats = o ? cJSON_AddArrayToObject(o, "chats") : NULL;
	int r;

	if (!chats)
		return request_reply(rq, NULL);
	r = store_chat_list(rq->api->store, p->cursor, p->limit, append_chat, chats, &cursor);
	if (r == -EINVAL)
		return request_fail_params(rq, "'cursor' is none of an earlier page");
	if (r < 0)
		return request_fail_errno(rq, r);
	if (!json_add_string(o, "cursor", cursor) ||
		!json_add_integer(o, "as_of", store_last_change(rq->api->store)))
		return request_reply(rq, NULL);
	request_reply(rq, TAKE_PTR(o));
}

struct get_params {
	const char *chat_id;
	const char *user_id;
};

static const struct json_field get_fields[] = {
	{ "chat_id", JSON_ID, JSON_NULLABLE, offsetof(struct get_params, chat_id),
		.doc = "The chat; or" },
	{ "user_id", JSON_ID, JSON_NULLABLE, offsetof(struct get_params, user_id),
		.doc = "the other person in it." },
	{ 0 },
};

static int take_chat(void *userdata, const struct chat_info *c)
{
	cJSON **ret = userdata;

	*ret = encode_chat_info(c);
	return *ret ? 0 : -ENOMEM;
}

static void reply_chat(struct request *rq, int r, cJSON *chat)
{
	if (r == -ENOENT)
		request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such chat here");
	else if (r < 0)
		request_fail_errno(rq, r);
	else
		request_reply(rq, chat);
}

static void on_get(struct request *rq)
{
	const struct get_params *p = rq->params;
	cJSON *chat = NULL;
	int r;

	if (!p->chat_id == !p->user_id)
		return request_fail_params(rq, "give either 'chat_id' or 'user_id'");
	if (p->chat_id)
		r = store_chat_get(rq->api->store, p->chat_id, take_chat, &chat);
	else
		r = store_chat_get_by_user(rq->api->store, p->user_id, take_chat, &chat);
	reply_chat(rq, r, chat);
}

struct create_params {
	const char *user_id;
};

static const struct json_field create_fields[] = {
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct create_params, user_id),
		.doc = "With whom." },
	{ 0 },
};

static void on_created(void *userdata, const struct failure *failure, const char *id)
{
	struct request *rq = userdata;
	cJSON *chat = NULL;
	int r;

	if (failure)
		return request_fail(rq, failure);
	r = store_chat_get(rq->api->store, id, take_chat, &chat);
	reply_chat(rq, r, chat);
}

static void on_create(struct request *rq)
{
	const struct create_params *p = rq->params;

	lobby_create_chat(rq->api->repository, p->user_id, on_created, rq);
}

struct delete_params {
	const char *chat_id;
};

static const struct json_field delete_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct delete_params, chat_id),
		.doc = "The chat." },
	{ 0 },
};

static void on_deleted(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;

	if (failure)
		return request_fail(rq, failure);
	request_reply(rq, cJSON_CreateObject());
}

static void on_delete(struct request *rq)
{
	const struct delete_params *p = rq->params;

	lobby_delete_chat(rq->api->repository, p->chat_id, on_deleted, rq);
}

struct focus_params {
	const char *chat_id;
};

static const struct json_field focus_fields[] = {
	{ "chat_id", JSON_ID, JSON_NULLABLE, offsetof(struct focus_params, chat_id),
		.doc = "The chat; null or left out: none any more." },
	{ 0 },
};

static int take_id(void *userdata, const struct chat_info *c)
{
	snprintf(userdata, 65, "%s", c->id);
	return 0;
}

static int change_focus(struct client *c, const char *now)
{
	bool before = c->focus[0];
	int r = repository_focus(c->api->repository, before ? c->focus : NULL, now[0] ? now : NULL);

	if (r < 0)
		return r;
	if (!before && now[0])
		hub_hold(c->api->hub);
	if (before && !now[0])
		hub_release(c->api->hub);
	snprintf(c->focus, sizeof(c->focus), "%s", now);
	return 0;
}

static void on_focus(struct request *rq)
{
	const struct focus_params *p = rq->params;
	char now[65] = "";
	int r = p->chat_id ? store_chat_get(rq->api->store, p->chat_id, take_id, now) : 0;

	r = r < 0 ? r : change_focus(rq->client, now);
	if (r == -ENOENT)
		return request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such chat here");
	if (r < 0)
		return request_fail_errno(rq, r);
	request_reply(rq, cJSON_CreateObject());
}

const struct method methods_chats[] = {
	{
		.name = "chats.list",
		.summary = "The chats, those with the newest messages first.",
		.params = list_fields,
		.params_size = sizeof(struct list_params),
		.defaults = &list_defaults,
		.result = &list_result,
		.scopes = SCOPE_READ,
		.handler = on_list,
	},
	{
		.name = "chats.get",
		.summary = "One chat, by its id or by the person in it.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_chat_info,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_get,
	},
	{
		.name = "chats.create",
		.summary = "The chat with a person, made at the server if need be.",
		.doc = "messages.send to a user_id needs no chat and works offline too.",
		.params = create_fields,
		.params_size = sizeof(struct create_params),
		.result = &schema_chat_info,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_OFFLINE |
			1u << FAILURE_LOGIN_REQUIRED | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_SEND,
		.flags = METHOD_WRITES | METHOD_WAITS,
		.handler = on_create,
	},
	{
		.name = "chats.delete",
		.summary = "Takes a chat off the list, on all of the user's devices.",
		.doc = "What this device holds of it goes as well, unsent messages that have "
		       "FAILED "
		       "included; the server and the other person keep theirs. It comes back with "
		       "the next message from either side. While messages in it wait to be sent it "
		       "stays: `conflict`. A chat that the server does not know yet can be deleted "
		       "offline.",
		.params = delete_fields,
		.params_size = sizeof(struct delete_params),
		.result = &schema_nothing,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_CONFLICT | 1u << FAILURE_OFFLINE |
			1u << FAILURE_LOGIN_REQUIRED | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES | METHOD_WAITS,
		.handler = on_delete,
	},
	{
		.name = "chats.focus",
		.summary = "Tells which chat this connection has on screen.",
		.doc = "It counts until another one, null or the end of the connection. No "
		       "notification is shown of what comes in that chat. Like a "
		       "subscription it keeps the session open where the setting "
		       "connection.policy is foreground.",
		.params = focus_fields,
		.params_size = sizeof(struct focus_params),
		.result = &schema_nothing,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_focus,
	},
	{ 0 },
};
