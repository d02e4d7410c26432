/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/page.h"
#include "ipc/request.h"

struct list_params {
	const char *chat_id;
	const char *before;
	const char *after;
	int64_t limit;
};

static const struct json_field list_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct list_params, chat_id),
		.doc = "The chat." },
	{ "before", JSON_ID, JSON_NULLABLE, offsetof(struct list_params, before),
		.doc = "A message of it: those before it, going back." },
	{ "after", JSON_ID, JSON_NULLABLE, offsetof(struct list_params, after),
		.doc = "A message of it: those after it. With neither, the newest." },
	{ "limit", JSON_INTEGER, 0, offsetof(struct list_params, limit), 1, PAGE_MAX,
		"How many at most. Fewer come when they are large." },
	{ 0 },
};

static const struct list_params list_defaults = { .limit = PAGE_DEFAULT };

static const struct schema_field list_result_fields[] = {
	{ "messages", SCHEMA_OBJECT, SCHEMA_LIST, .object = &schema_message,
		.doc = "Oldest first." },
	{ "more", SCHEMA_BOOLEAN, .doc = "There are further ones in that direction." },
	{ "as_of", SCHEMA_INTEGER,
		.doc = "The newest change that the page shows: subscribe since this." },
	{ 0 },
};

static const struct schema list_result = {
	.doc = "A page of messages.",
	.fields = list_result_fields,
};

static int append_message(void *userdata, const struct message *m)
{
	int r = page_append(userdata, encode_message(m), encode_message_size(m));

	/* Which end is too much is known when all are here. */
	return r < 0 ? r : 0;
}

static enum page_direction direction_of(const struct list_params *p)
{
	if (p->before)
		return PAGE_BEFORE;
	return p->after ? PAGE_AFTER : PAGE_NEWEST;
}

static int read_page(struct request *rq, struct page *page, bool *ret_more)
{
	const struct list_params *p = rq->params;
	enum page_direction direction = direction_of(p);
	bool more = false;
	int r;

	r = store_message_page(rq->api->store, p->chat_id, direction,
		p->before ? p->before : p->after, p->limit, append_message, page, &more);
	if (r < 0)
		return r;
	if (page_cut(page, direction != PAGE_AFTER))
		more = true;
	if (direction != PAGE_AFTER && !more)
		more = room_has_older_history(rq->api->repository, p->chat_id);
	*ret_more = more;
	return 0;
}

static void reply_page(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct page page = { .elements = o ? cJSON_AddArrayToObject(o, "messages") : NULL };
	bool more;
	int r;

	if (!page.elements)
		return request_reply(rq, NULL);
	r = read_page(rq, &page, &more);
	if (r == -ENOENT)
		return request_fail_with(rq, FAILURE_NOT_FOUND,
			"there is no such chat here, or no such message in it");
	if (r < 0)
		return request_fail_errno(rq, r);
	if (!json_add_bool(o, "more", more) ||
		!json_add_integer(o, "as_of", store_last_change(rq->api->store)))
		return request_reply(rq, NULL);
	request_reply(rq, TAKE_PTR(o));
}

static void on_history(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;

	if (failure)
		request_fail(rq, failure);
	else
		reply_page(rq);
}

static void on_list(struct request *rq)
{
	const struct list_params *p = rq->params;

	if (p->before && p->after)
		return request_fail_params(rq, "'before' and 'after' exclude each other");
	if (p->after)
		return reply_page(rq);
	room_load_history(rq->api->repository, p->chat_id, p->before, p->limit, on_history, rq);
}

struct get_params {
	const char *message_id;
};

static const struct json_field get_fields[] = {
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct get_params, message_id),
		.doc = "The message." },
	{ 0 },
};

static int take_message(void *userdata, const struct message *m)
{
	cJSON **ret = userdata;

	*ret = encode_message(m);
	return *ret ? 0 : -ENOMEM;
}

static void reply_message(struct request *rq, const char *message_id)
{
	cJSON *message = NULL;
	int r = store_message_get(rq->api->store, message_id, take_message, &message);

	if (r == -ENOENT)
		request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such message here");
	else if (r < 0)
		request_fail_errno(rq, r);
	else
		request_reply(rq, message);
}

static void on_get(struct request *rq)
{
	const struct get_params *p = rq->params;

	reply_message(rq, p->message_id);
}

struct send_params {
	const char *chat_id;
	const char *user_id;
	const char *text;
	const cJSON *attachments;
	const char *message_id;
};

static const struct json_field send_fields[] = {
	{ "chat_id", JSON_ID, JSON_NULLABLE, offsetof(struct send_params, chat_id),
		.doc = "Where to; or" },
	{ "user_id", JSON_ID, JSON_NULLABLE, offsetof(struct send_params, user_id),
		.doc = "to whom. Without a chat yet, one is made, provisional while offline." },
	{ "text", JSON_STRING, 0, offsetof(struct send_params, text), 0, ROOM_TEXT_MAX,
		"May be left out beside attachments." },
	{ "attachments", JSON_ARRAY, 0, offsetof(struct send_params, attachments), 0,
		ROOM_PHOTOS_MAX, "Photos, each with either 'fd' or 'path'." },
	{ "message_id", JSON_ID, JSON_NULLABLE, offsetof(struct send_params, message_id),
		.doc = "Of the caller's making, so that the same request can be sent again "
		       "without a second message; left out, one is made." },
	{ 0 },
};

static const struct send_params send_defaults = { .text = "" };

struct photo_params {
	int64_t fd;
	const char *path;
	const char *name;
};

static const struct json_field photo_fields[] = {
	{ "fd", JSON_INTEGER, 0, offsetof(struct photo_params, fd), 0, CHAT_FDS_MAX - 1,
		"Which of the descriptors that came with the line (SCM_RIGHTS); or" },
	{ "path", JSON_STRING, 0, offsetof(struct photo_params, path), 1, 4096,
		"an absolute path, which only a connection of full scope may give." },
	{ "name", JSON_STRING, 0, offsetof(struct photo_params, name), 1, 255,
		"File name to show." },
	{ 0 },
};

static const struct param_detail send_details[] = {
	{ .name = "attachments", .items = photo_fields },
	{ 0 },
};

static bool photo_is_denied(struct request *rq, const struct photo_params *p)
{
	/* A client that may only send must not have files read on its behalf. */
	return p->path && !(rq->client->scopes & SCOPE_FULL);
}

static int decode_photo(
	struct request *rq, const cJSON *item, struct room_photo *ret, struct json_error *e)
{
	struct photo_params p = { .fd = -1 };
	int r = json_fields_decode(photo_fields, item, true, &p, e);

	if (r < 0)
		return r;
	if ((p.fd < 0) == !p.path) {
		snprintf(e->text, sizeof(e->text), "give either 'fd' or 'path'");
		return -EINVAL;
	}
	if (p.fd >= 0 && (!rq->fds || p.fd >= rq->fds->n)) {
		snprintf(e->text, sizeof(e->text), "no such descriptor came with the request");
		return -EINVAL;
	}
	if (p.path && p.path[0] != '/') {
		snprintf(e->text, sizeof(e->text), "'path' must be absolute");
		return -EINVAL;
	}
	if (photo_is_denied(rq, &p))
		return -EACCES;
	*ret = (struct room_photo){
		.fd = p.fd < 0 ? -1 : rq->fds->fds[p.fd], .path = p.path, .name = p.name
	};
	return 0;
}

/* Ends the request when the photos are not in order. */
static int decode_photos(
	struct request *rq, const cJSON *list, struct room_photo *photos, size_t *ret_n)
{
	struct json_error error;
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, list) {
		int r = decode_photo(rq, item, &photos[n], &error);

		if (r == -EACCES)
			request_fail_with(
				rq, FAILURE_DENIED, "this connection may not send files by path");
		else if (r < 0)
			request_fail_params(rq, "attachments[%zu]: %s", n, error.text);
		if (r < 0)
			return r;
		n++;
	}
	*ret_n = n;
	return 0;
}

static void on_sent(void *userdata, const struct failure *failure, const char *id)
{
	struct request *rq = userdata;

	if (failure)
		request_fail(rq, failure);
	else
		reply_message(rq, id);
}

static void on_send(struct request *rq)
{
	const struct send_params *p = rq->params;
	struct room_photo photos[ROOM_PHOTOS_MAX];
	struct room_send m = {
		.chat_id = p->chat_id,
		.user_id = p->user_id,
		.text = p->text,
		.message_id = p->message_id,
		.photos = photos,
	};
	_cleanup_(fd_list_unrefp) struct fd_list *fds = NULL;

	if (!p->chat_id == !p->user_id)
		return request_fail_params(rq, "give either 'chat_id' or 'user_id'");
	if (decode_photos(rq, p->attachments, photos, &m.n_photos) < 0)
		return;
	if (!p->text[0] && m.n_photos == 0)
		return request_fail_params(rq, "a message needs 'text' or 'attachments'");
	/* Borrowed for the call, which may be the request's end. */
	fds = TAKE_PTR(rq->fds);
	room_send(rq->api->repository, &m, on_sent, rq);
}

static void on_retry(struct request *rq)
{
	const struct get_params *p = rq->params;
	struct failure failure;

	if (room_retry(rq->api->repository, p->message_id, &failure) < 0)
		request_fail(rq, &failure);
	else
		reply_message(rq, p->message_id);
}

static void on_cancel(struct request *rq)
{
	const struct get_params *p = rq->params;
	struct failure failure;

	if (room_cancel(rq->api->repository, p->message_id, &failure) < 0)
		request_fail(rq, &failure);
	else
		request_reply(rq, cJSON_CreateObject());
}

struct read_params {
	const char *chat_id;
	const char *message_id;
};

static const struct json_field read_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct read_params, chat_id),
		.doc = "The chat." },
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct read_params, message_id),
		.doc = "Everything up to and including this message is read." },
	{ 0 },
};

static const struct schema_field read_result_fields[] = {
	{ "unread_count", SCHEMA_INTEGER, .doc = "Messages of the chat not read yet." },
	{ 0 },
};

static const struct schema read_result = {
	.doc = "What is left.",
	.fields = read_result_fields,
};

static int take_unread(void *userdata, const struct chat_info *c)
{
	cJSON **ret = userdata;
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_integer(o, "unread_count", c->unread))
		return -ENOMEM;
	*ret = TAKE_PTR(o);
	return 0;
}

static void on_mark_read(struct request *rq)
{
	const struct read_params *p = rq->params;
	struct failure failure;
	cJSON *result = NULL;
	int r;

	if (room_mark_read(rq->api->repository, p->chat_id, p->message_id, &failure) < 0)
		return request_fail(rq, &failure);
	r = store_chat_get(rq->api->store, p->chat_id, take_unread, &result);
	if (r < 0)
		request_fail_errno(rq, r);
	else
		request_reply(rq, result);
}

const struct method methods_messages[] = {
	{
		.name = "messages.list",
		.summary = "A page of a chat's messages.",
		.doc = "Going back, the server is asked where the local history ends. Offline, "
		       "what is here comes, and 'more' is true while older messages are known to "
		       "exist.",
		.params = list_fields,
		.params_size = sizeof(struct list_params),
		.defaults = &list_defaults,
		.result = &list_result,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.flags = METHOD_WAITS,
		.handler = on_list,
	},
	{
		.name = "messages.get",
		.summary = "One message.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_message,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_get,
	},
	{
		.name = "messages.send",
		.summary = "Takes a message over for sending.",
		.doc = "Once answered, the message is on disk with status PENDING and will be "
		       "delivered, or be FAILED with the server's reason. Messages of one "
		       "connection are taken over in the order of their requests.",
		.params = send_fields,
		.params_size = sizeof(struct send_params),
		.defaults = &send_defaults,
		.details = send_details,
		.result = &schema_message,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_LOGIN_REQUIRED |
			1u << FAILURE_INVALID | 1u << FAILURE_UNSUPPORTED |
			1u << FAILURE_TOO_LARGE | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL | 1u << FAILURE_DENIED,
		.scopes = SCOPE_SEND,
		.flags = METHOD_WRITES | METHOD_ORDERED | METHOD_WAITS,
		.handler = on_send,
	},
	{
		.name = "messages.retry",
		.summary = "Sends a FAILED message again.",
		.doc = "It is PENDING again, under its old id and in its old place among what is "
		       "not sent. No effect on one that is PENDING; the error conflict says that "
		       "the server has it.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_message,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_retry,
	},
	{
		.name = "messages.cancel",
		.summary = "Takes back a message that is PENDING or FAILED.",
		.doc = "It is gone, and message.removed says so; a chat that was begun with it and "
		       "is not known to the server goes with it. The error conflict says that the "
		       "server has the message, or may have it: it was handed over and not "
		       "answered "
		       "yet, in this session or one that broke.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_nothing,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_cancel,
	},
	{
		.name = "messages.mark_read",
		.summary = "Everything up to and including a message is read.",
		.doc = "The sender is told.",
		.params = read_fields,
		.params_size = sizeof(struct read_params),
		.result = &read_result,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_mark_read,
	},
	{ 0 },
};
