/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building JSON objects: each adds one member and returns false when memory is short, so that calls
 * chain with &&.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json-fields.h"

/* A NULL `value` adds null. */
bool json_add_string(cJSON *object, const char *name, const char *value);

bool json_add_integer(cJSON *object, const char *name, int64_t value);
bool json_add_bool(cJSON *object, const char *name, bool value);

/*
 * A number that prints as one that reads back the same; cJSON's own are rounded to 15 digits. NULL
 * when memory is short.
 */
cJSON *json_exact_number(double value);

/* Takes `item` in every case; false when that is NULL. An array takes it without a name. */
bool json_add_item(cJSON *object, const char *name, cJSON *item);
bool json_append(cJSON *array, cJSON *item);

/* Bytes that a string takes in JSON, quotes included. */
size_t json_string_size(const char *s);
