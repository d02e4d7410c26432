/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl.h"
#include "messages.h"

#define PAGE 50u

/* `*last`: the id of the last message shown, owned. An exit code. */
static int show_page(struct ctl *ctl, unsigned limit, char **last, unsigned *shown, bool *more)
{
	struct chat_message_list *list;

	if (chat_client_list_outbox(ctl->client, *last, limit, &list) < 0)
		return ctl_fail(ctl);
	for (size_t i = 0; i < list->n_messages; i++) {
		if (ctl_is_json(ctl))
			ctl_print_json(ctl, chat_message_to_json(list->messages[i]));
		else
			print_message(list->messages[i], NULL, true);
	}
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
	_cleanup_free_ char *last = NULL;
	unsigned limit = ctl->options.limit, shown = 0;
	bool more = true;
	int r = CTL_OK;

	while (r == CTL_OK && more && (limit == 0 || shown < limit)) {
		unsigned left = limit == 0 ? PAGE : limit - shown;

		r = show_page(ctl, left < PAGE ? left : PAGE, &last, &shown, &more);
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

int verb_cancel(struct ctl *ctl, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (chat_client_cancel_message(ctl->client, argv[i]) < 0)
			return ctl_fail(ctl);
	return CTL_OK;
}
