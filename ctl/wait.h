/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting for what a callback sets, and text from the command line or standard input.
 */
#pragma once

#include "ctl.h"

/*
 * Dispatches the client until `*done`, for at most `timeout_ms` (-1: any time). True when it is
 * done.
 */
bool ctl_wait(struct ctl *ctl, const bool *done, int64_t timeout_ms);

/* The words with spaces between, owned. NULL, complained about, when they are not UTF-8. */
char *ctl_join_words(const struct ctl *ctl, int argc, char **argv);

/*
 * All of standard input as an owned string, without the last line end. NULL, complained about, when
 * it cannot be read, is above `max` bytes or is not UTF-8.
 */
char *ctl_read_stdin(const struct ctl *ctl, size_t max);
