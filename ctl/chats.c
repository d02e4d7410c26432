/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/resolve.h"
#include "ctl/terminal.h"

#define PAGE 200u
#define DEFAULT_LIMIT 50u
#define PREVIEW_SIZE 1000 /* bytes; more than a line of any terminal */

static const struct table_column columns[] = {
	{ "NAME", 20 },
	{ "UNREAD", 0, true },
	{ "WHEN" },
	{ "LAST MESSAGE" },
};

/* Ids are to be copied, so they are never cut; that leaves room for the name. */
static const struct table_column id_columns[] = {
	{ "CHAT" },
	{ "USER" },
	{ "NAME" },
};

/* Whose message it was shows by the name: a chat has two people. */
static bool is_own(const struct chat_info *c)
{
	return c->last_username && c->username && strcmp(c->last_username, c->username) != 0;
}

static void describe_last(const struct chat_info *c, char text[PREVIEW_SIZE])
{
	const char *status = chat_message_status_to_string(c->last_message_status);
	const char *last = c->last_message_text ? c->last_message_text : "";
	bool is_photo = c->last_message_timestamp_ms > 0 && !*last;
	bool unsent = c->last_message_status == CHAT_MESSAGE_PENDING ||
		c->last_message_status == CHAT_MESSAGE_FAILED;

	if (is_photo)
		last = "[photo]";
	if (unsent)
		snprintf(text, PREVIEW_SIZE, "you (%s): %s", status, last);
	else
		snprintf(text, PREVIEW_SIZE, "%s%s", is_own(c) ? "you: " : "", last);
}

static void add_row(struct table *t, bool ids, const struct chat_info *c)
{
	char unread[32] = "", when[TIME_TEXT_SIZE], last[PREVIEW_SIZE];
	const char *name = c->username ? c->username : c->user_id;
	const char *cells[] = { c->chat_id, c->user_id, name, unread, when, last };

	if (c->unread_count > 0)
		snprintf(unread, sizeof(unread), "%" PRId64, c->unread_count);
	time_text(c->last_message_timestamp_ms, when);
	describe_last(c, last);
	table_add(t, c->unread_count > 0 ? COLOUR_BOLD : COLOUR_NONE, ids ? cells : cells + 2);
}

/* One page, of which at most `left` are used; what is used is taken off `left`. */
static void show_page(
	struct ctl *ctl, const struct chat_info_list *list, struct table *t, unsigned *left)
{
	for (size_t i = 0; i < list->n_chats && 0 < *left; i++, --*left) {
		if (ctl_is_json(ctl))
			ctl_print_json(ctl, chat_info_to_json(list->chats[i]));
		else
			add_row(t, ctl->options.ids, list->chats[i]);
	}
}

static int show_chats(struct ctl *ctl, struct table *t, bool *ret_more)
{
	unsigned left = ctl->options.limit ? ctl->options.limit : DEFAULT_LIMIT;
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_info_list *list;

		if (chat_client_list_chats(ctl->client, left < PAGE ? left : PAGE, cursor, &list) <
			0)
			return ctl_fail(ctl);
		show_page(ctl, list, t, &left);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_info_list_free(list);
	} while (cursor && left > 0);
	*ret_more = cursor != NULL;
	return CTL_OK;
}

int verb_chats(struct ctl *ctl, int argc, char **argv)
{
	bool ids = ctl->options.ids, more = false;
	struct table t = {
		.columns = ids ? id_columns : columns,
		.n_columns = ids ? ARRAY_SIZE(id_columns) : ARRAY_SIZE(columns),
	};
	int r = show_chats(ctl, &t, &more);

	if (ctl_is_json(ctl))
		return r;
	if (t.n_rows > 0)
		table_print(&t);
	else if (r == CTL_OK)
		fputs("No chats yet.\n", stderr);
	fflush(stdout);
	if (more)
		fputs("There are more; --limit=N shows them.\n", stderr);
	return r;
}

int verb_delete(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(target_clear) struct target target = { 0 };
	int r = resolve_chat(ctl, argv[0], false, &target);

	if (r != CTL_OK)
		return r;
	if (ctl->options.timeout_ms >= 0)
		chat_client_set_timeout(ctl->client, (int)ctl->options.timeout_ms);
	if (chat_client_delete_chat(ctl->client, target.info->chat_id) < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, strdup("{}"));
	return CTL_OK;
}

/* The newest message that somebody else wrote, which is what can be read. An exit code. */
static int find_newest_incoming(struct ctl *ctl, const char *chat_id, char **ret)
{
	_cleanup_free_ char *before = NULL;
	bool more;

	do {
		struct chat_message_list *list;

		if (chat_client_list_messages(ctl->client, chat_id, before, NULL, PAGE, &list) < 0)
			return ctl_fail(ctl);
		for (size_t i = list->n_messages; i > 0 && !*ret; i--)
			if (!list->messages[i - 1]->outgoing)
				*ret = must(strdup(list->messages[i - 1]->message_id));
		more = list->more && list->n_messages > 0;
		free(before);
		before = more ? must(strdup(list->messages[0]->message_id)) : NULL;
		chat_message_list_free(list);
	} while (more && !*ret);
	return CTL_OK;
}

static void print_read(const struct ctl *ctl, const char *chat_id, const char *message_id)
{
	cJSON *json;

	if (!ctl_is_json(ctl))
		return;
	json = must(cJSON_CreateObject());
	must(cJSON_AddStringToObject(json, "chat_id", chat_id));
	must(cJSON_AddStringToObject(json, "message_id", message_id));
	ctl_print_json(ctl, cJSON_PrintUnformatted(json));
	cJSON_Delete(json);
}

int verb_read(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *message_id = NULL;
	int r = resolve_chat(ctl, argv[0], false, &target);

	if (r == CTL_OK && argc > 1)
		message_id = must(strdup(argv[1]));
	else if (r == CTL_OK)
		r = find_newest_incoming(ctl, target.info->chat_id, &message_id);
	if (r != CTL_OK || !message_id)
		return r;
	if (chat_client_mark_read(ctl->client, target.info->chat_id, message_id) < 0)
		return ctl_fail(ctl);
	print_read(ctl, target.info->chat_id, message_id);
	return CTL_OK;
}
