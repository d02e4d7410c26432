/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/hello.h"

#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/method.h"
#include "ipc/rpc.h"
#include "libclient/protocol.h"

static const char *const scope_names[] = { "full", "read", "send", NULL };

static const struct schema_field limits_fields[] = {
	{ "line", SCHEMA_INTEGER, .doc = "Bytes of a line, its newline included." },
	{ "batch", SCHEMA_INTEGER, .doc = "Requests of a batch." },
	{ "requests", SCHEMA_INTEGER, .doc = "Requests in flight; more wait in the socket." },
	{ "descriptors", SCHEMA_INTEGER, .doc = "Descriptors that come with one line." },
	{ 0 },
};

static const struct schema schema_limits = {
	.doc = "What one connection may ask for.",
	.fields = limits_fields,
};

static const struct schema_field hello_fields[] = {
	{ "api", SCHEMA_STRING, .doc = "Version of this interface." },
	{ "daemon", SCHEMA_STRING, .doc = "Version of the daemon." },
	{ "instance_id", SCHEMA_ID, .doc = "Of this run of the daemon." },
	{ "account", SCHEMA_STRING, .doc = "Local name of the account." },
	{ "scope", SCHEMA_ENUM, .values = scope_names, .doc = "What this connection may use." },
	{ "locked", SCHEMA_ENUM, SCHEMA_OPTIONAL, .values = lock_reason_names,
		.doc = "Why the account is locked. Left out while it is open." },
	{ "limits", SCHEMA_OBJECT, .object = &schema_limits, .doc = "Limits of a connection." },
	{ 0 },
};

const struct schema schema_hello = {
	.doc = "Who answers, and in which version.",
	.fields = hello_fields,
};

static const char *scope_name(unsigned scopes)
{
	if (scopes == SCOPE_READ)
		return "read";
	return scopes == SCOPE_SEND ? "send" : "full";
}

static bool add_limits(cJSON *params)
{
	cJSON *limits = cJSON_AddObjectToObject(params, "limits");

	return limits && json_add_integer(limits, "line", CHAT_LINE_MAX) &&
		json_add_integer(limits, "batch", RPC_BATCH_MAX) &&
		json_add_integer(limits, "requests", CLIENT_REQUESTS_MAX) &&
		json_add_integer(limits, "descriptors", CHAT_FDS_MAX);
}

struct chunk *hello_line(const struct api *api, unsigned scopes)
{
	_cleanup_(cJSON_Deletep) cJSON *params = cJSON_CreateObject();
	bool ok = params && json_add_string(params, "api", CHAT_API_VERSION);

	ok = ok && json_add_string(params, "daemon", PACKAGE_VERSION);
	ok = ok && json_add_string(params, "instance_id", api->instance_id);
	ok = ok && json_add_string(params, "account", api->account);
	ok = ok && json_add_string(params, "scope", scope_name(scopes));
	if (api->lock.locked)
		ok = ok &&
			json_add_string(params, "locked", lock_reason_to_string(api->lock.reason));
	ok = ok && add_limits(params);
	return ok ? rpc_notification_line("hello", TAKE_PTR(params)) : NULL;
}
