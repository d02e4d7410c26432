/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json-fields.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/uuid.h"

#define MAX_EXACT 9007199254740992.0 /* 2^53, the last integer up to which a double skips none */

/* The length of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (left < n || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

bool utf8_is_valid(const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;

	while (len > 0) {
		size_t n = utf8_sequence(s, len);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

/* True if a string in the text holds the escape \u0000; backslashes escape in pairs. */
static bool has_escaped_nul(const char *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (data[i] != '\\')
			continue;
		if (i + 6 <= len && memcmp(data + i + 1, "u0000", 5) == 0)
			return true;
		i++;
	}
	return false;
}

int json_parse(const char *data, size_t len, cJSON **ret)
{
	const char *end = NULL;
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;

	if (memchr(data, '\0', len) || !utf8_is_valid(data, len) || has_escaped_nul(data, len))
		return -EBADMSG;
	value = cJSON_ParseWithLengthOpts(data, len, &end, 0);
	if (!value)
		return -EBADMSG;
	for (; end < data + len; end++)
		if (!strchr(" \t\r\n", *end))
			return -EBADMSG;
	*ret = TAKE_PTR(value);
	return 0;
}

static int wrong(struct json_error *e, const struct json_field *f, const char *expected)
{
	snprintf(e->text, sizeof(e->text), "'%s' must be %s", f->name, expected);
	return -EINVAL;
}

static int out_of_range(struct json_error *e, const struct json_field *f, const char *unit)
{
	snprintf(e->text, sizeof(e->text), "'%s' must be %" PRId64 " to %" PRId64 "%s", f->name,
		f->min, f->max, unit);
	return -EINVAL;
}

static bool in_range(const struct json_field *f, int64_t n)
{
	return (f->min == 0 && f->max == 0) || (n >= f->min && n <= f->max);
}

static int decode_string(const struct json_field *f, const cJSON *v, void *to, struct json_error *e)
{
	if (!cJSON_IsString(v))
		return wrong(e, f, "a string");
	if (f->type == JSON_ID && !id_is_valid(v->valuestring))
		return wrong(e, f, "an id: 1 to 64 printable ASCII characters");
	if (f->type == JSON_STRING && !in_range(f, (int64_t)strlen(v->valuestring)))
		return out_of_range(e, f, " bytes long");
	*(const char **)to = v->valuestring;
	return 0;
}

static int decode_integer(
	const struct json_field *f, const cJSON *v, void *to, struct json_error *e)
{
	if (!cJSON_IsNumber(v) || fabs(v->valuedouble) > MAX_EXACT ||
		trunc(v->valuedouble) != v->valuedouble)
		return wrong(e, f, "an integer");
	if (!in_range(f, (int64_t)v->valuedouble))
		return out_of_range(e, f, "");
	*(int64_t *)to = (int64_t)v->valuedouble;
	return 0;
}

static int decode_array(const struct json_field *f, const cJSON *v, void *to, struct json_error *e)
{
	if (!cJSON_IsArray(v))
		return wrong(e, f, "an array");
	if (!in_range(f, cJSON_GetArraySize(v)))
		return out_of_range(e, f, " elements long");
	*(const cJSON **)to = v;
	return 0;
}

static int decode_field(const struct json_field *f, const cJSON *v, void *to, struct json_error *e)
{
	switch (f->type) {
	case JSON_STRING:
	case JSON_ID:
		return decode_string(f, v, to, e);
	case JSON_INTEGER:
		return decode_integer(f, v, to, e);
	case JSON_BOOLEAN:
		if (!cJSON_IsBool(v))
			return wrong(e, f, "true or false");
		*(bool *)to = cJSON_IsTrue(v);
		return 0;
	case JSON_OBJECT:
		if (!cJSON_IsObject(v))
			return wrong(e, f, "an object");
		*(const cJSON **)to = v;
		return 0;
	case JSON_ARRAY:
		return decode_array(f, v, to, e);
	}
	return -EINVAL;
}

static int refuse_unknown(const struct json_field *table, const cJSON *object, struct json_error *e)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object) {
		const struct json_field *f = table;

		while (f->name && strcmp(f->name, member->string) != 0)
			f++;
		if (!f->name) {
			snprintf(
				e->text, sizeof(e->text), "unknown member '%.64s'", member->string);
			return -EINVAL;
		}
	}
	return 0;
}

int json_fields_decode(const struct json_field *table, const cJSON *object, bool strict,
	void *target, struct json_error *ret_error)
{
	if (!cJSON_IsObject(object)) {
		snprintf(ret_error->text, sizeof(ret_error->text), "an object is expected");
		return -EINVAL;
	}
	for (const struct json_field *f = table; f->name; f++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, f->name);
		int r;

		if (!v || ((f->flags & JSON_NULLABLE) && cJSON_IsNull(v))) {
			if (f->flags & JSON_REQUIRED) {
				snprintf(ret_error->text, sizeof(ret_error->text),
					"'%s' is missing", f->name);
				return -EINVAL;
			}
			continue;
		}
		r = decode_field(f, v, (char *)target + f->offset, ret_error);
		if (r < 0)
			return r;
	}
	return strict ? refuse_unknown(table, object, ret_error) : 0;
}

char *json_print(const cJSON *value)
{
	return cJSON_PrintUnformatted(value);
}
