/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int error;
	enum failure_kind kind;
	const char *detail;
} errors[] = {
	{ -ENOENT, FAILURE_NOT_FOUND, "there is no such thing here" },
	{ -EINVAL, FAILURE_INVALID, "the request makes no sense" },
	{ -ENOKEY, FAILURE_LOCKED, "the account is locked" },
	{ -EKEYEXPIRED, FAILURE_LOGIN_REQUIRED, "sign in first" },
	{ -ENOTCONN, FAILURE_OFFLINE, "the server cannot be reached now" },
	{ -EACCES, FAILURE_DENIED, "not allowed" },
	{ -EMSGSIZE, FAILURE_TOO_LARGE, "too large" },
	{ -EEXIST, FAILURE_CONFLICT, "it exists already and is different" },
	{ -EBUSY, FAILURE_BUSY, "too much at once; try again" },
	{ -ENOSPC, FAILURE_STORAGE_FULL, "no space is left where the account's data is stored" },
	{ -EIO, FAILURE_STORAGE_ERROR, "the account's database cannot be read or written" },
	{ -EOPNOTSUPP, FAILURE_UNSUPPORTED, "not supported" },
	{ -ENOMEM, FAILURE_INTERNAL, "out of memory" },
};

int failure_set(struct failure *f, enum failure_kind kind, const char *format, ...)
{
	va_list ap;

	*f = (struct failure){ .kind = kind };
	va_start(ap, format);
	vsnprintf(f->detail, sizeof(f->detail), format, ap);
	va_end(ap);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].kind == kind)
			return errors[i].error;
	return -EIO;
}

int failure_from_errno(struct failure *f, int r)
{
	*f = (struct failure){ .kind = FAILURE_INTERNAL };
	snprintf(f->detail, sizeof(f->detail), "%s", strerror(-r));
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i].error != r)
			continue;
		f->kind = errors[i].kind;
		snprintf(f->detail, sizeof(f->detail), "%s", errors[i].detail);
	}
	return r;
}
