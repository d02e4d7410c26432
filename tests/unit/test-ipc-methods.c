/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each method: its good answer is as described, its wrong parameters and failures have their codes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ipc/limits.h"
#include "ipc/method.h"
#include "ipc/request.h"
#include "test-ipc-fakes.h"

static struct api *api;
static struct test_client c;

static int setup(void **state)
{
	fake_start();
	api = test_api_new();
	fake.page_size = 3;
	fake.stored = true;
	test_client_open(&c, api, SCOPES_ALL);
	free(test_client_read_text(&c));
	return 0;
}

static int teardown(void **state)
{
	test_client_close(&c);
	api = test_api_free(api);
	fake_stop();
	return 0;
}

/* Calls and checks the result against the method's own schema. Owned. */
static cJSON *good(const char *method, const char *params)
{
	struct rpc_error e;
	const struct method *m = method_find(method, &e);
	cJSON *result;
	int code;

	assert_non_null(m);
	result = test_call(&c, method, params, &code);
	if (code)
		fail_msg("%s %s: error %d", method, params, code);
	if (strcmp(method, "rpc.discover") != 0)
		test_conforms(m->result, result);
	return result;
}

static void works(const char *method, const char *params)
{
	cJSON_Delete(good(method, params));
}

static void fails(const char *method, const char *params, int expected)
{
	int code;

	cJSON_Delete(test_call(&c, method, params, &code));
	if (code != expected)
		fail_msg("%s %s: %d instead of %d", method, params, code, expected);
}

static void every_method_answers_as_described(void **state)
{
	works("daemon.status", "{}");
	works("account.login",
		"{\"server\":\"https://x\",\"user_id\":\"me\",\"password\":\"secret\"}");
	assert_string_equal(fake.secret, "secret");
	works("chats.list", "{}");
	works("chats.list", "{\"limit\":2,\"cursor\":\"next\"}");
	works("chats.list", "{\"cursor\":null}");
	works("chats.get", "{\"chat_id\":\"c1\"}");
	works("chats.get", "{\"user_id\":\"ana\",\"chat_id\":null}");
	works("chats.create", "{\"user_id\":\"ana\"}");
	works("messages.list", "{\"chat_id\":\"c1\"}");
	works("messages.list", "{\"chat_id\":\"c1\",\"before\":\"m1\",\"limit\":1}");
	works("messages.list", "{\"chat_id\":\"c1\",\"after\":\"m1\",\"limit\":200}");
	works("messages.get", "{\"message_id\":\"m1\"}");
	works("messages.send", "{\"chat_id\":\"c1\",\"text\":\"x\"}");
	works("messages.send",
		"{\"user_id\":\"ana\",\"text\":\"x\",\"message_id\":\"m77\",\"attachments\":[]}");
	works("messages.send",
		"{\"chat_id\":\"c1\",\"attachments\":[{\"path\":\"/x\",\"name\":\"y\"}]}");
	works("messages.mark_read", "{\"chat_id\":\"c1\",\"message_id\":\"m1\"}");
	works("messages.search", "{\"query\":\"hello\"}");
	works("messages.search", "{\"query\":\"x y\",\"chat_id\":\"c1\",\"limit\":200}");
	works("attachments.get", "{\"attachment_id\":\"a1\"}");
	works("attachments.download", "{\"attachment_id\":\"a1\"}");
	works("attachments.cancel", "{\"attachment_id\":\"a1\"}");
	works("attachments.open", "{\"attachment_id\":\"a1\"}");
	works("attachments.read", "{\"attachment_id\":\"a1\"}");
	works("users.get", "{\"user_id\":\"ana\"}");
	works("events.subscribe", "{}");
	works("events.subscribe",
		"{\"topics\":[\"connection\"],\"chats\":[\"c1\",\"c2\"],\"since\":0}");
	works("events.subscribe", "{\"topics\":null,\"chats\":null,\"since\":null}");
	works("events.subscribe",
		"{\"consumer\":\"bot\",\"since\":0,\"topics\":[\"connection\"]}");
	works("events.consumers", "{}");
	works("events.ack", "{\"consumer\":\"bot\",\"seq\":0}");
	works("events.forget", "{\"consumer\":\"bot\"}");
	works("events.consumers", "{}");
	works("events.unsubscribe", "{}");
	works("changes.wait", "{\"timeout_ms\":0}");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_ATTACHMENT_UPDATED, "c1", "a1");
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	fake_settle();
	works("changes.wait", "{\"since\":0}");
	works("rpc.discover", "{}");
}

static void wrong_parameters_are_refused(void **state)
{
	static const struct {
		const char *method, *params;
	} wrong[] = {
		{ "daemon.status", "{\"x\":1}" },
		{ "account.login", "{\"server\":\"x\",\"user_id\":\"me\"}" },
		{ "account.login", "{\"server\":\"\",\"user_id\":\"me\",\"password\":\"p\"}" },
		{ "chats.list", "{\"limit\":201}" },
		{ "chats.list", "{\"limit\":1.5}" },
		{ "chats.list", "{\"limit\":\"1\"}" },
		{ "chats.list", "{\"cursor\":\"nonsense\"}" },
		{ "chats.get", "{}" },
		{ "chats.get", "{\"chat_id\":\"c1\",\"user_id\":\"ana\"}" },
		{ "chats.get", "{\"chat_id\":\"a b\"}" },
		{ "chats.create", "{\"user_id\":null}" },
		{ "messages.list", "{\"chat_id\":\"c1\",\"before\":\"m1\",\"after\":\"m2\"}" },
		{ "messages.list", "{}" },
		{ "messages.get", "{\"message_id\":\"\"}" },
		{ "messages.send", "{\"text\":\"x\"}" },
		{ "messages.send", "{\"chat_id\":\"c1\",\"user_id\":\"ana\",\"text\":\"x\"}" },
		{ "messages.send", "{\"chat_id\":\"c1\"}" },
		{ "messages.send", "{\"chat_id\":\"c1\",\"attachments\":[{\"path\":\"x\"}]}" },
		{ "messages.send", "{\"chat_id\":\"c1\",\"attachments\":[{}]}" },
		{ "messages.send", "{\"chat_id\":\"c1\",\"attachments\":[1]}" },
		{ "messages.send",
			"{\"chat_id\":\"c1\",\"attachments\":[{\"path\":\"/x\",\"y\":1}]}" },
		{ "messages.send", "{\"chat_id\":\"c1\",\"attachments\":[{\"fd\":0}]}" },
		{ "messages.send",
			"{\"chat_id\":\"c1\",\"attachments\":[1,2,3,4,5,6,7,8,9,10,11]}" },
		{ "messages.mark_read", "{\"chat_id\":\"c1\"}" },
		{ "messages.search", "{}" },
		{ "messages.search", "{\"query\":\"\"}" },
		{ "messages.search", "{\"query\":\"x\",\"cursor\":\"nonsense\"}" },
		{ "events.subscribe", "{\"consumer\":\"a b\"}" },
		{ "events.ack", "{\"consumer\":\"bot\"}" },
		{ "events.ack", "{\"consumer\":\"bot\",\"seq\":-1}" },
		{ "events.forget", "{}" },
		{ "changes.wait", "{\"topics\":[\"connection\"]}" },
		{ "changes.wait", "{\"timeout_ms\":600001}" },
		{ "attachments.open", "{\"attachment_id\":\"a1\",\"variant\":\"ful\"}" },
		{ "attachments.read", "{\"attachment_id\":\"a1\",\"offset\":-1}" },
		{ "attachments.read", "{\"attachment_id\":\"a1\",\"length\":0}" },
		{ "attachments.read", "{\"attachment_id\":\"a1\",\"length\":524289}" },
		{ "events.subscribe", "{\"topics\":[]}" },
		{ "events.subscribe", "{\"topics\":[\"messages.added\"]}" },
		{ "events.subscribe", "{\"topics\":[1]}" },
		{ "events.subscribe", "{\"chats\":[\"\"]}" },
		{ "events.subscribe", "{\"since\":-1}" },
		{ "users.get", "{\"user_id\":1}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		fails(wrong[i].method, wrong[i].params, CHAT_RPC_INVALID_PARAMS);
	assert_int_equal(fake.sends, 0);
}

static void failures_have_their_codes(void **state)
{
	fails("chats.get", "{\"chat_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("chats.get", "{\"user_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("messages.list", "{\"chat_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("messages.list", "{\"chat_id\":\"c1\",\"after\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("messages.get", "{\"message_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("messages.mark_read", "{\"chat_id\":\"c1\",\"message_id\":\"x\"}",
		CHAT_ERROR_NOT_FOUND);
	fails("attachments.get", "{\"attachment_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("attachments.download", "{\"attachment_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("attachments.cancel", "{\"attachment_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("attachments.open", "{\"attachment_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("attachments.read", "{\"attachment_id\":\"x\"}", CHAT_ERROR_NOT_FOUND);
	fails("users.get", "{\"user_id\":\"nobody\"}", CHAT_ERROR_NOT_FOUND);
	fails("events.subscribe", "{\"since\":1}", CHAT_ERROR_INVALID);
	fake.stored = false;
	fails("attachments.open", "{\"attachment_id\":\"a1\"}", CHAT_ERROR_BUSY);
	fails("attachments.read", "{\"attachment_id\":\"a1\"}", CHAT_ERROR_BUSY);
}

static void the_repositorys_failures_are_passed_on(void **state)
{
	struct failure f = {
		.kind = FAILURE_OFFLINE, .retry_after_ms = 1500, .detail = "no answer"
	};
	cJSON *error, *data;
	int code;

	fake.failure = &f;
	error = test_call(&c, "chats.create", "{\"user_id\":\"ana\"}", &code);
	assert_int_equal(code, CHAT_ERROR_OFFLINE);
	data = cJSON_GetObjectItem(error, "data");
	assert_string_equal(cJSON_GetObjectItem(data, "kind")->valuestring, "offline");
	assert_string_equal(cJSON_GetObjectItem(data, "detail")->valuestring, "no answer");
	assert_int_equal(cJSON_GetObjectItem(data, "retry_after_ms")->valueint, 1500);
	cJSON_Delete(error);
	f.kind = FAILURE_DENIED;
	fails("account.login", "{\"server\":\"x\",\"user_id\":\"me\",\"password\":\"p\"}",
		CHAT_ERROR_DENIED);
	f.kind = FAILURE_INTERNAL;
	fails("users.get", "{\"user_id\":\"ana\"}", CHAT_RPC_INTERNAL_ERROR);
	f.kind = FAILURE_CONFLICT;
	fails("messages.send", "{\"chat_id\":\"c1\",\"text\":\"x\"}", CHAT_ERROR_CONFLICT);
	f.kind = FAILURE_NOT_FOUND;
	fails("messages.list", "{\"chat_id\":\"c1\"}", CHAT_ERROR_NOT_FOUND);
}

static bool more_of(const char *params)
{
	cJSON *page = good("messages.list", params);
	bool more = cJSON_IsTrue(cJSON_GetObjectItem(page, "more"));

	cJSON_Delete(page);
	return more;
}

static void more_is_what_is_stored_or_known_to_exist(void **state)
{
	assert_false(more_of("{\"chat_id\":\"c1\"}"));
	fake.older_history = true;
	assert_true(more_of("{\"chat_id\":\"c1\"}"));
	assert_true(more_of("{\"chat_id\":\"c1\",\"before\":\"m1\"}"));
	assert_false(more_of("{\"chat_id\":\"c1\",\"after\":\"m1\"}"));
	fake.older_history = false;
	fake.more = true;
	assert_true(more_of("{\"chat_id\":\"c1\",\"after\":\"m1\"}"));
	assert_true(more_of("{\"chat_id\":\"c1\"}"));
}

/* Large messages: a page is cut at the end that is further from where the client stands. */
static void pages_are_cut_to_fit_a_line(void **state)
{
	_cleanup_free_ char *text = malloc(60001);
	cJSON *page, *messages;
	int n;

	memset(text, '\x01', 60000);
	text[60000] = '\0';
	fake.text = text;
	fake.page_size = 50;
	page = good("messages.list", "{\"chat_id\":\"c1\"}");
	messages = cJSON_GetObjectItem(page, "messages");
	n = cJSON_GetArraySize(messages);
	assert_int_equal(n, 1);
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetArrayItem(messages, 0), "message_id")->valuestring,
		"m49");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(page, "more")));
	cJSON_Delete(page);

	memset(text, 'x', 60000);
	page = good("messages.list", "{\"chat_id\":\"c1\",\"after\":\"m1\"}");
	messages = cJSON_GetObjectItem(page, "messages");
	n = cJSON_GetArraySize(messages);
	assert_in_range(n, 7, 9);
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetArrayItem(messages, 0), "message_id")->valuestring,
		"m0");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(page, "more")));
	cJSON_Delete(page);

	page = good("messages.list", "{\"chat_id\":\"c1\",\"before\":\"m1\"}");
	messages = cJSON_GetObjectItem(page, "messages");
	n = cJSON_GetArraySize(messages);
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetArrayItem(messages, n - 1), "message_id")->valuestring,
		"m49");
	cJSON_Delete(page);
}

static void expect_piece(const char *params, const char *base64)
{
	cJSON *piece = good("attachments.read", params);

	assert_string_equal(cJSON_GetObjectItem(piece, "data")->valuestring, base64);
	assert_int_equal(cJSON_GetObjectItem(piece, "size")->valueint, 10);
	cJSON_Delete(piece);
}

static void attachments_are_read_in_pieces(void **state)
{
	expect_piece("{\"attachment_id\":\"a1\"}", "MDEyMzQ1Njc4OQ==");
	expect_piece("{\"attachment_id\":\"a1\",\"offset\":8}", "ODk=");
	expect_piece("{\"attachment_id\":\"a1\",\"offset\":1,\"length\":3}", "MTIz");
	expect_piece("{\"attachment_id\":\"a1\",\"offset\":10}", "");
	expect_piece("{\"attachment_id\":\"a1\",\"offset\":9007199254740992}", "");
	expect_piece("{\"attachment_id\":\"a1\",\"variant\":\"preview\",\"length\":2}", "YWI=");
}

static void a_snippet_comes_in_pieces(void **state)
{
	_cleanup_(cJSON_Deletep) cJSON *result = good("messages.search", "{\"query\":\"hello\"}");
	const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(result, "results"), 0);
	_cleanup_free_ char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(first, "snippet"));

	assert_string_equal(text,
		"[{\"text\":\"say \",\"match\":false},{\"text\":\"hello\",\"match\":true},"
		"{\"text\":\" \",\"match\":false},{\"text\":\"you\",\"match\":true}]");
	assert_string_equal(cJSON_GetObjectItem(result, "cursor")->valuestring, "17");
	fails("messages.search", "{\"query\":\"x\",\"chat_id\":\"c9\"}", 1);
}

/* Waits for the answer of a request that has been sent. */
static void expect_answer(const char *text)
{
	fake_settle();
	test_expect(&c, text);
}

static void waiting_ends_with_the_first_change(void **state)
{
	test_client_line(&c,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"changes.wait\","
		"\"params\":{\"topics\":[\"message.added\"],\"chats\":[\"c1\"],\"timeout_ms\":"
		"600000}}");
	fake_settle();
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	fake_change(CHANGE_MESSAGE_ADDED, "c2", "m1");
	fake_settle();
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	expect_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":3,\"changes\":[{\"seq\":3,"
		      "\"topic\":\"message.added\",\"chat_id\":\"c1\",\"message_id\":\"m2\"}]}}");
	fails("changes.wait", "{\"since\":4}", 2);
}

/* Who waits and goes away leaves nothing behind. */
static void waiting_ends_with_the_client(void **state)
{
	struct test_client other;

	test_client_open(&other, api, SCOPES_ALL);
	test_client_line(&other, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"changes.wait\"}");
	fake_settle();
	test_client_close(&other);
	fake_settle();
	assert_true(TAILQ_EMPTY(&api->orphans));
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_settle();
}

static void consumers_fail_as_described(void **state)
{
	struct failure conflict = { .kind = FAILURE_CONFLICT };

	fails("events.ack", "{\"consumer\":\"bot\",\"seq\":0}", 1);
	fails("events.forget", "{\"consumer\":\"bot\"}", 1);
	fake.failure = &conflict;
	fails("events.subscribe", "{\"consumer\":\"bot\"}", 8);
}

static void a_subscription_says_where_it_begins(void **state)
{
	cJSON *result;

	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	fake_change(CHANGE_CHAT_UPDATED, "c2", "c2");
	fake_settle();
	result = good("events.subscribe", "{}");
	assert_int_equal(cJSON_GetObjectItem(result, "seq")->valueint, 2);
	cJSON_Delete(result);
	result = good("events.subscribe", "{\"since\":1,\"topics\":[\"message.added\"]}");
	assert_int_equal(cJSON_GetObjectItem(result, "seq")->valueint, 1);
	cJSON_Delete(result);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_method_answers_as_described),
		test(wrong_parameters_are_refused),
		test(failures_have_their_codes),
		test(the_repositorys_failures_are_passed_on),
		test(more_is_what_is_stored_or_known_to_exist),
		test(pages_are_cut_to_fit_a_line),
		test(attachments_are_read_in_pieces),
		test(a_snippet_comes_in_pieces),
		test(waiting_ends_with_the_first_change),
		test(waiting_ends_with_the_client),
		test(consumers_fail_as_described),
		test(a_subscription_says_where_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
