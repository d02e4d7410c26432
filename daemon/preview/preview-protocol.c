/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview/preview-protocol.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *text;
} errors[] = {
	[PREVIEW_UNSUPPORTED] = { "unsupported",
		"This is not a picture that can be sent: JPEG, PNG, WebP, GIF and HEIF can" },
	[PREVIEW_INVALID] = { "invalid", "The picture is empty, incomplete or damaged" },
	[PREVIEW_TOO_LARGE] = { "too_large", "The picture is too large" },
	[PREVIEW_TIMED_OUT] = { "timed_out", "Reading the picture took too long" },
	[PREVIEW_FAILED] = { "failed", "The picture could not be prepared" },
};

const char *preview_error_to_string(enum preview_error error)
{
	return errors[error].name;
}

const char *preview_error_text(enum preview_error error)
{
	return errors[error].text;
}

int preview_error_from_string(const char *s, enum preview_error *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strcmp(s, errors[i].name) == 0) {
			*ret = (enum preview_error)i;
			return 0;
		}
	}
	return -EINVAL;
}
