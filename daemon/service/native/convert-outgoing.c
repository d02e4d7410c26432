/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "service/native/convert.h"

static bool add_string(cJSON *o, const char *name, const char *value)
{
	return !value || cJSON_AddStringToObject(o, name, value);
}

static bool add_number(cJSON *o, const char *name, int64_t value)
{
	return cJSON_AddNumberToObject(o, name, (double)value);
}

static bool add_attachment_data(cJSON *array, const struct attachment *a)
{
	cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddItemToArray(array, o)) {
		cJSON_Delete(o);
		return false;
	}
	return add_string(o, "id", a->id) && add_string(o, "mime", a->mime) &&
		add_number(o, "size", a->size) && add_number(o, "width", a->width) &&
		add_number(o, "height", a->height) && add_string(o, "sha256", a->sha256) &&
		add_string(o, "url", a->url) && add_string(o, "preview_url", a->preview_url) &&
		add_number(o, "preview_size", a->preview_size) && add_string(o, "name", a->name);
}

static char *attachment_list(const struct message *m)
{
	size_t size = 1;
	char *list, *at;

	for (size_t i = 0; i < m->n_attachments; i++)
		size += strlen(m->attachments[i].id) + 1;
	list = at = malloc(size);
	if (!list)
		return NULL;
	*at = '\0';
	for (size_t i = 0; i < m->n_attachments; i++)
		at += sprintf(at, "%s%s", i ? "," : "", m->attachments[i].id);
	return list;
}

static bool add_message_data(cJSON *payload, const struct message *m)
{
	_cleanup_free_ char *list = attachment_list(m);
	cJSON *o = cJSON_AddObjectToObject(payload, "message");

	return o && list && add_string(o, "id", m->id) && add_string(o, "chat_id", m->chat_id) &&
		add_string(o, "user_id", m->user_id) &&
		add_string(o, "text", m->text ? m->text : "") &&
		add_string(o, "status", message_status_to_string(m->status)) &&
		add_number(o, "created_at", m->created_at) && add_string(o, "attachments", list);
}

cJSON *convert_outgoing(const struct message *m)
{
	_cleanup_(cJSON_Deletep) cJSON *payload = cJSON_CreateObject();
	cJSON *array;

	if (!payload || !add_message_data(payload, m))
		return NULL;
	array = cJSON_AddArrayToObject(payload, "attachments");
	if (!array)
		return NULL;
	for (size_t i = 0; i < m->n_attachments; i++)
		if (!add_attachment_data(array, &m->attachments[i]))
			return NULL;
	return TAKE_PTR(payload);
}
