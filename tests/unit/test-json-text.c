/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is written as text reads back as what it was, and becomes a tree for who needs one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/json-build.h"
#include "ipc/json-text.h"

static void check_text(struct json_text *t, const char *expected)
{
	_cleanup_(cJSON_Deletep) cJSON *item = json_text_take(t);

	assert_non_null(item);
	assert_string_equal(item->valuestring, expected);
	assert_int_equal(buffer_size(&t->buffer), 0);
}

static void commas_stand_between_what_stands_in_one_place(void **state)
{
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_array(&t, "a");
	json_write_array_end(&t);
	json_write_array(&t, "b");
	json_write_integer(&t, NULL, 1);
	json_write_object(&t, NULL);
	json_write_object_end(&t);
	json_write_object(&t, NULL);
	json_write_bool(&t, "c", true);
	json_write_bool(&t, "d", false);
	json_write_object_end(&t);
	json_write_string(&t, NULL, NULL);
	json_write_array_end(&t);
	json_write_string(&t, "e", "");
	json_write_object_end(&t);
	check_text(&t, "{\"a\":[],\"b\":[1,{},{\"c\":true,\"d\":false},null],\"e\":\"\"}");
}

static void integers_keep_their_digits(void **state)
{
	struct json_text t = { 0 };

	json_write_array(&t, NULL);
	json_write_integer(&t, NULL, 0);
	json_write_integer(&t, NULL, -10);
	json_write_integer(&t, NULL, INT64_MAX);
	json_write_integer(&t, NULL, INT64_MIN);
	json_write_array_end(&t);
	check_text(&t, "[0,-10,9223372036854775807,-9223372036854775808]");
}

static void check_string(const char *s)
{
	struct json_text t = { 0 };
	_cleanup_(cJSON_Deletep) cJSON *item = NULL, *parsed = NULL, *tree = cJSON_CreateString(s);
	_cleanup_free_ char *printed = json_print(tree);

	json_write_string(&t, NULL, s);
	item = json_text_take(&t);
	assert_non_null(item);
	assert_int_equal(json_parse(item->valuestring, strlen(item->valuestring), &parsed), 0);
	assert_string_equal(parsed->valuestring, s);
	/* The two ways of writing are one format. */
	assert_string_equal(item->valuestring, printed);
	assert_int_equal(json_string_size(s), strlen(printed));
}

static void strings_are_escaped(void **state)
{
	char all[128], one[4] = "a?b";
	size_t n = 0;

	for (int c = 1; c < 128; c++) {
		all[n++] = one[1] = (char)c;
		check_string(one);
		check_string(one + 1);
	}
	all[n] = '\0';
	check_string(all);
	check_string("");
	check_string("\"\"");
	check_string("na\xc3\xafve \xf0\x9f\x98\x80\n");
}

static void trees_and_texts_are_parts_of_each_other(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *tree = cJSON_CreateObject();
	struct json_text t = { 0 };

	json_write_object(&t, NULL);
	json_write_string(&t, "in", "text");
	json_write_object_end(&t);
	assert_true(json_add_item(tree, "part", json_text_take(&t)));
	assert_true(json_add_integer(tree, "n", 1));
	json_write_array(&t, NULL);
	json_write_tree(&t, NULL, tree);
	json_write_tree(&t, NULL, cJSON_GetObjectItem(tree, "part"));
	json_write_tree(&t, NULL, NULL);
	json_write_array_end(&t);
	check_text(&t, "[{\"part\":{\"in\":\"text\"},\"n\":1},{\"in\":\"text\"},null]");
}

/* An array of two texts, one number that is kept as text, and a string. */
static cJSON *make_folded(const char *first)
{
	cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "list");

	assert_true(json_append(list, cJSON_CreateRaw(first)));
	assert_true(json_append(list, cJSON_CreateRaw("[\"x\",{}]")));
	assert_true(json_add_integer(o, "big", INT64_MAX));
	assert_true(json_add_string(o, "word", "{"));
	return o;
}

static void a_tree_is_made_in_place(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *o = make_folded("{\"id\":\"m1\",\"n\":3}");
	_cleanup_(cJSON_Deletep) cJSON *alone = cJSON_CreateRaw("{\"id\":\"m1\"}");
	_cleanup_free_ char *before = json_print(o), *after = NULL;
	const cJSON *list = cJSON_GetObjectItem(o, "list");

	assert_true(json_unfold(o));
	assert_true(json_unfold(o));
	after = json_print(o);
	assert_string_equal(before, after);
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "id")->valuestring, "m1");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(list, 1)), 2);
	assert_true(cJSON_IsRaw(cJSON_GetObjectItem(o, "big")));
	assert_true(cJSON_IsString(cJSON_GetObjectItem(o, "word")));

	assert_true(json_unfold(alone));
	assert_true(cJSON_IsObject(alone));
}

static void what_is_no_text_of_ours_is_noticed(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *o = make_folded("{\"id\":");

	assert_false(json_unfold(o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_stand_between_what_stands_in_one_place),
		cmocka_unit_test(integers_keep_their_digits),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(trees_and_texts_are_parts_of_each_other),
		cmocka_unit_test(a_tree_is_made_in_place),
		cmocka_unit_test(what_is_no_text_of_ours_is_noticed),
	};

	return cmocka_run_group_tests_name("json-text", tests, NULL, NULL);
}
