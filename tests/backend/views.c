/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "views.h"

#include <string.h>

#include "json.h"
#include "server.h"

static void add_string_or_null(cJSON *o, const char *name, const char *value)
{
	if (value && *value)
		cJSON_AddStringToObject(o, name, value);
	else
		cJSON_AddNullToObject(o, name);
}

cJSON *view_user(const struct user *u)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", u->id);
	cJSON_AddStringToObject(o, "name", u->name);
	add_string_or_null(o, "picture_url", u->picture_url);
	return o;
}

cJSON *view_chat(struct member *m)
{
	struct chat *c = m->chat;
	struct member *peer = chat_peer(c, m->user);
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", c->id);
	cJSON_AddStringToObject(o, "user_id", peer->user->id);
	add_string_or_null(o, "last_message_id", c->last_message);
	add_string_or_null(o, "last_user_id", c->last_user ? c->last_user->id : NULL);
	add_integer(o, "last_seq", c->last_seq);
	add_integer(o, "created_at", c->created_at);
	add_integer(o, "read_seq", m->read_seq);
	add_integer(o, "peer_read_seq", peer->read_seq);
	add_integer(o, "peer_received_seq", peer->received_seq);
	return o;
}

cJSON *view_message(const struct message *m)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "id", m->id);
	cJSON_AddStringToObject(o, "chat_id", m->chat->id);
	cJSON_AddStringToObject(o, "user_id", m->user_id);
	cJSON_AddStringToObject(o, "text", m->text);
	cJSON_AddStringToObject(o, "status", "SENT");
	add_integer(o, "created_at", m->created_at);
	cJSON_AddStringToObject(o, "attachments", m->attachments);
	add_integer(o, "seq", m->seq);
	return o;
}

static void add_url(
	cJSON *o, const char *name, struct server *server, const char *id, enum variant variant)
{
	char url[256];

	server_bytes_url(server, id, variant, url, sizeof(url));
	cJSON_AddStringToObject(o, name, url);
}

cJSON *view_attachment(struct server *server, const char *id)
{
	struct attachment a;
	cJSON *o;

	if (attachment_find(server->store, id, &a) < 0)
		return NULL;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "id", id);
	cJSON_AddStringToObject(o, "mime", a.full.mime);
	add_integer(o, "size", a.full.length);
	add_integer(o, "width", a.full.width);
	add_integer(o, "height", a.full.height);
	cJSON_AddStringToObject(o, "sha256", a.full.sha256);
	add_url(o, "url", server, id, VARIANT_FULL);
	add_url(o, "preview_url", server, id, VARIANT_PREVIEW);
	add_integer(o, "preview_size", a.preview.length);
	if (*a.full.name)
		cJSON_AddStringToObject(o, "name", a.full.name);
	return o;
}

struct gathering {
	struct server *server;
	cJSON *array;
};

static int gather(void *userdata, const char *id)
{
	struct gathering *g = userdata;
	cJSON *o = view_attachment(g->server, id);

	if (o)
		cJSON_AddItemToArray(g->array, o);
	return 0;
}

void view_attachments_of(struct server *server, const char *ids, cJSON *array)
{
	struct gathering g = { server, array };

	each_attachment(ids, gather, &g);
}
