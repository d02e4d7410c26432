/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other people's text on a terminal: made harmless, measured in columns, cut and wrapped between
 * characters as people see them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * An owned copy without anything that drives a terminal or reorders what stands around it: control
 * characters become their pictures, invalid bytes U+FFFD, direction overrides go. Line ends become
 * spaces unless `keep_lines`; tabs become spaces. NULL gives "".
 */
char *text_clean(const char *s, bool keep_lines);

/* Columns that clean text takes. */
size_t text_width(const char *clean);

/* How many bytes of clean text fit into `columns`; sets the columns they take. */
size_t text_fit(const char *clean, size_t columns, size_t *ret_width);

/*
 * How many bytes of clean text go on a line of `columns`: up to a line end, else broken after a
 * word if there is one. Sets where the next line begins, which is 0 at the end of the text.
 */
size_t text_line(const char *clean, size_t columns, size_t *ret_next);

/* True if it holds letters that are written from right to left. */
bool text_is_rtl(const char *clean);

/* An owned copy for comparing without regard to case. */
char *text_fold(const char *s);

bool text_is_valid(const char *s, size_t length);
