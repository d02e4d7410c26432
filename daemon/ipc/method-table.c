/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/method.h"

#include <errno.h>
#include <string.h>

#include "base/uuid.h"
#include "ipc/suggest.h"

const struct method *const method_tables[] = {
	methods_daemon,
	methods_account,
	methods_chats,
	methods_messages,
	methods_outbox,
	methods_attachments,
	methods_events,
	methods_consumers,
	methods_changes,
	methods_settings,
	methods_storage,
	methods_users,
	methods_rpc,
	methods_search,
	NULL,
};

static void set_unknown(struct rpc_error *e, int code, const char *noun, const char *name,
	const struct suggestion *s)
{
	if (!name_is_presentable(name))
		rpc_error_set(e, code, "there is no %s of that name", noun);
	else if (s->best)
		rpc_error_set(
			e, code, "there is no %s '%s'; did you mean '%s'?", noun, name, s->best);
	else
		rpc_error_set(e, code, "there is no %s '%s'", noun, name);
}

static const struct method *find(const char *name)
{
	for (size_t i = 0; method_tables[i]; i++)
		for (const struct method *m = method_tables[i]; m->name; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

const struct method *method_find(const char *name, struct rpc_error *ret_error)
{
	const struct method *found = find(name);
	struct suggestion suggestion = { 0 };

	if (found)
		return found;
	for (size_t i = 0; method_tables[i]; i++)
		for (const struct method *m = method_tables[i]; m->name; m++)
			suggest_consider(&suggestion, name, m->name);
	set_unknown(ret_error, CHAT_RPC_METHOD_NOT_FOUND, "method", name, &suggestion);
	return NULL;
}

static bool has_param(const struct method *m, const char *name)
{
	for (const struct json_field *f = m->params; f && f->name; f++)
		if (strcmp(f->name, name) == 0)
			return true;
	return false;
}

static int check_known(const struct method *m, const cJSON *params, struct rpc_error *e)
{
	const cJSON *param;

	cJSON_ArrayForEach(param, params) {
		struct suggestion suggestion = { 0 };

		if (has_param(m, param->string))
			continue;
		for (const struct json_field *f = m->params; f && f->name; f++)
			suggest_consider(&suggestion, param->string, f->name);
		set_unknown(e, CHAT_RPC_INVALID_PARAMS, "parameter", param->string, &suggestion);
		return -EINVAL;
	}
	return 0;
}

static int check_value(const struct param_detail *d, const cJSON *v, struct rpc_error *e)
{
	struct suggestion suggestion = { 0 };

	if (!cJSON_IsString(v)) {
		rpc_error_set(e, CHAT_RPC_INVALID_PARAMS, "'%s' takes strings only", d->name);
		return -EINVAL;
	}
	for (size_t i = 0; d->values && d->values[i]; i++) {
		if (strcmp(d->values[i], v->valuestring) == 0)
			return 0;
		suggest_consider(&suggestion, v->valuestring, d->values[i]);
	}
	if (d->ids && id_is_valid(v->valuestring))
		return 0;
	if (d->ids)
		rpc_error_set(e, CHAT_RPC_INVALID_PARAMS,
			"'%s' takes ids: 1 to 64 printable ASCII characters", d->name);
	else if (suggestion.best)
		rpc_error_set(e, CHAT_RPC_INVALID_PARAMS,
			"'%s' does not know that value; did you mean '%s'?", d->name,
			suggestion.best);
	else
		rpc_error_set(e, CHAT_RPC_INVALID_PARAMS, "'%s' does not know that value", d->name);
	return -EINVAL;
}

static int check_details(const struct method *m, const cJSON *params, struct rpc_error *e)
{
	for (const struct param_detail *d = m->details; d && d->name; d++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(params, d->name), *item;
		int r = 0;

		if (!v || cJSON_IsNull(v) || d->items)
			continue;
		if (cJSON_IsArray(v)) {
			cJSON_ArrayForEach(item, v)
				if (r == 0)
					r = check_value(d, item, e);
		} else {
			r = check_value(d, v, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int method_decode(
	const struct method *m, const cJSON *params, void *target, struct rpc_error *ret_error)
{
	static const struct json_field none[] = { { 0 } };
	const cJSON empty = { .type = cJSON_Object };
	struct json_error error;
	int r;

	if (!params)
		params = &empty;
	if (!cJSON_IsObject(params)) {
		rpc_error_set(
			ret_error, CHAT_RPC_INVALID_PARAMS, "parameters are given by name only");
		return -EINVAL;
	}
	r = check_known(m, params, ret_error);
	if (r < 0)
		return r;
	if (m->defaults)
		memcpy(target, m->defaults, m->params_size);
	r = json_fields_decode(m->params ? m->params : none, params, false, target, &error);
	if (r < 0) {
		rpc_error_set(ret_error, CHAT_RPC_INVALID_PARAMS, "%s", error.text);
		return r;
	}
	return check_details(m, params, ret_error);
}
