/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with a request, in the form of RFC 9457. Each kind has a status, a type that
 * programs can compare and a title for people; the detail says what it was this time.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/cleanup.h"

enum problem_kind {
	PROBLEM_BAD_CREDENTIALS,
	PROBLEM_TOKEN_MISSING,
	PROBLEM_TOKEN_EXPIRED,
	PROBLEM_TOKEN_INVALID,
	PROBLEM_FORBIDDEN,
	PROBLEM_NOT_FOUND,
	PROBLEM_METHOD_NOT_ALLOWED,
	PROBLEM_ID_CONFLICT,
	PROBLEM_OFFSET_CONFLICT,
	PROBLEM_LENGTH_REQUIRED,
	PROBLEM_TUS_VERSION,
	PROBLEM_TOO_LARGE,
	PROBLEM_MEDIA_TYPE,
	PROBLEM_RANGE,
	PROBLEM_MALFORMED,
	PROBLEM_UNKNOWN_CURSOR,
	PROBLEM_ATTACHMENT_INCOMPLETE,
	PROBLEM_CHECKSUM_ALGORITHM,
	PROBLEM_CHECKSUM_MISMATCH,
	PROBLEM_REFUSED, /* by an injected fault, which sets the status */
	PROBLEM_INTERNAL,
};

struct problem {
	int status;
	const char *type, *title; /* static */
	char detail[200];
	int retry_after_s; /* 0: not said */
};

/* Fills `p`; the detail is for people and names no secret. */
void problem_set(struct problem *p, enum problem_kind kind, const char *format, ...) _printf_(3, 4);

/* An owned object; NULL when memory is short. */
cJSON *problem_to_json(const struct problem *p);
