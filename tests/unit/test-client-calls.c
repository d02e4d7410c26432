/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The typed calls: what each sends, what it gives back, and what it refuses itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-answer.h"
#include "util.h"

#define QUALITY                                                                          \
	"{\"name\":\"photos.quality\",\"value\":\"good\",\"default\":\"best\",\"type\":" \
	"\"choice\",\"values\":[\"good\",\"best\"],\"doc\":\"How small.\",\"later\":true}"
#define GRACE                                                                            \
	"{\"name\":\"connection.grace_s\",\"value\":\"60\",\"default\":\"60\",\"type\":" \
	"\"integer\",\"minimum\":0,\"maximum\":86400,\"doc\":\"How long.\"}"
#define SETTINGS(list) "{\"settings\":[" list "]}"

/* What a callback got, kept beyond it. */
struct got {
	struct answer answer;
	struct chat_setting *setting;
	struct chat_setting_list *settings;
	struct chat_change_list *changes;
	struct chat_user *user;
	struct chat_attachment *attachment;
};

#define DEFINE_CALLBACK(name, type, member)                                     \
	static void name(struct chat_client *c, const struct chat_error *error, \
		const struct type *value, void *userdata)                       \
	{                                                                       \
		struct got *got = userdata;                                     \
		assert_true(!error == !!value);                                 \
		if (value)                                                      \
			got->member = type##_ref(value);                        \
		answer_note(c, &got->answer, error);                            \
	}

DEFINE_CALLBACK(on_setting, chat_setting, setting)
DEFINE_CALLBACK(on_settings, chat_setting_list, settings)
DEFINE_CALLBACK(on_changes, chat_change_list, changes)
DEFINE_CALLBACK(on_user, chat_user, user)
DEFINE_CALLBACK(on_attachment, chat_attachment, attachment)

/* Sends what was asked, and lets the daemon answer it. */
static void serve(struct chat_client *c, struct server *s, const char *method, const char *params,
	const char *result)
{
	int id;

	settle(c);
	id = server_expect_params(s, method, params);
	server_answer(s, id, result);
	settle(c);
}

static void settings_are_listed_with_what_they_may_be(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct got got = { 0 };
	const struct chat_setting *choice, *number;
	char *json;

	assert_true(chat_client_list_settings_async(c, on_settings, &got) > 0);
	serve(c, s, "settings.get", "{}", SETTINGS(QUALITY "," GRACE));
	assert_int_equal(got.settings->n_settings, 2);
	choice = got.settings->settings[0];
	assert_string_equal(choice->name, "photos.quality");
	assert_string_equal(choice->value, "good");
	assert_string_equal(choice->default_value, "best");
	assert_int_equal(choice->type, CHAT_SETTING_CHOICE);
	assert_int_equal(choice->n_values, 2);
	assert_string_equal(choice->values[1], "best");
	assert_string_equal(choice->doc, "How small.");
	number = got.settings->settings[1];
	assert_int_equal(number->type, CHAT_SETTING_INTEGER);
	assert_int_equal(number->n_values, 0);
	assert_int_equal(number->minimum, 0);
	assert_int_equal(number->maximum, 86400);
	json = chat_setting_to_json(choice);
	assert_string_equal(json, QUALITY);
	free(json);
	chat_setting_list_free(got.settings);
	chat_client_free(c);
}

static void one_setting_is_read_and_changed(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct got got = { 0 };

	assert_true(chat_client_get_setting_async(c, "photos.quality", on_setting, &got) > 0);
	serve(c, s, "settings.get", "{\"name\":\"photos.quality\"}", SETTINGS(QUALITY));
	assert_string_equal(got.setting->value, "good");
	got.setting = chat_setting_free(got.setting);
	assert_true(
		chat_client_set_setting_async(c, "photos.quality", "good", on_setting, &got) > 0);
	serve(c, s, "settings.set", "{\"name\":\"photos.quality\",\"value\":\"good\"}",
		SETTINGS(QUALITY));
	got.setting = chat_setting_free(got.setting);
	assert_true(chat_client_set_setting_async(c, "photos.quality", NULL, on_setting, &got) > 0);
	serve(c, s, "settings.set", "{\"name\":\"photos.quality\"}", SETTINGS(QUALITY));
	got.setting = chat_setting_free(got.setting);
	assert_int_equal(got.answer.calls, 3);
	assert_int_equal(chat_client_get_setting_async(c, NULL, on_setting, &got), -EINVAL);
	assert_int_equal(chat_client_set_setting_async(c, NULL, "x", on_setting, &got), -EINVAL);
	chat_client_free(c);
}

static void a_setting_that_is_not_understood_is_refused(void **state)
{
	static const char *const wrong[] = {
		SETTINGS(""),
		SETTINGS(QUALITY "," GRACE),
		SETTINGS("{\"name\":\"x\"}"),
		SETTINGS("{\"name\":\"x\",\"value\":\"1\",\"default\":\"1\",\"type\":\"choice\","
			 "\"values\":[1]}"),
		"{\"settings\":{}}",
		"{}",
	};
	struct server *s = *state;
	struct chat_client *c = connected_client(s);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct got got = { 0 };

		chat_client_get_setting_async(c, "x", on_setting, &got);
		serve(c, s, "settings.get", "{\"name\":\"x\"}", wrong[i]);
		assert_int_equal(got.answer.code, CHAT_CLIENT_ERROR_PROTOCOL);
	}
	chat_client_free(c);
}

static void changes_are_waited_for_by_id(void **state)
{
	static const char *const topics[] = { "message.added", "chat.removed", NULL };
	static const char *const chats[] = { "c", NULL };
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct got got = { 0 };
	const struct chat_change *change;
	char *json;

	assert_true(chat_client_wait_changes_async(c, topics, chats, 7, 500, on_changes, &got) > 0);
	serve(c, s, "changes.wait",
		"{\"topics\":[\"message.added\",\"chat.removed\"],\"chats\":[\"c\"],\"since\":7,"
		"\"timeout_ms\":500}",
		"{\"seq\":9,\"changes\":[{\"seq\":9,\"topic\":\"attachment.updated\",\"chat_id\":"
		"\"c\",\"message_id\":\"m\",\"attachment_id\":\"a\"}]}");
	assert_int_equal(got.changes->seq, 9);
	assert_int_equal(got.changes->n_changes, 1);
	change = got.changes->changes[0];
	assert_int_equal(change->seq, 9);
	assert_string_equal(change->topic, "attachment.updated");
	assert_string_equal(change->chat_id, "c");
	assert_string_equal(change->message_id, "m");
	assert_string_equal(change->attachment_id, "a");
	assert_null(change->attachment);
	json = chat_change_to_json(change);
	assert_string_equal(json,
		"{\"seq\":9,\"topic\":\"attachment.updated\",\"chat_id\":\"c\",\"message_id\":"
		"\"m\",\"attachment_id\":\"a\"}");
	free(json);
	got.changes = chat_change_list_free(got.changes);
	assert_true(chat_client_wait_changes_async(c, NULL, NULL, -1, 0, on_changes, &got) > 0);
	serve(c, s, "changes.wait", "{\"timeout_ms\":0}", "{\"seq\":9,\"changes\":[]}");
	assert_int_equal(got.changes->n_changes, 0);
	chat_change_list_free(got.changes);
	assert_int_equal(
		chat_client_wait_changes_async(c, NULL, NULL, 0, -1, on_changes, &got), -EINVAL);
	chat_client_free(c);
}

static void waiting_for_changes_is_no_late_answer(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct got got = { 0 };
	uint64_t before = monotonic_us(), deadline;

	chat_client_set_timeout(c, 1000);
	chat_client_wait_changes_async(c, NULL, NULL, 0, 600000, on_changes, &got);
	settle(c);
	deadline = chat_client_get_timeout(c);
	assert_true(deadline >= before + 601000000u);
	assert_true(deadline < before + 660000000u);
	chat_client_set_timeout(c, -1);
	chat_client_free(c);
}

static void the_account_is_locked_and_opened(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	chat_client_lock_async(c, answer_on_done, &a);
	serve(c, s, "account.lock", "{}", "{}");
	chat_client_unlock_async(c, "tulip", NULL, answer_on_done, &a);
	serve(c, s, "account.unlock", "{\"passphrase\":\"tulip\"}", "{}");
	chat_client_unlock_async(c, NULL, "1-2", answer_on_done, &a);
	serve(c, s, "account.unlock", "{\"recovery_key\":\"1-2\"}", "{}");
	chat_client_unlock_async(c, NULL, NULL, answer_on_done, &a);
	serve(c, s, "account.unlock", "{}", "{}");
	chat_client_logout_async(c, true, answer_on_done, &a);
	serve(c, s, "account.logout", "{\"confirm\":true}", "{}");
	chat_client_delete_chat_async(c, "b", answer_on_done, &a);
	serve(c, s, "chats.delete", "{\"chat_id\":\"b\"}", "{}");
	assert_int_equal(chat_client_delete_chat(c, NULL), -EINVAL);
	assert_int_equal(a.calls, 6);
	assert_int_equal(a.code, 0);
	assert_int_equal(chat_client_unlock_async(c, "tulip", "1-2", NULL, NULL), -EINVAL);
	chat_client_free(c);
}

static void a_user_and_an_attachment(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct got got = { 0 };

	chat_client_get_user_async(c, "bob", on_user, &got);
	serve(c, s, "users.get", "{\"user_id\":\"bob\"}",
		"{\"user_id\":\"bob\",\"name\":\"Bob\",\"picture_url\":null}");
	assert_string_equal(got.user->name, "Bob");
	assert_null(got.user->picture_url);
	chat_user_free(got.user);
	chat_client_cancel_attachment_async(c, "a", on_attachment, &got);
	serve(c, s, "attachments.cancel", "{\"attachment_id\":\"a\"}",
		"{\"attachment_id\":\"a\",\"status\":\"WAITING\"}");
	assert_int_equal(got.attachment->status, CHAT_ATTACHMENT_WAITING);
	chat_attachment_free(got.attachment);
	assert_int_equal(chat_client_get_user_async(c, NULL, on_user, &got), -EINVAL);
	assert_int_equal(
		chat_client_cancel_attachment_async(c, NULL, on_attachment, &got), -EINVAL);
	chat_client_free(c);
}

static void the_focus_is_told_to_each_connection(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	chat_client_focus_chat_async(c, "c-1", answer_on_done, &a);
	serve(c, s, "chats.focus", "{\"chat_id\":\"c-1\"}", "{}");
	server_drop(s);
	run_until_accepted(c, s); /* nobody else wants the connection */
	serve(c, s, "chats.focus", "{\"chat_id\":\"c-1\"}", "{}");
	chat_client_focus_chat_async(c, NULL, answer_on_done, &a);
	serve(c, s, "chats.focus", "{}", "{}");
	assert_int_equal(a.calls, 2);
	server_drop(s);
	call(c, "daemon.status", &a);
	run_until_accepted(c, s);
	server_answer(s, server_expect(s, "daemon.status"), "{}");
	settle(c);
	assert_int_equal(a.calls, 3);
	chat_client_free(c);
}

static void a_focus_that_was_not_answered_is_told_once(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	chat_client_focus_chat_async(c, "c-1", answer_on_done, &a);
	settle(c);
	server_expect(s, "chats.focus");
	server_drop(s);
	run_until_accepted(c, s);
	serve(c, s, "chats.focus", "{\"chat_id\":\"c-1\"}", "{}");
	assert_int_equal(a.calls, 1);
	call(c, "daemon.status", &a);
	serve(c, s, "daemon.status", "{}", "{}");
	chat_client_free(c);
}

static void a_chat_that_is_not_there_cannot_be_focused(void **state)
{
	struct server *s = *state;
	struct chat_client *c = connected_client(s);
	struct answer a = { 0 };

	chat_client_focus_chat_async(c, "none", answer_on_done, &a);
	settle(c);
	server_refuse(s, server_expect(s, "chats.focus"), CHAT_CLIENT_ERROR_NOT_FOUND, "not_found",
		"no such chat");
	settle(c);
	assert_int_equal(a.code, CHAT_CLIENT_ERROR_NOT_FOUND);
	server_drop(s);
	call(c, "daemon.status", &a);
	run_until_accepted(c, s);
	server_expect(s, "daemon.status");
	chat_client_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_are_listed_with_what_they_may_be),
		TEST(one_setting_is_read_and_changed),
		TEST(a_setting_that_is_not_understood_is_refused),
		TEST(changes_are_waited_for_by_id),
		TEST(waiting_for_changes_is_no_late_answer),
		TEST(the_account_is_locked_and_opened),
		TEST(a_user_and_an_attachment),
		TEST(the_focus_is_told_to_each_connection),
		TEST(a_focus_that_was_not_answered_is_told_once),
		TEST(a_chat_that_is_not_there_cannot_be_focused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
