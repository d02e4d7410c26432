/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one request answers: the lobby, the room's history, push, and what the server knows of an
 * attachment.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "service/native/native-private.h"

#define TIMEOUT_S 60
#define MAX_LIMIT 200
#define DEFAULT_LIMIT 50

struct request_call {
	struct service_call call;
	union {
		service_chats_fn chats;
		service_chat_fn chat;
		service_user_fn user;
		service_messages_fn messages;
		service_done_fn done;
		service_attachment_fn attachment;
	} fn;
	char *path; /* of a page, without its limit */
	int64_t limit;
};

static void destroy(struct service_call *c)
{
	free(((struct request_call *)c)->path);
}

static struct request_call *request_new(struct service *s,
	void (*answered)(struct service_call *, const struct answer *), void *userdata)
{
	return call_new(s, sizeof(struct request_call), answered, destroy, userdata);
}

/* Takes `url` and `body`. A `url` of NULL means that memory was short, which ends the call. */
static int send(struct request_call *r, const char *method, char *url, char *body,
	struct service_call **ret)
{
	_cleanup_free_ _unused_ char *owned = url;
	const struct call_request request = {
		.method = method,
		.url = url,
		.headers = { "Accept: application/json, application/problem+json",
			body ? "Content-Type: application/json" : NULL },
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_s = TIMEOUT_S,
	};

	if (!url) {
		free(body);
		call_end(&r->call);
		return -ENOMEM;
	}
	call_send(&r->call, &request);
	if (ret)
		*ret = &r->call;
	return 0;
}

/* Asks for the page that `path` names, of at most `limit` elements. */
static int send_page(struct request_call *r, struct service_call **ret)
{
	char *url = r->path
		? account_url(&r->call.native->account, "%slimit=%" PRId64, r->path, r->limit)
		: NULL;

	return send(r, "GET", url, NULL, ret);
}

/* Long messages can make a page larger than is taken; fewer of them come through. */
static bool ask_for_less(struct request_call *r, const struct answer *a)
{
	if (!a->too_large || r->limit <= 1)
		return false;
	r->limit = r->limit / 4 ? r->limit / 4 : 1;
	return send_page(r, NULL) == 0;
}

static int64_t clamp_limit(int64_t limit)
{
	if (limit <= 0)
		return DEFAULT_LIMIT;
	return limit > MAX_LIMIT ? MAX_LIMIT : limit;
}

/* "name=value&", owned; "" without a value; NULL when memory is short. */
static char *parameter(const char *name, const char *value)
{
	_cleanup_free_ char *escaped = value ? url_escape(value) : NULL;
	char *s;

	if (!value)
		return strdup("");
	if (!escaped || asprintf(&s, "%s=%s&", name, escaped) < 0)
		return NULL;
	return s;
}

static int to_chats(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_chat_page(o, n->account.self_id, ret, e);
}

static void on_chats(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;
	_cleanup_(chat_page_clear) struct chat_page page = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p;

	if (ask_for_less(r, a))
		return;
	p = answer_read(a, c->native, to_chats, &page, &own);
	call_end(c);
	r->fn.chats(c->userdata, p, p ? NULL : &page);
}

static int list_chats(struct service *s, const struct chat_page_query *q, service_chats_fn fn,
	void *userdata, struct service_call **ret)
{
	_cleanup_free_ char *changed = parameter("changed_after", q->changed_after);
	_cleanup_free_ char *after = parameter("after_id", q->after_id);
	struct request_call *r = changed && after ? request_new(s, on_chats, userdata) : NULL;

	if (!r)
		return -ENOMEM;
	r->fn.chats = fn;
	r->limit = clamp_limit(q->limit);
	if (asprintf(&r->path, "/chats?%s%s", changed, after) < 0)
		r->path = NULL;
	return send_page(r, ret);
}

static int to_messages(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_message_page(o, n->account.self_id, ret, e);
}

static void on_messages(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;
	_cleanup_(message_page_clear) struct message_page page = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p;

	if (ask_for_less(r, a))
		return;
	p = answer_read(a, c->native, to_messages, &page, &own);
	call_end(c);
	r->fn.messages(c->userdata, p, p ? NULL : &page);
}

static int list_messages(struct service *s, const struct message_page_query *q,
	service_messages_fn fn, void *userdata, struct service_call **ret)
{
	_cleanup_free_ char *chat = url_escape(q->chat_id);
	_cleanup_free_ char *after = parameter("after_id", q->after_id);
	_cleanup_free_ char *before = parameter("before_id", q->before_id);
	struct request_call *r;

	if (q->after_id && q->before_id)
		return -EINVAL;
	r = chat && after && before ? request_new(s, on_messages, userdata) : NULL;
	if (!r)
		return -ENOMEM;
	r->fn.messages = fn;
	r->limit = clamp_limit(q->limit);
	if (asprintf(&r->path, "/chats/%s/messages?%s%s", chat, after, before) < 0)
		r->path = NULL;
	return send_page(r, ret);
}

static int to_chat(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_chat(o, ret, e);
}

static void on_chat(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;
	_cleanup_(chat_clear) struct chat chat = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p = answer_read(a, c->native, to_chat, &chat, &own);

	call_end(c);
	r->fn.chat(c->userdata, p, p ? NULL : &chat, NULL);
}

/* {"name": "value"}, owned; NULL when memory is short. */
static char *print_string_member(const char *name, const char *value)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	return o && cJSON_AddStringToObject(o, name, value) ? json_print(o) : NULL;
}

static int create_chat(struct service *s, const char *user_id, service_chat_fn fn, void *userdata,
	struct service_call **ret)
{
	struct request_call *r = request_new(s, on_chat, userdata);
	char *body = print_string_member("user_id", user_id);

	if (!r || !body) {
		free(body);
		if (r)
			call_end(&r->call);
		return -ENOMEM;
	}
	r->fn.chat = fn;
	return send(r, "POST", account_url(&native_from(s)->account, "/chats"), body, ret);
}

static void on_done(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;

	call_end(c);
	r->fn.done(c->userdata, a->problem);
}

static int delete_chat(struct service *s, const char *chat_id, service_done_fn fn, void *userdata,
	struct service_call **ret)
{
	_cleanup_free_ char *chat = url_escape(chat_id);
	struct request_call *r = chat ? request_new(s, on_done, userdata) : NULL;

	if (!r)
		return -ENOMEM;
	r->fn.done = fn;
	return send(
		r, "DELETE", account_url(&native_from(s)->account, "/chats/%s", chat), NULL, ret);
}

static int to_user(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_user(o, ret, e);
}

static void on_user(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;
	_cleanup_(user_clear) struct user user = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p = answer_read(a, c->native, to_user, &user, &own);

	call_end(c);
	r->fn.user(c->userdata, p, p ? NULL : &user);
}

static int get_user(struct service *s, const char *user_id, service_user_fn fn, void *userdata,
	struct service_call **ret)
{
	_cleanup_free_ char *user = url_escape(user_id);
	struct request_call *r = user ? request_new(s, on_user, userdata) : NULL;

	if (!r)
		return -ENOMEM;
	r->fn.user = fn;
	return send(r, "GET", account_url(&native_from(s)->account, "/users/%s", user), NULL, ret);
}

static int to_attachment(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_attachment(o, ret, e);
}

static void on_attachment(struct service_call *c, const struct answer *a)
{
	struct request_call *r = (struct request_call *)c;
	_cleanup_(attachment_clear) struct attachment attachment = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p = answer_read(a, c->native, to_attachment, &attachment, &own);

	call_end(c);
	r->fn.attachment(c->userdata, p, p ? NULL : &attachment);
}

static int describe(struct service *s, const char *attachment_id, service_attachment_fn fn,
	void *userdata, struct service_call **ret)
{
	_cleanup_free_ char *id = url_escape(attachment_id);
	struct request_call *r = id ? request_new(s, on_attachment, userdata) : NULL;

	if (!r)
		return -ENOMEM;
	r->fn.attachment = fn;
	return send(
		r, "GET", account_url(&native_from(s)->account, "/attachments/%s", id), NULL, ret);
}

static char *print_registration(const struct push_registration *p, const char *device_id)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddStringToObject(o, "endpoint", p->endpoint) ||
		!cJSON_AddStringToObject(o, "p256dh", p->p256dh) ||
		!cJSON_AddStringToObject(o, "auth", p->auth) ||
		!cJSON_AddStringToObject(o, "device_id", device_id))
		return NULL;
	return json_print(o);
}

static int set_push(struct service *s, const struct push_registration *p, service_done_fn fn,
	void *userdata, struct service_call **ret)
{
	const struct account *a = &native_from(s)->account;
	_cleanup_free_ char *device = url_escape(a->device_id ? a->device_id : "");
	struct request_call *r = device ? request_new(s, on_done, userdata) : NULL;
	char *body;

	if (!r)
		return -ENOMEM;
	r->fn.done = fn;
	if (!p)
		return send(r, "DELETE", account_url(a, "/push?device_id=%s", device), NULL, ret);
	body = print_registration(p, a->device_id ? a->device_id : "");
	return send(r, "PUT", body ? account_url(a, "/push") : NULL, body, ret);
}

static int send_message(struct service *s, const struct message *m)
{
	struct native *n = native_from(s);

	return n->session.state == SESSION_OPEN ? session_send(n, "MSG_OUT", convert_outgoing(m))
						: -ENOTCONN;
}

static int send_watermark(
	struct service *s, const char *event_type, const char *chat_id, const char *message_id)
{
	struct native *n = native_from(s);
	_cleanup_(cJSON_Deletep) cJSON *payload = NULL;

	if (n->session.state != SESSION_OPEN)
		return -ENOTCONN;
	payload = cJSON_CreateObject();
	if (!payload || !cJSON_AddStringToObject(payload, "chat_id", chat_id) ||
		!cJSON_AddStringToObject(payload, "message_id", message_id))
		return -ENOMEM;
	return session_send(n, event_type, TAKE_PTR(payload));
}

static int send_received(struct service *s, const char *chat_id, const char *message_id)
{
	return send_watermark(s, "MSG_RECEIVED", chat_id, message_id);
}

static int send_read(struct service *s, const char *chat_id, const char *message_id)
{
	return send_watermark(s, "MSG_READ", chat_id, message_id);
}

const struct chat_lobby_service native_lobby = {
	.list_chats = list_chats,
	.create_chat = create_chat,
	.delete_chat = delete_chat,
	.get_user = get_user,
};

const struct chat_room_service native_room = {
	.list_messages = list_messages,
	.send = send_message,
	.send_received = send_received,
	.send_read = send_read,
};

const struct attachment_service native_attachments = {
	.upload = native_upload,
	.describe = describe,
	.download = native_download,
};

const struct push_service native_push = {
	.set_push = set_push,
	.make_keys = native_push_make_keys,
	.open = native_push_open,
};
