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

struct option_info {
	int letter;
	bool is_short; /* the letter is also its short form */
	const char *name;
	int has_argument;     /* as getopt_long() has it */
	const char *argument; /* as --help shows it: "", "=NAME" or "[=NAME]" */
	const char *help;
};

/* The first option of the verb, or the next after `info`; NULL at the end. No verb: global ones. */
const struct option_info *options_next(const struct verb *verb, const struct option_info *info);

/* Prints the lines of --help for the options of the verb; NULL: the global ones. */
void options_help(const struct verb *verb);
