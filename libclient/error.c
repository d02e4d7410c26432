/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol.h"

#define X(symbol, code, kind, retryable) \
	_Static_assert(CHAT_CLIENT_ERROR_##symbol == (code), "chatclient.h and protocol.h differ");
CHAT_ERRORS(X)
#undef X
_Static_assert((int)CHAT_CLIENT_ERROR_METHOD_NOT_FOUND == CHAT_RPC_METHOD_NOT_FOUND, "differ");
_Static_assert((int)CHAT_CLIENT_ERROR_INVALID_PARAMS == CHAT_RPC_INVALID_PARAMS, "differ");

static const struct known_error {
	int code;
	int error_number;
	bool retryable;
	const char *kind;
} known_errors[] = {
	{ CHAT_CLIENT_ERROR_NOT_FOUND, ENOENT },
	{ CHAT_CLIENT_ERROR_INVALID, EINVAL },
	{ CHAT_CLIENT_ERROR_LOCKED, ENOKEY },
	{ CHAT_CLIENT_ERROR_LOGIN_REQUIRED, EACCES },
	{ CHAT_CLIENT_ERROR_OFFLINE, ENETDOWN },
	{ CHAT_CLIENT_ERROR_DENIED, EPERM },
	{ CHAT_CLIENT_ERROR_TOO_LARGE, EMSGSIZE },
	{ CHAT_CLIENT_ERROR_CONFLICT, EEXIST },
	{ CHAT_CLIENT_ERROR_BUSY, EBUSY },
	{ CHAT_CLIENT_ERROR_STORAGE_FULL, ENOSPC },
	{ CHAT_CLIENT_ERROR_STORAGE_ERROR, EIO },
	{ CHAT_CLIENT_ERROR_UNSUPPORTED, EOPNOTSUPP },
	{ CHAT_CLIENT_ERROR_NOT_RUNNING, ECONNREFUSED, true, "not_running" },
	{ CHAT_CLIENT_ERROR_DISCONNECTED, ECONNRESET, true, "disconnected" },
	{ CHAT_CLIENT_ERROR_TIMED_OUT, ETIMEDOUT, true, "timed_out" },
	{ CHAT_CLIENT_ERROR_PROTOCOL, EBADMSG, false, "protocol" },
	{ CHAT_CLIENT_ERROR_VERSION, EPROTONOSUPPORT, false, "version" },
	{ CHAT_CLIENT_ERROR_NO_MEMORY, ENOMEM, true, "no_memory" },
	{ CHAT_CLIENT_ERROR_SYSTEM, EIO, false, "system" },
	{ CHAT_RPC_PARSE_ERROR, EINVAL, false, "invalid" },
	{ CHAT_RPC_INVALID_REQUEST, EINVAL, false, "invalid" },
	{ CHAT_RPC_METHOD_NOT_FOUND, EOPNOTSUPP, false, "invalid" },
	{ CHAT_RPC_INVALID_PARAMS, EINVAL, false, "invalid" },
	{ CHAT_RPC_INTERNAL_ERROR, EREMOTEIO, false, "internal" },
};

static const struct {
	int code;
	bool retryable;
	const char *kind;
} api_errors[] = {
#define X(symbol, code, kind, retryable) { (code), (retryable), (kind) },
	CHAT_ERRORS(X)
#undef X
};

int chat_client_error_to_errno(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_errors); i++)
		if (known_errors[i].code == code)
			return -known_errors[i].error_number;
	return -EREMOTEIO;
}

static void set_kind(struct error_store *e, const char *kind)
{
	size_t n = utf8_truncated_length(kind, sizeof(e->kind) - 1);

	memcpy(e->kind, kind, n);
	e->kind[n] = '\0';
	e->pub.kind = e->kind;
}

static void set_detail(struct error_store *e, const char *detail)
{
	size_t n = utf8_truncated_length(detail, sizeof(e->detail) - 1);

	memcpy(e->detail, detail, n);
	e->detail[n] = '\0';
	e->pub.detail = e->detail;
}

/* What the code alone says; the daemon's words override it. */
static void set_code(struct error_store *e, int code)
{
	error_clear(e);
	e->pub.code = code;
	for (size_t i = 0; i < ARRAY_SIZE(known_errors); i++)
		if (known_errors[i].code == code && known_errors[i].kind) {
			e->pub.retryable = known_errors[i].retryable;
			set_kind(e, known_errors[i].kind);
		}
	for (size_t i = 0; i < ARRAY_SIZE(api_errors); i++)
		if (api_errors[i].code == code) {
			e->pub.retryable = api_errors[i].retryable;
			set_kind(e, api_errors[i].kind);
		}
}

void error_clear(struct error_store *e)
{
	e->pub = (struct chat_error){ .retry_after_ms = -1 };
	set_kind(e, "");
	set_detail(e, "");
}

int error_set(struct error_store *e, int code, const char *format, ...)
{
	char text[sizeof(e->detail) + 4];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	set_code(e, code);
	set_detail(e, text);
	return chat_client_error_to_errno(code);
}

int error_set_errno(struct error_store *e, int error_number, const char *what)
{
	const char *why;

	if (error_number == ENOMEM)
		return error_set(e, CHAT_CLIENT_ERROR_NO_MEMORY, "%s: out of memory", what);
	why = strerrordesc_np(error_number);
	error_set(e, CHAT_CLIENT_ERROR_SYSTEM, "%s: %s", what, why ? why : "unknown error");
	return -error_number;
}

int error_set_rpc(struct error_store *e, const cJSON *error)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(error, "data");
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(data, "kind");
	const cJSON *detail = cJSON_GetObjectItemCaseSensitive(data, "detail");
	const cJSON *retryable = cJSON_GetObjectItemCaseSensitive(data, "retryable");
	const cJSON *after = cJSON_GetObjectItemCaseSensitive(data, "retry_after_ms");

	if (!cJSON_IsNumber(code))
		return error_set(e, CHAT_CLIENT_ERROR_PROTOCOL, "an error without a code");
	set_code(e, code->valueint);
	if (cJSON_IsString(kind))
		set_kind(e, kind->valuestring);
	if (cJSON_IsString(detail) && detail->valuestring[0])
		set_detail(e, detail->valuestring);
	else if (cJSON_IsString(message))
		set_detail(e, message->valuestring);
	if (cJSON_IsBool(retryable))
		e->pub.retryable = cJSON_IsTrue(retryable);
	if (cJSON_IsNumber(after) && after->valuedouble >= 0)
		e->pub.retry_after_ms =
			after->valuedouble < 1e15 ? (int64_t)after->valuedouble : INT64_MAX;
	return chat_client_error_to_errno(e->pub.code);
}

void error_copy(struct error_store *to, const struct error_store *from)
{
	to->pub = from->pub;
	set_kind(to, from->kind);
	set_detail(to, from->detail);
}
