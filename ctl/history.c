/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 200u

void history_clear(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		chat_message_free(h->messages[i]);
	free(h->messages);
	*h = (struct history){ 0 };
}

/* Pages that come backwards go in front. */
static void history_add(struct history *h, const struct chat_message_list *list, bool in_front)
{
	size_t n = list->n_messages;
	struct chat_message **at;

	h->messages = must(realloc(h->messages, (h->n + n + 1) * sizeof(*h->messages)));
	at = h->messages + (in_front ? 0 : h->n);
	if (in_front)
		memmove(h->messages + n, h->messages, h->n * sizeof(*h->messages));
	for (size_t i = 0; i < n; i++)
		at[i] = chat_message_ref(list->messages[i]);
	h->n += n;
}

int history_fetch(struct ctl *ctl, const char *chat_id, const char *before, const char *after,
	unsigned limit, struct history *h)
{
	if (!after && h->n > 0)
		before = h->messages[0]->message_id;
	do {
		unsigned left = limit - (unsigned)h->n;
		struct chat_message_list *list;
		size_t n;

		if (chat_client_list_messages(ctl->client, chat_id, before, after,
			    left < PAGE ? left : PAGE, &list) < 0)
			return ctl_fail(ctl);
		n = list->n_messages;
		h->more = list->more && n > 0;
		history_add(h, list, !after);
		chat_message_list_free(list);
		if (after && h->n > 0)
			after = h->messages[h->n - 1]->message_id;
		else if (h->n > 0)
			before = h->messages[0]->message_id;
	} while (h->more && h->n < limit);
	return CTL_OK;
}
