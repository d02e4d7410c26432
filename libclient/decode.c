/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decode.h"

#include <errno.h>
#include <string.h>

enum field_type {
	FIELD_STRING,
	FIELD_INTEGER,
	FIELD_BOOLEAN,
	FIELD_MESSAGE_STATUS,
	FIELD_ATTACHMENT_STATUS,
	FIELD_CONNECTION_STATE,
	FIELD_SETTING_TYPE,
};

struct field {
	const char *path; /* members from the outside in, with dots between; NULL ends a table */
	enum field_type type;
	size_t offset;
	bool required;
};

#define EXACT_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

static const char *const message_statuses[] = {
	[CHAT_MESSAGE_UNKNOWN] = "UNKNOWN",
	[CHAT_MESSAGE_PENDING] = "PENDING",
	[CHAT_MESSAGE_SENT] = "SENT",
	[CHAT_MESSAGE_RECEIVED] = "RECEIVED",
	[CHAT_MESSAGE_READ] = "READ",
	[CHAT_MESSAGE_FAILED] = "FAILED",
};

static const char *const attachment_statuses[] = {
	[CHAT_ATTACHMENT_UNKNOWN] = "UNKNOWN",
	[CHAT_ATTACHMENT_WAITING] = "WAITING",
	[CHAT_ATTACHMENT_UPLOADING] = "UPLOADING",
	[CHAT_ATTACHMENT_DOWNLOADING] = "DOWNLOADING",
	[CHAT_ATTACHMENT_FAILED] = "FAILED",
	[CHAT_ATTACHMENT_READY] = "READY",
};

static const char *const connection_states[] = {
	[CHAT_CONNECTION_UNKNOWN] = "UNKNOWN",
	[CHAT_CONNECTION_OFFLINE] = "OFFLINE",
	[CHAT_CONNECTION_CONNECTING] = "CONNECTING",
	[CHAT_CONNECTION_GREETING] = "GREETING",
	[CHAT_CONNECTION_CATCHING_UP] = "CATCHING_UP",
	[CHAT_CONNECTION_LIVE] = "LIVE",
	[CHAT_CONNECTION_BACKOFF] = "BACKOFF",
	[CHAT_CONNECTION_LOGIN_REQUIRED] = "LOGIN_REQUIRED",
	[CHAT_CONNECTION_LOCKED] = "LOCKED",
	[CHAT_CONNECTION_SUSPENDED] = "SUSPENDED",
};

static const char *const setting_types[] = {
	[CHAT_SETTING_UNKNOWN] = "unknown",
	[CHAT_SETTING_CHOICE] = "choice",
	[CHAT_SETTING_INTEGER] = "integer",
};

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
	return names[value < n ? value : 0];
}

const char *chat_message_status_to_string(enum chat_message_status status)
{
	return name_of(message_statuses, ARRAY_SIZE(message_statuses), (unsigned)status);
}

const char *chat_attachment_status_to_string(enum chat_attachment_status status)
{
	return name_of(attachment_statuses, ARRAY_SIZE(attachment_statuses), (unsigned)status);
}

const char *chat_connection_state_to_string(enum chat_connection_state state)
{
	return name_of(connection_states, ARRAY_SIZE(connection_states), (unsigned)state);
}

/* The index of a name, 0 (unknown) for one that is not there. */
static unsigned value_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (unsigned)i;
	return 0;
}

/* The member that a path leads to; NULL when it is missing or null. */
static const cJSON *member(const cJSON *object, const char *path)
{
	char name[32];

	while (object && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		object = cJSON_GetObjectItemCaseSensitive(object, name);
		path += n + (path[n] == '.');
	}
	return cJSON_IsNull(object) ? NULL : object;
}

static int decode_integer(const cJSON *v, int64_t *ret)
{
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= -EXACT_MAX && v->valuedouble <= EXACT_MAX))
		return -EBADMSG;
	*ret = (int64_t)v->valuedouble;
	return 0;
}

static void decode_name(enum field_type type, const char *name, void *to)
{
	static const struct {
		const char *const *names;
		size_t n;
	} enums[] = {
		[FIELD_MESSAGE_STATUS] = { message_statuses, ARRAY_SIZE(message_statuses) },
		[FIELD_ATTACHMENT_STATUS] = { attachment_statuses,
			ARRAY_SIZE(attachment_statuses) },
		[FIELD_CONNECTION_STATE] = { connection_states, ARRAY_SIZE(connection_states) },
		[FIELD_SETTING_TYPE] = { setting_types, ARRAY_SIZE(setting_types) },
	};
	unsigned value = value_of(enums[type].names, enums[type].n, name);

	/* All these enums have the size of an int. */
	memcpy(to, &value, sizeof(value));
}

static int decode_field(const struct field *f, const cJSON *v, char *target)
{
	void *to = target + f->offset;

	switch (f->type) {
	case FIELD_INTEGER:
		return decode_integer(v, to);
	case FIELD_BOOLEAN:
		if (!cJSON_IsBool(v))
			return -EBADMSG;
		*(bool *)to = cJSON_IsTrue(v);
		return 0;
	case FIELD_STRING:
	case FIELD_MESSAGE_STATUS:
	case FIELD_ATTACHMENT_STATUS:
	case FIELD_CONNECTION_STATE:
	case FIELD_SETTING_TYPE:
		break;
	}
	if (!cJSON_IsString(v))
		return -EBADMSG;
	if (f->type == FIELD_STRING)
		*(const char **)to = v->valuestring;
	else
		decode_name(f->type, v->valuestring, to);
	return 0;
}

static int decode_fields(const struct field *table, const cJSON *json, void *target)
{
	if (!cJSON_IsObject(json))
		return -EBADMSG;
	for (const struct field *f = table; f->path; f++) {
		const cJSON *v = member(json, f->path);
		int r;

		if (!v && f->required)
			return -EBADMSG;
		r = v ? decode_field(f, v, target) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* A struct of `size` bytes, zeroed but for what the fields say of `json`. */
static int node_from(
	struct result *r, const cJSON *json, const struct field *fields, size_t size, void **ret)
{
	void *node = result_node(r, json, size);
	int e;

	if (!node)
		return -ENOMEM;
	e = decode_fields(fields, json, node);
	if (e == 0)
		*ret = node;
	return e;
}

/* One element; what is made belongs to the result and is freed with it, also on failure. */
typedef int (*decode_fn)(struct result *r, const cJSON *json, void **ret);

/* An array of pointers to what `decode` makes of each element; a missing array is empty. */
static int decode_array(
	struct result *r, const cJSON *array, decode_fn decode, void *ret_array, size_t *ret_n)
{
	size_t n = 0, size = (size_t)cJSON_GetArraySize(array);
	void **elements = result_array(r, size + 1, sizeof(void *));
	const cJSON *element;

	if (!elements)
		return -ENOMEM;
	if (array && !cJSON_IsArray(array))
		return -EBADMSG;
	cJSON_ArrayForEach(element, array) {
		int e = decode(r, element, &elements[n]);

		if (e < 0)
			return e;
		n++;
	}
	memcpy(ret_array, &elements, sizeof(elements));
	*ret_n = n;
	return 0;
}

static int attachment_from(struct result *r, const cJSON *json, void **ret)
{
#define A(name) offsetof(struct chat_attachment, name)
	static const struct field fields[] = {
		{ "attachment_id", FIELD_STRING, A(attachment_id), true },
		{ "message_id", FIELD_STRING, A(message_id) },
		{ "chat_id", FIELD_STRING, A(chat_id) },
		{ "mime", FIELD_STRING, A(mime) },
		{ "name", FIELD_STRING, A(name) },
		{ "width", FIELD_INTEGER, A(width) },
		{ "height", FIELD_INTEGER, A(height) },
		{ "size", FIELD_INTEGER, A(size) },
		{ "progress", FIELD_INTEGER, A(progress) },
		{ "status", FIELD_ATTACHMENT_STATUS, A(status) },
		{ "preview_ready", FIELD_BOOLEAN, A(preview_ready) },
		{ NULL },
	};
#undef A

	return node_from(r, json, fields, sizeof(struct chat_attachment), ret);
}

static int message_from(struct result *r, const cJSON *json, void **ret)
{
#define M(name) offsetof(struct chat_message, name)
	static const struct field fields[] = {
		{ "message_id", FIELD_STRING, M(message_id), true },
		{ "chat_id", FIELD_STRING, M(chat_id), true },
		{ "user_id", FIELD_STRING, M(user_id), true },
		{ "text", FIELD_STRING, M(text) },
		{ "status", FIELD_MESSAGE_STATUS, M(status) },
		{ "outgoing", FIELD_BOOLEAN, M(outgoing) },
		{ "error.title", FIELD_STRING, M(error_title) },
		{ "error.detail", FIELD_STRING, M(error_detail) },
		{ "created_at", FIELD_INTEGER, M(created_at_ms) },
		{ "seq", FIELD_INTEGER, M(seq) },
		{ NULL },
	};
#undef M
	struct chat_message *m;
	void *node = NULL;
	int e = node_from(r, json, fields, sizeof(*m), &node);

	if (e < 0)
		return e;
	m = node;
	if (!m->text)
		m->text = "";
	e = decode_array(r, member(json, "attachments"), attachment_from, &m->attachments,
		&m->n_attachments);
	if (e == 0)
		*ret = m;
	return e;
}

static int info_from(struct result *r, const cJSON *json, void **ret)
{
#define I(name) offsetof(struct chat_info, name)
	static const struct field fields[] = {
		{ "chat_id", FIELD_STRING, I(chat_id), true },
		{ "user_id", FIELD_STRING, I(user_id), true },
		{ "username", FIELD_STRING, I(username) },
		{ "last_username", FIELD_STRING, I(last_username) },
		{ "last_user_profile_url", FIELD_STRING, I(last_user_profile_url) },
		{ "last_message_text", FIELD_STRING, I(last_message_text) },
		{ "last_message_timestamp", FIELD_INTEGER, I(last_message_timestamp_ms) },
		{ "last_message_status", FIELD_MESSAGE_STATUS, I(last_message_status) },
		{ "unread_count", FIELD_INTEGER, I(unread_count) },
		{ "last_message_id", FIELD_STRING, I(last_message_id) },
		{ "provisional", FIELD_BOOLEAN, I(provisional) },
		{ NULL },
	};
#undef I

	return node_from(r, json, fields, sizeof(struct chat_info), ret);
}

static int piece_from(struct result *r, const cJSON *json, void **ret)
{
	static const struct field fields[] = {
		{ "text", FIELD_STRING, offsetof(struct chat_snippet_piece, text), true },
		{ "match", FIELD_BOOLEAN, offsetof(struct chat_snippet_piece, match) },
		{ NULL },
	};

	return node_from(r, json, fields, sizeof(struct chat_snippet_piece), ret);
}

static int search_result_from(struct result *r, const cJSON *json, void **ret)
{
	struct chat_search_result *s = result_node(r, json, sizeof(*s));
	void *message = NULL;
	int e;

	if (!s)
		return -ENOMEM;
	e = message_from(r, member(json, "message"), &message);
	if (e == 0)
		e = decode_array(r, member(json, "snippet"), piece_from, &s->pieces, &s->n_pieces);
	if (e < 0)
		return e;
	s->message = message;
	*ret = s;
	return 0;
}

static int connection_from(struct result *r, const cJSON *json, void **ret)
{
#define C(name) offsetof(struct chat_connection, name)
	static const struct field fields[] = {
		{ "state", FIELD_CONNECTION_STATE, C(state), true },
		{ "since", FIELD_INTEGER, C(since_ms) },
		{ "next_attempt_at", FIELD_INTEGER, C(next_attempt_at_ms) },
		{ "last_error", FIELD_STRING, C(last_error) },
		{ NULL },
	};
#undef C

	return node_from(r, json, fields, sizeof(struct chat_connection), ret);
}

int decode_attachment(struct result *r, void **ret)
{
	return attachment_from(r, result_json(r), ret);
}

int decode_message(struct result *r, void **ret)
{
	return message_from(r, result_json(r), ret);
}

int decode_message_list(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "more", FIELD_BOOLEAN, offsetof(struct chat_message_list, more) },
		{ "as_of", FIELD_INTEGER, offsetof(struct chat_message_list, as_of) },
		{ NULL },
	};
	struct chat_message_list *l;
	void *node = NULL;
	int e = node_from(r, result_json(r), fields, sizeof(*l), &node);

	if (e < 0)
		return e;
	l = node;
	e = decode_array(
		r, member(result_json(r), "messages"), message_from, &l->messages, &l->n_messages);
	if (e == 0)
		*ret = l;
	return e;
}

int decode_info(struct result *r, void **ret)
{
	return info_from(r, result_json(r), ret);
}

int decode_info_list(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "cursor", FIELD_STRING, offsetof(struct chat_info_list, cursor) },
		{ "as_of", FIELD_INTEGER, offsetof(struct chat_info_list, as_of) },
		{ NULL },
	};
	struct chat_info_list *l;
	void *node = NULL;
	int e = node_from(r, result_json(r), fields, sizeof(*l), &node);

	if (e < 0)
		return e;
	l = node;
	e = decode_array(r, member(result_json(r), "chats"), info_from, &l->chats, &l->n_chats);
	if (e == 0)
		*ret = l;
	return e;
}

int decode_search_list(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "cursor", FIELD_STRING, offsetof(struct chat_search_list, cursor) },
		{ NULL },
	};
	struct chat_search_list *l;
	void *node = NULL;
	int e = node_from(r, result_json(r), fields, sizeof(*l), &node);

	if (e < 0)
		return e;
	l = node;
	e = decode_array(r, member(result_json(r), "results"), search_result_from, &l->results,
		&l->n_results);
	if (e == 0)
		*ret = l;
	return e;
}

int decode_status(struct result *r, void **ret)
{
#define S(name) offsetof(struct chat_status, name)
	static const struct field fields[] = {
		{ "account.name", FIELD_STRING, S(account_name) },
		{ "account.server", FIELD_STRING, S(server) },
		{ "account.user_id", FIELD_STRING, S(user_id) },
		{ "account.user_name", FIELD_STRING, S(user_name) },
		{ "account.username", FIELD_STRING, S(user_name) },
		{ "account.signed_in", FIELD_BOOLEAN, S(signed_in) },
		{ "unread", FIELD_INTEGER, S(unread) },
		{ "outbox.pending", FIELD_INTEGER, S(outbox_pending) },
		{ "outbox.failed", FIELD_INTEGER, S(outbox_failed) },
		{ "transfers.active", FIELD_INTEGER, S(transfers_active) },
		{ "transfers.waiting", FIELD_INTEGER, S(transfers_waiting) },
		{ "storage.state", FIELD_STRING, S(storage_state) },
		{ "storage.bytes", FIELD_INTEGER, S(storage_bytes) },
		{ "key_source", FIELD_STRING, S(key_source) },
		{ "versions.daemon", FIELD_STRING, S(daemon_version) },
		{ "versions.api", FIELD_STRING, S(api_version) },
		{ "locked.reason", FIELD_STRING, S(locked_reason) },
		{ "locked.detail", FIELD_STRING, S(locked_detail) },
		{ "storage.put_aside", FIELD_STRING, S(storage_put_aside) },
		{ "push.state", FIELD_STRING, S(push_state) },
		{ "push.distributor", FIELD_STRING, S(push_distributor) },
		{ "storage.salvaged.put_aside", FIELD_STRING, S(storage_salvaged) },
		{ "storage.salvaged.messages", FIELD_INTEGER, S(storage_salvaged_messages) },
		{ "storage.salvaged.unsent", FIELD_INTEGER, S(storage_salvaged_unsent) },
		{ "storage.salvaged.unsent_lost", FIELD_INTEGER, S(storage_unsent_lost) },
		{ NULL },
	};
#undef S
	const cJSON *json = result_json(r);
	struct chat_status *s = result_node(r, json, sizeof(*s));
	void *connection = NULL;
	int e;

	if (!s)
		return -ENOMEM;
	e = decode_fields(fields, json, s);
	if (e == 0)
		e = connection_from(r, member(json, "connection"), &connection);
	if (e < 0)
		return e;
	s->connection = connection;
	*ret = s;
	return 0;
}

int decode_account(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "user_id", FIELD_STRING, offsetof(struct chat_account, user_id), true },
		{ "user_name", FIELD_STRING, offsetof(struct chat_account, user_name) },
		{ "username", FIELD_STRING, offsetof(struct chat_account, user_name) },
		{ NULL },
	};

	return node_from(r, result_json(r), fields, sizeof(struct chat_account), ret);
}

int decode_file(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "size", FIELD_INTEGER, offsetof(struct chat_file, size), true },
		{ "mime", FIELD_STRING, offsetof(struct chat_file, mime) },
		{ "name", FIELD_STRING, offsetof(struct chat_file, name) },
		{ NULL },
	};
	struct chat_file *f = result_node(r, result_json(r), sizeof(*f));
	const cJSON *index = member(result_json(r), "fd");
	size_t n;
	const int *fds = result_fds(r, &n);
	int e;

	if (!f)
		return -ENOMEM;
	e = decode_fields(fields, result_json(r), f);
	if (e < 0)
		return e;
	if (!cJSON_IsNumber(index) || index->valueint < 0 || (size_t)index->valueint >= n)
		return -EBADMSG;
	f->fd = fds[index->valueint];
	*ret = f;
	return 0;
}

int decode_reply(struct result *r, void **ret)
{
	struct chat_reply *p = result_node(r, result_json(r), sizeof(*p));
	char *json = cJSON_PrintUnformatted(result_json(r));
	char *copy = json ? result_array(r, strlen(json) + 1, 1) : NULL;

	if (p && copy) {
		strcpy(copy, json);
		p->result_json = copy;
		p->fds = result_fds(r, &p->n_fds);
		*ret = p;
	}
	cJSON_free(json);
	return p && copy ? 0 : -ENOMEM;
}

/* Sets the typed pointer that goes with the topic. */
static int decode_change_data(struct result *r, const cJSON *data, struct chat_change *c)
{
	void *value = NULL;
	int e = 0;

	if (strcmp(c->topic, "message.added") == 0 || strcmp(c->topic, "message.updated") == 0) {
		e = message_from(r, data, &value);
		c->message = value;
	} else if (strcmp(c->topic, "chat.updated") == 0) {
		e = info_from(r, data, &value);
		c->chat = value;
	} else if (strcmp(c->topic, "attachment.updated") == 0 ||
		strcmp(c->topic, "transfer.progress") == 0) {
		e = attachment_from(r, data, &value);
		c->attachment = value;
	} else if (strcmp(c->topic, "connection") == 0) {
		e = connection_from(r, data, &value);
		c->connection = value;
	}
	/* Data that is not understood must not hold up the changes after it. */
	return e == -ENOMEM ? e : 0;
}

int decode_change(struct result *r, void **ret)
{
#define C(name) offsetof(struct chat_change, name)
	static const struct field fields[] = {
		{ "seq", FIELD_INTEGER, C(seq) },
		{ "topic", FIELD_STRING, C(topic), true },
		{ "data.chat_id", FIELD_STRING, C(chat_id) },
		{ "data.message_id", FIELD_STRING, C(message_id) },
		{ "data.attachment_id", FIELD_STRING, C(attachment_id) },
		{ "data.activation_token", FIELD_STRING, C(activation_token) },
		{ NULL },
	};
#undef C
	struct chat_change *c = result_node(r, result_json(r), sizeof(*c));
	int e;

	if (!c)
		return -ENOMEM;
	e = decode_fields(fields, result_json(r), c);
	if (e == 0)
		e = decode_change_data(r, member(result_json(r), "data"), c);
	if (e == 0)
		*ret = c;
	return e;
}

/* An element of changes.wait: ids alone, beside the topic. */
static int change_ids_from(struct result *r, const cJSON *json, void **ret)
{
#define C(name) offsetof(struct chat_change, name)
	static const struct field fields[] = {
		{ "seq", FIELD_INTEGER, C(seq), true },
		{ "topic", FIELD_STRING, C(topic), true },
		{ "chat_id", FIELD_STRING, C(chat_id) },
		{ "message_id", FIELD_STRING, C(message_id) },
		{ "attachment_id", FIELD_STRING, C(attachment_id) },
		{ NULL },
	};
#undef C

	return node_from(r, json, fields, sizeof(struct chat_change), ret);
}

int decode_change_list(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "seq", FIELD_INTEGER, offsetof(struct chat_change_list, seq), true },
		{ NULL },
	};
	struct chat_change_list *l;
	void *node = NULL;
	int e = node_from(r, result_json(r), fields, sizeof(*l), &node);

	if (e < 0)
		return e;
	l = node;
	e = decode_array(
		r, member(result_json(r), "changes"), change_ids_from, &l->changes, &l->n_changes);
	if (e == 0)
		*ret = l;
	return e;
}

int decode_user(struct result *r, void **ret)
{
	static const struct field fields[] = {
		{ "user_id", FIELD_STRING, offsetof(struct chat_user, user_id), true },
		{ "name", FIELD_STRING, offsetof(struct chat_user, name) },
		{ "picture_url", FIELD_STRING, offsetof(struct chat_user, picture_url) },
		{ NULL },
	};

	return node_from(r, result_json(r), fields, sizeof(struct chat_user), ret);
}

static int string_from(struct result *r, const cJSON *json, void **ret)
{
	if (!cJSON_IsString(json))
		return -EBADMSG;
	*ret = json->valuestring;
	return 0;
}

static int setting_from(struct result *r, const cJSON *json, void **ret)
{
#define S(name) offsetof(struct chat_setting, name)
	static const struct field fields[] = {
		{ "name", FIELD_STRING, S(name), true },
		{ "value", FIELD_STRING, S(value), true },
		{ "default", FIELD_STRING, S(default_value), true },
		{ "type", FIELD_SETTING_TYPE, S(type), true },
		{ "minimum", FIELD_INTEGER, S(minimum) },
		{ "maximum", FIELD_INTEGER, S(maximum) },
		{ "doc", FIELD_STRING, S(doc) },
		{ NULL },
	};
#undef S
	struct chat_setting *s;
	void *node = NULL;
	int e = node_from(r, json, fields, sizeof(*s), &node);

	if (e < 0)
		return e;
	s = node;
	if (!s->doc)
		s->doc = "";
	e = decode_array(r, member(json, "values"), string_from, &s->values, &s->n_values);
	if (e == 0)
		*ret = s;
	return e;
}

int decode_setting_list(struct result *r, void **ret)
{
	struct chat_setting_list *l = result_node(r, result_json(r), sizeof(*l));
	int e;

	if (!l)
		return -ENOMEM;
	e = decode_array(
		r, member(result_json(r), "settings"), setting_from, &l->settings, &l->n_settings);
	if (e == 0)
		*ret = l;
	return e;
}

int decode_setting(struct result *r, void **ret)
{
	const cJSON *settings = member(result_json(r), "settings");

	if (cJSON_GetArraySize(settings) != 1)
		return -EBADMSG;
	return setting_from(r, cJSON_GetArrayItem(settings, 0), ret);
}
