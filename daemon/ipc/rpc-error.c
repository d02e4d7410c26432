/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/rpc-error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ipc/json-build.h"

static const struct rpc_error_code codes[] = { { CHAT_RPC_PARSE_ERROR, "parse_error", false },
	{ CHAT_RPC_INVALID_REQUEST, "invalid_request", false },
	{ CHAT_RPC_METHOD_NOT_FOUND, "method_not_found", false },
	{ CHAT_RPC_INVALID_PARAMS, "invalid_params", false },
	{ CHAT_RPC_INTERNAL_ERROR, "internal", false },
#define X(symbol, code, kind, retryable) { code, kind, retryable },
	CHAT_ERRORS(X)
#undef X
};

const struct rpc_error_code *rpc_error_codes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(codes);
	return codes;
}

const struct rpc_error_code *rpc_error_code(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code)
			return &codes[i];
	return NULL;
}

void rpc_error_set(struct rpc_error *e, int code, const char *format, ...)
{
	va_list ap;

	*e = (struct rpc_error){ .code = code };
	va_start(ap, format);
	vsnprintf(e->detail, sizeof(e->detail), format, ap);
	va_end(ap);
}

int rpc_error_code_of_failure(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_NOT_FOUND:
		return CHAT_ERROR_NOT_FOUND;
	case FAILURE_INVALID:
		return CHAT_ERROR_INVALID;
	case FAILURE_LOCKED:
		return CHAT_ERROR_LOCKED;
	case FAILURE_LOGIN_REQUIRED:
		return CHAT_ERROR_LOGIN_REQUIRED;
	case FAILURE_OFFLINE:
		return CHAT_ERROR_OFFLINE;
	case FAILURE_DENIED:
		return CHAT_ERROR_DENIED;
	case FAILURE_TOO_LARGE:
		return CHAT_ERROR_TOO_LARGE;
	case FAILURE_CONFLICT:
		return CHAT_ERROR_CONFLICT;
	case FAILURE_BUSY:
		return CHAT_ERROR_BUSY;
	case FAILURE_STORAGE_FULL:
		return CHAT_ERROR_STORAGE_FULL;
	case FAILURE_STORAGE_ERROR:
		return CHAT_ERROR_STORAGE_ERROR;
	case FAILURE_UNSUPPORTED:
		return CHAT_ERROR_UNSUPPORTED;
	case FAILURE_INTERNAL:
		return CHAT_RPC_INTERNAL_ERROR;
	}
	return CHAT_RPC_INTERNAL_ERROR;
}

void rpc_error_from_failure(struct rpc_error *e, const struct failure *f)
{
	rpc_error_set(e, rpc_error_code_of_failure(f->kind), "%s", f->detail);
	e->retry_after_ms = f->retry_after_ms;
}

/* A text that was cut to fit may end within a character. */
static void trim_utf8(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && !utf8_is_valid(s, n))
		s[--n] = '\0';
}

static bool add_data(cJSON *o, const struct rpc_error *e, const struct rpc_error_code *code)
{
	cJSON *data = cJSON_AddObjectToObject(o, "data");
	char detail[sizeof(e->detail)];
	bool ok = data;

	memcpy(detail, e->detail, sizeof(detail));
	trim_utf8(detail);
	ok = ok && json_add_string(data, "kind", code->kind);
	ok = ok && json_add_bool(data, "retryable", code->retryable || e->retry_after_ms > 0);
	if (e->retry_after_ms > 0)
		ok = ok && json_add_integer(data, "retry_after_ms", e->retry_after_ms);
	return ok && json_add_string(data, "detail", detail);
}

cJSON *rpc_error_to_json(const struct rpc_error *e)
{
	const struct rpc_error_code *code = rpc_error_code(e->code);
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	char message[40];

	snprintf(message, sizeof(message), "%s", code->kind);
	for (char *c = message; *c; c++)
		if (*c == '_')
			*c = ' ';
	if (!o || !json_add_integer(o, "code", e->code) ||
		!json_add_string(o, "message", message) || !add_data(o, e, code))
		return NULL;
	return TAKE_PTR(o);
}
