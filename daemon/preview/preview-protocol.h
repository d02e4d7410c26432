/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What chatd-preview and the process that starts it have agreed on. */
#pragma once

#include "preview/preview.h"

/* The helper's descriptors: the image, one line of result, the two outputs. */
enum {
	PREVIEW_FD_IMAGE = 0,
	PREVIEW_FD_LINE = 1,
	PREVIEW_FD_FULL = 3,
	PREVIEW_FD_PREVIEW = 4,
};

#define PREVIEW_MAX_BYTES (INT64_C(128) << 20)
#define PREVIEW_MAX_PIXELS INT64_C(100000000)
#define PREVIEW_MAX_SIDE 4096u
#define PREVIEW_SIDE 320u
#define PREVIEW_QUALITY 85u
#define PREVIEW_TIMEOUT_MS 20000u
#define PREVIEW_MAX_OUTPUT (INT64_C(128) << 20) /* bytes of one output */
#define PREVIEW_LINE_MAX 512
#define PREVIEW_MIME "image/jpeg"

/* 0 and the error of that name, or -EINVAL. */
int preview_error_from_string(const char *s, enum preview_error *ret);
