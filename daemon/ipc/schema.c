/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/schema.h"

#include <stdio.h>

#include "ipc/json-build.h"

cJSON *schema_values(const char *const *values)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *list;

	if (!o || !json_add_string(o, "type", "string"))
		return NULL;
	list = cJSON_AddArrayToObject(o, "enum");
	for (size_t i = 0; values[i]; i++)
		if (!list || !json_append(list, cJSON_CreateString(values[i])))
			return NULL;
	return TAKE_PTR(o);
}

static cJSON *of_type(const char *type, const char *key, const char *value)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "type", type) || (key && !json_add_string(o, key, value)))
		return NULL;
	return TAKE_PTR(o);
}

static cJSON *plain(const struct schema_field *f)
{
	switch (f->kind) {
	case SCHEMA_STRING:
		return of_type("string", NULL, NULL);
	case SCHEMA_ID:
		return of_type("string", "pattern", "^[!-~]{1,64}$");
	case SCHEMA_INTEGER:
		return of_type("integer", NULL, NULL);
	case SCHEMA_TIME:
		return of_type("integer", "format", "unix-ms");
	case SCHEMA_BOOLEAN:
		return of_type("boolean", NULL, NULL);
	case SCHEMA_ENUM:
		return schema_values(f->values);
	case SCHEMA_OBJECT:
		return schema_reference(f->object);
	}
	return NULL;
}

/* { "oneOf": [ item, { "type": "null" } ] }; takes `item`. */
static cJSON *or_null(cJSON *item)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *choices = o ? cJSON_AddArrayToObject(o, "oneOf") : NULL;

	if (!choices) {
		cJSON_Delete(item);
		return NULL;
	}
	if (!json_append(choices, item) || !json_append(choices, of_type("null", NULL, NULL)))
		return NULL;
	return TAKE_PTR(o);
}

static cJSON *list_of(cJSON *item)
{
	_cleanup_(cJSON_Deletep) cJSON *o = of_type("array", NULL, NULL);

	if (!o) {
		cJSON_Delete(item);
		return NULL;
	}
	return json_add_item(o, "items", item) ? TAKE_PTR(o) : NULL;
}

static cJSON *field_to_json(const struct schema_field *f)
{
	_cleanup_(cJSON_Deletep) cJSON *o = plain(f);

	if (o && (f->flags & SCHEMA_LIST))
		o = list_of(o);
	if (o && (f->flags & SCHEMA_NULLABLE))
		o = or_null(o);
	if (!o || !json_add_string(o, "description", f->doc))
		return NULL;
	return TAKE_PTR(o);
}

cJSON *schema_to_json(const struct schema *s)
{
	_cleanup_(cJSON_Deletep) cJSON *o = of_type("object", "description", s->doc);
	cJSON *properties = o ? cJSON_AddObjectToObject(o, "properties") : NULL;
	cJSON *required = properties ? cJSON_AddArrayToObject(o, "required") : NULL;

	if (!required)
		return NULL;
	for (const struct schema_field *f = s->fields; f->name; f++) {
		if (!json_add_item(properties, f->name, field_to_json(f)))
			return NULL;
		if (!(f->flags & SCHEMA_OPTIONAL) &&
			!json_append(required, cJSON_CreateString(f->name)))
			return NULL;
	}
	return TAKE_PTR(o);
}

cJSON *schema_reference(const struct schema *s)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	char path[80];

	if (!s->name)
		return schema_to_json(s);
	snprintf(path, sizeof(path), "#/components/schemas/%s", s->name);
	o = cJSON_CreateObject();
	if (!o || !json_add_string(o, "$ref", path))
		return NULL;
	return TAKE_PTR(o);
}
