/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/discover.h"

#include <stdio.h>
#include <string.h>

#include "ipc/hello.h"
#include "ipc/ipc.h"
#include "ipc/json-build.h"
#include "ipc/method.h"
#include "ipc/topics.h"
#include "libclient/protocol.h"

static const char *const scope_names[] = { "read", "send", "full" };

static bool add_limits(cJSON *schema, const struct json_field *f, const char *min, const char *max)
{
	if (f->min == 0 && f->max == 0)
		return true;
	return json_add_integer(schema, min, f->min) && json_add_integer(schema, max, f->max);
}

static bool describe_type(cJSON *o, const struct json_field *f)
{
	switch (f->type) {
	case JSON_STRING:
		/*
		 * Limits count bytes, of which a character has one or more: only the upper one and
		 * emptiness carry over.
		 */
		if (!json_add_string(o, "type", "string"))
			return false;
		if (f->min > 0 && !json_add_integer(o, "minLength", 1))
			return false;
		return f->max == 0 || json_add_integer(o, "maxLength", f->max);
	case JSON_ID:
		return json_add_string(o, "type", "string") &&
			json_add_string(o, "pattern", "^[!-~]{1,64}$");
	case JSON_INTEGER:
		return json_add_string(o, "type", "integer") &&
			add_limits(o, f, "minimum", "maximum");
	case JSON_BOOLEAN:
		return json_add_string(o, "type", "boolean");
	case JSON_OBJECT:
		return json_add_string(o, "type", "object");
	case JSON_ARRAY:
		return json_add_string(o, "type", "array") &&
			add_limits(o, f, "minItems", "maxItems");
	}
	return false;
}

static cJSON *describe_field(const struct json_field *f)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !describe_type(o, f) || (f->doc && !json_add_string(o, "description", f->doc)))
		return NULL;
	return TAKE_PTR(o);
}

static cJSON *describe_object(const struct json_field *table)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *properties;

	if (!o || !json_add_string(o, "type", "object") ||
		!json_add_bool(o, "additionalProperties", false))
		return NULL;
	properties = cJSON_AddObjectToObject(o, "properties");
	for (const struct json_field *f = table; f->name; f++)
		if (!properties || !json_add_item(properties, f->name, describe_field(f)))
			return NULL;
	return TAKE_PTR(o);
}

static const struct param_detail *find_detail(const struct method *m, const char *name)
{
	for (const struct param_detail *d = m->details; d && d->name; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static bool add_values(cJSON *schema, const char *const *values)
{
	cJSON *o = schema_values(values);
	bool ok = o && json_add_item(schema, "enum", cJSON_DetachItemFromObject(o, "enum"));

	cJSON_Delete(o);
	return ok;
}

static bool add_detail(cJSON *schema, const struct json_field *f, const struct param_detail *d)
{
	const struct json_field id = { .type = JSON_ID };

	if (!d)
		return true;
	if (f->type != JSON_ARRAY)
		return add_values(schema, d->values);
	if (d->items)
		return json_add_item(schema, "items", describe_object(d->items));
	return json_add_item(
		schema, "items", d->ids ? describe_field(&id) : schema_values(d->values));
}

/* What a parameter is when left out, if that is a value it could have been given. */
static bool add_default(cJSON *schema, const struct json_field *f, const void *defaults)
{
	const char *at = defaults ? (const char *)defaults + f->offset : NULL;
	const char *s;
	int64_t n;

	if (!at || (f->flags & JSON_REQUIRED))
		return true;
	if (f->type == JSON_INTEGER) {
		memcpy(&n, at, sizeof(n));
		return n < f->min || n > f->max || json_add_integer(schema, "default", n);
	}
	if (f->type != JSON_STRING)
		return true;
	memcpy(&s, at, sizeof(s));
	return !s || json_add_string(schema, "default", s);
}

static cJSON *describe_param(const struct method *m, const struct json_field *f)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *schema;

	if (!o || !json_add_string(o, "name", f->name) ||
		!json_add_string(o, "description", f->doc) ||
		!json_add_bool(o, "required", f->flags & JSON_REQUIRED))
		return NULL;
	schema = cJSON_AddObjectToObject(o, "schema");
	if (!schema || !describe_type(schema, f) ||
		!add_detail(schema, f, find_detail(m, f->name)) ||
		!add_default(schema, f, m->defaults))
		return NULL;
	return TAKE_PTR(o);
}

static bool add_params(cJSON *o, const struct method *m)
{
	cJSON *params = cJSON_AddArrayToObject(o, "params");

	for (const struct json_field *f = m->params; f && f->name; f++)
		if (!params || !json_append(params, describe_param(m, f)))
			return false;
	return params && json_add_string(o, "paramStructure", "by-name");
}

static bool add_result(cJSON *o, const struct method *m)
{
	cJSON *result = cJSON_AddObjectToObject(o, "result");

	return result && json_add_string(result, "name", "result") &&
		json_add_item(result, "schema", schema_reference(m->result));
}

static cJSON *error_reference(const char *kind)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	char path[80];

	snprintf(path, sizeof(path), "#/components/errors/%s", kind);
	return o && json_add_string(o, "$ref", path) ? TAKE_PTR(o) : NULL;
}

static bool add_errors(cJSON *o, const struct method *m)
{
	cJSON *errors = cJSON_AddArrayToObject(o, "errors");
	unsigned all = m->errors | METHOD_COMMON_ERRORS;

	for (unsigned kind = 0; errors && all >> kind; kind++) {
		int code = rpc_error_code_of_failure((enum failure_kind)kind);

		if ((all & 1u << kind) &&
			!json_append(errors, error_reference(rpc_error_code(code)->kind)))
			return false;
	}
	return errors;
}

static bool add_scopes(cJSON *o, const struct method *m)
{
	cJSON *scopes = cJSON_AddArrayToObject(o, "x-scopes");

	for (unsigned i = 0; i < ARRAY_SIZE(scope_names); i++)
		if ((m->scopes | SCOPE_FULL) & 1u << i)
			if (!scopes || !json_append(scopes, cJSON_CreateString(scope_names[i])))
				return false;
	return scopes;
}

static cJSON *describe_method(const struct method *m)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok = o && json_add_string(o, "name", m->name) &&
		json_add_string(o, "summary", m->summary);

	if (m->doc)
		ok = ok && json_add_string(o, "description", m->doc);
	ok = ok && add_params(o, m) && add_result(o, m) && add_errors(o, m) && add_scopes(o, m);
	return ok ? TAKE_PTR(o) : NULL;
}

static bool add_methods(cJSON *o)
{
	cJSON *methods = cJSON_AddArrayToObject(o, "methods");

	for (size_t i = 0; methods && method_tables[i]; i++)
		for (const struct method *m = method_tables[i]; m->name; m++)
			if (!json_append(methods, describe_method(m)))
				return false;
	return methods;
}

static cJSON *describe_topic(unsigned i)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "topic", topic_names[i]) ||
		!json_add_string(o, "description", topics[i].doc) ||
		!json_add_bool(o, "durable", topic_is_durable(i)) ||
		!json_add_item(o, "data", schema_reference(topics[i].data)))
		return NULL;
	return TAKE_PTR(o);
}

static bool add_topics(cJSON *o)
{
	cJSON *list = cJSON_AddArrayToObject(o, "x-topics");

	for (unsigned i = 0; list && i < N_TOPICS; i++)
		if (!json_append(list, describe_topic(i)))
			return false;
	return list;
}

static const struct schema_field change_fields[] = {
	{ "seq", SCHEMA_INTEGER, SCHEMA_OPTIONAL,
		.doc = "Its place in the order of changes; missing for the ephemeral topics." },
	{ "topic", SCHEMA_ENUM, .values = topic_names, .doc = "What it is about." },
	{ "data", SCHEMA_OBJECT, .object = &schema_nothing,
		.doc = "What changed, as it is now; its type is the topic's." },
	{ 0 },
};

static const struct schema change = {
	.doc = "A change of a topic asked for with events.subscribe.",
	.fields = change_fields,
};

static bool add_notification(cJSON *list, const char *name, const struct schema *params)
{
	cJSON *o = cJSON_CreateObject();

	return json_append(list, o) && json_add_string(o, "name", name) &&
		json_add_item(o, "params", schema_reference(params));
}

static bool add_notifications(cJSON *o)
{
	cJSON *list = cJSON_AddArrayToObject(o, "x-notifications");

	return list && add_notification(list, "hello", &schema_hello) &&
		add_notification(list, "change", &change) && add_topics(o);
}

static cJSON *describe_error(const struct rpc_error_code *code)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *data;

	if (!o || !json_add_integer(o, "code", code->code) ||
		!json_add_string(o, "message", code->kind))
		return NULL;
	data = cJSON_AddObjectToObject(o, "data");
	if (!data || !json_add_string(data, "kind", code->kind) ||
		!json_add_bool(data, "retryable", code->retryable))
		return NULL;
	return TAKE_PTR(o);
}

static bool add_components(cJSON *o)
{
	cJSON *components = cJSON_AddObjectToObject(o, "components");
	cJSON *schemas = components ? cJSON_AddObjectToObject(components, "schemas") : NULL;
	cJSON *errors = schemas ? cJSON_AddObjectToObject(components, "errors") : NULL;
	const struct rpc_error_code *codes;
	size_t n;

	for (size_t i = 0; errors && schema_types[i]; i++)
		if (!json_add_item(schemas, schema_types[i]->name, schema_to_json(schema_types[i])))
			return false;
	codes = rpc_error_codes(&n);
	for (size_t i = 0; errors && i < n; i++)
		if (!json_add_item(errors, codes[i].kind, describe_error(&codes[i])))
			return false;
	return errors;
}

static bool add_info(cJSON *o)
{
	cJSON *info = cJSON_AddObjectToObject(o, "info");

	return info && json_add_string(info, "title", "chatd") &&
		json_add_string(info, "version", CHAT_API_VERSION) &&
		json_add_string(info, "description",
			"What frontends ask of chatd, over a Unix socket, in JSON-RPC 2.0.");
}

cJSON *discover(void)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o || !json_add_string(o, "openrpc", "1.3.2") || !add_info(o) || !add_methods(o) ||
		!add_notifications(o) || !add_components(o))
		return NULL;
	return TAKE_PTR(o);
}

char *ipc_discover_json(void)
{
	_cleanup_(cJSON_Deletep) cJSON *o = discover();

	return o ? cJSON_Print(o) : NULL;
}
