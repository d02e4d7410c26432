/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The options of all verbs in one table, from which both parsing and --help are made.
 */
#pragma once

#include "ctl.h"

/*
 * Takes the options out of argv. With `verb`, its own and the global ones, wherever they stand;
 * without, the global ones in front of the verb. The index of the first argument, or -1 after a
 * complaint on stderr.
 */
int options_parse(struct ctl_options *options, const struct verb *verb, int argc, char **argv);

/* Prints the lines of --help for the options named by `letters`; NULL: the global ones. */
void options_help(const char *letters);
