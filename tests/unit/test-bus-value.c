/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/bus-value.h"
#include "ipc/json-build.h"
#include "ipc/rpc.h"
#include "test-ipc-fakes.h"

/* A bus that has nobody on it: enough to make messages of. */
struct fixture {
	sd_bus *bus;
	int other;
	sd_bus_message *message;
	struct rpc_error error;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->other = fds[1];
	assert_true(sd_bus_new(&f->bus) >= 0);
	assert_true(sd_bus_set_fd(f->bus, fds[0], fds[0]) >= 0);
	assert_true(sd_bus_start(f->bus) >= 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sd_bus_message_unref(f->message);
	sd_bus_close_unref(f->bus);
	close(f->other);
	free(f);
	return 0;
}

/* A new message to write to, in place of the one before. */
static sd_bus_message *begin(struct fixture *f)
{
	sd_bus_message_unref(f->message);
	f->message = NULL;
	assert_true(sd_bus_message_new_signal(f->bus, &f->message, "/a", "a.b", "C") >= 0);
	return f->message;
}

/* It is whole: from now on it is read. */
static sd_bus_message *seal(struct fixture *f)
{
	assert_true(sd_bus_message_seal(f->message, 1, 0) >= 0);
	assert_true(sd_bus_message_rewind(f->message, true) >= 0);
	return f->message;
}

/* Seals and reads; the object as text, owned. */
static char *read_text(struct fixture *f, struct fd_list **fds)
{
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;
	struct fd_list *came = NULL;
	char *text;

	assert_int_equal(bus_value_read(seal(f), &value, &came, &f->error), 0);
	text = json_print(value);
	assert_non_null(text);
	if (fds)
		*fds = came;
	else
		assert_null(came);
	return text;
}

static void reads_as(struct fixture *f, const char *expected)
{
	_cleanup_free_ char *text = read_text(f, NULL);

	assert_string_equal(text, expected);
}

static void refuses(struct fixture *f, int code)
{
	struct fd_list *fds = NULL;
	cJSON *value = NULL;

	assert_true(bus_value_read(seal(f), &value, &fds, &f->error) < 0);
	assert_int_equal(f->error.code, code);
	assert_true(f->error.detail[0] != '\0');
	assert_null(value);
	assert_null(fds);
}

static int append(
	sd_bus_message *m, const char *json, const struct schema *schema, int fd, size_t *ret_bytes)
{
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;

	assert_int_equal(json_parse(json, strlen(json), &value), 0);
	return bus_value_append(m, value, schema, fd, ret_bytes);
}

static void every_type_is_read(void **state)
{
	struct fixture *f = *state;

	assert_true(sd_bus_message_append(begin(f), "a{sv}", 14, "y", "y", 200, "b", "b", 1, "n",
			    "n", -5, "q", "q", 65535, "i", "i", -70000, "u", "u", 4000000000u, "x",
			    "x", INT64_C(-900719925474099), "t", "t", UINT64_C(900719925474099),
			    "d", "d", 0.5, "s", "s", "sn\xe2\x98\x83w", "o", "o", "/a/b", "g", "g",
			    "a{sv}", "v", "v", "s", "inner", "as", "as", 2, "one", "two") >= 0);
	reads_as(f,
		"{\"y\":200,\"b\":true,\"n\":-5,\"q\":65535,\"i\":-70000,\"u\":4000000000,"
		"\"x\":-900719925474099,\"t\":900719925474099,\"d\":0.5,"
		"\"s\":\"sn\xe2\x98\x83w\",\"o\":\"/a/b\",\"g\":\"a{sv}\",\"v\":\"inner\","
		"\"as\":[\"one\",\"two\"]}");
}

static void containers_are_read(void **state)
{
	struct fixture *f = *state;

	assert_true(sd_bus_message_append(begin(f), "a{sv}", 5, "none", "as", 0, "objects",
			    "aa{sv}", 2, 1, "fd", "i", 0, 0, "ss", "a{ss}", 1, "k", "v", "av", "av",
			    2, "s", "x", "x", INT64_C(3), "bytes", "ay", 2, 1, 255) >= 0);
	reads_as(f,
		"{\"none\":[],\"objects\":[{\"fd\":0},{}],\"ss\":{\"k\":\"v\"},\"av\":[\"x\",3],"
		"\"bytes\":[1,255]}");
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 0) >= 0);
	reads_as(f, "{}");
}

static void what_is_no_object_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_true(sd_bus_message_append(begin(f), "s", "text") >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{ss}", 1, "a", "b") >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	begin(f);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
}

static void what_json_lacks_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "(ii)", 1, 2) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "a{is}", 1, 1, "x") >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "a(s)", 1, "x") >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "d", (double)NAN) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "d", (double)INFINITY) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
}

static void integers_that_would_be_rounded_are_refused(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *exact = NULL;
	struct fixture *f = *state;
	struct fd_list *fds = NULL;
	const cJSON *n;

	assert_true(sd_bus_message_append(
			    begin(f), "a{sv}", 1, "a", "t", UINT64_C(9007199254740992)) >= 0);
	assert_int_equal(bus_value_read(seal(f), &exact, &fds, &f->error), 0);
	n = cJSON_GetObjectItemCaseSensitive(exact, "a");
	assert_true(cJSON_GetNumberValue(n) == 9007199254740992.0);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "t", UINT64_MAX) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(
			    begin(f), "a{sv}", 1, "a", "t", UINT64_C(9007199254740993)) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "x", INT64_MIN) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
}

static void a_member_comes_once(void **state)
{
	struct fixture *f = *state;

	assert_true(sd_bus_message_append(begin(f), "a{sv}", 2, "a", "i", 1, "a", "i", 2) >= 0);
	refuses(f, CHAT_RPC_INVALID_PARAMS);
}

static void nest(struct fixture *f, int depth)
{
	sd_bus_message *m = begin(f);

	assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
	assert_true(sd_bus_message_append(m, "s", "a") >= 0);
	for (int i = 0; i < depth; i++)
		assert_true(sd_bus_message_open_container(m, 'v', i + 1 < depth ? "v" : "i") >= 0);
	assert_true(sd_bus_message_append(m, "i", 7) >= 0);
	for (int i = 0; i < depth; i++)
		assert_true(sd_bus_message_close_container(m) >= 0);
	assert_true(sd_bus_message_close_container(m) >= 0);
	assert_true(sd_bus_message_close_container(m) >= 0);
}

static void depth_is_limited(void **state)
{
	struct fixture *f = *state;

	nest(f, BUS_DEPTH_MAX - 1);
	reads_as(f, "{\"a\":7}");
	nest(f, BUS_DEPTH_MAX);
	refuses(f, CHAT_ERROR_TOO_LARGE);
	nest(f, 60);
	refuses(f, CHAT_ERROR_TOO_LARGE);
}

/* {"a": [0, 0, …]} */
static void fill_array(struct fixture *f, unsigned n)
{
	sd_bus_message *m = begin(f);

	assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
	assert_true(sd_bus_message_append(m, "s", "a") >= 0);
	assert_true(sd_bus_message_open_container(m, 'v', "ai") >= 0);
	assert_true(sd_bus_message_open_container(m, 'a', "i") >= 0);
	for (unsigned i = 0; i < n; i++)
		assert_true(sd_bus_message_append(m, "i", 0) >= 0);
	for (int i = 0; i < 4; i++)
		assert_true(sd_bus_message_close_container(m) >= 0);
}

static void values_are_limited(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct fixture *f = *state;

	/* Object, name, variant and array count too. */
	fill_array(f, RPC_VALUES_MAX - 4);
	text = read_text(f, NULL);
	assert_int_equal(strlen(text), strlen("{\"a\":[]}") + 2 * (RPC_VALUES_MAX - 4) - 1);
	fill_array(f, RPC_VALUES_MAX);
	refuses(f, CHAT_ERROR_TOO_LARGE);
}

static void members_are_limited(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = begin(f);

	assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	for (int i = 0; i <= BUS_MEMBERS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		assert_true(sd_bus_message_append(m, "{sv}", name, "i", i) >= 0);
	}
	assert_true(sd_bus_message_close_container(m) >= 0);
	refuses(f, CHAT_ERROR_TOO_LARGE);
}

static void bytes_are_limited(void **state)
{
	_cleanup_free_ char *long_text = malloc(CHAT_LINE_MAX + 1);
	_cleanup_free_ char *text = NULL;
	struct fixture *f = *state;

	memset(long_text, 'x', CHAT_LINE_MAX);
	long_text[CHAT_LINE_MAX] = '\0';
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "s", long_text) >= 0);
	refuses(f, CHAT_ERROR_TOO_LARGE);
	long_text[CHAT_LINE_MAX - 100] = '\0';
	assert_true(sd_bus_message_append(begin(f), "a{sv}", 1, "a", "s", long_text) >= 0);
	text = read_text(f, NULL);
	assert_int_equal(strlen(text), CHAT_LINE_MAX - 100 + strlen("{\"a\":\"\"}"));
}

static void descriptors_come_as_their_index(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	struct fd_list *fds = NULL;
	unsigned before = test_count_fds();

	assert_true(sd_bus_message_append(begin(f), "a{sv}", 2, "a", "h", f->other, "b", "aa{sv}",
			    1, 1, "fd", "h", f->other) >= 0);
	text = read_text(f, &fds);
	assert_string_equal(text, "{\"a\":0,\"b\":[{\"fd\":1}]}");
	assert_int_equal(fds->n, 2);
	assert_false(fds->too_many || fds->lost);
	fd_list_unref(fds);
	f->message = sd_bus_message_unref(f->message);
	assert_int_equal(test_count_fds(), before);
}

static void descriptors_are_limited(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = begin(f);
	_cleanup_free_ char *text = NULL;
	struct fd_list *fds = NULL;

	assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
	assert_true(sd_bus_message_append(m, "s", "a") >= 0);
	assert_true(sd_bus_message_open_container(m, 'v', "ah") >= 0);
	assert_true(sd_bus_message_open_container(m, 'a', "h") >= 0);
	for (unsigned i = 0; i <= CHAT_FDS_MAX; i++)
		assert_true(sd_bus_message_append(m, "h", f->other) >= 0);
	for (int i = 0; i < 4; i++)
		assert_true(sd_bus_message_close_container(m) >= 0);
	text = read_text(f, &fds);
	assert_int_equal(fds->n, CHAT_FDS_MAX);
	assert_true(fds->too_many);
	fd_list_unref(fds);
}

static void goes_there_and_back(void **state)
{
	static const char text[] =
		"{\"s\":\"\xe2\x98\x83\",\"n\":-12,\"big\":9007199254740991,\"half\":0.5,"
		"\"yes\":true,\"no\":false,\"none\":[],\"mixed\":[1,\"a\",[2],{\"x\":[]}],"
		"\"inner\":{\"deep\":{\"er\":[{}]}}}";
	_cleanup_(cJSON_Deletep) cJSON *expected = NULL, *came = NULL;
	struct fixture *f = *state;
	struct fd_list *fds = NULL;

	assert_int_equal(append(begin(f), text, NULL, -1, NULL), 0);
	assert_int_equal(bus_value_read(seal(f), &came, &fds, &f->error), 0);
	assert_int_equal(json_parse(text, strlen(text), &expected), 0);
	assert_true(cJSON_Compare(expected, came, true));
}

static const struct schema_field inner_fields[] = { { "id", SCHEMA_ID }, { 0 } };
static const struct schema inner = { .fields = inner_fields };
static const struct schema_field fields[] = {
	{ "objects", SCHEMA_OBJECT, SCHEMA_LIST, .object = &inner },
	{ "names", SCHEMA_STRING, SCHEMA_LIST },
	{ "numbers", SCHEMA_INTEGER, SCHEMA_LIST },
	{ "flags", SCHEMA_BOOLEAN, SCHEMA_LIST },
	{ "time", SCHEMA_TIME },
	{ 0 },
};
static const struct schema schema = { .fields = fields };

/* Reads an entry's name and enters the variant, of this type. */
static void expect_entry(sd_bus_message *m, const char *name, const char *type)
{
	const char *key, *contents;
	char kind;

	assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
	assert_true(sd_bus_message_read(m, "s", &key) > 0);
	assert_string_equal(key, name);
	assert_true(sd_bus_message_peek_type(m, &kind, &contents) > 0);
	assert_string_equal(contents, type);
	assert_true(sd_bus_message_skip(m, "v") >= 0);
	assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void types_are_the_schema_s(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m;

	/* Empty lists have the type of full ones. */
	assert_int_equal(append(begin(f),
				 "{\"objects\":[],\"names\":[],\"numbers\":[],\"flags\":[],"
				 "\"time\":5,\"unknown\":[]}",
				 &schema, -1, NULL),
		0);
	m = seal(f);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	expect_entry(m, "objects", "aa{sv}");
	expect_entry(m, "names", "as");
	expect_entry(m, "numbers", "ax");
	expect_entry(m, "flags", "ab");
	expect_entry(m, "time", "x");
	expect_entry(m, "unknown", "av");
	assert_int_equal(
		append(begin(f), "{\"objects\":[{\"id\":\"a\"}],\"names\":[\"b\"],\"numbers\":[1]}",
			&schema, -1, NULL),
		0);
	m = seal(f);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	expect_entry(m, "objects", "aa{sv}");
	expect_entry(m, "names", "as");
	expect_entry(m, "numbers", "ax");
}

static void what_contradicts_the_schema_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(append(begin(f), "{\"names\":[1]}", &schema, -1, NULL), -EINVAL);
	assert_int_equal(append(begin(f), "{\"objects\":[\"a\"]}", &schema, -1, NULL), -EINVAL);
	assert_int_equal(append(begin(f), "{\"numbers\":[0.5]}", &schema, -1, NULL), -EINVAL);
}

static void null_is_left_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(append(begin(f), "{\"a\":null,\"b\":{\"c\":null}}", NULL, -1, NULL), 0);
	reads_as(f, "{\"b\":{}}");
	assert_int_equal(append(begin(f), "{\"a\":[null]}", NULL, -1, NULL), -EINVAL);
}

static void exact_numbers_stay_exact(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct fixture *f = *state;
	const char *key;
	int64_t n;

	assert_true(json_add_integer(o, "n", INT64_C(9007199254740993)));
	assert_int_equal(bus_value_append(begin(f), o, NULL, -1, NULL), 0);
	assert_true(sd_bus_message_read(seal(f), "a{sv}", 1, &key, "x", &n) > 0);
	assert_true(n == INT64_C(9007199254740993));
	assert_true(json_add_item(o, "raw", cJSON_CreateRaw("[1]")));
	assert_int_equal(bus_value_append(begin(f), o, NULL, -1, NULL), -EINVAL);
}

static void a_descriptor_goes_in_its_member(void **state)
{
	struct fixture *f = *state;
	const char *key, *other;
	int fd;
	int64_t size;

	assert_int_equal(append(begin(f), "{\"fd\":0,\"size\":7}", NULL, f->other, NULL), 0);
	assert_true(
		sd_bus_message_read(seal(f), "a{sv}", 2, &key, "h", &fd, &other, "x", &size) > 0);
	assert_string_equal(key, "fd");
	assert_true(fd >= 0 && fd != f->other);
	assert_int_equal(size, 7);
}

static void depth_is_limited_outwards(void **state)
{
	struct fixture *f = *state;
	char text[256] = "{\"a\":";

	for (int i = 0; i < BUS_DEPTH_MAX; i++)
		strcat(text, "[");
	for (int i = 0; i < BUS_DEPTH_MAX; i++)
		strcat(text, "]");
	strcat(text, "}");
	assert_int_equal(append(begin(f), text, NULL, -1, NULL), -E2BIG);
	assert_int_equal(append(begin(f), "[]", NULL, -1, NULL), -EINVAL);
}

static void size_is_told(void **state)
{
	struct fixture *f = *state;
	size_t small, large;

	assert_int_equal(append(begin(f), "{\"a\":\"x\"}", NULL, -1, &small), 0);
	assert_int_equal(
		append(begin(f), "{\"a\":\"xxxxxxxxxxxxxxxxxxxxx\"}", NULL, -1, &large), 0);
	assert_int_equal(large - small, 20);
	assert_true(small >= 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(every_type_is_read),
		T(containers_are_read),
		T(what_is_no_object_is_refused),
		T(what_json_lacks_is_refused),
		T(integers_that_would_be_rounded_are_refused),
		T(a_member_comes_once),
		T(depth_is_limited),
		T(values_are_limited),
		T(members_are_limited),
		T(bytes_are_limited),
		T(descriptors_come_as_their_index),
		T(descriptors_are_limited),
		T(goes_there_and_back),
		T(types_are_the_schema_s),
		T(what_contradicts_the_schema_is_refused),
		T(null_is_left_out),
		T(exact_numbers_stay_exact),
		T(a_descriptor_goes_in_its_member),
		T(depth_is_limited_outwards),
		T(size_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
