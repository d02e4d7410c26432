/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line that is being completed: complete.c reads it, complete-values.c finds what its
 * arguments and the options' values may be.
 */
#pragma once

#include <stddef.h>

#include "ctl.h"

struct option_info;

struct candidate {
	char *value, *description;
};

/* The command line as far as it is typed. */
struct line {
	struct ctl *ctl;
	const struct verb *verb; /* NULL: not there yet */
	const char *group;       /* the first word of a verb of two, until the second comes */
	bool is_help;            /* "help" stands for a verb */
	bool is_unknown;         /* what stands for a verb is none */
	bool options_end;        /* "--" came */
	const char **arguments;  /* of the verb, whole ones */
	unsigned n_arguments;
	const struct option_info *option; /* waits for its value */
	const char *word;                 /* to be completed */
	size_t kept;                      /* bytes of the word that stay in front: "--chat=" */
	struct candidate *candidates;
	size_t n, allocated;
};

/* One more that the word may become; copied. `description` may be NULL, and anybody's text. */
void line_add(struct line *l, const char *value, const char *description);

/* What a word of --help, of `length` bytes, stands for. Nothing for those that are not known. */
void line_add_values(struct line *l, const char *placeholder, size_t length);
