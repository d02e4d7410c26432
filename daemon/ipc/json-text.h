/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON written as text at once, for what is told often: a tree would cost several times as much to
 * make, print and free. Members and elements are written in their order. Names have nothing to be
 * escaped and are NULL in an array. Memory that is short shows at the end, when the text is taken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/json-fields.h"

/* Zero-initialise it to start. Whoever does not take the text clears it. */
struct json_text {
	struct buffer buffer;
	bool failed;   /* memory was short */
	bool is_begun; /* something stands before in the same object or array */
};

void json_text_clear(struct json_text *t);

void json_write_object(struct json_text *t, const char *name);
void json_write_object_end(struct json_text *t);
void json_write_array(struct json_text *t, const char *name);
void json_write_array_end(struct json_text *t);

/* UTF-8. NULL: null. */
void json_write_string(struct json_text *t, const char *name, const char *value);

void json_write_integer(struct json_text *t, const char *name, int64_t value);
void json_write_bool(struct json_text *t, const char *name, bool value);

/* A tree, or what json_text_take made. NULL: null. */
void json_write_tree(struct json_text *t, const char *name, const cJSON *tree);

/*
 * The text as a part of trees that are printed: cJSON calls it raw. Empties `t`. NULL when memory
 * was short.
 */
cJSON *json_text_take(struct json_text *t);

/* Makes all of a tree a tree, in place, so that it can be walked. False when memory is short. */
bool json_unfold(cJSON *tree);
