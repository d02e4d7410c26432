/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl.h"
#include "messages.h"

#define PAGE 50u

/* The chats of what was shown, for their names. */
struct peers {
	struct chat_info **chats;
	size_t n;
};

static void peers_clear(struct peers *p)
{
	for (size_t i = 0; i < p->n; i++)
		chat_info_free(p->chats[i]);
	free(p->chats);
}

/* NULL when it cannot be told. */
static const char *name_of(struct ctl *ctl, struct peers *p, const char *chat_id)
{
	struct chat_info *info;

	for (size_t i = p->n; i-- > 0;)
		if (strcmp(p->chats[i]->chat_id, chat_id) == 0)
			return p->chats[i]->username ? p->chats[i]->username : p->chats[i]->user_id;
	if (chat_client_get_chat(ctl->client, chat_id, NULL, &info) < 0)
		return NULL;
	p->chats = must(realloc(p->chats, (p->n + 1) * sizeof(*p->chats)));
	p->chats[p->n++] = info;
	return info->username ? info->username : info->user_id;
}

static void show(struct ctl *ctl, struct peers *p, const struct chat_message *m)
{
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, chat_message_to_json(m));
	else
		print_message_of_any(m, name_of(ctl, p, m->chat_id), true);
}

/* `*last`: the id of the last message shown, owned. An exit code. */
static int show_page(struct ctl *ctl, struct peers *peers, unsigned limit, char **last,
	unsigned *shown, bool *more)
{
	struct chat_message_list *list;

	if (chat_client_list_outbox(ctl->client, *last, limit, &list) < 0)
		return ctl_fail(ctl);
	for (size_t i = 0; i < list->n_messages; i++)
		show(ctl, peers, list->messages[i]);
	*shown += (unsigned)list->n_messages;
	*more = list->more && list->n_messages > 0;
	if (list->n_messages > 0) {
		free(*last);
		*last = must(strdup(list->messages[list->n_messages - 1]->message_id));
	}
	chat_message_list_free(list);
	return CTL_OK;
}

int verb_outbox(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(peers_clear) struct peers peers = { 0 };
	_cleanup_free_ char *last = NULL;
	unsigned limit = ctl->options.limit, shown = 0;
	bool more = true;
	int r = CTL_OK;

	while (r == CTL_OK && more && (limit == 0 || shown < limit)) {
		unsigned left = limit == 0 ? PAGE : limit - shown;

		r = show_page(ctl, &peers, left < PAGE ? left : PAGE, &last, &shown, &more);
	}
	if (r == CTL_OK && shown == 0 && !ctl_is_json(ctl))
		fputs("Nothing is waiting.\n", stderr);
	return r;
}

int verb_retry(struct ctl *ctl, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct chat_message *m;

		if (chat_client_retry_message(ctl->client, argv[i], &m) < 0)
			return ctl_fail(ctl);
		if (ctl_is_json(ctl))
			ctl_print_json(ctl, chat_message_to_json(m));
		chat_message_free(m);
	}
	return CTL_OK;
}

static void print_cancelled(const struct ctl *ctl, const char *message_id)
{
	cJSON *json = must(cJSON_CreateObject());

	must(cJSON_AddStringToObject(json, "message_id", message_id));
	ctl_print_json(ctl, cJSON_PrintUnformatted(json));
	cJSON_Delete(json);
}

int verb_cancel(struct ctl *ctl, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (chat_client_cancel_message(ctl->client, argv[i]) < 0)
			return ctl_fail(ctl);
		if (ctl_is_json(ctl))
			print_cancelled(ctl, argv[i]);
	}
	return CTL_OK;
}
