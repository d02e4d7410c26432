/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview/image.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gmodule.h>
#include <vips/vips.h>

#include "base/cleanup.h"
#include "preview/jpeg-strip.h"

#define PREVIEW_JPEG_QUALITY 75
#define UNSCALED 65535 /* the longest side of a JPEG */

DEFINE_CLEANUP(VipsImage *, g_object_unref)

/* How libvips names the operations that read a format from memory. */
static const struct {
	const char *class, *load;
} loaders[] = {
	[IMAGE_JPEG] = { "VipsForeignLoadJpeg", "jpegload_buffer" },
	[IMAGE_PNG] = { "VipsForeignLoadPng", "pngload_buffer" },
	[IMAGE_WEBP] = { "VipsForeignLoadWebp", "webpload_buffer" },
	[IMAGE_GIF] = { "VipsForeignLoadNsgif", "gifload_buffer" },
	[IMAGE_HEIF] = { "VipsForeignLoadHeif", "heifload_buffer" },
};

static bool has_at(const uint8_t *data, size_t size, size_t at, const char *magic)
{
	size_t n = strlen(magic);

	return size >= at + n && memcmp(data + at, magic, n) == 0;
}

static bool is_heif(const uint8_t *data, size_t size)
{
	static const char *const brands[] = { "ftypheic", "ftypheix", "ftypheim", "ftypheis",
		"ftypmif1", "ftypavif" };

	for (size_t i = 0; i < ARRAY_SIZE(brands); i++)
		if (has_at(data, size, 4, brands[i]))
			return true;
	return false;
}

int image_sniff(const uint8_t *data, size_t size, enum image_format *ret)
{
	if (has_at(data, size, 0, "\xff\xd8\xff"))
		*ret = IMAGE_JPEG;
	else if (has_at(data, size, 0, "\x89PNG\r\n\x1a\n"))
		*ret = IMAGE_PNG;
	else if (has_at(data, size, 0, "RIFF") && has_at(data, size, 8, "WEBP"))
		*ret = IMAGE_WEBP;
	else if (has_at(data, size, 0, "GIF87a") || has_at(data, size, 0, "GIF89a"))
		*ret = IMAGE_GIF;
	else if (is_heif(data, size))
		*ret = IMAGE_HEIF;
	else
		return -ENOTSUP;
	return 0;
}

/* libvips' modules lie beside the library, in a directory named after its version. */
static void load_heif_module(void)
{
	_cleanup_free_ char *path = NULL;
	Dl_info library;
	const char *slash;

	if (!dladdr((void *)vips_version, &library))
		return;
	slash = strrchr(library.dli_fname, '/');
	if (!slash ||
		asprintf(&path, "%.*s/vips-modules-%d.%d/vips-heif.so",
			(int)(slash - library.dli_fname), library.dli_fname, vips_version(0),
			vips_version(1)) < 0) {
		path = NULL;
		return;
	}
	g_module_open(path, G_MODULE_BIND_LAZY); /* built in, or not there: the loader tells */
}

static VipsImage *load(enum image_format format, const void *data, size_t size)
{
	VipsImage *image = NULL;
	VipsBlob *blob = vips_blob_new(NULL, data, size);

	vips_call(loaders[format].load, blob, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
		VIPS_FAIL_ON_ERROR, NULL);
	vips_area_unref(VIPS_AREA(blob));
	return image;
}

/* libheif looks for its decoders when it is first used; this file makes it do so, and no more. */
static void warm_up_heif(void)
{
	static const uint8_t empty[] = "\0\0\0\x14"
				       "ftypheic\0\0\0\0heic";
	VipsImage *image = load(IMAGE_HEIF, empty, sizeof(empty) - 1);

	if (image)
		g_object_unref(image);
	vips_error_clear();
}

int image_init(enum image_format format)
{
	/*
	 * Keeps libvips from loading all of its modules, most of which are parsers that are not
	 * wanted here.
	 */
	setenv("VIPSHOME", "/nonexistent", 1);
	setenv("VIPS_WARNING", "1", 1);  /* on stderr they help nobody */
	setenv("VIPS_NOVECTOR", "1", 1); /* it would make machine code at run time */
	if (VIPS_INIT("chatd-preview"))
		return -EIO;
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	if (format == IMAGE_HEIF) {
		load_heif_module();
		warm_up_heif();
	}
	vips_operation_block_set("VipsForeignLoad", TRUE);
	vips_operation_block_set(loaders[format].class, FALSE);
	vips_operation_block_set(loaders[IMAGE_JPEG].class, FALSE);
	return vips_type_find("VipsOperation", loaders[format].load) ? 0 : -ENOTSUP;
}

static int fail(struct image_failure *f, enum preview_error error, const char *text)
{
	size_t n = 0;

	f->error = error;
	for (; *text && n < sizeof(f->text) - 1; text++)
		f->text[n++] = *text >= ' ' && *text <= '~' ? *text : ' ';
	while (n > 0 && f->text[n - 1] == ' ')
		n--;
	f->text[n] = '\0';
	vips_error_clear();
	return -EBADMSG;
}

static int fail_by_library(struct image_failure *f)
{
	const char *text = vips_error_buffer();

	/* libvips, libjpeg and libheif have this one word in common. */
	if (strstr(text, "memory"))
		return fail(f, PREVIEW_TOO_LARGE, text);
	return fail(f, PREVIEW_INVALID, *text ? text : "damaged");
}

/* What the header says, without decoding. */
struct header {
	int64_t width, height;
	int orientation;
	bool is_cmyk;
	bool has_profile;
};

static int read_header(enum image_format format, const void *data, size_t size, struct header *ret)
{
	_cleanup_(g_object_unrefp) VipsImage *image = load(format, data, size);

	if (!image)
		return -EBADMSG;
	ret->width = vips_image_get_width(image);
	ret->height = vips_image_get_height(image);
	ret->orientation = vips_image_get_orientation(image);
	ret->is_cmyk = vips_image_get_interpretation(image) == VIPS_INTERPRETATION_CMYK;
	ret->has_profile = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0;
	return 0;
}

/* On white; an image without transparency is passed on. */
static int flatten(VipsImage *image, VipsImage **ret)
{
	VipsArrayDouble *white;
	int r;

	if (!vips_image_hasalpha(image))
		return vips_copy(image, ret, NULL);
	white = vips_array_double_newv(1, 255.0);
	r = vips_flatten(image, ret, "background", white, NULL);
	vips_area_unref(VIPS_AREA(white));
	return r;
}

/* Upright, sRGB, eight bits, opaque, no larger than `side`: what a JPEG is made from. */
static VipsImage *prepare(const void *data, size_t size, const struct header *h, unsigned side)
{
	/*
	 * Without a profile the numbers are sRGB's already, and a conversion would only move them.
	 */
	const char *profile = h->has_profile || h->is_cmyk ? "srgb" : NULL;
	_cleanup_(g_object_unrefp) VipsImage *scaled = NULL;
	_cleanup_(g_object_unrefp) VipsImage *coloured = NULL;
	_cleanup_(g_object_unrefp) VipsImage *flat = NULL;
	VipsImage *image = NULL;

	if (vips_thumbnail_buffer((void *)data, size, &scaled, (int)side, "height", (int)side,
		    "size", VIPS_SIZE_DOWN, "export_profile", profile, "option_string",
		    "fail_on=error", NULL) ||
		vips_colourspace(scaled, &coloured, VIPS_INTERPRETATION_sRGB, NULL) ||
		flatten(coloured, &flat) || vips_cast_uchar(flat, &image, NULL))
		return NULL;
	return image;
}

int image_decode(enum image_format format, const void *data, size_t size, int64_t max_pixels,
	unsigned side, struct image_pixels *ret)
{
	_cleanup_(g_object_unrefp) VipsImage *image = NULL;
	struct header h;
	size_t n;

	if (read_header(format, data, size, &h) < 0 || h.height > max_pixels / h.width)
		return -EBADMSG;
	image = prepare(data, size, &h, side);
	if (!image || vips_image_get_bands(image) != 3)
		return -EBADMSG;
	ret->bytes = vips_image_write_to_memory(image, &n);
	ret->width = vips_image_get_width(image);
	ret->height = vips_image_get_height(image);
	return ret->bytes ? 0 : -EBADMSG;
}

static int encode(VipsImage *image, unsigned quality, struct buffer *to)
{
	void *bytes = NULL;
	size_t size;
	int r = vips_jpegsave_buffer(image, &bytes, &size, "Q", (int)quality, "optimize_coding",
		TRUE, "strip", TRUE, NULL);

	if (r)
		return -EBADMSG;
	r = buffer_append(to, bytes, size);
	g_free(bytes);
	return r;
}

static int reencode(const void *data, size_t size, const struct header *h, unsigned side,
	unsigned quality, struct buffer *to)
{
	_cleanup_(g_object_unrefp) VipsImage *image = prepare(data, size, h, side);

	return image ? encode(image, quality, to) : -EBADMSG;
}

/* Other readers may not know the colours of a CMYK image. */
static bool can_keep_pixels(const struct image_job *job, const struct header *h)
{
	return job->original && job->format == IMAGE_JPEG && h->orientation == 1 && !h->is_cmyk;
}

static int make_full(const struct image_job *job, const struct header *h, struct buffer *to)
{
	int r = can_keep_pixels(job, h) ? jpeg_strip(job->data, job->size, to) : -EBADMSG;

	/* A JPEG that is not quite well-formed can still be one that decoders read. */
	if (r == -EBADMSG) {
		buffer_clear(to);
		r = reencode(job->data, job->size, h, job->original ? UNSCALED : job->max_side,
			job->quality, to);
	}
	return r;
}

/*
 * The preview comes from the finished image, which proves on the way that it can be decoded to its
 * end.
 */
static int make_preview(const struct image_job *job, struct image_output *out)
{
	const void *full = buffer_bytes(&out->full);
	size_t size = buffer_size(&out->full);
	struct header h;
	int r = read_header(IMAGE_JPEG, full, size, &h);

	if (r < 0)
		return r;
	out->width = h.width;
	out->height = h.height;
	r = reencode(full, size, &h, job->preview_side, PREVIEW_JPEG_QUALITY, &out->preview);
	if (r == 0)
		r = read_header(
			IMAGE_JPEG, buffer_bytes(&out->preview), buffer_size(&out->preview), &h);
	if (r < 0)
		return r;
	out->preview_width = h.width;
	out->preview_height = h.height;
	return 0;
}

int image_run(
	const struct image_job *job, struct image_output *ret, struct image_failure *ret_failure)
{
	struct header h;
	int r = read_header(job->format, job->data, job->size, &h);

	if (r < 0)
		return fail_by_library(ret_failure);
	if (h.height > job->max_pixels / h.width)
		return fail(ret_failure, PREVIEW_TOO_LARGE, "more pixels than allowed");
	r = make_full(job, &h, &ret->full);
	if (r == 0)
		r = make_preview(job, ret);
	if (r == -ENOMEM)
		return fail(ret_failure, PREVIEW_TOO_LARGE, "not enough memory");
	return r < 0 ? fail_by_library(ret_failure) : 0;
}

void image_output_clear(struct image_output *o)
{
	buffer_clear(&o->full);
	buffer_clear(&o->preview);
}
