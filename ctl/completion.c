/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/completion-scripts.h"
#include "ctl/ctl.h"

int verb_completion(struct ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {
		{ "bash", script_bash },
		{ "zsh", script_zsh },
		{ "fish", script_fish },
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		if (strcmp(argv[0], scripts[i].shell) != 0)
			continue;
		fputs(scripts[i].script, stdout);
		return CTL_OK;
	}
	return ctl_say(ctl, CTL_USAGE, "the shells are bash, zsh and fish");
}
