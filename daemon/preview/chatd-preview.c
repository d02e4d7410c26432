/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chatd-preview: an image on descriptor 0, an upright JPEG without metadata to descriptor 3, its
 * preview to 4, and one line on what came of it to 1: ok mime=image/jpeg width=W height=H size=N
 * preview_width=W preview_height=H preview_size=N error kind=unsupported|invalid|too_large|failed
 * text=WORDS Exits with 0 and 1 accordingly, and with 2 for wrong arguments.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "preview/image.h"
#include "preview/preview-protocol.h"
#include "preview/read-image.h"
#include "preview/sandbox.h"

struct arguments {
	int64_t max_bytes;
	int64_t max_pixels;
	int64_t max_side;
	int64_t preview_side;
	int64_t quality;
	bool original;
};

static const char usage[] =
	"Usage: chatd-preview [OPTION]... <IMAGE 3>FULL 4>PREVIEW\n"
	"Turns an image into an upright JPEG without metadata, and its preview.\n\n"
	"  --quality=N       of the JPEG, 1 to 100 (85)\n"
	"  --max-bytes=N     of the image (134217728)\n"
	"  --max-pixels=N    of the image, decoded (100000000)\n"
	"  --max-side=N      longest side of FULL in pixels; a larger image is scaled down (4096)\n"
	"  --preview-side=N  longest side of PREVIEW in pixels (320)\n"
	"  --original        do not scale down, and keep the pixels of an upright JPEG as they "
	"are\n";

enum {
	OPTION_QUALITY = 1,
	OPTION_MAX_BYTES,
	OPTION_MAX_PIXELS,
	OPTION_MAX_SIDE,
	OPTION_PREVIEW_SIDE,
	OPTION_ORIGINAL,
};

static const struct option options[] = {
	{ "quality", required_argument, NULL, OPTION_QUALITY },
	{ "max-bytes", required_argument, NULL, OPTION_MAX_BYTES },
	{ "max-pixels", required_argument, NULL, OPTION_MAX_PIXELS },
	{ "max-side", required_argument, NULL, OPTION_MAX_SIDE },
	{ "preview-side", required_argument, NULL, OPTION_PREVIEW_SIDE },
	{ "original", no_argument, NULL, OPTION_ORIGINAL },
	{ NULL },
};

static int parse_number(const char *s, int64_t most, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno || *end || end == s || n < 1 || n > most)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int parse_option(int option, struct arguments *a)
{
	switch (option) {
	case OPTION_QUALITY:
		return parse_number(optarg, 100, &a->quality);
	case OPTION_MAX_BYTES:
		return parse_number(optarg, INT64_C(1) << 30, &a->max_bytes);
	case OPTION_MAX_PIXELS:
		return parse_number(optarg, INT64_C(1) << 32, &a->max_pixels);
	case OPTION_MAX_SIDE:
		return parse_number(optarg, 65535, &a->max_side);
	case OPTION_PREVIEW_SIDE:
		return parse_number(optarg, 4096, &a->preview_side);
	case OPTION_ORIGINAL:
		a->original = true;
		return 0;
	}
	return -EINVAL;
}

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		r = parse_option(option, ret);
	return r == 0 && optind == argc ? 0 : -EINVAL;
}

static int say_error(enum preview_error error, const char *text)
{
	dprintf(PREVIEW_FD_LINE, "error kind=%s text=%s\n", preview_error_to_string(error), text);
	return EXIT_FAILURE;
}

static int write_output(int fd, const struct buffer *b)
{
	const uint8_t *at = buffer_bytes(b);
	size_t left = buffer_size(b);

	while (left > 0) {
		ssize_t n = write(fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static int say_done(const struct image_output *o)
{
	dprintf(PREVIEW_FD_LINE,
		"ok mime=" PREVIEW_MIME " width=%" PRId64 " height=%" PRId64 " size=%zu"
		" preview_width=%" PRId64 " preview_height=%" PRId64 " preview_size=%zu\n",
		o->width, o->height, buffer_size(&o->full), o->preview_width, o->preview_height,
		buffer_size(&o->preview));
	return EXIT_SUCCESS;
}

static int convert(const struct image_job *job)
{
	struct image_output out = { 0 };
	struct image_failure failure;
	int code;

	if (image_run(job, &out, &failure) < 0)
		code = say_error(failure.error, failure.text);
	else if (write_output(PREVIEW_FD_FULL, &out.full) < 0 ||
		write_output(PREVIEW_FD_PREVIEW, &out.preview) < 0)
		code = say_error(PREVIEW_FAILED, "cannot write");
	else
		code = say_done(&out);
	image_output_clear(&out);
	return code;
}

static int run(const struct arguments *a)
{
	struct buffer image = { 0 };
	struct image_job job = {
		.max_pixels = a->max_pixels,
		.max_side = (unsigned)a->max_side,
		.preview_side = (unsigned)a->preview_side,
		.quality = (unsigned)a->quality,
		.original = a->original,
	};
	int r;

	if (sandbox_begin() < 0)
		return say_error(PREVIEW_FAILED, "no sandbox");
	r = read_image(PREVIEW_FD_IMAGE, a->max_bytes, &image);
	if (r == -EFBIG || r == -ENOMEM)
		return say_error(PREVIEW_TOO_LARGE, "more bytes than allowed");
	if (r < 0)
		return say_error(
			r == -EISDIR ? PREVIEW_UNSUPPORTED : PREVIEW_INVALID, strerror(-r));
	if (buffer_size(&image) == 0)
		return say_error(PREVIEW_INVALID, "empty");
	job.data = buffer_bytes(&image);
	job.size = buffer_size(&image);
	if (image_sniff(job.data, job.size, &job.format) < 0)
		return say_error(PREVIEW_UNSUPPORTED, "not an image of a known kind");
	r = image_init(job.format);
	if (r < 0)
		return r == -ENOTSUP
			? say_error(PREVIEW_UNSUPPORTED, "libvips does not read this kind")
			: say_error(PREVIEW_FAILED, "libvips does not start");
	if (sandbox_lock() < 0)
		return say_error(PREVIEW_FAILED, "no sandbox");
	return convert(&job);
}

int main(int argc, char **argv)
{
	struct arguments a = {
		.max_bytes = PREVIEW_MAX_BYTES,
		.max_pixels = PREVIEW_MAX_PIXELS,
		.max_side = PREVIEW_MAX_SIDE,
		.preview_side = PREVIEW_SIDE,
		.quality = PREVIEW_QUALITY,
	};

	if (parse_arguments(argc, argv, &a) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	clearenv();
	close_range(PREVIEW_FD_PREVIEW + 1, ~0u, 0);
	mallopt(M_ARENA_MAX, 1); /* every arena reserves 64 MiB of the address space */
	/*
	 * Without exit handlers: the process ends here, and what the libraries still hold ends with
	 * it.
	 */
	_exit(run(&a));
}
