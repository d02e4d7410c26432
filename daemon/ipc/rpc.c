/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/rpc.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/json-text.h"

#define ID_NUMBER_MAX 9007199254740992.0 /* 2^53; above, a number could not be echoed exactly */

/* Counts, without parsing, what separates or opens values. */
static bool has_too_many_values(const char *line, size_t len)
{
	bool in_string = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			in_string = !in_string;
		else if (!in_string && (line[i] == ',' || line[i] == '[' || line[i] == '{'))
			n++;
	}
	return n > RPC_VALUES_MAX;
}

int rpc_parse(const char *line, size_t len, cJSON **ret, struct rpc_error *ret_error)
{
	int r;

	if (has_too_many_values(line, len)) {
		rpc_error_set(ret_error, CHAT_ERROR_TOO_LARGE, "more than %u values in one line",
			RPC_VALUES_MAX);
		return -EMSGSIZE;
	}
	r = json_parse(line, len, ret);
	if (r == -ENOMEM)
		rpc_error_set(ret_error, CHAT_RPC_INTERNAL_ERROR, "out of memory");
	else if (r < 0)
		rpc_error_set(ret_error, CHAT_RPC_PARSE_ERROR,
			"the line is not one JSON value in UTF-8 without U+0000");
	return r;
}

void rpc_call_clear(struct rpc_call *c)
{
	cJSON_Delete(c->id);
	cJSON_Delete(c->params);
	free(c->method);
	*c = (struct rpc_call){ 0 };
}

static bool id_is_usable(const cJSON *id)
{
	if (cJSON_IsString(id))
		return strlen(id->valuestring) <= RPC_ID_MAX;
	if (cJSON_IsNumber(id))
		return fabs(id->valuedouble) <= ID_NUMBER_MAX;
	return cJSON_IsNull(id);
}

static int invalid(struct rpc_error *e, const char *detail)
{
	rpc_error_set(e, CHAT_RPC_INVALID_REQUEST, "%s", detail);
	return -EINVAL;
}

static int open_id(cJSON *envelope, struct rpc_call *c, struct rpc_error *e)
{
	cJSON *id = cJSON_DetachItemFromObjectCaseSensitive(envelope, "id");

	if (!id || id_is_usable(id)) {
		c->id = cJSON_IsNumber(id) ? json_exact_number(id->valuedouble) : id;
		if (c->id != id)
			cJSON_Delete(id);
		return 0;
	}
	cJSON_Delete(id);
	c->id = cJSON_CreateNull();
	return invalid(
		e, "'id' must be null, a string of at most 256 bytes or a number up to 2^53");
}

static int open_params(cJSON *envelope, struct rpc_call *c, struct rpc_error *e)
{
	c->params = cJSON_DetachItemFromObjectCaseSensitive(envelope, "params");
	if (!c->params || cJSON_IsObject(c->params) || cJSON_IsArray(c->params))
		return 0;
	return invalid(e, "'params' must be an object");
}

static int open_method(cJSON *envelope, struct rpc_call *c, struct rpc_error *e)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(envelope, "jsonrpc");
	const cJSON *method = cJSON_GetObjectItemCaseSensitive(envelope, "method");

	if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0)
		return invalid(e, "'jsonrpc' must be \"2.0\"");
	if (!cJSON_IsString(method))
		return invalid(e, "'method' must be a string");
	c->method = strdup(method->valuestring);
	if (c->method)
		return 0;
	rpc_error_set(e, CHAT_RPC_INTERNAL_ERROR, "out of memory");
	return -ENOMEM;
}

int rpc_open(cJSON *envelope, struct rpc_call *ret, struct rpc_error *ret_error)
{
	struct rpc_call c = { 0 };
	int r;

	if (!cJSON_IsObject(envelope))
		r = invalid(ret_error, "a request is an object");
	else
		r = open_id(envelope, &c, ret_error);
	if (r == 0)
		r = open_method(envelope, &c, ret_error);
	if (r == 0)
		r = open_params(envelope, &c, ret_error);
	/* What is no request cannot be a notification either: it is always answered. */
	if (r < 0 && !c.id)
		c.id = cJSON_CreateNull();
	*ret = c;
	return r;
}

static struct chunk *finish(struct json_text *t)
{
	struct chunk *line = NULL;

	json_write_object_end(t);
	if (buffer_append(&t->buffer, "\n", 1) == 0 && !t->failed)
		line = chunk_new(buffer_bytes(&t->buffer), buffer_size(&t->buffer));
	json_text_clear(t);
	return line;
}

/* Takes `body`. */
static struct chunk *reply_line(const cJSON *id, const char *member, cJSON *body)
{
	struct json_text t = { 0 };

	if (!body)
		return NULL;
	json_write_object(&t, NULL);
	json_write_string(&t, "jsonrpc", "2.0");
	json_write_tree(&t, "id", id);
	json_write_tree(&t, member, body);
	cJSON_Delete(body);
	return finish(&t);
}

struct chunk *rpc_result_line(const cJSON *id, cJSON *result)
{
	return reply_line(id, "result", result);
}

struct chunk *rpc_error_line(const cJSON *id, const struct rpc_error *e)
{
	return reply_line(id, "error", rpc_error_to_json(e));
}

static void begin_notification(struct json_text *t, const char *method)
{
	json_write_object(t, NULL);
	json_write_string(t, "jsonrpc", "2.0");
	json_write_string(t, "method", method);
}

struct chunk *rpc_notification_line(const char *method, cJSON *params)
{
	struct json_text t = { 0 };

	if (!params)
		return NULL;
	begin_notification(&t, method);
	json_write_tree(&t, "params", params);
	cJSON_Delete(params);
	return finish(&t);
}

struct chunk *rpc_change_line(int64_t seq, const char *topic, const cJSON *data)
{
	struct json_text t = { 0 };

	begin_notification(&t, "change");
	json_write_object(&t, "params");
	if (seq > 0)
		json_write_integer(&t, "seq", seq);
	json_write_string(&t, "topic", topic);
	json_write_tree(&t, "data", data);
	json_write_object_end(&t);
	return finish(&t);
}
