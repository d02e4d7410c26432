/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/json-build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Up to here cJSON prints every digit of an integer. */
#define PRINTED_EXACTLY INT64_C(999999999999999)

bool json_add_item(cJSON *object, const char *name, cJSON *item)
{
	if (!item)
		return false;
	if (cJSON_AddItemToObject(object, name, item))
		return true;
	cJSON_Delete(item);
	return false;
}

bool json_append(cJSON *array, cJSON *item)
{
	if (!item)
		return false;
	if (cJSON_AddItemToArray(array, item))
		return true;
	cJSON_Delete(item);
	return false;
}

bool json_add_string(cJSON *object, const char *name, const char *value)
{
	return json_add_item(object, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

bool json_add_integer(cJSON *object, const char *name, int64_t value)
{
	char text[24];

	if (value >= -PRINTED_EXACTLY && value <= PRINTED_EXACTLY)
		return json_add_item(object, name, cJSON_CreateNumber((double)value));
	snprintf(text, sizeof(text), "%" PRId64, value);
	return json_add_item(object, name, cJSON_CreateRaw(text));
}

cJSON *json_exact_number(double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return cJSON_CreateRaw(text);
}

bool json_add_bool(cJSON *object, const char *name, bool value)
{
	return json_add_item(object, name, cJSON_CreateBool(value));
}

size_t json_string_size(const char *s)
{
	size_t n = 2;

	if (!s)
		return 4;
	for (; *s; s++) {
		if (strchr("\"\\\b\f\n\r\t", *s))
			n += 2;
		else
			n += (unsigned char)*s < 0x20 ? 6 : 1;
	}
	return n;
}
