/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/encode.h"
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
		.flags = METHOD_WRITES | METHOD_SECRET,
		.handler = on_login,
	},
	{ 0 },
};
