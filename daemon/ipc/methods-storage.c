/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/request.h"

static const struct schema_field stats_fields[] = {
	{ "chats", SCHEMA_INTEGER, .doc = "Chats." },
	{ "messages", SCHEMA_INTEGER, .doc = "Messages that are here." },
	{ "users", SCHEMA_INTEGER, .doc = "People." },
	{ "photos", SCHEMA_INTEGER, .doc = "Photos whose full bytes are here, or in part." },
	{ "photo_bytes", SCHEMA_INTEGER, .doc = "Their bytes." },
	{ "previews", SCHEMA_INTEGER, .doc = "Previews that are here." },
	{ "preview_bytes", SCHEMA_INTEGER, .doc = "Their bytes." },
	{ "chat_bytes", SCHEMA_INTEGER, .doc = "Bytes on disk of the database of all but photos." },
	{ "chat_free_bytes", SCHEMA_INTEGER, .doc = "Of these, bytes that hold nothing." },
	{ "media_bytes", SCHEMA_INTEGER, .doc = "Bytes on disk of the database of photos." },
	{ "media_free_bytes", SCHEMA_INTEGER, .doc = "Of these, bytes that hold nothing." },
	{ 0 },
};

static const struct schema stats_result = {
	.doc = "What holds how much.",
	.fields = stats_fields,
};

static void on_stats(struct request *rq)
{
	struct store_stats s;
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	bool ok;

	store_get_stats(rq->api->store, &s);
	ok = o && json_add_integer(o, "chats", s.chats) &&
		json_add_integer(o, "messages", s.messages) &&
		json_add_integer(o, "users", s.users) && json_add_integer(o, "photos", s.photos) &&
		json_add_integer(o, "photo_bytes", s.photo_bytes) &&
		json_add_integer(o, "previews", s.previews) &&
		json_add_integer(o, "preview_bytes", s.preview_bytes) &&
		json_add_integer(o, "chat_bytes", s.chat_bytes) &&
		json_add_integer(o, "chat_free_bytes", s.chat_free) &&
		json_add_integer(o, "media_bytes", s.media_bytes) &&
		json_add_integer(o, "media_free_bytes", s.media_free);
	request_reply(rq, ok ? TAKE_PTR(o) : NULL);
}

static const char *const databases[] = { "chat", "media", NULL };

static const struct schema_field problem_fields[] = {
	{ "database", SCHEMA_ENUM, .values = databases, .doc = "Which one." },
	{ "detail", SCHEMA_STRING, .doc = "What is wrong, in terms of pages and tables." },
	{ 0 },
};

static const struct schema problem = {
	.doc = "A piece of damage.",
	.fields = problem_fields,
};

static const struct schema_field check_fields[] = {
	{ "ok", SCHEMA_BOOLEAN, .doc = "All is whole." },
	{ "problems", SCHEMA_OBJECT, SCHEMA_LIST, .object = &problem,
		.doc = "The first ones, if not." },
	{ 0 },
};

static const struct schema check_result = {
	.doc = "How whole the databases are.",
	.fields = check_fields,
};

static void on_problem(void *userdata, const char *database, const char *detail)
{
	cJSON *o = cJSON_CreateObject();

	if (json_append(userdata, o) && json_add_string(o, "database", database))
		json_add_string(o, "detail", detail);
}

static void on_check(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *problems = o ? cJSON_AddArrayToObject(o, "problems") : NULL;
	int r = problems ? store_check(rq->api->store, on_problem, problems) : -ENOMEM;

	if (r < 0)
		return request_fail_errno(rq, r);
	request_reply(
		rq, json_add_bool(o, "ok", cJSON_GetArraySize(problems) == 0) ? TAKE_PTR(o) : NULL);
}

struct backup_params {
	const char *path;
};

static const struct json_field backup_params_fields[] = {
	{ "path", JSON_STRING, JSON_REQUIRED, offsetof(struct backup_params, path), 1, 4000,
		"An absolute path; the directory is made." },
	{ 0 },
};

static const struct schema_field backup_fields[] = {
	{ "bytes", SCHEMA_INTEGER, .doc = "Bytes of the copy." },
	{ 0 },
};

static const struct schema backup_result = {
	.doc = "The copy is whole.",
	.fields = backup_fields,
};

static void reply_count(
	struct request *rq, const struct failure *failure, const char *name, int64_t n)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;

	if (failure)
		return request_fail(rq, failure);
	o = cJSON_CreateObject();
	request_reply(rq, o && json_add_integer(o, name, n) ? TAKE_PTR(o) : NULL);
}

static void on_backup_done(void *userdata, const struct failure *failure, int64_t bytes)
{
	struct request *rq = userdata;
	const struct backup_params *p = rq->params;
	struct api *api = rq->api;
	struct failure f;

	if (!failure && api->account_ops->copy_key(api->account_userdata, p->path, &f) < 0) {
		storage_discard_backup(p->path);
		failure = &f;
	}
	reply_count(rq, failure, "bytes", bytes);
}

static void on_backup(struct request *rq)
{
	const struct backup_params *p = rq->params;
	struct api *api = rq->api;
	struct failure f;

	if (p->path[0] != '/')
		return request_fail_params(rq, "path: it must be absolute");
	if (!api->account_ops)
		return request_fail_with(rq, FAILURE_UNSUPPORTED, "nothing is on a disk here");
	if (api->account_ops->copy_key(api->account_userdata, NULL, &f) < 0)
		return request_fail(rq, &f);
	storage_backup(api->repository, p->path, on_backup_done, rq);
}

static const char *const purge_values[] = { "media", "history", NULL };

struct purge_params {
	const char *what;
};

static const struct json_field purge_fields[] = {
	{ "what", JSON_STRING, JSON_REQUIRED, offsetof(struct purge_params, what), 1, 32,
		"What is to go." },
	{ 0 },
};

static const struct param_detail purge_details[] = {
	{ .name = "what", .values = purge_values },
	{ 0 },
};

static const struct schema_field purge_result_fields[] = {
	{ "removed", SCHEMA_INTEGER, .doc = "How many photos or messages went." },
	{ 0 },
};

static const struct schema purge_result = {
	.doc = "What went.",
	.fields = purge_result_fields,
};

static void on_purged(void *userdata, const struct failure *failure, int64_t n)
{
	reply_count(userdata, failure, "removed", n);
}

static void on_purge(struct request *rq)
{
	const struct purge_params *p = rq->params;

	if (strcmp(p->what, "media") == 0)
		storage_purge_media(rq->api->repository, on_purged, rq);
	else
		storage_purge_history(rq->api->repository, on_purged, rq);
}

const struct method methods_storage[] = {
	{
		.name = "storage.stats",
		.summary = "What holds how much of the disk.",
		.result = &stats_result,
		.scopes = SCOPE_READ,
		.handler = on_stats,
	},
	{
		.name = "storage.check",
		.summary = "Looks for damage in the databases.",
		.doc = "Every page's authenticity and the structure are checked. All is read, and "
		       "nobody else is answered meanwhile: a second or so for a gigabyte. What is "
		       "damaged is put right at the daemon's next start.",
		.result = &check_result,
		.scopes = SCOPE_FULL,
		.handler = on_check,
	},
	{
		.name = "storage.backup",
		.summary = "Copies the databases into a new directory, while they are used.",
		.doc = "The copy is encrypted as the original is, and opened by the same "
		       "passphrase, "
		       "keyring, credential or recovery key: what wraps the key is copied too, a "
		       "key "
		       "file is not. It is put back by having its files in place of the account's "
		       "before the daemon starts. conflict: the directory is there, or the key is "
		       "in "
		       "a file and there is no recovery key that could open the copy.",
		.params = backup_params_fields,
		.params_size = sizeof(struct backup_params),
		.result = &backup_result,
		.errors = 1u << FAILURE_CONFLICT | 1u << FAILURE_DENIED | 1u << FAILURE_NOT_FOUND |
			1u << FAILURE_UNSUPPORTED | 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.handler = on_backup,
	},
	{
		.name = "storage.purge",
		.summary = "Removes from this device what the server has too.",
		.doc = "media: the full bytes of photos that can be fetched again; previews stay. "
		       "history: all messages but each chat's newest, unread ones and those to be "
		       "sent; going back in a chat fetches them.",
		.params = purge_fields,
		.params_size = sizeof(struct purge_params),
		.details = purge_details,
		.result = &purge_result,
		.errors = 1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_purge,
	},
	{ 0 },
};
