/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A command for each change: one at a time, in order, again until it succeeds.
 */
#pragma once

#include "ctl.h"

/*
 * Runs options.exec for each change of the topics and chats (NULL: all) until SIGINT or SIGTERM;
 * with options.consumer, each is acknowledged once its command has succeeded. An exit code.
 */
int exec_changes(struct ctl *ctl, const char *const *topics, const char *const *chats);
