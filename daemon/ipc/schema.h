/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the API's answers look like, declared once: tables from which rpc.discover describes them
 * and against which the tests check every reply.
 */
#pragma once

#include "base/json-fields.h"

enum schema_kind {
	SCHEMA_STRING,
	SCHEMA_ID,
	SCHEMA_INTEGER,
	SCHEMA_TIME, /* ms since 1970 UTC */
	SCHEMA_BOOLEAN,
	SCHEMA_ENUM,   /* one of `values` */
	SCHEMA_OBJECT, /* as `object` says */
};

enum {
	SCHEMA_OPTIONAL = 1 << 0, /* may be missing */
	SCHEMA_NULLABLE = 1 << 1,
	SCHEMA_LIST = 1 << 2, /* an array of these */
};

struct schema_field {
	const char *name; /* NULL ends a table */
	enum schema_kind kind;
	unsigned flags;
	const char *const *values; /* NULL-terminated */
	const struct schema *object;
	const char *doc;
};

struct schema {
	const char *name; /* NULL: described where it is used, not under a name of its own */
	const char *doc;
	const struct schema_field *fields;
};

/* The types that have a name, NULL-terminated. */
extern const struct schema *const schema_types[];

extern const struct schema schema_account;
extern const struct schema schema_attachment;
extern const struct schema schema_chat_info;
extern const struct schema schema_chat_open;
extern const struct schema schema_chat_ref;
extern const struct schema schema_connection;
extern const struct schema schema_message;
extern const struct schema schema_message_ref;
extern const struct schema schema_nothing;
extern const struct schema schema_user;

/* JSON Schema of the type itself; owned, NULL when memory is short. */
cJSON *schema_to_json(const struct schema *s);

/* The same, or a reference to it when it has a name. */
cJSON *schema_reference(const struct schema *s);

/* A schema that allows the strings of a NULL-terminated list. */
cJSON *schema_values(const char *const *values);
