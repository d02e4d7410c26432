/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

/* What would be lost, in the daemon's words; an exit code. */
static int learn_loss(struct ctl *ctl, char **ret)
{
	int r = chat_client_logout(ctl->client, false);

	if (r != -EEXIST)
		return ctl_fail(ctl);
	*ret = must(strdup(chat_client_get_error(ctl->client)->detail));
	return CTL_OK;
}

static bool ask(const char *loss)
{
	_cleanup_free_ char *clean = text_clean(loss, false);
	char answer[16];

	fprintf(stderr, "%s.\nSign out? [y/N] ", clean);
	return fgets(answer, sizeof(answer), stdin) &&
		(strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0);
}

int verb_logout(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_free_ char *loss = NULL;
	int r = ctl->options.yes ? CTL_OK : learn_loss(ctl, &loss);

	if (r != CTL_OK)
		return r;
	if (!ctl->options.yes && !isatty(STDIN_FILENO))
		return ctl_say(ctl, CTL_ERROR, "%s (--yes)", loss);
	if (!ctl->options.yes && !ask(loss))
		return ctl_say(ctl, CTL_ERROR, "nothing was changed");
	if (chat_client_logout(ctl->client, true) < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, strdup("{}"));
	else
		puts("Signed out; what was stored here is removed.");
	return CTL_OK;
}
