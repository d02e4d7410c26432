/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting for what a callback sets, and text from the command line or standard input.
 */
#pragma once

#include "ctl.h"

#define TOPICS_MAX 32

int64_t monotonic_ms(void);

/*
 * Dispatches the client until `*done`, for at most `timeout_ms` (-1: any time). True when it is
 * done.
 */
bool ctl_wait(struct ctl *ctl, const bool *done, int64_t timeout_ms);

/*
 * Cuts the list of --topics at its commas. The pointers lead into `*list`, which is owned and NULL
 * where there is none. An exit code; complaints are made.
 */
int ctl_split_topics(const struct ctl *ctl, char **list, const char *topics[TOPICS_MAX + 1]);

/* The words with spaces between, owned. NULL, complained about, when they are not UTF-8. */
char *ctl_join_words(const struct ctl *ctl, int argc, char **argv);

/*
 * All of standard input as an owned string, without the last line end. NULL, complained about, when
 * it cannot be read, is above `max` bytes or is not UTF-8.
 */
char *ctl_read_stdin(const struct ctl *ctl, size_t max);
