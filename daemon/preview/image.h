/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one place that includes libvips. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "preview/preview-protocol.h"

enum image_format {
	IMAGE_JPEG,
	IMAGE_PNG,
	IMAGE_WEBP,
	IMAGE_GIF,
	IMAGE_HEIF,
};

/*
 * What the first bytes say; names and declared types have no say. 0, or -ENOTSUP for none of these.
 */
int image_sniff(const uint8_t *data, size_t size, enum image_format *ret);

/*
 * Loads what reading `format` and writing JPEG need from disk; after this no file is opened. 0;
 * -ENOTSUP when this libvips does not read the format; -EIO when libvips cannot start.
 */
int image_init(enum image_format format);

/* Three bytes a pixel, row by row. */
struct image_pixels {
	uint8_t *bytes; /* to be freed with g_free */
	int width, height;
};

/*
 * Decodes an image, upright and in sRGB, no larger than `side` pixels either way. 0, or -EBADMSG
 * for one that is damaged or has more than `max_pixels`.
 */
int image_decode(enum image_format format, const void *data, size_t size, int64_t max_pixels,
	unsigned side, struct image_pixels *ret);

struct image_job {
	const uint8_t *data;
	size_t size;
	enum image_format format;
	int64_t max_pixels;
	unsigned max_side;
	unsigned preview_side;
	unsigned quality;
	bool original;
};

struct image_failure {
	enum preview_error error;
	char text[256]; /* in the library's words: printable ASCII */
};

/* Encoded images, and their sizes in pixels. */
struct image_output {
	struct buffer full, preview;
	int64_t width, height;
	int64_t preview_width, preview_height;
};

void image_output_clear(struct image_output *o);

/* Fills `ret` (zeroed). 0, or -EBADMSG with `ret_failure` filled in. */
int image_run(
	const struct image_job *job, struct image_output *ret, struct image_failure *ret_failure);
