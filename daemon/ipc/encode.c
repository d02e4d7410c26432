/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/encode.h"

#include <string.h>

#include "ipc/json-build.h"
#include "ipc/json-text.h"

cJSON *encode_user(const struct user *u)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "user_id", u->id);
	json_write_string(&t, "name", u->name);
	json_write_string(&t, "picture_url", u->picture_url);
	json_write_object_end(&t);
	return json_text_take(&t);
}

static void write_attachment(struct json_text *t, const struct attachment *a, bool nested)
{
	json_write_object(t, NULL);
	json_write_string(t, "attachment_id", a->id);
	if (!nested && a->message_id)
		json_write_string(t, "message_id", a->message_id);
	if (!nested && a->chat_id)
		json_write_string(t, "chat_id", a->chat_id);
	json_write_string(t, "mime", a->mime);
	json_write_string(t, "name", a->name);
	json_write_integer(t, "width", a->width);
	json_write_integer(t, "height", a->height);
	json_write_integer(t, "size", a->size);
	json_write_integer(t, "progress", a->progress);
	json_write_string(t, "status", attachment_status_to_string(a->status));
	json_write_bool(t, "preview_ready", a->preview_stored);
	json_write_object_end(t);
}

cJSON *encode_attachment(const struct attachment *a)
{
	struct json_text t = { 0 };

	write_attachment(&t, a, false);
	return json_text_take(&t);
}

static void write_error(struct json_text *t, const struct message *m)
{
	if (m->status != MESSAGE_FAILED || !m->error_title)
		return;
	json_write_object(t, "error");
	json_write_string(t, "title", m->error_title);
	json_write_string(t, "detail", m->error_detail);
	json_write_object_end(t);
}

static void write_attachments(struct json_text *t, const struct message *m)
{
	json_write_array(t, "attachments");
	for (size_t i = 0; i < m->n_attachments; i++)
		write_attachment(t, &m->attachments[i], true);
	json_write_array_end(t);
}

cJSON *encode_message(const struct message *m)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "message_id", m->id);
	json_write_string(&t, "chat_id", m->chat_id);
	json_write_string(&t, "user_id", m->user_id);
	json_write_bool(&t, "outgoing", m->outgoing);
	json_write_string(&t, "text", m->text ? m->text : "");
	json_write_string(&t, "status", message_status_to_string(m->status));
	write_error(&t, m);
	json_write_integer(&t, "created_at", m->created_at);
	write_attachments(&t, m);
	if (m->seq > 0)
		json_write_integer(&t, "seq", m->seq);
	json_write_object_end(&t);
	return json_text_take(&t);
}

size_t encode_message_size(const struct message *m)
{
	/* Member names, numbers and ids, escaped at worst, take less than these constants. */
	size_t n = 768 + json_string_size(m->text);

	n += json_string_size(m->error_title) + json_string_size(m->error_detail);
	for (size_t i = 0; i < m->n_attachments; i++) {
		n += 512 + json_string_size(m->attachments[i].name);
		n += json_string_size(m->attachments[i].mime);
	}
	return n;
}

/* The beginning of a text, cut between characters. */
static void write_snippet(struct json_text *t, const char *name, const char *text)
{
	char snippet[ENCODE_SNIPPET_MAX + 1];
	size_t n = ENCODE_SNIPPET_MAX;

	if (!text || strlen(text) <= n) {
		json_write_string(t, name, text);
		return;
	}
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	memcpy(snippet, text, n);
	snippet[n] = '\0';
	json_write_string(t, name, snippet);
}

static void write_last_message(struct json_text *t, const struct chat_info *c)
{
	json_write_string(t, "last_message_id", c->last_message_id);
	write_snippet(t, "last_message_text", c->last_message_text);
	if (c->last_message_at == 0) {
		json_write_string(t, "last_message_timestamp", NULL);
		json_write_string(t, "last_message_status", NULL);
		return;
	}
	json_write_integer(t, "last_message_timestamp", c->last_message_at);
	json_write_string(
		t, "last_message_status", message_status_to_string(c->last_message_status));
}

cJSON *encode_chat_info(const struct chat_info *c)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "chat_id", c->id);
	json_write_string(&t, "user_id", c->user_id);
	json_write_string(&t, "username", c->username);
	json_write_string(&t, "last_username", c->last_username);
	json_write_string(&t, "last_user_profile_url", c->last_user_profile_url);
	write_last_message(&t, c);
	json_write_integer(&t, "unread_count", c->unread);
	json_write_bool(&t, "provisional", c->provisional);
	json_write_object_end(&t);
	return json_text_take(&t);
}

void session_status_from_lock(struct session_status *ret, const struct lock_state *lock)
{
	*ret = (struct session_status){
		.state = SESSION_LOCKED,
		.since = lock->since,
		.last_error = lock->detail,
	};
}

void write_connection(struct json_text *t, const char *member, const struct session_status *s)
{
	json_write_object(t, member);
	json_write_string(t, "state", session_state_to_string(s->state));
	json_write_integer(t, "since", s->since);
	if (s->next_attempt_at)
		json_write_integer(t, "next_attempt_at", s->next_attempt_at);
	else
		json_write_string(t, "next_attempt_at", NULL);
	json_write_string(t, "last_error", s->last_error);
	json_write_object_end(t);
}

cJSON *encode_connection(const struct session_status *s)
{
	struct json_text t = { 0 };

	write_connection(&t, NULL, s);
	return json_text_take(&t);
}

cJSON *encode_chat_open(const char *chat_id, const char *message_id, const char *token)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "chat_id", chat_id);
	json_write_string(&t, "message_id", message_id);
	json_write_string(&t, "activation_token", token);
	json_write_object_end(&t);
	return json_text_take(&t);
}

void write_account(struct json_text *t, const char *member, const char *name,
	const struct repository_status *s)
{
	json_write_object(t, member);
	json_write_string(t, "name", name);
	json_write_bool(t, "signed_in", s->signed_in);
	json_write_string(t, "server", s->server);
	json_write_string(t, "user_id", s->user_id);
	json_write_string(t, "username", s->user_name);
	json_write_object_end(t);
}

cJSON *encode_account(const char *name, const struct repository_status *s)
{
	struct json_text t = { 0 };

	write_account(&t, NULL, name, s);
	return json_text_take(&t);
}

static cJSON *encode_reference(const char *chat_id, const char *message_id)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "chat_id", chat_id);
	if (message_id)
		json_write_string(&t, "message_id", message_id);
	json_write_object_end(&t);
	return json_text_take(&t);
}

cJSON *encode_change(const struct change *c)
{
	switch (c->topic) {
	case CHANGE_MESSAGE_ADDED:
	case CHANGE_MESSAGE_UPDATED:
		return encode_message(c->message);
	case CHANGE_MESSAGE_REMOVED:
		return encode_reference(c->chat_id, c->message_id);
	case CHANGE_CHAT_UPDATED:
		return encode_chat_info(c->chat);
	case CHANGE_CHAT_REMOVED:
		return encode_reference(c->chat_id, NULL);
	case CHANGE_ATTACHMENT_UPDATED:
		return encode_attachment(c->attachment);
	}
	return NULL;
}
