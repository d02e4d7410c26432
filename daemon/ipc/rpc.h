/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The envelope of JSON-RPC 2.0: what a line holds, taken apart and put together. Knows no method.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json-fields.h"
#include "ipc/output.h"
#include "ipc/rpc-error.h"

/* Requests of one batch. */
#define RPC_BATCH_MAX 100

/* Values in one request; a parsed value takes some 80 bytes, were its text only two. */
#define RPC_VALUES_MAX 20000u

/* Bytes of an id that is a string. */
#define RPC_ID_MAX 256

/*
 * Parses a line. 0 and an owned tree; else negative errno with `ret_error` filled in. What would
 * cost much more memory than its text is refused before it is parsed.
 */
int rpc_parse(const char *line, size_t len, cJSON **ret, struct rpc_error *ret_error);

/* A request taken apart; the pointers are owned by whoever holds it. */
struct rpc_call {
	cJSON *id;     /* NULL: a notification, nothing is answered */
	cJSON *params; /* object or array; NULL: none given */
	char *method;
};

void rpc_call_clear(struct rpc_call *c);

/*
 * Takes apart one request, whose parts are moved out of `envelope`. On failure `ret` holds the id
 * to answer to, as far as it could be told (else null), and `ret_error` why.
 */
int rpc_open(cJSON *envelope, struct rpc_call *ret, struct rpc_error *ret_error);

/* A reply as a line. `id` is borrowed (NULL: null), `result` taken. NULL when memory is short. */
struct chunk *rpc_result_line(const cJSON *id, cJSON *result);
struct chunk *rpc_error_line(const cJSON *id, const struct rpc_error *e);

/* A notification as a line; takes `params`. NULL when memory is short. */
struct chunk *rpc_notification_line(const char *method, cJSON *params);

/* The notification of a change. `seq`: 0 for what is ephemeral. `data` is borrowed. */
struct chunk *rpc_change_line(int64_t seq, const char *topic, const cJSON *data);
