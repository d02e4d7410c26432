/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>

#include "ipc/encode.h"
#include "ipc/json-text.h"
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

static const struct schema_field push_fields[] = {
	{ "state", SCHEMA_ENUM, .values = push_state_names,
		.doc = "off: not asked for, or the server has none; no_distributor: nothing on "
		       "this machine passes pushes on; registering: somebody has not answered yet; "
		       "ready: pushes come." },
	{ "distributor", SCHEMA_STRING, SCHEMA_OPTIONAL,
		.doc = "What passes them on: its name on the bus." },
	{ 0 },
};

static const struct schema push = {
	.doc = "Whether pushes wake the daemon: connection.policy.",
	.fields = push_fields,
};

static const struct schema_field salvaged_fields[] = {
	{ "put_aside", SCHEMA_STRING,
		.doc = "The damaged database is kept under this name beside the new one." },
	{ "chats", SCHEMA_INTEGER, .doc = "Carried over." },
	{ "messages", SCHEMA_INTEGER, .doc = "Carried over." },
	{ "unsent", SCHEMA_INTEGER, .doc = "Of these, messages that were not sent." },
	{ "unsent_lost", SCHEMA_INTEGER, .doc = "Messages to be sent that are known to be lost." },
	{ 0 },
};

static const struct schema salvaged = {
	.doc = "What could be read of a damaged database.",
	.fields = salvaged_fields,
};

static const struct schema_field storage_fields[] = {
	{ "bytes", SCHEMA_INTEGER, .doc = "Bytes on disk." },
	{ "state", SCHEMA_ENUM, .values = write_states,
		.doc = "Whether the last write succeeded. full: there was no space; locked: the "
		       "databases are closed." },
	{ "put_aside", SCHEMA_STRING, SCHEMA_OPTIONAL,
		.doc = "The photos' database was found damaged since the start; it is kept under "
		       "this name beside the new one." },
	{ "salvaged", SCHEMA_OBJECT, SCHEMA_OPTIONAL, .object = &salvaged,
		.doc = "The database of all but photos was found damaged since the start: what is "
		       "in the new one that is in use. What else the server has is fetched again, "
		       "and told as added again." },
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
		       "open the databases; repair: a damaged one is put right, which takes "
		       "seconds." },
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
	{ "push", SCHEMA_OBJECT, .object = &push, .doc = "Pushes." },
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

static void write_counts(struct json_text *t, const struct repository_status *s)
{
	json_write_object(t, "outbox");
	json_write_integer(t, "pending", s->outbox_pending);
	json_write_integer(t, "failed", s->outbox_failed);
	json_write_object_end(t);
	json_write_object(t, "transfers");
	json_write_integer(t, "active", s->transfers_active);
	json_write_integer(t, "waiting", s->transfers_waiting);
	json_write_object_end(t);
}

static void write_push(struct json_text *t, const struct repository_status *s)
{
	json_write_object(t, "push");
	json_write_string(t, "state", push_state_names[s->push]);
	if (s->push_distributor)
		json_write_string(t, "distributor", s->push_distributor);
	json_write_object_end(t);
}

static const char *storage_state(const struct store *store)
{
	if (!store)
		return "locked";
	if (store_write_state(store) == 0)
		return "ok";
	return store_write_state(store) == -ENOSPC ? "full" : "error";
}

static void write_salvaged(struct json_text *t, const struct store_salvaged *from)
{
	if (!from)
		return;
	json_write_object(t, "salvaged");
	json_write_string(t, "put_aside", from->put_aside);
	json_write_integer(t, "chats", from->chats);
	json_write_integer(t, "messages", from->messages);
	json_write_integer(t, "unsent", from->unsent);
	json_write_integer(t, "unsent_lost", from->unsent_lost);
	json_write_object_end(t);
}

static void write_storage(struct json_text *t, struct store *store)
{
	json_write_object(t, "storage");
	if (store && store_put_aside(store))
		json_write_string(t, "put_aside", store_put_aside(store));
	write_salvaged(t, store ? store_get_salvaged(store) : NULL);
	json_write_integer(t, "bytes", store ? store_size(store) : 0);
	json_write_string(t, "state", storage_state(store));
	json_write_object_end(t);
}

static void write_lock(struct json_text *t, const struct lock_state *lock)
{
	if (!lock->locked)
		return;
	json_write_object(t, "locked");
	json_write_string(t, "reason", lock_reason_to_string(lock->reason));
	json_write_string(t, "detail", lock->detail);
	json_write_object_end(t);
}

static void write_versions(struct json_text *t, const struct api *api)
{
	json_write_object(t, "versions");
	json_write_string(t, "api", CHAT_API_VERSION);
	json_write_string(t, "daemon", PACKAGE_VERSION);
	json_write_array(t, "libraries");
	for (size_t i = 0; i < api->n_versions; i++) {
		json_write_object(t, NULL);
		json_write_string(t, "name", api->versions[i].name);
		json_write_string(t, "version", api->versions[i].version);
		json_write_object_end(t);
	}
	json_write_array_end(t);
	json_write_object_end(t);
}

static void on_status(struct request *rq)
{
	struct api *api = rq->api;
	struct repository_status s = { 0 };
	struct json_text t = { 0 };
	int64_t unread = 0;

	if (api->lock.locked) {
		session_status_from_lock(&s.connection, &api->lock);
	} else {
		repository_get_status(api->repository, &s);
		unread = store_unread_total(api->store);
	}
	json_write_object(&t, NULL);
	write_account(&t, "account", api->account, &s);
	write_connection(&t, "connection", &s.connection);
	json_write_integer(&t, "unread", unread);
	write_counts(&t, &s);
	write_push(&t, &s);
	write_storage(&t, api->store);
	write_lock(&t, &api->lock);
	json_write_string(&t, "key_source", key_source_to_string(api->key_source));
	write_versions(&t, api);
	json_write_object_end(&t);
	request_reply(rq, json_text_take(&t));
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
