/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/discover.h"
#include "ipc/request.h"

static const struct schema_field discover_result_fields[] = {
	{ "openrpc", SCHEMA_STRING, .doc = "Version of OpenRPC." },
	{ 0 },
};

static const struct schema discover_result = {
	.doc = "An OpenRPC 1.3 document.",
	.fields = discover_result_fields,
};

static void on_discover(struct request *rq)
{
	request_reply(rq, discover());
}

const struct method methods_rpc[] = {
	{
		.name = "rpc.discover",
		.summary = "This description, as OpenRPC.",
		.result = &discover_result,
		.scopes = SCOPES_ALL,
		.flags = METHOD_WHILE_LOCKED,
		.handler = on_discover,
	},
	{ 0 },
};
