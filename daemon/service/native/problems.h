/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What went wrong on the network, as a problem of the model's classes.
 */
#pragma once

#include <stdint.h>

#include "model/problem.h"

/* The class of an HTTP status (0: no answer) and, for some, of the problem's type (may be NULL). */
enum problem_class problem_class_of(int status, const char *type);

/* Seconds as milliseconds, at most a day, so that a mad server does not lock this side out for
 * ever. */
uint32_t problem_retry_ms(double seconds);

/*
 * A Retry-After header, seconds or an HTTP date, in milliseconds; 0 when it says nothing. A date
 * counts from `date`, the answer's own Date header (may be NULL), so that this side's clock does
 * not matter.
 */
uint32_t problem_parse_retry_after(const char *value, const char *date);

/* An HTTP answer that is not a success. `body` may hold a problem in JSON. */
void problem_from_answer(int status, const char *body, size_t body_len, const char *retry_after,
	const char *date, struct problem *ret);

/* No answer came; `why` for people. */
void problem_from_failure(const char *why, int tls_failed, struct problem *ret);

/* The server said something that the protocol does not know; `what` names it. */
void problem_malformed(const char *what, struct problem *ret);

void problem_no_memory(struct problem *ret);
