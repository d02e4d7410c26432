/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What both ends of the daemon's socket agree on: version, limits, error codes. Shared by
 * libchatclient and the daemon's API so that each fact stands once. Not installed.
 */
#pragma once

#define CHAT_API_VERSION "1.0"

/* A line is one JSON-RPC 2.0 object (or batch) and its newline. */
#define CHAT_LINE_MAX (1024u * 1024u)

/* Descriptors that may travel with one request. */
#define CHAT_FDS_MAX 16u

/* The socket's path below $XDG_RUNTIME_DIR: "chatd/<account>.sock". */
#define CHAT_SOCKET_DIR "chatd"
#define CHAT_DEFAULT_ACCOUNT "default"

/* Codes of JSON-RPC 2.0. */
#define CHAT_RPC_PARSE_ERROR (-32700)
#define CHAT_RPC_INVALID_REQUEST (-32600)
#define CHAT_RPC_METHOD_NOT_FOUND (-32601)
#define CHAT_RPC_INVALID_PARAMS (-32602)
#define CHAT_RPC_INTERNAL_ERROR (-32603)

/*
 * The API's own codes: X(symbol, code, kind, retryable). `kind` is error.data.kind on the wire;
 * codes are never given a new meaning.
 */
#define CHAT_ERRORS(X)                            \
	X(NOT_FOUND, 1, "not_found", 0)           \
	X(INVALID, 2, "invalid", 0)               \
	X(LOCKED, 3, "locked", 0)                 \
	X(LOGIN_REQUIRED, 4, "login_required", 0) \
	X(OFFLINE, 5, "offline", 1)               \
	X(DENIED, 6, "denied", 0)                 \
	X(TOO_LARGE, 7, "too_large", 0)           \
	X(CONFLICT, 8, "conflict", 0)             \
	X(BUSY, 9, "busy", 1)                     \
	X(STORAGE_FULL, 10, "storage_full", 1)    \
	X(STORAGE_ERROR, 11, "storage_error", 1)  \
	X(UNSUPPORTED, 12, "unsupported", 0)

enum chat_error_code {
#define X(symbol, code, kind, retryable) CHAT_ERROR_##symbol = code,
	CHAT_ERRORS(X)
#undef X
};
