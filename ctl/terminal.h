/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Output for people: tables, colours where the terminal has them, times as people say them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum colour {
	COLOUR_NONE,
	COLOUR_DIM,
	COLOUR_BOLD,
	COLOUR_RED,
	COLOUR_GREEN,
	COLOUR_YELLOW,
	COLOUR_MATCH,
};

/* Columns of standard output: the terminal's, else $COLUMNS, else 80. */
size_t terminal_width(void);

bool terminal_is_tty(void);

/* The sequence that begins a colour on standard output, and that ends it; "" where not wanted. */
const char *colour_on(enum colour colour);
const char *colour_off(enum colour colour);

/* Prints clean text in a column of that width: cut with an ellipsis, padded unless `last`. */
void print_cell(const char *clean, size_t width, bool right, bool last);

/* Prints clean text from column `indent` on, further lines indented alike. Ends the line. */
void print_wrapped(const char *clean, size_t indent);

/* The same behind its first `printed` bytes, which the caller has printed in a colour. */
void print_wrapped_behind(const char *clean, size_t printed, size_t indent);

/* Bytes of a text, from `start` up to before `end`. */
struct stretch {
	size_t start, end;
};

/* The same with stretches of it, in order, shown as what was searched for. */
void print_wrapped_marked(
	const char *clean, size_t indent, const struct stretch *marks, size_t n_marks);

#define TABLE_COLUMNS_MAX 8

struct table_column {
	const char *title;
	size_t max; /* widest, in columns; 0: as wide as needed; the last takes what is left */
	bool right;
};

/* Rows are collected first, so that columns can be made as wide as what they hold. */
struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct table_row {
		char *cells[TABLE_COLUMNS_MAX];
		enum colour colour;
	} * rows;
	size_t n_rows, allocated;
};

/* Adds a row with a clean copy of each string; NULL is an empty cell. */
void table_add(struct table *t, enum colour colour, const char *const *cells);

/* Prints a heading and the rows, and empties the table. */
void table_print(struct table *t);

#define TIME_TEXT_SIZE 40

/* Local time, the shorter the nearer: "14:32", "yesterday 14:32", "Mon 14:32", "2 Mar 14:32". */
const char *time_text(int64_t ms, char buffer[TIME_TEXT_SIZE]);

/* "3 s", "5 min", "2 h", "4 d". */
const char *duration_text(int64_t ms, char buffer[TIME_TEXT_SIZE]);

/* "12 B", "3.4 kB", "1.2 MB". */
const char *size_text(int64_t bytes, char buffer[TIME_TEXT_SIZE]);

/* Milliseconds since 1970. */
int64_t now_ms(void);
