/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json-fields.h"

struct thing {
	const char *name;
	const char *id;
	int64_t count;
	int64_t plain;
	bool flag;
	const cJSON *object;
	const cJSON *list;
	const char *note;
};

#define FIELD(member) offsetof(struct thing, member)

static const struct json_field table[] = {
	{ "name", JSON_STRING, JSON_REQUIRED, FIELD(name), 2, 5, "Between 2 and 5 bytes." },
	{ "id", JSON_ID, 0, FIELD(id), 0, 0, NULL },
	{ "count", JSON_INTEGER, 0, FIELD(count), -10, 10, NULL },
	{ "plain", JSON_INTEGER, 0, FIELD(plain), 0, 0, NULL },
	{ "flag", JSON_BOOLEAN, 0, FIELD(flag), 0, 0, NULL },
	{ "object", JSON_OBJECT, 0, FIELD(object), 0, 0, NULL },
	{ "list", JSON_ARRAY, 0, FIELD(list), 1, 2, NULL },
	{ "note", JSON_STRING, JSON_REQUIRED | JSON_NULLABLE, FIELD(note), 0, 0, NULL },
	{ 0 },
};

/* Only the last, required one is nullable in the table above; here nothing is required. */
static const struct json_field lenient[] = {
	{ "name", JSON_STRING, 0, FIELD(name), 0, 0, NULL },
	{ "note", JSON_STRING, JSON_NULLABLE, FIELD(note), 0, 0, NULL },
	{ 0 },
};

static cJSON *parse(const char *text)
{
	cJSON *value = NULL;

	assert_int_equal(json_parse(text, strlen(text), &value), 0);
	assert_non_null(value);
	return value;
}

static int parse_bytes(const char *data, size_t len)
{
	cJSON *untouched = (cJSON *)data, *value = untouched;
	int r = json_parse(data, len, &value);

	if (r < 0)
		assert_ptr_equal(value, untouched);
	else
		cJSON_Delete(value);
	return r;
}

static int parse_text(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void assert_refused(
	const struct json_field *fields, bool strict, const char *text, const char *expected)
{
	_cleanup_(cJSON_Deletep) cJSON *value = parse(text);
	struct json_error error = { "" };
	struct thing thing = { 0 };

	assert_int_equal(json_fields_decode(fields, value, strict, &thing, &error), -EINVAL);
	assert_string_equal(error.text, expected);
}

/* The document is given back because the strings of `ret` live in it. */
static cJSON *decode(const struct json_field *fields, const char *text, struct thing *ret)
{
	cJSON *value = parse(text);
	struct json_error error = { "untouched" };

	assert_int_equal(json_fields_decode(fields, value, false, ret, &error), 0);
	assert_string_equal(error.text, "untouched");
	return value;
}

static void parses_one_value_of_any_kind(void **state)
{
	static const char *const good[] = { "{}", "[]", "null", "true", "0", "-1.5e3", "\"x\"",
		" \t\r\n{\"a\":[1,{\"b\":null}]} \t\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(parse_text(good[i]), 0);
}

static void refuses_what_is_not_one_value(void **state)
{
	static const char *const bad[] = { "", " ", "{", "{}x", "{}{}", "{} []", "[1,]", "{\"a\"}",
		"{a:1}", "'x'", "\"x", "nul", "\"\\x\"" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_text(bad[i]), -EBADMSG);
}

/* A document cut anywhere is refused, and nothing behind the given length is looked at. */
static void every_cut_is_refused(void **state)
{
	static const char text[] = "{\"a\":[1,true,\"\\u00e9\xc3\xa9\"],\"b\":{\"c\":null}}";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		_cleanup_free_ char *exact = malloc(len ? len : 1);

		assert_non_null(exact);
		memcpy(exact, text, len);
		assert_int_equal(parse_bytes(exact, len), -EBADMSG);
	}
	assert_int_equal(parse_text(text), 0);
}

static void refuses_the_nul_character(void **state)
{
	assert_int_equal(parse_bytes("{}\0", 3), -EBADMSG);
	assert_int_equal(parse_bytes("\"a\0b\"", 5), -EBADMSG);
	assert_int_equal(parse_text("\"\\u0000\""), -EBADMSG);
	assert_int_equal(parse_text("\"\\\\\\u0000\""), -EBADMSG);
	assert_int_equal(parse_text("\"\\\\u0000\""), 0);
	assert_int_equal(parse_text("\"\\u0001\""), 0);
}

static void refuses_invalid_utf8(void **state)
{
	assert_int_equal(parse_text("\"\xc3\xa9\""), 0);
	assert_int_equal(parse_text("\"\xc3\""), -EBADMSG);
	assert_int_equal(parse_text("\"\xff\""), -EBADMSG);
	assert_int_equal(parse_text("\"\xed\xa0\x80\""), -EBADMSG);
}

static void deep_nesting_is_refused_and_not_a_crash(void **state)
{
	enum { DEPTH = 200000 };
	_cleanup_free_ char *deep = malloc(DEPTH);

	assert_non_null(deep);
	memset(deep, '[', DEPTH);
	assert_int_equal(parse_bytes(deep, DEPTH), -EBADMSG);
}

/*
 * Encodes by the definition; what Unicode excludes (surrogates, above 10FFFF) is encoded just as
 * well.
 */
static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static void utf8_takes_every_scalar_value_and_no_other(void **state)
{
	for (uint32_t c = 0; c < 0x200000; c++) {
		char bytes[4];
		size_t n = encode(c, bytes);
		bool valid = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

		if (utf8_is_valid(bytes, n) != valid)
			fail_msg("U+%04X", c);
		if (n > 1 && utf8_is_valid(bytes, n - 1))
			fail_msg("U+%04X, cut short", c);
	}
}

/* Every two bytes are valid exactly if they are two ASCII characters or one of U+0080 to U+07FF. */
static void utf8_refuses_stray_and_overlong_bytes(void **state)
{
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			const char bytes[] = { (char)a, (char)b };
			bool valid = (a < 0x80 && b < 0x80) ||
				(a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);

			assert_int_equal(utf8_is_valid(bytes, 2), valid);
		}
	assert_false(utf8_is_valid("\xe0\x80\xaf", 3));
	assert_false(utf8_is_valid("\xf0\x80\x80\xaf", 4));
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("a\0b", 3));
}

static void decodes_every_type(void **state)
{
	struct thing t = { 0 };
	_cleanup_(cJSON_Deletep) cJSON *value = decode(table,
		"{\"name\":\"abc\",\"id\":\"m-1\",\"count\":-7,\"plain\":9007199254740992,"
		"\"flag\":true,\"object\":{\"x\":1},\"list\":[1,2],\"note\":\"n\"}",
		&t);

	assert_non_null(value);
	assert_string_equal(t.name, "abc");
	assert_string_equal(t.id, "m-1");
	assert_int_equal(t.count, -7);
	assert_true(t.plain == INT64_C(9007199254740992));
	assert_true(t.flag);
	assert_ptr_equal(t.object, cJSON_GetObjectItem(value, "object"));
	assert_ptr_equal(t.list, cJSON_GetObjectItem(value, "list"));
	assert_string_equal(t.note, "n");
}

static void absent_members_leave_the_target(void **state)
{
	struct thing t = { .name = "kept", .count = 5, .flag = true, .note = "kept" };
	_cleanup_(cJSON_Deletep) cJSON *value = decode(lenient, "{\"note\":null}", &t);

	assert_non_null(value);
	assert_string_equal(t.name, "kept");
	assert_string_equal(t.note, "kept");
	assert_int_equal(t.count, 5);
	assert_true(t.flag);
}

static void required_members_must_be_there(void **state)
{
	assert_refused(table, false, "{\"note\":\"n\"}", "'name' is missing");
	assert_refused(table, false, "{\"name\":\"abc\"}", "'note' is missing");
	assert_refused(table, false, "{\"name\":\"abc\",\"note\":null}", "'note' is missing");
	assert_refused(table, false, "{\"NAME\":\"abc\",\"note\":\"n\"}", "'name' is missing");
}

static void null_is_a_wrong_type_unless_nullable(void **state)
{
	assert_refused(lenient, false, "{\"name\":null}", "'name' must be a string");
}

static void wrong_types_are_named(void **state)
{
	static const struct {
		const char *member, *expected;
	} cases[] = {
		{ "\"name\":1", "'name' must be a string" },
		{ "\"name\":[\"abc\"]", "'name' must be a string" },
		{ "\"id\":7", "'id' must be a string" },
		{ "\"count\":\"7\"", "'count' must be an integer" },
		{ "\"count\":1.5", "'count' must be an integer" },
		{ "\"count\":true", "'count' must be an integer" },
		{ "\"plain\":9007199254740994", "'plain' must be an integer" },
		{ "\"plain\":-9007199254740994", "'plain' must be an integer" },
		{ "\"plain\":1e300", "'plain' must be an integer" },
		{ "\"flag\":1", "'flag' must be true or false" },
		{ "\"flag\":\"true\"", "'flag' must be true or false" },
		{ "\"object\":[]", "'object' must be an object" },
		{ "\"list\":{}", "'list' must be an array" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "{%s,\"name\":\"abc\",\"note\":\"n\"}",
			cases[i].member);
		assert_refused(table, false, text, cases[i].expected);
	}
}

static void limits_hold_at_their_ends(void **state)
{
	static const struct {
		const char *member, *expected;
	} cases[] = {
		{ "\"name\":\"a\"", "'name' must be 2 to 5 bytes long" },
		{ "\"name\":\"ab\"", NULL },
		{ "\"name\":\"abcde\"", NULL },
		{ "\"name\":\"abcdef\"", "'name' must be 2 to 5 bytes long" },
		{ "\"name\":\"\\u00e9\\u00e9\"", NULL },
		{ "\"name\":\"\\u00e9\\u00e9\\u00e9\"", "'name' must be 2 to 5 bytes long" },
		{ "\"name\":\"abc\",\"count\":-10", NULL },
		{ "\"name\":\"abc\",\"count\":-11", "'count' must be -10 to 10" },
		{ "\"name\":\"abc\",\"count\":10", NULL },
		{ "\"name\":\"abc\",\"count\":11", "'count' must be -10 to 10" },
		{ "\"name\":\"abc\",\"list\":[]", "'list' must be 1 to 2 elements long" },
		{ "\"name\":\"abc\",\"list\":[1]", NULL },
		{ "\"name\":\"abc\",\"list\":[1,2]", NULL },
		{ "\"name\":\"abc\",\"list\":[1,2,3]", "'list' must be 1 to 2 elements long" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cJSON_Deletep) cJSON *value = NULL;
		struct thing t = { 0 };
		char text[128];

		snprintf(text, sizeof(text), "{%s,\"note\":\"n\"}", cases[i].member);
		if (cases[i].expected)
			assert_refused(table, false, text, cases[i].expected);
		else
			value = decode(table, text, &t);
	}
}

static void ids_are_checked(void **state)
{
	static const char expected[] = "'id' must be an id: 1 to 64 printable ASCII characters";

	assert_refused(table, false, "{\"name\":\"abc\",\"id\":\"\",\"note\":\"n\"}", expected);
	assert_refused(table, false, "{\"name\":\"abc\",\"id\":\"a b\",\"note\":\"n\"}", expected);
	assert_refused(
		table, false, "{\"name\":\"abc\",\"id\":\"\\u00e9\",\"note\":\"n\"}", expected);
}

static void strict_refuses_what_the_table_does_not_name(void **state)
{
	static const char text[] = "{\"name\":\"abc\",\"nane\":1}";
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;
	struct thing t = { 0 };

	assert_refused(lenient, true, text, "unknown member 'nane'");
	value = decode(lenient, text, &t);
	assert_string_equal(t.name, "abc");
}

static void only_objects_are_decoded(void **state)
{
	assert_refused(lenient, false, "[]", "an object is expected");
	assert_refused(lenient, false, "null", "an object is expected");
}

/*
 * The name of an unknown member is the peer's: as long as it likes, the error stays in its place.
 */
static void long_names_are_cut_in_errors(void **state)
{
	enum { LONG = 5000 };
	_cleanup_(cJSON_Deletep) cJSON *value = cJSON_CreateObject();
	_cleanup_free_ char *name = calloc(1, LONG + 1);
	struct json_error error = { "" };
	struct thing t = { 0 };

	assert_non_null(name);
	memset(name, 'x', LONG);
	assert_non_null(cJSON_AddNullToObject(value, name));
	assert_int_equal(json_fields_decode(lenient, value, true, &t, &error), -EINVAL);
	assert_true(strlen(error.text) < sizeof(error.text) - 1);
}

static void print_and_parse_are_inverse(void **state)
{
	static const char text[] = "{\"a\":[1,-2,999999999999999,true,null],\"b\":\"\xc3\xa9\\n\"}";
	_cleanup_(cJSON_Deletep) cJSON *value = parse(text), *again = NULL;
	_cleanup_free_ char *printed = json_print(value);

	assert_non_null(printed);
	assert_string_equal(printed, text);
	again = parse(printed);
	assert_true(cJSON_Compare(value, again, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_one_value_of_any_kind),
		cmocka_unit_test(refuses_what_is_not_one_value),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(refuses_the_nul_character),
		cmocka_unit_test(refuses_invalid_utf8),
		cmocka_unit_test(deep_nesting_is_refused_and_not_a_crash),
		cmocka_unit_test(utf8_takes_every_scalar_value_and_no_other),
		cmocka_unit_test(utf8_refuses_stray_and_overlong_bytes),
		cmocka_unit_test(decodes_every_type),
		cmocka_unit_test(absent_members_leave_the_target),
		cmocka_unit_test(required_members_must_be_there),
		cmocka_unit_test(null_is_a_wrong_type_unless_nullable),
		cmocka_unit_test(wrong_types_are_named),
		cmocka_unit_test(limits_hold_at_their_ends),
		cmocka_unit_test(ids_are_checked),
		cmocka_unit_test(strict_refuses_what_the_table_does_not_name),
		cmocka_unit_test(only_objects_are_decoded),
		cmocka_unit_test(long_names_are_cut_in_errors),
		cmocka_unit_test(print_and_parse_are_inverse),
	};

	return cmocka_run_group_tests_name("json-fields", tests, NULL, NULL);
}
