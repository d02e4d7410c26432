/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From what a person types for a chat to the chat.
 */
#pragma once

#include "ctl.h"

struct target {
	struct chat_info *info; /* owned; NULL: there is no such chat */
	const char *user_id;    /* then: the user who was perhaps meant */
};

/*
 * Takes a chat's id, a user's id (with or without @), a peer's name or the beginning of one name
 * only, in any case. An exit code; complaints are made. With `may_be_user`, a user without a chat
 * is no error.
 */
int resolve_chat(struct ctl *ctl, const char *name, bool may_be_user, struct target *ret);

void target_clear(struct target *target);
