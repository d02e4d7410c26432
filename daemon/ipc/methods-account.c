/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/request.h"

struct login_params {
	const char *server;
	const char *user_id;
	const char *password;
};

static const struct json_field login_fields[] = {
	{ "server", JSON_STRING, JSON_REQUIRED, offsetof(struct login_params, server), 1, 2048,
		"The server's URL; https, or http to this machine." },
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct login_params, user_id),
		.doc = "Who signs in." },
	{ "password", JSON_STRING, JSON_REQUIRED, offsetof(struct login_params, password), 1, 1024,
		"That person's password. It is stored encrypted." },
	{ 0 },
};

static void on_login_done(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;
	struct repository_status s;

	if (failure)
		return request_fail(rq, failure);
	repository_get_status(rq->api->repository, &s);
	request_reply(rq, encode_account(rq->api->account, &s));
}

static void on_login(struct request *rq)
{
	const struct login_params *p = rq->params;

	account_login(rq->api->repository, p->server, p->user_id, p->password, on_login_done, rq);
}

static void on_done(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;

	if (failure)
		request_fail(rq, failure);
	else
		request_reply(rq, cJSON_CreateObject());
}

/* Where nothing is on a disk, there is nothing to lock. */
static bool has_key(struct request *rq)
{
	if (rq->api->account_ops)
		return true;
	request_fail_with(rq, FAILURE_UNSUPPORTED, "this account has no key");
	return false;
}

struct logout_params {
	bool confirm;
};

static const struct json_field logout_fields[] = {
	{ "confirm", JSON_BOOLEAN, JSON_REQUIRED, offsetof(struct logout_params, confirm),
		.doc = "True, or nothing happens but that conflict says what would be lost." },
	{ 0 },
};

/* It outlives the moment in which the account is closed, and asks for itself whether it is open. */
static void on_logout(struct request *rq)
{
	const struct logout_params *p = rq->params;
	struct api *api = rq->api;
	struct store_stats held;
	struct repository_status s;

	if (api->lock.locked)
		return request_fail_with(rq, FAILURE_LOCKED, "%s", api->lock.detail);
	if (!api->account_ops)
		return request_fail_with(
			rq, FAILURE_UNSUPPORTED, "this is a trial, of which nothing is stored");
	if (p->confirm)
		return api->account_ops->log_out(api->account_userdata, on_done, rq);
	store_get_stats(api->store, &held);
	repository_get_status(api->repository, &s);
	request_fail_with(rq, FAILURE_CONFLICT,
		"this removes from here: messages %" PRId64 ", of them unsent %" PRId64
		", photos %" PRId64 "; it has to be confirmed",
		held.messages, s.outbox_pending + s.outbox_failed, held.photos);
}

struct unlock_params {
	const char *passphrase;
	const char *recovery_key;
};

static const struct json_field unlock_fields[] = {
	{ "passphrase", JSON_STRING, JSON_NULLABLE, offsetof(struct unlock_params, passphrase), 1,
		1024, "Where the key is under one." },
	{ "recovery_key", JSON_STRING, JSON_NULLABLE, offsetof(struct unlock_params, recovery_key),
		1, 100, "Wherever the key is, or was." },
	{ 0 },
};

static void on_unlock(struct request *rq)
{
	const struct unlock_params *p = rq->params;
	struct api *api = rq->api;

	if (p->passphrase && p->recovery_key)
		return request_fail_params(rq, "a passphrase or a recovery key, not both");
	if (has_key(rq))
		api->account_ops->unlock(
			api->account_userdata, p->passphrase, p->recovery_key, on_done, rq);
}

static void on_lock(struct request *rq)
{
	if (has_key(rq))
		rq->api->account_ops->lock(rq->api->account_userdata, on_done, rq);
}

struct passphrase_params {
	const char *passphrase;
};

static const struct json_field passphrase_fields[] = {
	{ "passphrase", JSON_STRING, JSON_REQUIRED, offsetof(struct passphrase_params, passphrase),
		1, 1024, "The new one." },
	{ 0 },
};

static void on_set_passphrase(struct request *rq)
{
	const struct passphrase_params *p = rq->params;
	struct api *api = rq->api;

	if (has_key(rq))
		api->account_ops->move_key(
			api->account_userdata, KEY_SOURCE_PASSPHRASE, p->passphrase, on_done, rq);
}

struct source_params {
	const char *source;
};

static const char *const source_names[] = { "credential", "secret_service", "file", NULL };

static const struct json_field source_fields[] = {
	{ "source", JSON_STRING, JSON_REQUIRED, offsetof(struct source_params, source), 1, 32,
		"Where the key comes from, from now on." },
	{ 0 },
};

static const struct param_detail source_details[] = {
	{ .name = "source", .values = source_names },
	{ 0 },
};

static void on_set_key_source(struct request *rq)
{
	const struct source_params *p = rq->params;
	struct api *api = rq->api;
	enum key_source to = KEY_SOURCE_NONE;

	for (unsigned i = 0; key_source_names[i]; i++)
		if (strcmp(key_source_names[i], p->source) == 0)
			to = (enum key_source)i;
	if (has_key(rq))
		api->account_ops->move_key(api->account_userdata, to, NULL, on_done, rq);
}

static const struct schema_field recovery_fields[] = {
	{ "recovery_key", SCHEMA_STRING,
		.doc = "To be written down; it is not stored and cannot be shown again." },
	{ 0 },
};

static const struct schema recovery_result = {
	.doc = "A recovery key.",
	.fields = recovery_fields,
};

static void on_recovery_key(void *userdata, const struct failure *failure, const char *key)
{
	struct request *rq = userdata;
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;

	if (failure)
		return request_fail(rq, failure);
	o = cJSON_CreateObject();
	request_reply(rq, o && json_add_string(o, "recovery_key", key) ? TAKE_PTR(o) : NULL);
}

static void on_make_recovery_key(struct request *rq)
{
	if (has_key(rq))
		rq->api->account_ops->make_recovery_key(
			rq->api->account_userdata, on_recovery_key, rq);
}

#define KEY_ERRORS (1u << FAILURE_UNSUPPORTED | 1u << FAILURE_STORAGE_FULL)

const struct method methods_account[] = {
	{
		.name = "account.login",
		.summary = "Signs in and starts the first synchronisation.",
		.doc = "Answers when the server has accepted the password. Follow chat.updated "
		       "and message.added for what then comes in.",
		.params = login_fields,
		.params_size = sizeof(struct login_params),
		.result = &schema_account,
		.errors = 1u << FAILURE_INVALID | 1u << FAILURE_DENIED | 1u << FAILURE_OFFLINE |
			1u << FAILURE_CONFLICT | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES | METHOD_SECRET | METHOD_WAITS,
		.handler = on_login,
	},
	{
		.name = "account.logout",
		.summary = "Signs out and removes what is stored of the account.",
		.doc = "Messages, photos, those that are not sent yet, the password, and databases "
		       "that were put aside as damaged; the server keeps what it has. Settings, "
		       "consumers, the key and where it lies stay, and so do copies made by "
		       "storage.backup. Changes go on: each chat is told as removed. Requests "
		       "under way end with locked.",
		.params = logout_fields,
		.params_size = sizeof(struct logout_params),
		.result = &schema_nothing,
		.errors = 1u << FAILURE_UNSUPPORTED | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES | METHOD_WHILE_LOCKED | METHOD_WAITS,
		.handler = on_logout,
	},
	{
		.name = "account.unlock",
		.summary = "Opens the account's databases.",
		.doc = "Without a parameter the key's source is asked again; the Secret Service "
		       "may "
		       "then open a window. Nothing happens when the account is open. The topic "
		       "connection and hello tell whether it is.",
		.params = unlock_fields,
		.params_size = sizeof(struct unlock_params),
		.result = &schema_nothing,
		.errors = KEY_ERRORS | 1u << FAILURE_DENIED | 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_FULL,
		.flags = METHOD_SECRET | METHOD_WHILE_LOCKED,
		.handler = on_unlock,
	},
	{
		.name = "account.lock",
		.summary = "Closes the databases and wipes their key from memory.",
		.doc = "The session with the server ends. Until account.unlock every method but "
		       "daemon.status, account.unlock, account.lock, events.subscribe to the topic "
		       "connection, events.unsubscribe and rpc.discover answers locked; requests "
		       "under way do too. Subscriptions stay, and go on from where they were.",
		.result = &schema_nothing,
		.errors = 1u << FAILURE_UNSUPPORTED,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WHILE_LOCKED,
		.handler = on_lock,
	},
	{
		.name = "account.set_passphrase",
		.summary = "Puts the key under a passphrase, or under another one.",
		.doc = "From then on the daemon starts locked. The data stay as they are.",
		.params = passphrase_fields,
		.params_size = sizeof(struct passphrase_params),
		.result = &schema_nothing,
		.errors = KEY_ERRORS,
		.scopes = SCOPE_FULL,
		.flags = METHOD_SECRET,
		.handler = on_set_passphrase,
	},
	{
		.name = "account.set_key_source",
		.summary = "Moves the key to another place.",
		.doc = "credential: it is wrapped by chatd.key, which the service manager gives "
		       "the "
		       "daemon; secret_service: by a secret in the desktop's keyring; file: it "
		       "lies "
		       "beside the data, readable for who can read these. It is then there alone, "
		       "and the data stay as they are.",
		.params = source_fields,
		.params_size = sizeof(struct source_params),
		.details = source_details,
		.result = &schema_nothing,
		.errors = KEY_ERRORS | 1u << FAILURE_INVALID | 1u << FAILURE_DENIED,
		.scopes = SCOPE_FULL,
		.handler = on_set_key_source,
	},
	{
		.name = "account.make_recovery_key",
		.summary = "Makes a key that opens the account when its passphrase or keyring is "
			   "lost.",
		.doc = "It takes the place of an earlier one.",
		.result = &recovery_result,
		.errors = KEY_ERRORS,
		.scopes = SCOPE_FULL,
		.handler = on_make_recovery_key,
	},
	{ 0 },
};
