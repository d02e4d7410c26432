/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chatd-picture: draws the image on descriptor 0 with what the terminal of descriptor 1 has, by
 * $TERM and its like: pixels, or coloured characters. Exits with 0; with 1 where that cannot be
 * done, saying why on descriptor 2; with 2 for wrong arguments. What others have sent is decoded
 * here and in no other process of the user's.
 */
#include <chafa.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "preview/image.h"
#include "preview/preview-protocol.h"
#include "preview/read-image.h"
#include "preview/sandbox.h"

#define SIDE 1024 /* pixels that are looked at: more than a terminal shows */

static const char usage[] = "Usage: chatd-picture --columns=N --rows=N <IMAGE\n"
			    "Draws an image on a terminal.\n";

static const struct option options[] = {
	{ "columns", required_argument, NULL, 'c' },
	{ "rows", required_argument, NULL, 'r' },
	{ NULL },
};

static int parse_arguments(int argc, char **argv, int *ret_columns, int *ret_rows)
{
	int option;

	*ret_columns = *ret_rows = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			*ret_columns = atoi(optarg);
		else if (option == 'r')
			*ret_rows = atoi(optarg);
		else
			return -EINVAL;
	}
	return optind == argc && *ret_columns > 0 && *ret_columns <= 1000 && *ret_rows > 0 &&
			*ret_rows <= 1000
		? 0
		: -EINVAL;
}

static int fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	return EXIT_FAILURE;
}

static ChafaCanvasMode best_colours(ChafaTermInfo *t)
{
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
		return CHAFA_CANVAS_MODE_TRUECOLOR;
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
		return CHAFA_CANVAS_MODE_INDEXED_240;
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16))
		return CHAFA_CANVAS_MODE_INDEXED_16;
	return CHAFA_CANVAS_MODE_FGBG;
}

static ChafaPixelMode best_pixels(ChafaTermInfo *t)
{
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
		return CHAFA_PIXEL_MODE_KITTY;
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE))
		return CHAFA_PIXEL_MODE_ITERM2;
	if (chafa_term_info_have_seq(t, CHAFA_TERM_SEQ_BEGIN_SIXELS))
		return CHAFA_PIXEL_MODE_SIXELS;
	return CHAFA_PIXEL_MODE_SYMBOLS;
}

/* What is drawn with where there are no pixels: blocks, which look the same in every font. */
static ChafaCanvas *new_canvas(ChafaTermInfo *t, int columns, int rows)
{
	ChafaSymbolMap *symbols = chafa_symbol_map_new();
	ChafaCanvasConfig *config = chafa_canvas_config_new();
	ChafaCanvas *canvas;

	chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE);
	chafa_canvas_config_set_symbol_map(config, symbols);
	chafa_canvas_config_set_geometry(config, columns, rows);
	chafa_canvas_config_set_canvas_mode(config, best_colours(t));
	chafa_canvas_config_set_pixel_mode(config, best_pixels(t));
	canvas = chafa_canvas_new(config);
	chafa_canvas_config_unref(config);
	chafa_symbol_map_unref(symbols);
	return canvas;
}

static int draw(ChafaTermInfo *t, const struct image_pixels *p, int columns, int rows)
{
	ChafaCanvas *canvas;
	GString *out;
	bool written;

	/* A character is about twice as high as it is wide. */
	chafa_calc_canvas_geometry(p->width, p->height, &columns, &rows, 0.5f, TRUE, FALSE);
	canvas = new_canvas(t, columns, rows);
	chafa_canvas_draw_all_pixels(
		canvas, CHAFA_PIXEL_RGB8, p->bytes, p->width, p->height, p->width * 3);
	out = chafa_canvas_print(canvas, t);
	written = fwrite(out->str, 1, out->len, stdout) == out->len && putchar('\n') != EOF &&
		fflush(stdout) == 0;
	g_string_free(out, TRUE);
	chafa_canvas_unref(canvas);
	return written ? EXIT_SUCCESS : fail("the terminal takes no more");
}

static int run(ChafaTermInfo *t, int columns, int rows)
{
	struct buffer image = { 0 };
	struct image_pixels pixels = { 0 };
	enum image_format format;

	if (sandbox_begin() < 0)
		return fail("no sandbox");
	if (read_image(STDIN_FILENO, PREVIEW_MAX_BYTES, &image) < 0)
		return fail("the photo cannot be read");
	if (image_sniff(buffer_bytes(&image), buffer_size(&image), &format) < 0 ||
		image_init(format) < 0)
		return fail("the photo is of a kind that cannot be shown");
	if (sandbox_lock() < 0)
		return fail("no sandbox");
	if (image_decode(format, buffer_bytes(&image), buffer_size(&image), PREVIEW_MAX_PIXELS,
		    SIDE, &pixels) < 0)
		return fail("the photo is damaged, or too large to be shown");
	return draw(t, &pixels, columns, rows);
}

int main(int argc, char **argv)
{
	ChafaTermInfo *t;
	char **environment;
	int columns, rows;

	if (parse_arguments(argc, argv, &columns, &rows) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	environment = g_get_environ();
	t = chafa_term_db_detect(chafa_term_db_get_default(), environment);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	/* Without exit handlers: what the libraries hold ends with the process. */
	_exit(run(t, columns, rows));
}
