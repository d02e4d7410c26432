/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chatctl wait: what changed, by id, for scripts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/resolve.h"
#include "ctl/text.h"
#include "ctl/wait.h"

/* What the daemon allows for one call, and more than enough for its answer. */
#define CALL_MS 600000
#define ANSWER_MS 30000

static cJSON *list_of(const char *const *strings)
{
	cJSON *array = must(cJSON_CreateArray());

	for (; *strings; strings++)
		cJSON_AddItemToArray(array, must(cJSON_CreateString(*strings)));
	return array;
}

/* From here on, so that nothing is missed between two calls. An exit code. */
static int find_now(struct ctl *ctl, int64_t *ret)
{
	struct chat_info_list *list;

	if (chat_client_list_chats(ctl->client, 1, NULL, &list) < 0)
		return ctl_fail(ctl);
	*ret = list->as_of;
	chat_info_list_free(list);
	return CTL_OK;
}

static void print_change(const struct ctl *ctl, const cJSON *change)
{
	static const char *const columns[] = { "topic", "chat_id", "message_id", "attachment_id" };

	if (ctl_is_json(ctl))
		return ctl_print_json(ctl, cJSON_PrintUnformatted(change));
	printf("%.0f", cJSON_GetNumberValue(cJSON_GetObjectItem(change, "seq")));
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(change, columns[i]));
		_cleanup_free_ char *clean = text_clean(s, false);

		if (s)
			printf(" %s", clean);
	}
	putchar('\n');
}

/* One call. Sets how many changes came, and moves the position. An exit code. */
static int wait_once(
	struct ctl *ctl, cJSON *params, int64_t timeout_ms, int64_t *position, int *ret_n)
{
	_cleanup_free_ char *text = NULL;
	const cJSON *changes, *change;
	struct chat_reply *reply;
	cJSON *json;

	cJSON_DeleteItemFromObject(params, "since");
	cJSON_DeleteItemFromObject(params, "timeout_ms");
	must(cJSON_AddNumberToObject(params, "since", (double)*position));
	must(cJSON_AddNumberToObject(params, "timeout_ms", (double)timeout_ms));
	text = must(cJSON_PrintUnformatted(params));
	chat_client_set_timeout(ctl->client, (int)timeout_ms + ANSWER_MS);
	if (chat_client_call(ctl->client, "changes.wait", text, NULL, 0, &reply) < 0)
		return ctl_fail(ctl);
	json = must(cJSON_Parse(reply->result_json));
	chat_reply_free(reply);
	changes = cJSON_GetObjectItem(json, "changes");
	cJSON_ArrayForEach(change, changes)
		print_change(ctl, change);
	*ret_n = cJSON_GetArraySize(changes);
	*position = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "seq"));
	cJSON_Delete(json);
	return CTL_OK;
}

static int wait_for_changes(struct ctl *ctl, cJSON *params)
{
	int64_t timeout = ctl->options.timeout_ms, end = monotonic_ms() + timeout;
	int64_t position = ctl->options.since;
	int n = 0, r = position < 0 ? find_now(ctl, &position) : CTL_OK;

	while (r == CTL_OK && n == 0) {
		int64_t left = timeout < 0 ? CALL_MS : end - monotonic_ms();

		if (left < 0)
			return ctl_say(
				ctl, CTL_TIMED_OUT, "nothing changed; it is at %" PRId64, position);
		r = wait_once(ctl, params, left < CALL_MS ? left : CALL_MS, &position, &n);
	}
	return r;
}

int verb_wait(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *list = NULL;
	const char *topics[TOPICS_MAX + 1];
	cJSON *params = must(cJSON_CreateObject());
	int r = ctl_split_topics(ctl, &list, topics);

	if (r == CTL_OK && ctl->options.chat)
		r = resolve_chat(ctl, ctl->options.chat, false, &target);
	if (r == CTL_OK && list)
		cJSON_AddItemToObject(params, "topics", list_of(topics));
	if (r == CTL_OK && target.info)
		cJSON_AddItemToObject(params, "chats",
			list_of((const char *const[]){ target.info->chat_id, NULL }));
	if (r == CTL_OK)
		r = wait_for_changes(ctl, params);
	cJSON_Delete(params);
	return r;
}
