/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/encode.h"

#include <string.h>

#include "ipc/json-build.h"

cJSON *encode_user(const struct user *u)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "user_id", u->id) || !json_add_string(o, "name", u->name) ||
		!json_add_string(o, "picture_url", u->picture_url))
		return NULL;
	return TAKE_PTR(o);
}

static bool add_owner(cJSON *o, const struct attachment *a)
{
	if (a->message_id && !json_add_string(o, "message_id", a->message_id))
		return false;
	return !a->chat_id || json_add_string(o, "chat_id", a->chat_id);
}

static cJSON *attachment_object(const struct attachment *a, bool nested)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "attachment_id", a->id);

	ok = ok && (nested || add_owner(o, a));
	ok = ok && json_add_string(o, "mime", a->mime);
	ok = ok && json_add_string(o, "name", a->name);
	ok = ok && json_add_integer(o, "width", a->width);
	ok = ok && json_add_integer(o, "height", a->height);
	ok = ok && json_add_integer(o, "size", a->size);
	ok = ok && json_add_integer(o, "progress", a->progress);
	ok = ok && json_add_string(o, "status", attachment_status_to_string(a->status));
	ok = ok && json_add_bool(o, "preview_ready", a->preview_stored);
	return ok ? TAKE_PTR(o) : NULL;
}

cJSON *encode_attachment(const struct attachment *a)
{
	return attachment_object(a, false);
}

static bool add_error(cJSON *o, const struct message *m)
{
	cJSON *error;

	if (m->status != MESSAGE_FAILED || !m->error_title)
		return true;
	error = cJSON_AddObjectToObject(o, "error");
	return error && json_add_string(error, "title", m->error_title) &&
		json_add_string(error, "detail", m->error_detail);
}

static bool add_attachments(cJSON *o, const struct message *m)
{
	cJSON *list = cJSON_AddArrayToObject(o, "attachments");

	for (size_t i = 0; list && i < m->n_attachments; i++)
		if (!json_append(list, attachment_object(&m->attachments[i], true)))
			return false;
	return list;
}

cJSON *encode_message(const struct message *m)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "message_id", m->id);

	ok = ok && json_add_string(o, "chat_id", m->chat_id);
	ok = ok && json_add_string(o, "user_id", m->user_id);
	ok = ok && json_add_bool(o, "outgoing", m->outgoing);
	ok = ok && json_add_string(o, "text", m->text ? m->text : "");
	ok = ok && json_add_string(o, "status", message_status_to_string(m->status));
	ok = ok && add_error(o, m);
	ok = ok && json_add_integer(o, "created_at", m->created_at);
	ok = ok && add_attachments(o, m);
	if (m->seq > 0)
		ok = ok && json_add_integer(o, "seq", m->seq);
	return ok ? TAKE_PTR(o) : NULL;
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
static bool add_snippet(cJSON *o, const char *name, const char *text)
{
	char snippet[ENCODE_SNIPPET_MAX + 1];
	size_t n = ENCODE_SNIPPET_MAX;

	if (!text || strlen(text) <= n)
		return json_add_string(o, name, text);
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	memcpy(snippet, text, n);
	snippet[n] = '\0';
	return json_add_string(o, name, snippet);
}

static bool add_last_message(cJSON *o, const struct chat_info *c)
{
	bool none = c->last_message_at == 0;
	bool ok = json_add_string(o, "last_message_id", c->last_message_id);

	ok = ok && add_snippet(o, "last_message_text", c->last_message_text);
	if (none)
		return ok && json_add_string(o, "last_message_timestamp", NULL) &&
			json_add_string(o, "last_message_status", NULL);
	ok = ok && json_add_integer(o, "last_message_timestamp", c->last_message_at);
	return ok &&
		json_add_string(
			o, "last_message_status", message_status_to_string(c->last_message_status));
}

cJSON *encode_chat_info(const struct chat_info *c)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "chat_id", c->id);

	ok = ok && json_add_string(o, "user_id", c->user_id);
	ok = ok && json_add_string(o, "username", c->username);
	ok = ok && json_add_string(o, "last_username", c->last_username);
	ok = ok && json_add_string(o, "last_user_profile_url", c->last_user_profile_url);
	ok = ok && add_last_message(o, c);
	ok = ok && json_add_integer(o, "unread_count", c->unread);
	ok = ok && json_add_bool(o, "provisional", c->provisional);
	return ok ? TAKE_PTR(o) : NULL;
}

void session_status_from_lock(struct session_status *ret, const struct lock_state *lock)
{
	*ret = (struct session_status){
		.state = SESSION_LOCKED,
		.since = lock->since,
		.last_error = lock->detail,
	};
}

cJSON *encode_connection(const struct session_status *s)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "state", session_state_to_string(s->state));

	ok = ok && json_add_integer(o, "since", s->since);
	if (s->next_attempt_at)
		ok = ok && json_add_integer(o, "next_attempt_at", s->next_attempt_at);
	else
		ok = ok && json_add_string(o, "next_attempt_at", NULL);
	ok = ok && json_add_string(o, "last_error", s->last_error);
	return ok ? TAKE_PTR(o) : NULL;
}

cJSON *encode_chat_open(const char *chat_id, const char *message_id, const char *token)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "chat_id", chat_id);

	ok = ok && json_add_string(o, "message_id", message_id);
	ok = ok && json_add_string(o, "activation_token", token);
	return ok ? TAKE_PTR(o) : NULL;
}

cJSON *encode_account(const char *name, const struct repository_status *s)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "name", name);

	ok = ok && json_add_bool(o, "signed_in", s->signed_in);
	ok = ok && json_add_string(o, "server", s->server);
	ok = ok && json_add_string(o, "user_id", s->user_id);
	ok = ok && json_add_string(o, "username", s->user_name);
	return ok ? TAKE_PTR(o) : NULL;
}

static cJSON *encode_reference(const char *chat_id, const char *message_id)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "chat_id", chat_id))
		return NULL;
	if (message_id && !json_add_string(o, "message_id", message_id))
		return NULL;
	return TAKE_PTR(o);
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
