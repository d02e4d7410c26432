/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/native/convert.h"

#include <errno.h>
#include <string.h>

#include "base/uuid.h"
#include "service/native/problems.h"

#define MAX_INTEGER ((int64_t)1 << 53)
#define MAX_URL 4096
#define MAX_NAME 1024
#define MAX_MIME 127
#define MAX_PIXELS 1000000
#define MAX_ID_LIST (CONVERT_MAX_ATTACHMENTS * 65)
#define MAX_TOKEN 8192

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to ? 0 : -ENOMEM;
}

struct user_data {
	const char *id, *name, *picture_url;
};

static const struct json_field user_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct user_data, id) },
	{ "name", JSON_STRING, JSON_REQUIRED, offsetof(struct user_data, name), 0, MAX_NAME },
	{ "picture_url", JSON_STRING, JSON_NULLABLE, offsetof(struct user_data, picture_url), 0,
		MAX_URL },
	{ NULL },
};

int convert_user(const cJSON *o, struct user *ret, struct json_error *ret_error)
{
	struct user_data d = { 0 };
	struct user u = { 0 };
	int r = json_fields_decode(user_fields, o, false, &d, ret_error);

	if (r < 0)
		return r;
	if (copy(&u.id, d.id) < 0 || copy(&u.name, d.name) < 0 ||
		copy(&u.picture_url, d.picture_url) < 0) {
		user_clear(&u);
		return -ENOMEM;
	}
	*ret = u;
	return 0;
}

struct chat_data {
	const char *id, *user_id;
	int64_t last_seq, created_at, read_seq, peer_read_seq, peer_received_seq;
};

static const struct json_field chat_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct chat_data, id) },
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct chat_data, user_id) },
	{ "last_seq", JSON_INTEGER, JSON_REQUIRED, offsetof(struct chat_data, last_seq), 0,
		MAX_INTEGER },
	{ "created_at", JSON_INTEGER, JSON_REQUIRED, offsetof(struct chat_data, created_at), 0,
		MAX_INTEGER },
	{ "read_seq", JSON_INTEGER, JSON_NULLABLE, offsetof(struct chat_data, read_seq), 0,
		MAX_INTEGER },
	{ "peer_read_seq", JSON_INTEGER, JSON_NULLABLE, offsetof(struct chat_data, peer_read_seq),
		0, MAX_INTEGER },
	{ "peer_received_seq", JSON_INTEGER, JSON_NULLABLE,
		offsetof(struct chat_data, peer_received_seq), 0, MAX_INTEGER },
	{ NULL },
};

int convert_chat(const cJSON *o, struct chat *ret, struct json_error *ret_error)
{
	struct chat_data d = { 0 };
	struct chat c = { 0 };
	int r = json_fields_decode(chat_fields, o, false, &d, ret_error);

	if (r < 0)
		return r;
	c.last_seq = d.last_seq;
	c.created_at = d.created_at;
	c.read_seq = d.read_seq;
	c.peer_read_seq = d.peer_read_seq;
	c.peer_received_seq = d.peer_received_seq;
	if (copy(&c.id, d.id) < 0 || copy(&c.user_id, d.user_id) < 0) {
		chat_clear(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

struct attachment_data {
	const char *id, *mime, *name, *sha256, *url, *preview_url;
	int64_t size, width, height, preview_size;
};

static const struct json_field attachment_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct attachment_data, id) },
	{ "mime", JSON_STRING, JSON_REQUIRED, offsetof(struct attachment_data, mime), 1, MAX_MIME },
	{ "size", JSON_INTEGER, JSON_REQUIRED, offsetof(struct attachment_data, size), 0,
		MAX_INTEGER },
	{ "width", JSON_INTEGER, JSON_NULLABLE, offsetof(struct attachment_data, width), 0,
		MAX_PIXELS },
	{ "height", JSON_INTEGER, JSON_NULLABLE, offsetof(struct attachment_data, height), 0,
		MAX_PIXELS },
	{ "sha256", JSON_STRING, JSON_NULLABLE, offsetof(struct attachment_data, sha256), 0, 64 },
	{ "url", JSON_STRING, JSON_NULLABLE, offsetof(struct attachment_data, url), 0, MAX_URL },
	{ "preview_url", JSON_STRING, JSON_NULLABLE, offsetof(struct attachment_data, preview_url),
		0, MAX_URL },
	{ "preview_size", JSON_INTEGER, JSON_NULLABLE,
		offsetof(struct attachment_data, preview_size), 0, MAX_INTEGER },
	{ "name", JSON_STRING, JSON_NULLABLE, offsetof(struct attachment_data, name), 0, MAX_NAME },
	{ NULL },
};

static int check_sha256(const char *s, struct json_error *ret_error)
{
	size_t n = s ? strlen(s) : 0;

	if (n == 0 || (n == 64 && strspn(s, "0123456789abcdef") == n))
		return 0;
	snprintf(ret_error->text, sizeof(ret_error->text),
		"'sha256' must be 64 lower-case hex digits");
	return -EINVAL;
}

static int copy_attachment(const struct attachment_data *d, struct attachment *ret)
{
	struct attachment a = {
		.size = d->size,
		.width = d->width,
		.height = d->height,
		.preview_size = d->preview_size,
		.status = ATTACHMENT_WAITING,
	};

	if (copy(&a.id, d->id) < 0 || copy(&a.mime, d->mime) < 0 || copy(&a.name, d->name) < 0 ||
		copy(&a.sha256, d->sha256) < 0 || copy(&a.url, d->url) < 0 ||
		copy(&a.preview_url, d->preview_url) < 0) {
		attachment_clear(&a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

static int decode_attachment(
	const cJSON *o, struct attachment_data *ret, struct json_error *ret_error)
{
	int r = json_fields_decode(attachment_fields, o, false, ret, ret_error);

	return r < 0 ? r : check_sha256(ret->sha256, ret_error);
}

int convert_attachment(const cJSON *o, struct attachment *ret, struct json_error *ret_error)
{
	struct attachment_data d = { 0 };
	int r = decode_attachment(o, &d, ret_error);

	return r < 0 ? r : copy_attachment(&d, ret);
}

/* Sorted by id. */
struct attachment_set {
	struct attachment_data *items;
	size_t n;
};

struct attachment_set *attachment_set_free(struct attachment_set *set)
{
	if (set)
		free(set->items);
	free(set);
	return NULL;
}

static int compare_attachments(const void *a, const void *b)
{
	return strcmp(
		((const struct attachment_data *)a)->id, ((const struct attachment_data *)b)->id);
}

int attachment_set_read(
	const cJSON *array, struct attachment_set **ret, struct json_error *ret_error)
{
	_cleanup_(attachment_set_freep) struct attachment_set *set = calloc(1, sizeof(*set));
	const cJSON *o;

	if (!set)
		return -ENOMEM;
	if (array && array->child) {
		set->items = calloc((size_t)cJSON_GetArraySize(array), sizeof(set->items[0]));
		if (!set->items)
			return -ENOMEM;
	}
	cJSON_ArrayForEach(o, array) {
		int r = decode_attachment(o, &set->items[set->n++], ret_error);

		if (r < 0)
			return r;
	}
	if (set->n)
		qsort(set->items, set->n, sizeof(set->items[0]), compare_attachments);
	*ret = TAKE_PTR(set);
	return 0;
}

struct message_data {
	const char *id, *chat_id, *user_id, *text, *attachments;
	int64_t created_at, seq;
};

static const struct json_field message_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, id) },
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, chat_id) },
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, user_id) },
	{ "text", JSON_STRING, JSON_REQUIRED, offsetof(struct message_data, text), 0,
		CONVERT_MAX_TEXT },
	{ "created_at", JSON_INTEGER, JSON_REQUIRED, offsetof(struct message_data, created_at), 0,
		MAX_INTEGER },
	{ "attachments", JSON_STRING, JSON_NULLABLE, offsetof(struct message_data, attachments), 0,
		MAX_ID_LIST },
	{ "seq", JSON_INTEGER, JSON_REQUIRED, offsetof(struct message_data, seq), 1, MAX_INTEGER },
	{ NULL },
};

static bool has_attachment(const struct message *m, const char *id)
{
	for (size_t i = 0; i < m->n_attachments; i++)
		if (m->attachments[i].id && strcmp(m->attachments[i].id, id) == 0)
			return true;
	return false;
}

static int add_attachment(struct message *m, const char *id, const struct attachment_set *set)
{
	struct attachment_data bare = { .id = id };
	const struct attachment_data *d = NULL;
	struct attachment *a;
	int r;

	if (has_attachment(m, id))
		return 0;
	if (set->n)
		d = bsearch(&bare, set->items, set->n, sizeof(bare), compare_attachments);
	a = message_add_attachment(m);
	if (!a)
		return -ENOMEM;
	r = copy_attachment(d ? d : &bare, a);
	if (r == 0 && (copy(&a->message_id, m->id) < 0 || copy(&a->chat_id, m->chat_id) < 0))
		r = -ENOMEM;
	return r;
}

/* The seed's comma-separated list. */
static int add_attachments(struct message *m, const char *list, const struct attachment_set *set,
	struct json_error *ret_error)
{
	while (list && *list) {
		size_t n = strcspn(list, ",");
		char id[65];

		snprintf(id, sizeof(id), "%.*s", (int)n, list);
		if (n >= sizeof(id) || !id_is_valid(id) ||
			m->n_attachments == CONVERT_MAX_ATTACHMENTS) {
			snprintf(ret_error->text, sizeof(ret_error->text),
				"'attachments' must be at most %d ids between commas",
				CONVERT_MAX_ATTACHMENTS);
			return -EINVAL;
		}
		if (add_attachment(m, id, set) < 0)
			return -ENOMEM;
		list += n;
		list += *list == ',' && list[1] != '\0';
	}
	return 0;
}

int convert_message(const cJSON *o, const struct attachment_set *set, const char *self_id,
	struct message *ret, struct json_error *ret_error)
{
	struct message_data d = { 0 };
	struct message m = { .status = MESSAGE_SENT };
	int r = json_fields_decode(message_fields, o, false, &d, ret_error);

	if (r < 0)
		return r;
	m.seq = d.seq;
	m.created_at = d.created_at;
	m.outgoing = self_id && strcmp(d.user_id, self_id) == 0;
	if (copy(&m.id, d.id) < 0 || copy(&m.chat_id, d.chat_id) < 0 ||
		copy(&m.user_id, d.user_id) < 0 || copy(&m.text, d.text) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = add_attachments(&m, d.attachments, set, ret_error);
	if (r < 0) {
		message_clear(&m);
		return r;
	}
	*ret = m;
	return 0;
}

struct identity_data {
	const char *token;
	int64_t expires_at;
	const cJSON *user;
};

static const struct json_field identity_fields[] = {
	{ "token", JSON_STRING, JSON_REQUIRED, offsetof(struct identity_data, token), 1,
		MAX_TOKEN },
	{ "expires_at", JSON_INTEGER, JSON_NULLABLE, offsetof(struct identity_data, expires_at), 0,
		MAX_INTEGER },
	{ "user", JSON_OBJECT, JSON_REQUIRED, offsetof(struct identity_data, user) },
	{ NULL },
};

static bool is_fit_for_a_header(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

int convert_identity(const cJSON *o, struct service_identity *ret, struct json_error *ret_error)
{
	struct identity_data d = { 0 };
	struct service_identity i = { 0 };
	int r = json_fields_decode(identity_fields, o, false, &d, ret_error);

	if (r < 0)
		return r;
	if (!is_fit_for_a_header(d.token)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			"'token' must be printable ASCII");
		return -EINVAL;
	}
	i.token_expires_at = d.expires_at;
	r = convert_user(d.user, &i.user, ret_error);
	if (r == 0)
		r = copy(&i.token, d.token);
	if (r < 0) {
		service_identity_clear(&i);
		return r;
	}
	*ret = i;
	return 0;
}

static char *string_member(const cJSON *o, const char *name, size_t max)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));

	return s && strlen(s) <= max ? strdup(s) : NULL;
}

/* Types are URIs, of which the last part is the name: "urn:chat:unknown_cursor",
 * "https://…/unknown_cursor". */
static void shorten_type(char *type)
{
	char *last = type + strlen(type);

	while (last > type && !strchr(":/#", last[-1]))
		last--;
	memmove(type, last, strlen(last) + 1);
}

void convert_problem(const cJSON *o, struct problem *ret)
{
	const cJSON *retry = cJSON_GetObjectItemCaseSensitive(o, "retry_after_s");
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(o, "status");

	*ret = (struct problem){
		.type = string_member(o, "type", 200),
		.title = string_member(o, "title", 200),
		.detail = string_member(o, "detail", 2000),
	};
	if (ret->type)
		shorten_type(ret->type);
	if (cJSON_IsNumber(status) && status->valuedouble >= 100 && status->valuedouble <= 599)
		ret->status = (int)status->valuedouble;
	if (cJSON_IsNumber(retry) && retry->valuedouble > 0)
		ret->retry_after_ms = problem_retry_ms(retry->valuedouble);
}
