/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory runs out at every place in turn: each time there is an error or the right result, nothing
 * leaks (the sanitizer looks), and the client still works once there is memory again. The program
 * is linked with --wrap, so that the library's allocations and cJSON's come by here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client-server.h"

static unsigned long allocations;
static unsigned long fail_at; /* 0: never */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails_now(void)
{
	return ++allocations == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

struct outcome {
	bool done;
	int code;
	unsigned changes;
};

static void on_list(struct chat_client *c, const struct chat_error *error,
	const struct chat_message_list *list, void *userdata)
{
	struct outcome *o = userdata;

	o->done = true;
	o->code = error ? error->code : 0;
	if (list) {
		assert_int_equal(list->n_messages, 1);
		assert_string_equal(list->messages[0]->text, "hi");
		assert_int_equal(list->messages[0]->n_attachments, 1);
	}
}

static void on_file(struct chat_client *c, const struct chat_error *error, struct chat_file *file,
	void *userdata)
{
	struct outcome *o = userdata;

	o->done = true;
	o->code = error ? error->code : 0;
	if (file)
		assert_true(file->fd >= 0);
}

static void on_change(struct chat_client *c, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct outcome *o = userdata;

	if (change)
		o->changes++;
}

#define LIST                                                                                 \
	"{\"messages\":[{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":" \
	"\"hi\",\"attachments\":[{\"attachment_id\":\"a\"}]}],\"more\":false}"

static void assert_plausible(const struct outcome *o)
{
	if (o->done)
		assert_true(o->code == 0 || o->code == CHAT_CLIENT_ERROR_NO_MEMORY ||
			o->code ==
				CHAT_CLIENT_ERROR_PROTOCOL || /* cJSON does not tell them apart */
			o->code == CHAT_CLIENT_ERROR_DISCONNECTED);
}

/* One request and its answer with the n-th allocation failing. True if one failed. */
static bool try_request(struct server *s, struct chat_client *c, unsigned long n)
{
	struct outcome o = { 0 };
	int r;

	allocations = 0;
	fail_at = n;
	r = chat_client_list_messages_async(c, "c", NULL, NULL, 3, on_list, &o);
	settle(c);
	fail_at = 0;
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(chat_client_get_error(c)->code, CHAT_CLIENT_ERROR_NO_MEMORY);
		return true;
	}
	server_expect(s, "messages.list");
	server_answer(s, r, LIST);
	fail_at = n;
	settle(c);
	n = fail_at <= allocations;
	fail_at = 0;
	assert_plausible(&o);
	chat_client_cancel(c, r);
	return n;
}

static void requests(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	unsigned long n = 1;

	while (try_request(s, c, n)) {
		n++;
		if (chat_client_get_state(c) == CHAT_CLIENT_CONNECTED)
			continue;
		chat_client_free(c);
		server_drop(s);
		c = connected_client(s);
	}
	assert_true(n > 20);
	chat_client_free(c);
}

static bool try_file(struct server *s, struct chat_client *c, unsigned long n)
{
	struct outcome o = { 0 };
	char line[100];
	int fd = memfd_create("test", MFD_CLOEXEC);
	int r = chat_client_open_attachment_async(c, "a", false, on_file, &o);

	settle(c);
	server_expect(s, "attachments.open");
	snprintf(line, sizeof(line), "{\"id\":%d,\"result\":{\"size\":0,\"fd\":0}}\n", r);
	server_send_fds(s, line, &fd, 1);
	close(fd);
	allocations = 0;
	fail_at = n;
	settle(c);
	n = fail_at <= allocations;
	fail_at = 0;
	assert_plausible(&o);
	chat_client_cancel(c, r);
	return n;
}

static void on_settings(struct chat_client *c, const struct chat_error *error,
	const struct chat_setting_list *list, void *userdata)
{
	struct outcome *o = userdata;

	o->done = true;
	o->code = error ? error->code : 0;
	if (list)
		assert_string_equal(list->settings[0]->values[1], "y");
}

static void on_changes(struct chat_client *c, const struct chat_error *error,
	const struct chat_change_list *list, void *userdata)
{
	struct outcome *o = userdata;

	o->done = true;
	o->code = error ? error->code : 0;
	if (list)
		assert_string_equal(list->changes[0]->topic, "t");
}

/* A focus, a wait and a list, asked for and answered. True if an allocation failed. */
static bool try_calls(struct server *s, unsigned long n)
{
	static const char *const topics[] = { "t", NULL };
	struct chat_client *c = connected_client(s);
	struct outcome waited = { 0 }, listed = { 0 };
	int focus, wait, list;

	allocations = 0;
	fail_at = n;
	focus = chat_client_focus_chat_async(c, "c", NULL, NULL);
	wait = chat_client_wait_changes_async(c, topics, topics, 1, 5, on_changes, &waited);
	list = chat_client_list_settings_async(c, on_settings, &listed);
	settle(c);
	fail_at = 0;
	if (focus > 0)
		server_answer(s, server_expect(s, "chats.focus"), "{}");
	if (wait > 0)
		server_answer(s, server_expect(s, "changes.wait"),
			"{\"seq\":2,\"changes\":[{\"seq\":2,\"topic\":\"t\"}]}");
	if (list > 0)
		server_answer(s, server_expect(s, "settings.get"),
			"{\"settings\":[{\"name\":\"n\",\"value\":\"y\",\"default\":\"x\","
			"\"type\":\"choice\",\"values\":[\"x\",\"y\"]}]}");
	fail_at = n;
	settle(c);
	n = fail_at <= allocations;
	fail_at = 0;
	assert_true(focus > 0 || focus == -ENOMEM);
	assert_true(wait > 0 || wait == -ENOMEM);
	assert_true(list > 0 || list == -ENOMEM);
	assert_plausible(&waited);
	assert_plausible(&listed);
	chat_client_free(c);
	server_drop(s);
	return n;
}

static void calls(void **state)
{
	unsigned long n = 1;

	while (try_calls(*state, n))
		n++;
	assert_true(n > 50);
}

static void descriptors(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	int before = open_fds();
	unsigned long n = 1;

	while (try_file(s, c, n)) {
		n++;
		if (chat_client_get_state(c) != CHAT_CLIENT_CONNECTED) {
			chat_client_free(c);
			server_drop(s);
			c = connected_client(s);
		}
		assert_int_equal(open_fds(), before);
	}
	assert_true(n > 5);
	chat_client_free(c);
}

/* The whole way from a fresh client to a change that is told. True if an allocation failed. */
static bool try_subscription(struct server *s, unsigned long n)
{
	static const char *const topics[] = { "chat.removed", NULL };
	struct chat_client *c = client_of(s);
	struct outcome o = { 0 };
	bool failed;
	int r;

	allocations = 0;
	fail_at = n;
	r = chat_client_subscribe(c, topics, topics, 5, on_change, &o);
	if (r == 0) {
		settle(c);
		if (chat_client_get_state(c) == CHAT_CLIENT_GREETING) {
			server_accept(s);
			server_send(s, HELLO);
			settle(c);
		}
	}
	failed = fail_at <= allocations;
	fail_at = 0;
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		chat_client_free(c);
		return true;
	}
	if (chat_client_get_state(c) != CHAT_CLIENT_CONNECTED) {
		server_drop(s);
		run_until_accepted(c, s);
	}
	server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":6}");
	server_send(s,
		"{\"method\":\"change\",\"params\":{\"seq\":6,\"topic\":\"chat.removed\",\"data\":{"
		"}}}"
		"\n");
	if (!failed)
		fail_at = n;
	settle(c);
	failed = failed || fail_at <= allocations;
	fail_at = 0;
	if (o.changes == 0) {
		server_drop(s);
		run_until_accepted(c, s);
		server_answer(s, server_expect(s, "events.subscribe"), "{\"seq\":6}");
		server_send(s,
			"{\"method\":\"change\",\"params\":{\"seq\":6,\"topic\":\"chat.removed\","
			"\"data\":{}}}\n");
		settle(c);
	}
	assert_int_equal(o.changes, 1);
	chat_client_free(c);
	server_drop(s);
	return failed;
}

static void subscriptions(void **state)
{
	struct server *s = *state;
	unsigned long n = 1;

	while (try_subscription(s, n))
		n++;
	assert_true(n > 20);
}

static void a_client(void **state)
{
	struct chat_client *c = NULL;
	unsigned long n = 1;

	for (;; n++) {
		int r;

		allocations = 0;
		fail_at = n;
		r = chat_client_new(&c);
		fail_at = 0;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(c);
	}
	chat_client_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	cJSON_Hooks hooks = { __wrap_malloc, free };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client),
		TEST(requests),
		TEST(calls),
		TEST(descriptors),
		TEST(subscriptions),
	};

	cJSON_InitHooks(&hooks);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
