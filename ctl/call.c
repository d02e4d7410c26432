/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "ctl/wait.h"

#define PARAMS_MAX (1024u * 1024u)

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int ctl_new_client(struct ctl *ctl)
{
	struct ctl_options *o = &ctl->options;
	int r = chat_client_new(&ctl->client);

	if (r < 0)
		return r;
	/* What is said here outranks both of what was said around. */
	if (!o->socket && !o->account) {
		o->socket = from_environment(CTL_VARIABLE "SOCKET");
		o->account = o->socket ? NULL : from_environment(CTL_VARIABLE "ACCOUNT");
	}
	if (o->socket)
		return chat_client_set_socket_path(ctl->client, o->socket);
	return o->account ? chat_client_set_account(ctl->client, o->account) : 0;
}

int ctl_call_text(struct ctl *ctl, const char *method, const char *name, const char *value,
	struct chat_reply **ret)
{
	cJSON *o = must(cJSON_CreateObject());
	char *params;
	int r;

	if (name)
		must(cJSON_AddStringToObject(o, name, value));
	params = must(cJSON_PrintUnformatted(o));
	if (name)
		explicit_bzero(o->child->valuestring, strlen(value));
	cJSON_Delete(o);
	r = chat_client_call(ctl->client, method, params, NULL, 0, ret);
	explicit_bzero(params, strlen(params));
	free(params);
	return r < 0 ? ctl_fail(ctl) : CTL_OK;
}

int verb_call(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_free_ char *input = NULL;
	const char *params = argc > 1 ? argv[1] : NULL;
	struct chat_reply *reply;

	if (params && strcmp(params, "-") == 0) {
		params = input = ctl_read_stdin(ctl, PARAMS_MAX);
		if (!params)
			return CTL_USAGE;
	}
	if (ctl->options.timeout_ms >= 0)
		chat_client_set_timeout(ctl->client, (int)ctl->options.timeout_ms);
	if (chat_client_call(ctl->client, argv[0], params, NULL, 0, &reply) < 0)
		return ctl_fail(ctl);
	if (!ctl_is_json(ctl) && terminal_is_tty())
		ctl->options.output = OUTPUT_PRETTY;
	ctl_print_json(ctl, strdup(reply->result_json));
	chat_reply_free(reply);
	return CTL_OK;
}
