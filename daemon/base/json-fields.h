/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Declarative JSON decoding: a table says which members an object has, of which type, within which
 * limits, and where they go. The same table checks what comes in and documents it (ipc builds its
 * API description from it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(cJSON *, cJSON_Delete)

enum json_type {
	JSON_STRING,  /* const char *, borrowed from the tree; min and max count bytes */
	JSON_ID,      /* const char *, as JSON_STRING, and an opaque id: 1 to 64 printable ASCII
			 characters */
	JSON_INTEGER, /* int64_t, exact: |value| <= 2^53; min and max bound the value */
	JSON_BOOLEAN, /* bool */
	JSON_OBJECT,  /* const cJSON *, borrowed */
	JSON_ARRAY,   /* const cJSON *, borrowed; min and max count elements */
};

enum {
	JSON_REQUIRED = 1 << 0, /* its absence is an error; else the target keeps what it held */
	JSON_NULLABLE = 1 << 1, /* null is taken as absence */
};

struct json_field {
	const char *name; /* NULL ends a table */
	enum json_type type;
	unsigned flags;
	size_t offset;
	int64_t min, max; /* both 0: no limit */
	const char *doc;  /* one sentence; may be NULL where the table documents nothing public */
};

struct json_error {
	char text[160]; /* names the member and what was expected */
};

/*
 * Parses `len` bytes as one JSON value with nothing after it but white space. Refuses invalid UTF-8
 * and \u0000 (which a C string cannot hold). 0 and an owned tree; -EBADMSG; -ENOMEM.
 */
int json_parse(const char *data, size_t len, cJSON **ret);

bool utf8_is_valid(const char *data, size_t len);

/*
 * Decodes `object` into the struct at `target`. With `strict`, members that the table does not name
 * are an error; without, they are ignored. 0, or -EINVAL with `ret_error` filled in and `target` in
 * an undefined state.
 */
int json_fields_decode(const struct json_field *table, const cJSON *object, bool strict,
	void *target, struct json_error *ret_error);

/* Prints without white space into an owned string; NULL when memory is short. */
char *json_print(const cJSON *value);
