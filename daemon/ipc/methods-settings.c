/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/request.h"

static const char *const type_names[] = {
	[SETTING_CHOICE] = "choice",
	[SETTING_INTEGER] = "integer",
	NULL,
};

static const struct schema_field setting_fields[] = {
	{ "name", SCHEMA_STRING, .doc = "Its name." },
	{ "value", SCHEMA_STRING, .doc = "What it is now." },
	{ "default", SCHEMA_STRING, .doc = "What it is when nobody has set it." },
	{ "type", SCHEMA_ENUM, .values = type_names,
		.doc = "A choice is one of values; an integer is from minimum to maximum, in "
		       "decimal digits." },
	{ "values", SCHEMA_STRING, SCHEMA_LIST | SCHEMA_OPTIONAL, .doc = "Of a choice." },
	{ "minimum", SCHEMA_INTEGER, SCHEMA_OPTIONAL, .doc = "Of an integer." },
	{ "maximum", SCHEMA_INTEGER, SCHEMA_OPTIONAL, .doc = "Of an integer." },
	{ "doc", SCHEMA_STRING, .doc = "What it does." },
	{ 0 },
};

static const struct schema setting_schema = {
	.doc = "A setting. All values are text.",
	.fields = setting_fields,
};

static const struct schema_field get_result_fields[] = {
	{ "settings", SCHEMA_OBJECT, SCHEMA_LIST, .object = &setting_schema,
		.doc = "All of them, or the one asked for." },
	{ 0 },
};

static const struct schema get_result = {
	.doc = "The settings.",
	.fields = get_result_fields,
};

static bool add_limits(cJSON *o, const struct setting *s)
{
	cJSON *values;

	if (s->type == SETTING_INTEGER)
		return json_add_integer(o, "minimum", s->min) &&
			json_add_integer(o, "maximum", s->max);
	values = cJSON_AddArrayToObject(o, "values");
	for (size_t i = 0; values && s->values[i]; i++)
		if (!json_append(values, cJSON_CreateString(s->values[i])))
			return false;
	return values;
}

static cJSON *encode_setting(struct repository *r, const struct setting *s)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	_cleanup_free_ char *value = NULL;

	if (!o || setting_get(r, s->name, &value) < 0 || !json_add_string(o, "name", s->name) ||
		!json_add_string(o, "value", value) || !json_add_string(o, "default", s->initial) ||
		!json_add_string(o, "type", type_names[s->type]) || !add_limits(o, s) ||
		!json_add_string(o, "doc", s->doc))
		return NULL;
	return TAKE_PTR(o);
}

static void reply_settings(struct request *rq, const char *only)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *list = o ? cJSON_AddArrayToObject(o, "settings") : NULL;

	for (const struct setting *s = setting_table(); list && s->name; s++) {
		if (only && strcmp(only, s->name) != 0)
			continue;
		if (!json_append(list, encode_setting(rq->api->repository, s)))
			list = NULL;
	}
	if (list && only && cJSON_GetArraySize(list) == 0)
		return request_fail_with(rq, FAILURE_NOT_FOUND, "there is no setting of this name");
	request_reply(rq, list ? TAKE_PTR(o) : NULL);
}

struct get_params {
	const char *name;
};

static const struct json_field get_fields[] = {
	{ "name", JSON_STRING, JSON_NULLABLE, offsetof(struct get_params, name), 1, 64,
		"Left out: all of them." },
	{ 0 },
};

static void on_get(struct request *rq)
{
	const struct get_params *p = rq->params;

	reply_settings(rq, p->name);
}

struct set_params {
	const char *name;
	const char *value;
};

static const struct json_field set_fields[] = {
	{ "name", JSON_STRING, JSON_REQUIRED, offsetof(struct set_params, name), 1, 64,
		"Which one." },
	{ "value", JSON_STRING, JSON_NULLABLE, offsetof(struct set_params, value), 0, 1024,
		"As text. Left out or null: the default again." },
	{ 0 },
};

static void on_set(struct request *rq)
{
	const struct set_params *p = rq->params;
	struct failure failure;

	if (setting_set(rq->api->repository, p->name, p->value, &failure) < 0)
		request_fail(rq, &failure);
	else
		reply_settings(rq, p->name);
}

const struct method methods_settings[] = {
	{
		.name = "settings.get",
		.summary = "The settings, with their types and what they do.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &get_result,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_get,
	},
	{
		.name = "settings.set",
		.summary = "Changes a setting, effective at once.",
		.params = set_fields,
		.params_size = sizeof(struct set_params),
		.result = &get_result,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_INVALID |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_set,
	},
	{ 0 },
};
