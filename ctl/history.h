/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stretch of a chat's messages, fetched in as many pages as it takes.
 */
#pragma once

#include "ctl.h"

struct history {
	struct chat_message **messages; /* owned; oldest first */
	size_t n;
	bool more; /* there are more in the direction fetched */
};

/*
 * Adds messages until there are `limit`: those after `after`, else the newest (before `before`). A
 * second call goes on backwards from the oldest held. An exit code; complaints are made.
 */
int history_fetch(struct ctl *ctl, const char *chat_id, const char *before, const char *after,
	unsigned limit, struct history *h);

void history_clear(struct history *h);
