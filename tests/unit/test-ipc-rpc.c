/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The envelope, the errors, the tables and what is made from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "ipc/discover.h"
#include "ipc/encode.h"
#include "ipc/json-text.h"
#include "ipc/hello.h"
#include "ipc/method.h"
#include "ipc/names.h"
#include "ipc/rpc.h"
#include "ipc/suggest.h"
#include "ipc/topics.h"
#include "test-ipc-fakes.h"

static int parse(const char *text, struct rpc_call *ret, struct rpc_error *e)
{
	cJSON *tree = NULL;
	int r = rpc_parse(text, strlen(text), &tree, e);

	*ret = (struct rpc_call){ 0 };
	if (r == 0)
		r = rpc_open(tree, ret, e);
	cJSON_Delete(tree);
	return r;
}

/* Parses `text`, expects the error of `code`, and that the error is answered to this id. */
static void refuses(const char *text, int code, const char *id)
{
	_cleanup_free_ char *printed = NULL;
	struct rpc_call c;
	struct rpc_error e;

	assert_true(parse(text, &c, &e) < 0);
	assert_int_equal(e.code, code);
	printed = c.id ? cJSON_PrintUnformatted(c.id) : strdup("none");
	assert_string_equal(printed, id);
	rpc_call_clear(&c);
}

static void what_is_no_request_is_refused(void **state)
{
	refuses("{", CHAT_RPC_PARSE_ERROR, "none");
	refuses("", CHAT_RPC_PARSE_ERROR, "none");
	refuses("{} {}", CHAT_RPC_PARSE_ERROR, "none");
	refuses("{\"a\":\"\xff\"}", CHAT_RPC_PARSE_ERROR, "none");
	refuses("{\"a\":\"\\u0000\"}", CHAT_RPC_PARSE_ERROR, "none");
	refuses("1", CHAT_RPC_INVALID_REQUEST, "null");
	refuses("{\"foo\":\"boo\"}", CHAT_RPC_INVALID_REQUEST, "null");
	refuses("{\"id\":4}", CHAT_RPC_INVALID_REQUEST, "4");
	refuses("{\"jsonrpc\":\"1.0\",\"id\":\"a\",\"method\":\"x\"}", CHAT_RPC_INVALID_REQUEST,
		"\"a\"");
	refuses("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":1}", CHAT_RPC_INVALID_REQUEST, "3");
	refuses("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"x\",\"params\":7}",
		CHAT_RPC_INVALID_REQUEST, "3");
	refuses("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}", CHAT_RPC_INVALID_REQUEST,
		"null");
	refuses("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"x\"}", CHAT_RPC_INVALID_REQUEST,
		"null");
	refuses("{\"jsonrpc\":\"2.0\",\"id\":1e17,\"method\":\"x\"}", CHAT_RPC_INVALID_REQUEST,
		"null");
}

static void ids_come_back_as_they_were(void **state)
{
	static const char *const ids[] = { "1", "-7", "0", "1.5", "0.1", "1.2345678901234567",
		"9007199254740992", "-9007199254740991", "\"\"", "\"a\\\"b\"", "\"\xc3\xa4\"",
		"null" };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct rpc_error e = { .code = CHAT_ERROR_BUSY };
		char text[200], expected[200];
		struct chunk *line;
		struct rpc_call c;

		snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"x\"}",
			ids[i]);
		assert_int_equal(parse(text, &c, &e), 0);
		line = rpc_result_line(c.id, cJSON_CreateTrue());
		snprintf(expected, sizeof(expected),
			"{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":true}\n", ids[i]);
		assert_int_equal(line->size, strlen(expected));
		assert_memory_equal(line->data, expected, line->size);
		chunk_unref(line);
		rpc_call_clear(&c);
	}
}

static void a_line_of_very_many_values_is_not_parsed(void **state)
{
	_cleanup_free_ char *text = malloc(100002);
	struct rpc_error e;
	cJSON *tree;

	memset(text, ',', 100000);
	text[0] = '[';
	assert_int_equal(rpc_parse(text, 100000, &tree, &e), -EMSGSIZE);
	assert_int_equal(e.code, CHAT_ERROR_TOO_LARGE);
	/* In a string these are just characters, whatever is escaped in it. */
	memcpy(text, "\"\\\\\\\"[[", 7);
	text[99999] = '"';
	assert_int_equal(rpc_parse(text, 100000, &tree, &e), 0);
	cJSON_Delete(tree);
}

static void every_failure_has_a_code_of_its_own(void **state)
{
	for (enum failure_kind a = FAILURE_NOT_FOUND; a <= FAILURE_INTERNAL; a++) {
		struct failure f = { .kind = a, .retry_after_ms = 5, .detail = "why \xc3" };
		struct rpc_error e;
		cJSON *o, *data;

		for (enum failure_kind b = FAILURE_NOT_FOUND; b < a; b++)
			assert_int_not_equal(
				rpc_error_code_of_failure(a), rpc_error_code_of_failure(b));
		rpc_error_from_failure(&e, &f);
		o = rpc_error_to_json(&e);
		data = cJSON_GetObjectItem(o, "data");
		assert_string_equal(cJSON_GetObjectItem(data, "kind")->valuestring,
			rpc_error_code(e.code)->kind);
		assert_true(cJSON_IsTrue(cJSON_GetObjectItem(data, "retryable")));
		assert_int_equal(cJSON_GetObjectItem(data, "retry_after_ms")->valueint, 5);
		/* Half a character at the end of a cut text is dropped. */
		assert_string_equal(cJSON_GetObjectItem(data, "detail")->valuestring, "why ");
		cJSON_Delete(o);
	}
	assert_int_equal(rpc_error_code_of_failure(FAILURE_INTERNAL), CHAT_RPC_INTERNAL_ERROR);
	assert_int_equal(rpc_error_code_of_failure(FAILURE_UNSUPPORTED), CHAT_ERROR_UNSUPPORTED);
}

static const char *suggest(const char *wanted)
{
	static const char *const names[] = { "messages.list", "messages.send", "chats.list",
		"limit" };
	struct suggestion s = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		suggest_consider(&s, wanted, names[i]);
	return s.best ? s.best : "";
}

static void what_is_close_is_suggested(void **state)
{
	assert_string_equal(suggest("message.send"), "messages.send");
	assert_string_equal(suggest("messages.sned"), "messages.send");
	assert_string_equal(suggest("limits"), "limit");
	assert_string_equal(suggest("chats_list"), "chats.list");
	assert_string_equal(suggest("photos.show"), "");
	assert_string_equal(suggest(""), "");
	assert_string_equal(suggest("messages.sendmessages.sendmessages.sendmessages.send"), "");
	assert_false(name_is_presentable("a\nb"));
	assert_false(name_is_presentable("\xc3\xa4"));
	assert_true(name_is_presentable("a b"));
}

static void names_are_those_of_the_model(void **state)
{
	for (int i = 0; attachment_status_names[i]; i++)
		assert_string_equal(attachment_status_names[i],
			attachment_status_to_string((enum attachment_status)i));
	for (int i = 0; message_status_names[i]; i++)
		assert_string_equal(
			message_status_names[i], message_status_to_string((enum message_status)i));
	for (int i = 0; session_state_names[i]; i++)
		assert_string_equal(
			session_state_names[i], session_state_to_string((enum session_state)i));
	for (int i = 0; variant_names[i]; i++)
		assert_string_equal(
			variant_names[i], attachment_variant_to_string((enum attachment_variant)i));
	assert_null(attachment_status_names[ATTACHMENT_READY + 1]);
	assert_null(message_status_names[MESSAGE_FAILED + 1]);
	assert_null(session_state_names[SESSION_SUSPENDED + 1]);
	assert_null(variant_names[VARIANT_PREVIEW + 1]);
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* What is encoded, as a tree. */
static cJSON *unfolded(cJSON *encoded)
{
	assert_non_null(encoded);
	assert_true(json_unfold(encoded));
	return encoded;
}

static void the_model_is_encoded_as_described(void **state)
{
	struct attachment photos[2] = {
		{ .id = text("a1"), .mime = text("image/png"), .name = text("\x01\"\\n") },
		{ .id = text("a2"), .status = ATTACHMENT_FAILED, .message_id = text("m1") },
	};
	struct message m = {
		.id = text("m1"),
		.chat_id = text("c1"),
		.user_id = text("u1"),
		.text = text("\x01\x02 \" \xc3\xa4"),
		.status = MESSAGE_FAILED,
		.error_title = text("no"),
		.attachments = photos,
		.n_attachments = 2,
	};
	struct chat_info empty = { .id = text("c1"), .user_id = text("u1") };
	struct repository_status status = { 0 };
	cJSON *o;
	char *s;

	o = unfolded(encode_message(&m));
	test_conforms(&schema_message, o);
	s = cJSON_PrintUnformatted(o);
	assert_true(strlen(s) <= encode_message_size(&m));
	free(s);
	cJSON_Delete(o);

	m = (struct message){
		.id = text("m1"), .chat_id = text("c1"), .user_id = text("u1"), .seq = 3
	};
	o = unfolded(encode_message(&m));
	test_conforms(&schema_message, o);
	assert_null(cJSON_GetObjectItem(o, "error"));
	assert_int_equal(cJSON_GetObjectItem(o, "seq")->valueint, 3);
	cJSON_Delete(o);

	o = unfolded(encode_chat_info(&empty));
	test_conforms(&schema_chat_info, o);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(o, "last_message_status")));
	cJSON_Delete(o);

	o = unfolded(encode_attachment(&photos[1]));
	test_conforms(&schema_attachment, o);
	assert_string_equal(cJSON_GetObjectItem(o, "message_id")->valuestring, "m1");
	cJSON_Delete(o);

	o = unfolded(encode_account("default", &status));
	test_conforms(&schema_account, o);
	cJSON_Delete(o);
	o = unfolded(encode_connection(&status.connection));
	test_conforms(&schema_connection, o);
	cJSON_Delete(o);
}

static void a_snippet_ends_between_characters(void **state)
{
	char long_text[600];

	for (size_t shift = 0; shift < 4; shift++) {
		struct chat_info c = {
			.id = text("c"), .user_id = text("u"), .last_message_text = long_text
		};
		const char *got;
		cJSON *o;

		memset(long_text, 'x', shift);
		for (size_t i = 0; i < 100; i++)
			memcpy(long_text + shift + 4 * i, "\xf0\x9f\x98\x80", 5);
		o = unfolded(encode_chat_info(&c));
		got = cJSON_GetObjectItem(o, "last_message_text")->valuestring;
		assert_true(utf8_is_valid(got, strlen(got)));
		assert_in_range(strlen(got), ENCODE_SNIPPET_MAX - 3, ENCODE_SNIPPET_MAX);
		assert_memory_equal(got, long_text, strlen(got));
		cJSON_Delete(o);
	}
}

static void changes_carry_the_type_of_their_topic(void **state)
{
	struct message m = { .id = text("m1"), .chat_id = text("c1"), .user_id = text("u1") };
	struct chat_info chat = { .id = text("c1"), .user_id = text("u1") };
	struct attachment a = { .id = text("a1"), .message_id = text("m1"), .chat_id = text("c1") };

	for (enum change_topic t = CHANGE_MESSAGE_ADDED; t <= CHANGE_ATTACHMENT_UPDATED; t++) {
		struct change c = { .topic = t,
			.chat_id = "c1",
			.message_id = "m1",
			.message = &m,
			.chat = &chat,
			.attachment = &a };
		cJSON *o = unfolded(encode_change(&c));

		test_conforms(topics[t].data, o);
		cJSON_Delete(o);
	}
	for (int t = 0; t < N_TOPICS; t++)
		assert_int_equal(topic_from_string(topic_names[t]), t);
	assert_int_equal(topic_from_string("message"), -EINVAL);
}

static void check_method(const struct method *m)
{
	char params[256] __attribute__((aligned(16))) = { 0 };

	assert_non_null(strchr(m->name, '.'));
	assert_true(m->summary && m->result && m->handler && m->scopes);
	assert_true(m->params_size <= sizeof(params));
	assert_true(!m->params == !m->params_size);
	if (m->defaults)
		memcpy(params, m->defaults, m->params_size);
	for (const struct json_field *f = m->params; f && f->name; f++) {
		int64_t n;

		assert_non_null(f->doc);
		assert_true(f->offset < m->params_size);
		if (f->type != JSON_INTEGER || (f->flags & (JSON_REQUIRED | JSON_NULLABLE)))
			continue;
		/* What is not given must be a value that could have been. */
		memcpy(&n, params + f->offset, sizeof(n));
		assert_true(n >= f->min && n <= f->max);
	}
	for (const struct param_detail *d = m->details; d && d->name; d++) {
		const struct json_field *f = m->params;

		while (f->name && strcmp(f->name, d->name) != 0)
			f++;
		assert_non_null(f->name);
	}
}

static void tables_are_sound(void **state)
{
	struct rpc_error e;

	for (size_t i = 0; method_tables[i]; i++) {
		for (const struct method *m = method_tables[i]; m->name; m++) {
			check_method(m);
			assert_ptr_equal(method_find(m->name, &e), m);
		}
	}
	assert_null(method_find("chats.lst", &e));
	assert_int_equal(e.code, CHAT_RPC_METHOD_NOT_FOUND);
	assert_non_null(strstr(e.detail, "chats.list"));
}

static const cJSON *find_method(const cJSON *document, const char *name)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, cJSON_GetObjectItem(document, "methods"))
		if (strcmp(cJSON_GetObjectItem(m, "name")->valuestring, name) == 0)
			return m;
	return NULL;
}

/* Every reference must lead somewhere. */
static void check_references(const cJSON *document, const cJSON *value)
{
	const cJSON *item, *at = document;
	char path[128];

	cJSON_ArrayForEach(item, value) {
		if (!item->string || strcmp(item->string, "$ref") != 0) {
			check_references(document, item);
			continue;
		}
		snprintf(path, sizeof(path), "%s", item->valuestring);
		for (char *part = strtok(path, "/"); part; part = strtok(NULL, "/"))
			at = strcmp(part, "#") == 0 ? document : cJSON_GetObjectItem(at, part);
		assert_non_null(at);
	}
}

static void the_description_is_complete(void **state)
{
	_cleanup_free_ char *text_of_it = ipc_discover_json(), *again = NULL;
	cJSON *document = discover(), *parsed = cJSON_Parse(text_of_it);
	const cJSON *send;

	assert_non_null(parsed);
	again = cJSON_Print(document);
	assert_string_equal(text_of_it, again);
	for (size_t i = 0; method_tables[i]; i++)
		for (const struct method *m = method_tables[i]; m->name; m++)
			assert_non_null(find_method(document, m->name));
	send = find_method(document, "messages.send");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(send, "params")), 5);
	check_references(document, document);
	cJSON_Delete(parsed);
	cJSON_Delete(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(ids_come_back_as_they_were),
		cmocka_unit_test(a_line_of_very_many_values_is_not_parsed),
		cmocka_unit_test(every_failure_has_a_code_of_its_own),
		cmocka_unit_test(what_is_close_is_suggested),
		cmocka_unit_test(names_are_those_of_the_model),
		cmocka_unit_test(the_model_is_encoded_as_described),
		cmocka_unit_test(a_snippet_ends_between_characters),
		cmocka_unit_test(changes_carry_the_type_of_their_topic),
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(the_description_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
