/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chatctl wait: what changed, by id, for scripts. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/resolve.h"
#include "ctl/text.h"
#include "ctl/wait.h"

/* What the daemon allows for one call. */
#define CALL_MS 600000

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

static void print_change(const struct ctl *ctl, const struct chat_change *c)
{
	const char *const columns[] = { c->topic, c->chat_id, c->message_id, c->attachment_id };

	if (ctl_is_json(ctl))
		return ctl_print_json(ctl, chat_change_to_json(c));
	printf("%" PRId64, c->seq);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		_cleanup_free_ char *clean = text_clean(columns[i], false);

		if (columns[i])
			printf(" %s", clean);
	}
	putchar('\n');
}

/* One call. Sets how many changes came, and moves the position. An exit code. */
static int wait_once(struct ctl *ctl, const char *const *topics, const char *const *chats,
	int64_t timeout_ms, int64_t *position, size_t *ret_n)
{
	struct chat_change_list *list;

	if (chat_client_wait_changes(
		    ctl->client, topics, chats, *position, (int)timeout_ms, &list) < 0)
		return ctl_fail(ctl);
	for (size_t i = 0; i < list->n_changes; i++)
		print_change(ctl, list->changes[i]);
	*ret_n = list->n_changes;
	*position = list->seq;
	chat_change_list_free(list);
	return CTL_OK;
}

static int wait_for_changes(struct ctl *ctl, const char *const *topics, const char *const *chats)
{
	int64_t timeout = ctl->options.timeout_ms, end = monotonic_ms() + timeout;
	int64_t position = ctl->options.since;
	size_t n = 0;
	int r = position < 0 ? find_now(ctl, &position) : CTL_OK;

	while (r == CTL_OK && n == 0) {
		int64_t left = timeout < 0 ? CALL_MS : end - monotonic_ms();

		if (left < 0)
			return ctl_say(
				ctl, CTL_TIMED_OUT, "nothing changed; it is at %" PRId64, position);
		r = wait_once(ctl, topics, chats, left < CALL_MS ? left : CALL_MS, &position, &n);
	}
	return r;
}

int verb_wait(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *list = NULL;
	const char *topics[TOPICS_MAX + 1], *chats[2] = { NULL, NULL };
	int r = ctl_split_topics(ctl, &list, topics);

	if (r == CTL_OK && ctl->options.chat)
		r = resolve_chat(ctl, ctl->options.chat, false, &target);
	if (r != CTL_OK)
		return r;
	if (target.info)
		chats[0] = target.info->chat_id;
	return wait_for_changes(ctl, list ? topics : NULL, chats[0] ? chats : NULL);
}
