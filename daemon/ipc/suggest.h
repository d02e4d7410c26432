/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Did you mean …?": the known name that is closest to one that is not known.
 */
#pragma once

#include <stdbool.h>

struct suggestion {
	const char *best; /* NULL: nothing is close */
	unsigned distance;
};

/*
 * Compares one candidate (borrowed) with what was asked for. Zero-initialise the suggestion before
 * the first.
 */
void suggest_consider(struct suggestion *s, const char *wanted, const char *candidate);

/* True for a name that may be shown in an error: short and printable ASCII. */
bool name_is_presentable(const char *name);
