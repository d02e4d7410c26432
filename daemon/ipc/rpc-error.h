/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request that failed is told: JSON-RPC's own codes and the API's stable ones, from one
 * table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json-fields.h"
#include "libclient/protocol.h"
#include "model/failure.h"

struct rpc_error {
	int code;                /* CHAT_RPC_* or enum chat_error_code */
	uint32_t retry_after_ms; /* 0: not known */
	char detail[256];        /* for people; never message text or names */
};

/* What is the same for every error of one code. */
struct rpc_error_code {
	int code;
	const char *kind;
	bool retryable;
};

/* The entry of a code that this API has; never NULL for one of those. */
const struct rpc_error_code *rpc_error_code(int code);

/* All of them, in the order in which they are documented. */
const struct rpc_error_code *rpc_error_codes(size_t *ret_n);

void rpc_error_set(struct rpc_error *e, int code, const char *format, ...) _printf_(3, 4);
void rpc_error_from_failure(struct rpc_error *e, const struct failure *f);

/* The code by which the API speaks of a kind of failure. */
int rpc_error_code_of_failure(enum failure_kind kind);

/* The error object of JSON-RPC, owned; NULL when memory is short. */
cJSON *rpc_error_to_json(const struct rpc_error *e);
