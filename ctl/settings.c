/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "ctl.h"
#include "terminal.h"
#include "text.h"

/* What it does, and what it may be where that does not say so. */
static void print_doc(const struct chat_setting *s)
{
	_cleanup_free_ char *text = NULL;
	int n;

	if (s->type == CHAT_SETTING_INTEGER)
		n = asprintf(&text, "%s %" PRId64 " to %" PRId64 "; %s by default.", s->doc,
			s->minimum, s->maximum, s->default_value);
	else
		n = asprintf(&text, "%s %s by default.", s->doc, s->default_value);
	if (n < 0)
		text = NULL;
	fputs("    ", stdout);
	print_wrapped(must(text), 4);
}

static void print_setting(const struct ctl *ctl, const struct chat_setting *s, bool with_doc)
{
	_cleanup_free_ char *value = text_clean(s->value, false);

	if (ctl_is_json(ctl)) {
		ctl_print_json(ctl, chat_setting_to_json(s));
		return;
	}
	printf("%s = %s\n", s->name, value);
	if (with_doc)
		print_doc(s);
}

static int print_all(struct ctl *ctl)
{
	struct chat_setting_list *list;

	if (chat_client_list_settings(ctl->client, &list) < 0)
		return ctl_fail(ctl);
	for (size_t i = 0; i < list->n_settings; i++)
		print_setting(ctl, list->settings[i], true);
	chat_setting_list_free(list);
	return CTL_OK;
}

int verb_settings(struct ctl *ctl, int argc, char **argv)
{
	struct chat_setting *setting;
	bool changes = argc > 1 || ctl->options.to_default;
	int r;

	if (ctl->options.to_default && argc != 1)
		return ctl_say(ctl, CTL_USAGE, "--default goes with one setting and no value");
	if (argc == 0)
		return print_all(ctl);
	if (changes)
		r = chat_client_set_setting(
			ctl->client, argv[0], argc > 1 ? argv[1] : NULL, &setting);
	else
		r = chat_client_get_setting(ctl->client, argv[0], &setting);
	if (r < 0)
		return ctl_fail(ctl);
	print_setting(ctl, setting, !changes);
	chat_setting_free(setting);
	return CTL_OK;
}
