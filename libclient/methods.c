/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all calls share, and the typed ones about chats, messages and photos. */
#include "methods.h"

#include <errno.h>
#include <string.h>

#define OUT_OF_MEMORY "out of memory"

void method_add_string(cJSON **object, const char *name, const char *value)
{
	if (!value || !*object || cJSON_AddStringToObject(*object, name, value))
		return;
	cJSON_Delete(*object);
	*object = NULL;
}

void method_add_number(cJSON **object, const char *name, int64_t value)
{
	if (!*object || cJSON_AddNumberToObject(*object, name, (double)value))
		return;
	cJSON_Delete(*object);
	*object = NULL;
}

void method_add_bool(cJSON **object, const char *name, bool value)
{
	if (!*object || cJSON_AddBoolToObject(*object, name, value))
		return;
	cJSON_Delete(*object);
	*object = NULL;
}

static void add_limit(cJSON **object, unsigned limit)
{
	if (limit > 0)
		method_add_number(object, "limit", limit);
}

struct request_options method_options(const char *method, enum result_kind kind, const char *name,
	const char *value, const char *name2, const char *value2)
{
	struct request_options o = {
		.method = method,
		.params = cJSON_CreateObject(),
		.kind = kind,
		.repeatable = true,
	};

	method_add_string(&o.params, name, value);
	method_add_string(&o.params, name2, value2);
	return o;
}

static bool can_send(struct chat_client *c, const struct request_options *o)
{
	if (!o->params)
		client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, OUT_OF_MEMORY);
	return o->params != NULL;
}

int method_call(struct chat_client *c, struct request_options o, void *ret)
{
	return can_send(c, &o) ? request_call(c, &o, ret) : -ENOMEM;
}

int method_start(
	struct chat_client *c, struct request_options o, union reply_fn callback, void *userdata)
{
	o.callback = callback;
	o.userdata = userdata;
	return can_send(c, &o) ? request_new(c, &o) : -ENOMEM;
}

int method_invalid(struct chat_client *c, const char *why)
{
	return client_fail(c, CHAT_CLIENT_ERROR_INVALID, "%s", why);
}

static struct request_options list_chats_options(unsigned limit, const char *cursor)
{
	struct request_options o =
		method_options("chats.list", RESULT_INFO_LIST, "cursor", cursor, NULL, NULL);

	add_limit(&o.params, limit);
	return o;
}

int chat_client_list_chats(
	struct chat_client *c, unsigned limit, const char *cursor, struct chat_info_list **ret)
{
	return method_call(c, list_chats_options(limit, cursor), ret);
}

int chat_client_list_chats_async(struct chat_client *c, unsigned limit, const char *cursor,
	chat_info_list_fn callback, void *userdata)
{
	return START(c, list_chats_options(limit, cursor), info_list, callback, userdata);
}

static struct request_options get_chat_options(const char *chat_id, const char *user_id)
{
	return method_options("chats.get", RESULT_INFO, "chat_id", chat_id, "user_id", user_id);
}

int chat_client_get_chat(
	struct chat_client *c, const char *chat_id, const char *user_id, struct chat_info **ret)
{
	if (!chat_id == !user_id)
		return method_invalid(c, "either a chat or a user is needed");
	return method_call(c, get_chat_options(chat_id, user_id), ret);
}

int chat_client_get_chat_async(struct chat_client *c, const char *chat_id, const char *user_id,
	chat_info_fn callback, void *userdata)
{
	if (!chat_id == !user_id)
		return method_invalid(c, "either a chat or a user is needed");
	return START(c, get_chat_options(chat_id, user_id), info, callback, userdata);
}

static struct request_options create_chat_options(const char *user_id)
{
	return method_options("chats.create", RESULT_INFO, "user_id", user_id, NULL, NULL);
}

int chat_client_create_chat(struct chat_client *c, const char *user_id, struct chat_info **ret)
{
	if (!user_id)
		return method_invalid(c, "a user is needed");
	return method_call(c, create_chat_options(user_id), ret);
}

int chat_client_create_chat_async(
	struct chat_client *c, const char *user_id, chat_info_fn callback, void *userdata)
{
	if (!user_id)
		return method_invalid(c, "a user is needed");
	return START(c, create_chat_options(user_id), info, callback, userdata);
}

/* Not repeated: the chat may have come back meanwhile. */
static struct request_options delete_chat_options(const char *chat_id)
{
	struct request_options o =
		method_options("chats.delete", RESULT_DONE, "chat_id", chat_id, NULL, NULL);

	o.repeatable = false;
	return o;
}

int chat_client_delete_chat(struct chat_client *c, const char *chat_id)
{
	if (!chat_id)
		return method_invalid(c, "a chat is needed");
	return method_call(c, delete_chat_options(chat_id), NULL);
}

int chat_client_delete_chat_async(
	struct chat_client *c, const char *chat_id, chat_done_fn callback, void *userdata)
{
	if (!chat_id)
		return method_invalid(c, "a chat is needed");
	return START(c, delete_chat_options(chat_id), done, callback, userdata);
}

static struct request_options list_messages_options(
	const char *chat_id, const char *before, const char *after, unsigned limit)
{
	struct request_options o = method_options(
		"messages.list", RESULT_MESSAGE_LIST, "chat_id", chat_id, "before", before);

	method_add_string(&o.params, "after", after);
	add_limit(&o.params, limit);
	return o;
}

static const char *check_page(const char *chat_id, const char *before, const char *after)
{
	if (!chat_id)
		return "a chat is needed";
	return before && after ? "before and after exclude each other" : NULL;
}

int chat_client_list_messages(struct chat_client *c, const char *chat_id, const char *before,
	const char *after, unsigned limit, struct chat_message_list **ret)
{
	const char *wrong = check_page(chat_id, before, after);

	if (wrong)
		return method_invalid(c, wrong);
	return method_call(c, list_messages_options(chat_id, before, after, limit), ret);
}

int chat_client_list_messages_async(struct chat_client *c, const char *chat_id, const char *before,
	const char *after, unsigned limit, chat_message_list_fn callback, void *userdata)
{
	const char *wrong = check_page(chat_id, before, after);

	if (wrong)
		return method_invalid(c, wrong);
	return START(c, list_messages_options(chat_id, before, after, limit), message_list,
		callback, userdata);
}

static struct request_options get_message_options(const char *message_id)
{
	return method_options("messages.get", RESULT_MESSAGE, "message_id", message_id, NULL, NULL);
}

int chat_client_get_message(
	struct chat_client *c, const char *message_id, struct chat_message **ret)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return method_call(c, get_message_options(message_id), ret);
}

int chat_client_get_message_async(
	struct chat_client *c, const char *message_id, chat_message_fn callback, void *userdata)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return START(c, get_message_options(message_id), message, callback, userdata);
}

static struct request_options search_options(
	const char *query, const char *chat_id, unsigned limit, const char *cursor)
{
	struct request_options o = method_options(
		"messages.search", RESULT_SEARCH_LIST, "query", query, "chat_id", chat_id);

	method_add_string(&o.params, "cursor", cursor);
	add_limit(&o.params, limit);
	return o;
}

int chat_client_search_messages(struct chat_client *c, const char *query, const char *chat_id,
	unsigned limit, const char *cursor, struct chat_search_list **ret)
{
	if (!query)
		return method_invalid(c, "words to search for are needed");
	return method_call(c, search_options(query, chat_id, limit, cursor), ret);
}

int chat_client_search_messages_async(struct chat_client *c, const char *query, const char *chat_id,
	unsigned limit, const char *cursor, chat_search_list_fn callback, void *userdata)
{
	if (!query)
		return method_invalid(c, "words to search for are needed");
	return START(
		c, search_options(query, chat_id, limit, cursor), search_list, callback, userdata);
}

static cJSON *attachments_json(const struct chat_outgoing *m)
{
	_cleanup_json_ cJSON *array = cJSON_CreateArray();

	for (size_t i = 0; i < m->n_attachments; i++) {
		const char *name = m->attachment_names ? m->attachment_names[i] : NULL;
		cJSON *item = cJSON_CreateObject();

		if (!item || !cJSON_AddItemToArray(array, item)) {
			cJSON_Delete(item);
			return NULL;
		}
		if (!cJSON_AddNumberToObject(item, "fd", (double)i) ||
			(name && !cJSON_AddStringToObject(item, "name", name)))
			return NULL;
	}
	return TAKE_PTR(array);
}

static void add_attachments(cJSON **object, const struct chat_outgoing *m)
{
	cJSON *array;

	if (m->n_attachments == 0 || !*object)
		return;
	array = attachments_json(m);
	if (array && cJSON_AddItemToObject(*object, "attachments", array))
		return;
	cJSON_Delete(array);
	cJSON_Delete(*object);
	*object = NULL;
}

/* The message gets its id here, so that sending it again makes no second one. */
static int send_options(
	struct chat_client *c, const struct chat_outgoing *m, struct request_options *ret)
{
	char id[UUID_STRING_SIZE];
	struct request_options o;

	if (m->size < sizeof(*m))
		return method_invalid(c, "the outgoing message's size is not set");
	if (!m->chat_id == !m->user_id)
		return method_invalid(c, "either a chat or a user is needed");
	if (m->n_attachments > 0 && !m->attachment_fds)
		return method_invalid(c, "attachments without descriptors");
	if (m->n_attachments > CHAT_FDS_MAX)
		return client_fail(c, CHAT_CLIENT_ERROR_TOO_LARGE,
			"%zu attachments; at most %u can go with a message", m->n_attachments,
			CHAT_FDS_MAX);
	if (!m->message_id && uuid7_generate(id) < 0)
		return error_set_errno(&c->error, EIO, "no randomness for the message's id");
	o = method_options(
		"messages.send", RESULT_MESSAGE, "chat_id", m->chat_id, "user_id", m->user_id);
	method_add_string(&o.params, "text", m->text ? m->text : "");
	method_add_string(&o.params, "message_id", m->message_id ? m->message_id : id);
	add_attachments(&o.params, m);
	o.fds = m->attachment_fds;
	o.n_fds = m->n_attachments;
	*ret = o;
	return 0;
}

int chat_client_send_message(
	struct chat_client *c, const struct chat_outgoing *message, struct chat_message **ret)
{
	struct request_options o;
	int r = send_options(c, message, &o);

	return r < 0 ? r : method_call(c, o, ret);
}

int chat_client_send_message_async(struct chat_client *c, const struct chat_outgoing *message,
	chat_message_fn callback, void *userdata)
{
	struct request_options o;
	int r = send_options(c, message, &o);

	return r < 0 ? r : START(c, o, message, callback, userdata);
}

static struct request_options mark_read_options(const char *chat_id, const char *message_id)
{
	return method_options(
		"messages.mark_read", RESULT_DONE, "chat_id", chat_id, "message_id", message_id);
}

int chat_client_mark_read(struct chat_client *c, const char *chat_id, const char *message_id)
{
	if (!chat_id || !message_id)
		return method_invalid(c, "a chat and a message are needed");
	return method_call(c, mark_read_options(chat_id, message_id), NULL);
}

int chat_client_mark_read_async(struct chat_client *c, const char *chat_id, const char *message_id,
	chat_done_fn callback, void *userdata)
{
	if (!chat_id || !message_id)
		return method_invalid(c, "a chat and a message are needed");
	return START(c, mark_read_options(chat_id, message_id), done, callback, userdata);
}

static struct request_options list_outbox_options(const char *after, unsigned limit)
{
	struct request_options o =
		method_options("outbox.list", RESULT_MESSAGE_LIST, "after", after, NULL, NULL);

	add_limit(&o.params, limit);
	return o;
}

int chat_client_list_outbox(
	struct chat_client *c, const char *after, unsigned limit, struct chat_message_list **ret)
{
	return method_call(c, list_outbox_options(after, limit), ret);
}

int chat_client_list_outbox_async(struct chat_client *c, const char *after, unsigned limit,
	chat_message_list_fn callback, void *userdata)
{
	return START(c, list_outbox_options(after, limit), message_list, callback, userdata);
}

/* A repetition whose first run was lost would be told that there is nothing to do. */
static struct request_options unsent_options(
	const char *method, enum result_kind kind, const char *message_id)
{
	struct request_options o =
		method_options(method, kind, "message_id", message_id, NULL, NULL);

	o.repeatable = false;
	return o;
}

int chat_client_retry_message(
	struct chat_client *c, const char *message_id, struct chat_message **ret)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return method_call(c, unsent_options("messages.retry", RESULT_MESSAGE, message_id), ret);
}

int chat_client_retry_message_async(
	struct chat_client *c, const char *message_id, chat_message_fn callback, void *userdata)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return START(c, unsent_options("messages.retry", RESULT_MESSAGE, message_id), message,
		callback, userdata);
}

int chat_client_cancel_message(struct chat_client *c, const char *message_id)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return method_call(c, unsent_options("messages.cancel", RESULT_DONE, message_id), NULL);
}

int chat_client_cancel_message_async(
	struct chat_client *c, const char *message_id, chat_done_fn callback, void *userdata)
{
	if (!message_id)
		return method_invalid(c, "a message is needed");
	return START(c, unsent_options("messages.cancel", RESULT_DONE, message_id), done, callback,
		userdata);
}

static struct request_options attachment_options(const char *method, const char *attachment_id)
{
	return method_options(
		method, RESULT_ATTACHMENT, "attachment_id", attachment_id, NULL, NULL);
}

int chat_client_get_attachment(
	struct chat_client *c, const char *attachment_id, struct chat_attachment **ret)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return method_call(c, attachment_options("attachments.get", attachment_id), ret);
}

int chat_client_get_attachment_async(struct chat_client *c, const char *attachment_id,
	chat_attachment_fn callback, void *userdata)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return START(c, attachment_options("attachments.get", attachment_id), attachment, callback,
		userdata);
}

int chat_client_download_attachment(
	struct chat_client *c, const char *attachment_id, struct chat_attachment **ret)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return method_call(c, attachment_options("attachments.download", attachment_id), ret);
}

int chat_client_download_attachment_async(struct chat_client *c, const char *attachment_id,
	chat_attachment_fn callback, void *userdata)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return START(c, attachment_options("attachments.download", attachment_id), attachment,
		callback, userdata);
}

int chat_client_cancel_attachment(
	struct chat_client *c, const char *attachment_id, struct chat_attachment **ret)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return method_call(c, attachment_options("attachments.cancel", attachment_id), ret);
}

int chat_client_cancel_attachment_async(struct chat_client *c, const char *attachment_id,
	chat_attachment_fn callback, void *userdata)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return START(c, attachment_options("attachments.cancel", attachment_id), attachment,
		callback, userdata);
}

static struct request_options open_options(const char *attachment_id, bool preview)
{
	return method_options("attachments.open", RESULT_FILE, "attachment_id", attachment_id,
		"variant", preview ? "preview" : "full");
}

int chat_client_open_attachment(
	struct chat_client *c, const char *attachment_id, bool preview, struct chat_file **ret)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return method_call(c, open_options(attachment_id, preview), ret);
}

int chat_client_open_attachment_async(struct chat_client *c, const char *attachment_id,
	bool preview, chat_file_fn callback, void *userdata)
{
	if (!attachment_id)
		return method_invalid(c, "an attachment is needed");
	return START(c, open_options(attachment_id, preview), file, callback, userdata);
}

static struct request_options ack_options(const char *consumer, int64_t seq)
{
	struct request_options o =
		method_options("events.ack", RESULT_DONE, "consumer", consumer, NULL, NULL);

	method_add_number(&o.params, "seq", seq);
	return o;
}

int chat_client_ack(struct chat_client *c, const char *consumer, int64_t seq)
{
	if (!consumer)
		return method_invalid(c, "a consumer is needed");
	return method_call(c, ack_options(consumer, seq), NULL);
}

int chat_client_ack_async(struct chat_client *c, const char *consumer, int64_t seq,
	chat_done_fn callback, void *userdata)
{
	if (!consumer)
		return method_invalid(c, "a consumer is needed");
	return START(c, ack_options(consumer, seq), done, callback, userdata);
}

/* Doing it twice is the same as once. */
static bool is_repeatable(const char *method, const cJSON *params)
{
	static const char *const reads[] = {
		"daemon.status",
		"chats.list",
		"chats.get",
		"messages.list",
		"messages.get",
		"messages.search",
		"outbox.list",
		"attachments.get",
		"attachments.open",
		"attachments.read",
		"changes.wait",
		"events.ack",
		"events.consumers",
		"settings.get",
		"storage.stats",
		"users.get",
		"rpc.discover",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
		if (strcmp(method, reads[i]) == 0)
			return true;
	return strcmp(method, "messages.send") == 0 && cJSON_HasObjectItem(params, "message_id");
}

static int call_options(struct chat_client *c, const char *method, const char *params_json,
	const int *fds, size_t n_fds, struct request_options *ret)
{
	struct request_options o = { .method = method, .kind = RESULT_REPLY };

	if (!method || !*method)
		return method_invalid(c, "a method is needed");
	if (strcmp(method, "events.subscribe") == 0 || strcmp(method, "events.unsubscribe") == 0)
		return method_invalid(c, "subscriptions are made with chat_client_subscribe()");
	if (n_fds > 0 && !fds)
		return method_invalid(c, "the descriptors are missing");
	o.params = cJSON_ParseWithOpts(params_json ? params_json : "{}", NULL, 1);
	if (!cJSON_IsObject(o.params)) {
		cJSON_Delete(o.params);
		return method_invalid(c, "the parameters are not a JSON object");
	}
	o.repeatable = is_repeatable(method, o.params);
	o.fds = fds;
	o.n_fds = n_fds;
	*ret = o;
	return 0;
}

int chat_client_call(struct chat_client *c, const char *method, const char *params_json,
	const int *fds, size_t n_fds, struct chat_reply **ret)
{
	struct request_options o;
	int r = call_options(c, method, params_json, fds, n_fds, &o);

	return r < 0 ? r : method_call(c, o, ret);
}

int chat_client_call_async(struct chat_client *c, const char *method, const char *params_json,
	const int *fds, size_t n_fds, chat_reply_fn callback, void *userdata)
{
	struct request_options o;
	int r = call_options(c, method, params_json, fds, n_fds, &o);

	return r < 0 ? r : START(c, o, reply, callback, userdata);
}
