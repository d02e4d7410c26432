/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Turns an image that somebody hands over into what is sent: an upright JPEG without metadata, and
 * its preview. The work is done by chatd-preview, a short-lived process of its own: image parsers
 * never run beside the keys.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

/* 0 and NULL mean the default, which stands beside. */
struct preview_options {
	const char *helper;    /* path of chatd-preview; no default */
	int64_t max_bytes;     /* of the input; 128 MiB */
	int64_t max_pixels;    /* of the input, decoded; 100 million */
	unsigned max_side;     /* pixels; a larger image is scaled down to that; 4096 */
	unsigned preview_side; /* pixels; 320 */
	unsigned quality;      /* of the JPEG, 1 to 100; 85 */
	bool original; /* keep the pixels as they are, where the image is an upright JPEG; else its
			  size */
	unsigned timeout_ms; /* 20 s */
};

enum preview_error {
	PREVIEW_UNSUPPORTED, /* not an image, or of a kind that is not read */
	PREVIEW_INVALID,     /* empty, cut off or damaged */
	PREVIEW_TOO_LARGE,   /* in bytes or pixels */
	PREVIEW_TIMED_OUT,   /* the input stalled, or the work took too long */
	PREVIEW_FAILED,      /* nothing is known of the image: the helper cannot be run, or died */
};

/* A name for scripts and logs: "unsupported", "too_large". */
const char *preview_error_to_string(enum preview_error error);

/* A sentence for people. */
const char *preview_error_text(enum preview_error error);

#define PREVIEW_SHA256_SIZE 65 /* lower-case hex and its end */

/* Sealed memfds, read-only for everybody from now on. */
struct preview_result {
	int full_fd;
	int preview_fd;
	int64_t full_size, preview_size; /* bytes */
	int64_t width, height;           /* pixels of the full image */
	int64_t preview_width, preview_height;
	const char *mime;                 /* of both; static */
	char sha256[PREVIEW_SHA256_SIZE]; /* of the full image's bytes */
};

/*
 * The end of a preview, from the loop: `error` NULL and a result, or the error and no result. The
 * callback takes a descriptor over by setting it to -1; what is left is closed. The struct preview
 * is gone when it is called.
 */
typedef void (*preview_fn)(
	void *userdata, const enum preview_error *error, struct preview_result *result);

struct preview;

/*
 * Starts on the image that `image_fd` holds: a file or memfd, read from its beginning whatever its
 * offset, or a pipe or socket, read to its end. Borrowed for the call. 0, or negative errno when
 * the helper cannot be started.
 */
int preview_start(struct event_loop *loop, const struct preview_options *o, int image_fd,
	preview_fn fn, void *userdata, struct preview **ret);

/* Ends it without its callback. Takes NULL, returns NULL. */
struct preview *preview_cancel(struct preview *p);
DEFINE_CLEANUP(struct preview *, preview_cancel)
