/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl.h"
#include "terminal.h"
#include "text.h"

/* The parameters as JSON, owned. `value` NULL: none. */
static char *print_params(const char *name, const char *value)
{
	cJSON *o = must(cJSON_CreateObject());
	char *text;

	if (name)
		must(cJSON_AddStringToObject(o, "name", name));
	if (value)
		must(cJSON_AddStringToObject(o, "value", value));
	text = must(cJSON_PrintUnformatted(o));
	cJSON_Delete(o);
	return text;
}

static const char *member(const cJSON *o, const char *name)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));

	return s ? s : "";
}

static void print_setting(const struct ctl *ctl, const cJSON *o, bool with_doc)
{
	_cleanup_free_ char *value = text_clean(member(o, "value"), false);

	if (ctl_is_json(ctl)) {
		ctl_print_json(ctl, cJSON_PrintUnformatted(o));
		return;
	}
	printf("%s = %s\n", member(o, "name"), value);
	if (!with_doc)
		return;
	fputs("    ", stdout);
	print_wrapped(member(o, "doc"), 4);
}

int verb_settings(struct ctl *ctl, int argc, char **argv)
{
	const char *method = argc > 1 ? "settings.set" : "settings.get";
	_cleanup_free_ char *params =
		print_params(argc > 0 ? argv[0] : NULL, argc > 1 ? argv[1] : NULL);
	struct chat_reply *reply;
	const cJSON *item;
	cJSON *result;

	if (chat_client_call(ctl->client, method, params, NULL, 0, &reply) < 0)
		return ctl_fail(ctl);
	result = must(cJSON_Parse(reply->result_json));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "settings"))
		print_setting(ctl, item, argc < 2);
	cJSON_Delete(result);
	chat_reply_free(reply);
	return CTL_OK;
}
