/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

/* What a failure on the network's side asks of the caller. */
enum problem_class {
	PROBLEM_TRANSIENT,    /* try again later, with backoff */
	PROBLEM_PERMANENT,    /* never retry this by itself */
	PROBLEM_CONFLICT,     /* the state differs from what was assumed: look again, then decide */
	PROBLEM_UNAUTHORISED, /* the user must sign in */
};

/* A failure in the network's words (RFC 9457). Strings are owned, may be NULL. */
struct problem {
	enum problem_class class;
	int status;		 /* HTTP status, or 0 when there was no answer */
	char *type;		 /* machine-readable, e.g. "unknown_cursor" */
	char *title;		 /* for people, short */
	char *detail;		 /* for people */
	uint32_t retry_after_ms; /* the server's wish; 0: none */
};

void problem_clear(struct problem *p);

/* Fills `p` with copies. For failures found on this side. */
void problem_set(struct problem *p, enum problem_class class, int status, const char *title,
	const char *detail);

/* A deep copy; whatever memory does not suffice for is NULL in it. */
void problem_copy(const struct problem *from, struct problem *ret);
