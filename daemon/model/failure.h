/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

/* Why something the user asked for could not be done; the API gives each a stable code. */
enum failure_kind {
	FAILURE_NOT_FOUND,
	FAILURE_INVALID,
	FAILURE_LOCKED,
	FAILURE_LOGIN_REQUIRED,
	FAILURE_OFFLINE,
	FAILURE_DENIED,
	FAILURE_TOO_LARGE,
	FAILURE_CONFLICT,
	FAILURE_BUSY,
	FAILURE_STORAGE_FULL,
	FAILURE_STORAGE_ERROR,
	FAILURE_UNSUPPORTED,
	FAILURE_INTERNAL,
};

struct failure {
	enum failure_kind kind;
	uint32_t retry_after_ms; /* 0: not known */
	char detail[200];	 /* for people; never message text or names */
};

/*
 * Fills `f` and returns the negative errno that stands for `kind`, so that callers can `return
 * failure_set(…)`.
 */
int failure_set(struct failure *f, enum failure_kind kind, const char *format, ...) _printf_(3, 4);

/* Fills `f` from a negative errno of the layers below and returns it. */
int failure_from_errno(struct failure *f, int r);
