/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The typed calls about the daemon and its account. */
#include <errno.h>
#include <string.h>

#include "methods.h"

static struct request_options status_options(void)
{
	return method_options("daemon.status", RESULT_STATUS, NULL, NULL, NULL, NULL);
}

int chat_client_get_status(struct chat_client *c, struct chat_status **ret)
{
	return method_call(c, status_options(), ret);
}

int chat_client_get_status_async(struct chat_client *c, chat_status_fn callback, void *userdata)
{
	return START(c, status_options(), status, callback, userdata);
}

static struct request_options login_options(
	const char *server, const char *user_id, const char *password)
{
	struct request_options o = method_options(
		"account.login", RESULT_ACCOUNT, "server", server, "user_id", user_id);

	o.repeatable = false;
	method_add_string(&o.params, "password", password);
	return o;
}

int chat_client_login(struct chat_client *c, const char *server, const char *user_id,
	const char *password, struct chat_account **ret)
{
	if (!server || !user_id || !password)
		return method_invalid(c, "server, user and password are needed");
	return method_call(c, login_options(server, user_id, password), ret);
}

int chat_client_login_async(struct chat_client *c, const char *server, const char *user_id,
	const char *password, chat_account_fn callback, void *userdata)
{
	if (!server || !user_id || !password)
		return method_invalid(c, "server, user and password are needed");
	return START(c, login_options(server, user_id, password), account, callback, userdata);
}

static struct request_options logout_options(bool confirm)
{
	struct request_options o =
		method_options("account.logout", RESULT_DONE, NULL, NULL, NULL, NULL);

	o.repeatable = false;
	method_add_bool(&o.params, "confirm", confirm);
	return o;
}

int chat_client_logout(struct chat_client *c, bool confirm)
{
	return method_call(c, logout_options(confirm), NULL);
}

int chat_client_logout_async(
	struct chat_client *c, bool confirm, chat_done_fn callback, void *userdata)
{
	return START(c, logout_options(confirm), done, callback, userdata);
}

/* Of the two ways in at most one. */
static struct request_options unlock_options(const char *passphrase, const char *recovery_key)
{
	return method_options("account.unlock", RESULT_DONE, "passphrase", passphrase,
		"recovery_key", recovery_key);
}

int chat_client_unlock(struct chat_client *c, const char *passphrase, const char *recovery_key)
{
	if (passphrase && recovery_key)
		return method_invalid(c, "a passphrase and a recovery key exclude each other");
	return method_call(c, unlock_options(passphrase, recovery_key), NULL);
}

int chat_client_unlock_async(struct chat_client *c, const char *passphrase,
	const char *recovery_key, chat_done_fn callback, void *userdata)
{
	if (passphrase && recovery_key)
		return method_invalid(c, "a passphrase and a recovery key exclude each other");
	return START(c, unlock_options(passphrase, recovery_key), done, callback, userdata);
}

/* A repetition might close what was opened again meanwhile. */
static struct request_options lock_options(void)
{
	struct request_options o =
		method_options("account.lock", RESULT_DONE, NULL, NULL, NULL, NULL);

	o.repeatable = false;
	return o;
}

int chat_client_lock(struct chat_client *c)
{
	return method_call(c, lock_options(), NULL);
}

int chat_client_lock_async(struct chat_client *c, chat_done_fn callback, void *userdata)
{
	return START(c, lock_options(), done, callback, userdata);
}

static struct request_options get_user_options(const char *user_id)
{
	return method_options("users.get", RESULT_USER, "user_id", user_id, NULL, NULL);
}

int chat_client_get_user(struct chat_client *c, const char *user_id, struct chat_user **ret)
{
	if (!user_id)
		return method_invalid(c, "a user is needed");
	return method_call(c, get_user_options(user_id), ret);
}

int chat_client_get_user_async(
	struct chat_client *c, const char *user_id, chat_user_fn callback, void *userdata)
{
	if (!user_id)
		return method_invalid(c, "a user is needed");
	return START(c, get_user_options(user_id), user, callback, userdata);
}

static struct request_options get_settings_options(enum result_kind kind, const char *name)
{
	return method_options("settings.get", kind, "name", name, NULL, NULL);
}

int chat_client_list_settings(struct chat_client *c, struct chat_setting_list **ret)
{
	return method_call(c, get_settings_options(RESULT_SETTING_LIST, NULL), ret);
}

int chat_client_list_settings_async(
	struct chat_client *c, chat_setting_list_fn callback, void *userdata)
{
	return START(c, get_settings_options(RESULT_SETTING_LIST, NULL), setting_list, callback,
		userdata);
}

int chat_client_get_setting(struct chat_client *c, const char *name, struct chat_setting **ret)
{
	if (!name)
		return method_invalid(c, "a setting is needed");
	return method_call(c, get_settings_options(RESULT_SETTING, name), ret);
}

int chat_client_get_setting_async(
	struct chat_client *c, const char *name, chat_setting_fn callback, void *userdata)
{
	if (!name)
		return method_invalid(c, "a setting is needed");
	return START(c, get_settings_options(RESULT_SETTING, name), setting, callback, userdata);
}

static struct request_options set_setting_options(const char *name, const char *value)
{
	return method_options("settings.set", RESULT_SETTING, "name", name, "value", value);
}

int chat_client_set_setting(
	struct chat_client *c, const char *name, const char *value, struct chat_setting **ret)
{
	if (!name)
		return method_invalid(c, "a setting is needed");
	return method_call(c, set_setting_options(name, value), ret);
}

int chat_client_set_setting_async(struct chat_client *c, const char *name, const char *value,
	chat_setting_fn callback, void *userdata)
{
	if (!name)
		return method_invalid(c, "a setting is needed");
	return START(c, set_setting_options(name, value), setting, callback, userdata);
}

static void add_strings(cJSON **object, const char *name, const char *const *strings)
{
	cJSON *array = NULL;

	if (!strings || !*object)
		return;
	if (strings_to_json(strings, &array) == 0 && cJSON_AddItemToObject(*object, name, array))
		return;
	cJSON_Delete(array);
	cJSON_Delete(*object);
	*object = NULL;
}

/* The answer may take its own time on top of what the daemon waits. */
static struct request_options wait_changes_options(
	const char *const *topics, const char *const *chats, int64_t since, int timeout_ms)
{
	struct request_options o =
		method_options("changes.wait", RESULT_CHANGE_LIST, NULL, NULL, NULL, NULL);

	add_strings(&o.params, "topics", topics);
	add_strings(&o.params, "chats", chats);
	if (since >= 0)
		method_add_number(&o.params, "since", since);
	method_add_number(&o.params, "timeout_ms", timeout_ms);
	o.extra_ms = timeout_ms;
	return o;
}

int chat_client_wait_changes(struct chat_client *c, const char *const *topics,
	const char *const *chats, int64_t since, int timeout_ms, struct chat_change_list **ret)
{
	if (timeout_ms < 0)
		return method_invalid(c, "the time to wait is negative");
	return method_call(c, wait_changes_options(topics, chats, since, timeout_ms), ret);
}

int chat_client_wait_changes_async(struct chat_client *c, const char *const *topics,
	const char *const *chats, int64_t since, int timeout_ms, chat_change_list_fn callback,
	void *userdata)
{
	if (timeout_ms < 0)
		return method_invalid(c, "the time to wait is negative");
	return START(c, wait_changes_options(topics, chats, since, timeout_ms), change_list,
		callback, userdata);
}
