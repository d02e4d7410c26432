/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The method table: what every face of the API (socket, D-Bus, rpc.discover, the documentation) is
 * driven by. A method exists once, in the file of its noun.
 */
#pragma once

#include <stddef.h>

#include "base/json-fields.h"
#include "ipc/rpc-error.h"
#include "ipc/schema.h"
#include "model/failure.h"

struct request;

/* What a client may do; a client has one or more, a method asks for one of those it names. */
enum {
	SCOPE_READ = 1 << 0, /* look, change nothing that anybody else sees */
	SCOPE_SEND = 1 << 1, /* write to people, see no more than the answers */
	SCOPE_FULL = 1 << 2, /* the rest */
};

#define SCOPES_ALL (SCOPE_READ | SCOPE_SEND | SCOPE_FULL)

enum {
	/* Its answer is true only once committed. */
	METHOD_WRITES = 1 << 0,
	/* Waits for the ordered ones of this connection that came before. */
	METHOD_ORDERED = 1 << 1,
	/* A descriptor travels with the answer. */
	METHOD_SENDS_FD = 1 << 2,
	/* Parameters are wiped from memory afterwards. */
	METHOD_SECRET = 1 << 3,
	/* Can be called while the account is locked, and goes on while it is being locked. */
	METHOD_WHILE_LOCKED = 1 << 4,
	/* May go on for long, also when the client has left. */
	METHOD_WAITS = 1 << 5,
	/* Its answer speaks of nothing but what is committed: true whatever becomes of the turn. */
	METHOD_TELLS_COMMITTED = 1 << 6,
};

/* What a json_field cannot say of a parameter. */
struct param_detail {
	const char *name;               /* NULL ends a table */
	const char *const *values;      /* what the string, or each string of the array, may be */
	const struct json_field *items; /* of an array: members of each element */
	bool ids;                       /* of an array: each element is an id */
};

struct method {
	const char *name; /* "noun.verb"; NULL ends a table */
	const char *summary;
	const char *doc;                 /* what else is to know; may be NULL */
	const struct json_field *params; /* NULL: none */
	size_t params_size;
	const void *defaults; /* a struct of params as it is where nothing is given; NULL: zeroed */
	const struct param_detail *details; /* may be NULL */
	const struct schema *result;
	unsigned errors; /* bits 1 << enum failure_kind, besides those that every method may have */
	unsigned scopes; /* one of these is needed */
	unsigned flags;
	/* Ends, now or later, in one call of request.h's endings. */
	void (*handler)(struct request *rq);
};

extern const struct method methods_account[];
extern const struct method methods_attachments[];
extern const struct method methods_changes[];
extern const struct method methods_chats[];
extern const struct method methods_consumers[];
extern const struct method methods_daemon[];
extern const struct method methods_events[];
extern const struct method methods_messages[];
extern const struct method methods_outbox[];
extern const struct method methods_rpc[];
extern const struct method methods_search[];
extern const struct method methods_settings[];
extern const struct method methods_storage[];
extern const struct method methods_users[];

/* All methods, table by table, NULL-terminated. */
extern const struct method *const method_tables[];

/* NULL when there is none; then `ret_error` says so and names one that is close. */
const struct method *method_find(const char *name, struct rpc_error *ret_error);

/* Failures that every method may have. */
#define METHOD_COMMON_ERRORS                                                         \
	(1u << FAILURE_BUSY | 1u << FAILURE_INTERNAL | 1u << FAILURE_STORAGE_ERROR | \
		1u << FAILURE_LOCKED)

/*
 * Checks `params` (NULL: none given) against the method's table and decodes them into the struct at
 * `target`, whose strings are borrowed from `params`. 0, or -EINVAL with `ret_error` naming the
 * parameter.
 */
int method_decode(
	const struct method *m, const cJSON *params, void *target, struct rpc_error *ret_error);
