/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/request.h"

static const char *const write_states[] = { "ok", "full", "error", "locked", NULL };

static const struct schema_field outbox_fields[] = {
	{ "pending", SCHEMA_INTEGER, .doc = "Waiting to be sent." },
	{ "failed", SCHEMA_INTEGER, .doc = "Refused for good, or given up." },
	{ 0 },
};

static const struct schema outbox = {
	.doc = "Messages that are not accepted by the server.",
	.fields = outbox_fields,
};

static const struct schema_field transfers_fields[] = {
	{ "active", SCHEMA_INTEGER, .doc = "Moving now." },
	{ "waiting", SCHEMA_INTEGER, .doc = "Queued behind these." },
	{ 0 },
};

static const struct schema transfers = {
	.doc = "Attachments on their way.",
	.fields = transfers_fields,
};

static const struct schema_field storage_fields[] = {
	{ "bytes", SCHEMA_INTEGER, .doc = "Bytes on disk." },
	{ "state", SCHEMA_ENUM, .values = write_states,
		.doc = "Whether the last write succeeded. full: there was no space; locked: the "
		       "databases are closed." },
	{ "put_aside", SCHEMA_STRING, SCHEMA_OPTIONAL,
		.doc = "At the start the photos' database was damaged; it is kept under this name "
		       "beside the new one." },
	{ 0 },
};

static const struct schema storage = {
	.doc = "The account's databases.",
	.fields = storage_fields,
};

static const struct schema_field library_fields[] = {
	{ "name", SCHEMA_STRING, .doc = "Its name." },
	{ "version", SCHEMA_STRING, .doc = "The version in use." },
	{ 0 },
};

static const struct schema library = {
	.doc = "A library that the daemon runs on.",
	.fields = library_fields,
};

static const struct schema_field versions_fields[] = {
	{ "api", SCHEMA_STRING, .doc = "Version of this interface." },
	{ "daemon", SCHEMA_STRING, .doc = "Version of the daemon." },
	{ "libraries", SCHEMA_OBJECT, SCHEMA_LIST, .object = &library,
		.doc = "Versions of what it is made with." },
	{ 0 },
};

static const struct schema versions = {
	.doc = "What runs here.",
	.fields = versions_fields,
};

static const struct schema_field lock_fields[] = {
	{ "reason", SCHEMA_ENUM, .values = lock_reason_names,
		.doc = "passphrase: it is needed; asked: account.lock was called; "
		       "keyring_locked: the Secret Service is locked itself; "
		       "keyring_unavailable: none answers; key_missing: the key is not where it "
		       "should be; key_unreadable: it cannot be read there; wrong_key: it does not "
		       "open the databases." },
	{ "detail", SCHEMA_STRING, .doc = "For people, with what is to be done." },
	{ 0 },
};

static const struct schema lock_result = {
	.doc = "Why the account is locked.",
	.fields = lock_fields,
};

static const struct schema_field status_result_fields[] = {
	{ "account", SCHEMA_OBJECT, .object = &schema_account, .doc = "Who is signed in." },
	{ "connection", SCHEMA_OBJECT, .object = &schema_connection,
		.doc = "The session with the server." },
	{ "unread", SCHEMA_INTEGER, .doc = "Unread messages of all chats." },
	{ "outbox", SCHEMA_OBJECT, .object = &outbox, .doc = "What is not sent." },
	{ "transfers", SCHEMA_OBJECT, .object = &transfers, .doc = "What is moving." },
	{ "storage", SCHEMA_OBJECT, .object = &storage, .doc = "The databases." },
	{ "locked", SCHEMA_OBJECT, SCHEMA_OPTIONAL, .object = &lock_result,
		.doc = "While the account is locked; then just this, the key's source and the "
		       "versions mean something." },
	{ "key_source", SCHEMA_ENUM, .values = key_source_names,
		.doc = "Where the key of the databases comes from: credential, secret_service, "
		       "passphrase, file (the weakest), or none for a trial without a disk." },
	{ "versions", SCHEMA_OBJECT, .object = &versions, .doc = "What runs here." },
	{ 0 },
};

static const struct schema status_result = {
	.name = NULL,
	.doc = "How things stand.",
	.fields = status_result_fields,
};

static bool add_counts(cJSON *o, const struct repository_status *s)
{
	cJSON *box = cJSON_AddObjectToObject(o, "outbox");
	cJSON *moving = cJSON_AddObjectToObject(o, "transfers");

	return box && moving && json_add_integer(box, "pending", s->outbox_pending) &&
		json_add_integer(box, "failed", s->outbox_failed) &&
		json_add_integer(moving, "active", s->transfers_active) &&
		json_add_integer(moving, "waiting", s->transfers_waiting);
}

static bool add_storage(cJSON *o, struct store *store)
{
	cJSON *s = cJSON_AddObjectToObject(o, "storage");
	int r = store ? store_write_state(store) : 0;
	const char *state = "error";

	if (!store)
		state = "locked";
	else if (r == 0)
		state = "ok";
	else if (r == -ENOSPC)
		state = "full";
	if (s && store && store_put_aside(store) &&
		!json_add_string(s, "put_aside", store_put_aside(store)))
		return false;
	return s && json_add_integer(s, "bytes", store ? store_size(store) : 0) &&
		json_add_string(s, "state", state);
}

static bool add_lock(cJSON *o, const struct lock_state *lock)
{
	cJSON *l;

	if (!lock->locked)
		return true;
	l = cJSON_AddObjectToObject(o, "locked");
	return l && json_add_string(l, "reason", lock_reason_to_string(lock->reason)) &&
		json_add_string(l, "detail", lock->detail);
}

static bool add_versions(cJSON *o, const struct api *api)
{
	cJSON *v = cJSON_AddObjectToObject(o, "versions"), *libraries;

	if (!v || !json_add_string(v, "api", CHAT_API_VERSION) ||
		!json_add_string(v, "daemon", PACKAGE_VERSION))
		return false;
	libraries = cJSON_AddArrayToObject(v, "libraries");
	for (size_t i = 0; libraries && i < api->n_versions; i++) {
		cJSON *l = cJSON_CreateObject();

		if (!json_append(libraries, l) ||
			!json_add_string(l, "name", api->versions[i].name) ||
			!json_add_string(l, "version", api->versions[i].version))
			return false;
	}
	return libraries;
}

static void on_status(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	struct api *api = rq->api;
	struct repository_status s = { 0 };
	int64_t unread = 0;
	bool ok;

	if (api->lock.locked) {
		session_status_from_lock(&s.connection, &api->lock);
	} else {
		repository_get_status(api->repository, &s);
		unread = store_unread_total(api->store);
	}
	ok = o && json_add_item(o, "account", encode_account(api->account, &s));
	ok = ok && json_add_item(o, "connection", encode_connection(&s.connection));
	ok = ok && json_add_integer(o, "unread", unread);
	ok = ok && add_counts(o, &s) && add_storage(o, api->store) && add_lock(o, &api->lock);
	ok = ok && json_add_string(o, "key_source", key_source_to_string(api->key_source));
	ok = ok && add_versions(o, api);
	request_reply(rq, ok ? TAKE_PTR(o) : NULL);
}

const struct method methods_daemon[] = {
	{
		.name = "daemon.status",
		.summary = "How things stand: account, connection, outbox, storage, versions.",
		.result = &status_result,
		.scopes = SCOPES_ALL,
		.flags = METHOD_WHILE_LOCKED,
		.handler = on_status,
	},
	{ 0 },
};
