/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/history.h"
#include "ctl/resolve.h"
#include "ctl/terminal.h"

#define STRIDE 200u
#define DEFAULT_LIMIT 20u

static size_t count_photos(const struct history *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += h->messages[i]->n_attachments;
	return n;
}

/* Photos among the newest messages, gathered backwards until there are enough. An exit code. */
static int fetch_photos(struct ctl *ctl, const char *chat_id, size_t wanted, struct history *h)
{
	unsigned limit = 0;
	int r;

	do {
		limit += STRIDE;
		r = history_fetch(ctl, chat_id, NULL, NULL, limit, h);
	} while (r == CTL_OK && h->more && count_photos(h) < wanted);
	return r;
}

static const struct table_column photo_columns[] = {
	{ "PHOTO" },
	{ "WHEN" },
	{ "SIZE", 0, true },
	{ "STATUS" },
	{ "NAME" },
};

static void add_photo(
	struct table *t, const struct chat_message *m, const struct chat_attachment *a)
{
	char when[TIME_TEXT_SIZE], size[TIME_TEXT_SIZE];
	const char *cells[] = { a->attachment_id, time_text(m->created_at_ms, when),
		a->size > 0 ? size_text(a->size, size) : "",
		chat_attachment_status_to_string(a->status), a->name };

	table_add(t, COLOUR_NONE, cells);
}

int verb_photo_list(struct ctl *ctl, int argc, char **argv)
{
	size_t wanted = ctl->options.limit ? ctl->options.limit : DEFAULT_LIMIT;
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_(history_clear) struct history h = { 0 };
	struct table t = { photo_columns, ARRAY_SIZE(photo_columns) };
	size_t skip;
	int r = resolve_chat(ctl, argv[0], false, &target);

	if (r == CTL_OK)
		r = fetch_photos(ctl, target.info->chat_id, wanted, &h);
	if (r != CTL_OK)
		return r;
	skip = count_photos(&h) > wanted ? count_photos(&h) - wanted : 0;
	for (size_t i = 0; i < h.n; i++)
		for (size_t j = 0; j < h.messages[i]->n_attachments; j++) {
			const struct chat_attachment *a = h.messages[i]->attachments[j];

			if (skip > 0)
				skip--;
			else if (ctl_is_json(ctl))
				ctl_print_json(ctl, chat_attachment_to_json(a));
			else
				add_photo(&t, h.messages[i], a);
		}
	if (t.n_rows > 0)
		table_print(&t);
	else if (!ctl_is_json(ctl))
		fputs("No photos.\n", stderr);
	return CTL_OK;
}
