/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pushes as they reach the device: what they are opened with, and what they say. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/json-fields.h"
#include "net/web-push.h"
#include "service/native/native-private.h"

#define MESSAGES_MAX 100
#define NAME_MAX_BYTES 1024

static void wipe_keys(struct web_push_keys *k)
{
	sodium_memzero(k, sizeof(*k));
}

static bool to_text(const uint8_t *bytes, size_t n, char *ret, size_t size)
{
	return sodium_bin2base64(ret, size, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static bool to_bytes(const char *text, uint8_t *ret, size_t size)
{
	size_t n;

	return sodium_base642bin(ret, size, text, strlen(text), NULL, &n, NULL,
		       sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
		n == size;
}

int native_push_make_keys(struct push_keys *ret)
{
	_cleanup_(wipe_keys) struct web_push_keys k;
	int r = web_push_keys_generate(&k);

	if (r < 0)
		return r;
	to_text(k.private_key, sizeof(k.private_key), ret->private_key, sizeof(ret->private_key));
	to_text(k.public_key, sizeof(k.public_key), ret->p256dh, sizeof(ret->p256dh));
	to_text(k.auth, sizeof(k.auth), ret->auth, sizeof(ret->auth));
	return 0;
}

struct payload {
	const char *user_id;
	const cJSON *messages;
};

static const struct json_field payload_fields[] = {
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct payload, user_id) },
	{ "messages", JSON_ARRAY, JSON_REQUIRED, offsetof(struct payload, messages), 0,
		MESSAGES_MAX },
	{ NULL },
};

struct payload_message {
	const char *user_name, *text;
	int64_t created_at;
};

static const struct json_field message_fields[] = {
	{ "user_name", JSON_STRING, JSON_REQUIRED, offsetof(struct payload_message, user_name), 0,
		NAME_MAX_BYTES },
	{ "text", JSON_STRING, JSON_REQUIRED, offsetof(struct payload_message, text) },
	{ "created_at", JSON_INTEGER, JSON_REQUIRED, offsetof(struct payload_message, created_at) },
	{ NULL },
};

static int add_message(const cJSON *o, struct push_content *c)
{
	struct push_message *m = &c->messages[c->n_messages];
	struct payload_message p = { 0 };
	struct json_error e;

	if (json_fields_decode(message_fields, o, false, &p, &e) < 0)
		return -EBADMSG;
	c->n_messages++;
	m->created_at = p.created_at;
	m->user_name = strdup(p.user_name);
	m->text = strdup(p.text);
	return m->user_name && m->text ? 0 : -ENOMEM;
}

static int read_content(const char *text, size_t size, struct push_content *ret)
{
	_cleanup_(push_content_clear) struct push_content c = { 0 };
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct payload p = { 0 };
	struct json_error e;
	const cJSON *item;
	int r = json_parse(text, size, &o);

	if (r < 0)
		return r;
	if (json_fields_decode(payload_fields, o, false, &p, &e) < 0)
		return -EBADMSG;
	c.user_id = strdup(p.user_id);
	c.messages = calloc((size_t)cJSON_GetArraySize(p.messages) + 1, sizeof(c.messages[0]));
	if (!c.user_id || !c.messages)
		return -ENOMEM;
	cJSON_ArrayForEach(item, p.messages) {
		r = add_message(item, &c);
		if (r < 0)
			return r;
	}
	*ret = c;
	c = (struct push_content){ 0 };
	return 0;
}

int native_push_open(
	const struct push_keys *keys, const void *data, size_t size, struct push_content *ret)
{
	_cleanup_(wipe_keys) struct web_push_keys k;
	uint8_t text[WEB_PUSH_MAX];
	size_t n;
	int r;

	if (!to_bytes(keys->private_key, k.private_key, sizeof(k.private_key)) ||
		!to_bytes(keys->p256dh, k.public_key, sizeof(k.public_key)) ||
		!to_bytes(keys->auth, k.auth, sizeof(k.auth)))
		return -EINVAL;
	r = web_push_decrypt(&k, data, size, text, &n);
	r = r < 0 ? r : read_content((const char *)text, n, ret);
	sodium_memzero(text, sizeof(text));
	return r;
}
