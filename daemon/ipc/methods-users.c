/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "ipc/encode.h"
#include "ipc/request.h"

struct get_params {
	const char *user_id;
};

static const struct json_field get_fields[] = {
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct get_params, user_id), .doc = "Who." },
	{ 0 },
};

static int take_user(void *userdata, const struct user *u)
{
	cJSON **ret = userdata;

	*ret = encode_user(u);
	return *ret ? 0 : -ENOMEM;
}

static void on_fetched(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;
	const struct get_params *p = rq->params;
	cJSON *user = NULL;
	int r;

	if (failure)
		return request_fail(rq, failure);
	r = store_user_get(rq->api->store, p->user_id, take_user, &user);
	if (r == -ENOENT)
		request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such person");
	else if (r < 0)
		request_fail_errno(rq, r);
	else
		request_reply(rq, user);
}

static void on_get(struct request *rq)
{
	const struct get_params *p = rq->params;

	lobby_fetch_user(rq->api->repository, p->user_id, on_fetched, rq);
}

const struct method methods_users[] = {
	{
		.name = "users.get",
		.summary = "A person, asked of the server when not known here yet.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_user,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_OFFLINE |
			1u << FAILURE_LOGIN_REQUIRED,
		.scopes = SCOPE_READ,
		.flags = METHOD_WAITS,
		.handler = on_get,
	},
	{ 0 },
};
