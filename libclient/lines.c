/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an incoming line means: the greeting, an answer or a change. */
#include "client-internal.h"

#include <errno.h>
#include <string.h>

/* Lines in one dispatch, so that a flood of changes leaves the caller's loop some time. */
#define LINES_MAX 64

bool lines_pending(const struct chat_client *c)
{
	return c->input_end > c->input_scanned &&
		memchr(c->input + c->input_scanned, '\n', c->input_end - c->input_scanned);
}

/* A JSON object from a line; NULL for anything else. */
static cJSON *parse_line(const char *line, size_t length)
{
	const char *end = NULL;
	cJSON *json;

	if (!utf8_is_valid(line, length) || memchr(line, '\0', length))
		return NULL;
	json = cJSON_ParseWithLengthOpts(line, length, &end, 0);
	while (json && end < line + length && strchr(" \t\r", *end))
		end++;
	if (json && cJSON_IsObject(json) && end == line + length)
		return json;
	cJSON_Delete(json);
	return NULL;
}

static const char *string_member(const cJSON *object, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

static void on_hello(struct chat_client *c, cJSON *message)
{
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(message, "params");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
	const char *method = string_member(message, "method");
	struct error_store why;

	if (cJSON_IsObject(error)) {
		error_set_rpc(&why, error);
		cJSON_Delete(message);
		connection_lost(c, &why);
		return;
	}
	c->hello.api = string_member(params, "api");
	if (!method || strcmp(method, "hello") != 0 || !c->hello.api) {
		cJSON_Delete(message);
		connection_protocol_error(c, "this is not the daemon's socket: no greeting");
		return;
	}
	if (strncmp(c->hello.api, "1.", 2) != 0 && strcmp(c->hello.api, "1") != 0) {
		error_set(&why, CHAT_CLIENT_ERROR_VERSION,
			"the daemon speaks version %s of the API, this library %s", c->hello.api,
			CHAT_API_VERSION);
		cJSON_Delete(message);
		connection_lost(c, &why);
		return;
	}
	c->hello.daemon = string_member(params, "daemon");
	c->hello.instance_id = string_member(params, "instance_id");
	c->hello.account = string_member(params, "account");
	c->hello.scope = string_member(params, "scope");
	c->hello.locked = string_member(params, "locked");
	c->hello_result = result_new(message);
	if (c->hello_result) {
		connection_ready(c);
		return;
	}
	error_set(&why, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	connection_lost(c, &why);
}

/*
 * Takes as many of the received descriptors as the result speaks of. They come in the order of the
 * answers that they belong to, so that counting tells them apart.
 */
static int take_fds(struct chat_client *c, struct result *result)
{
	const cJSON *fd = cJSON_GetObjectItemCaseSensitive(result_json(result), "fd");
	size_t n = cJSON_IsNumber(fd) && fd->valueint >= 0 ? (size_t)fd->valueint + 1 : 0;
	int e;

	if (n > c->n_received_fds)
		return -EBADMSG;
	e = result_set_fds(result, c->received_fds, n);
	if (e < 0)
		return e;
	c->n_received_fds -= n;
	memmove(c->received_fds, c->received_fds + n, c->n_received_fds * sizeof(int));
	return 0;
}

/* Takes `json`. */
static void on_result(struct chat_client *c, struct request *r, cJSON *json)
{
	struct result *result = result_new(json);
	struct error_store why;
	int e = result ? take_fds(c, result) : -ENOMEM;

	if (e < 0) {
		result_unref(result);
		error_set(&why,
			e == -ENOMEM ? CHAT_CLIENT_ERROR_NO_MEMORY : CHAT_CLIENT_ERROR_PROTOCOL,
			e == -ENOMEM ? "out of memory" : "an answer came without its descriptors");
		connection_lost(c, &why);
		return;
	}
	if (r)
		request_answered(c, r, result, NULL);
	else
		result_unref(result); /* it came after its deadline */
}

static void on_answer(struct chat_client *c, cJSON *message, const cJSON *id)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
	struct request *r = request_find(c, id->valueint);
	struct error_store why;

	if (r && r->sent < r->length) {
		connection_protocol_error(c, "an answer came before its request was sent");
	} else if (cJSON_IsObject(error)) {
		error_set_rpc(&why, error);
		if (r)
			request_answered(c, r, NULL, &why);
	} else if (cJSON_HasObjectItem(message, "result")) {
		on_result(c, r, cJSON_DetachItemFromObjectCaseSensitive(message, "result"));
	} else {
		connection_protocol_error(c, "an answer has neither a result nor an error");
	}
}

static void on_line(struct chat_client *c, const char *line, size_t length)
{
	cJSON *message = parse_line(line, length);
	const char *method = string_member(message, "method");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");

	if (!message) {
		connection_protocol_error(c, "the daemon sent a line that is no JSON object");
		return;
	}
	if (c->state == CHAT_CLIENT_GREETING) {
		on_hello(c, message);
		return;
	}
	if (method && strcmp(method, "change") == 0)
		subscription_on_change(
			c, cJSON_DetachItemFromObjectCaseSensitive(message, "params"));
	else if (!method && cJSON_IsNumber(id))
		on_answer(c, message, id);
	else if (!method)
		connection_protocol_error(c, "the daemon sent an answer to no request");
	cJSON_Delete(message);
}

/* It is consumed before it is acted upon, which may end the connection and free the buffer. */
static bool next_line(struct chat_client *c)
{
	char *start = c->input + c->input_start;
	char *end = memchr(c->input + c->input_scanned, '\n', c->input_end - c->input_scanned);
	size_t length;

	if (!end) {
		c->input_scanned = c->input_end;
		return false;
	}
	length = (size_t)(end - start);
	if (length >= CHAT_LINE_MAX) {
		connection_protocol_error(c, "the daemon sent an oversized line");
		return true;
	}
	c->input_start += length + 1;
	c->input_scanned = c->input_start;
	on_line(c, start, length);
	return true;
}

bool lines_process(struct chat_client *c)
{
	bool any = false;

	c->caller_is_due = false;
	for (int i = 0; i < LINES_MAX && !c->closed && c->input_end > c->input_scanned; i++) {
		if (!next_line(c))
			break;
		any = true;
		if (c->caller_is_due)
			break;
	}
	return any;
}
