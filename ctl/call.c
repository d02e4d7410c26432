/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "ctl/wait.h"

#define PARAMS_MAX (1024u * 1024u)

int verb_call(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_free_ char *input = NULL;
	const char *params = argc > 1 ? argv[1] : NULL;
	struct chat_reply *reply;

	if (params && strcmp(params, "-") == 0) {
		params = input = ctl_read_stdin(ctl, PARAMS_MAX);
		if (!params)
			return CTL_USAGE;
	}
	if (ctl->options.timeout_ms >= 0)
		chat_client_set_timeout(ctl->client, (int)ctl->options.timeout_ms);
	if (chat_client_call(ctl->client, argv[0], params, NULL, 0, &reply) < 0)
		return ctl_fail(ctl);
	if (!ctl_is_json(ctl) && terminal_is_tty())
		ctl->options.output = OUTPUT_PRETTY;
	ctl_print_json(ctl, strdup(reply->result_json));
	chat_reply_free(reply);
	return CTL_OK;
}
