/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "text.h"

#define ELLIPSIS "…"
#define GAP 2u
#define WRAP_MIN 20u

bool terminal_is_tty(void)
{
	return isatty(STDOUT_FILENO);
}

size_t terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	if (columns && atoi(columns) > 0)
		return (size_t)atoi(columns);
	return 80;
}

static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return terminal_is_tty() && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *colour_on(enum colour colour)
{
	static const char *const sequences[] = {
		[COLOUR_NONE] = "",
		[COLOUR_DIM] = "\033[2m",
		[COLOUR_BOLD] = "\033[1m",
		[COLOUR_RED] = "\033[31m",
		[COLOUR_GREEN] = "\033[32m",
		[COLOUR_YELLOW] = "\033[33m",
		[COLOUR_MATCH] = "\033[1;31m",
	};

	return has_colour() ? sequences[colour] : "";
}

const char *colour_off(enum colour colour)
{
	return colour != COLOUR_NONE && has_colour() ? "\033[0m" : "";
}

static void print_spaces(size_t n)
{
	printf("%*s", (int)n, "");
}

/* A mark after right-to-left letters keeps a terminal from moving them past the next column. */
static void end_text(const char *s)
{
	if (terminal_is_tty() && text_is_rtl(s))
		fputs("\u200e", stdout);
}

static void print_text(const char *s, size_t length)
{
	fwrite(s, 1, length, stdout);
	end_text(s);
}

void print_cell(const char *clean, size_t width, bool right, bool last)
{
	size_t used, n = text_fit(clean, width, &used);
	bool cut = clean[n] != '\0' && width > 0;

	if (cut)
		n = text_fit(clean, width - 1, &used);
	used += cut;
	if (right)
		print_spaces(width - used);
	print_text(clean, n);
	if (cut)
		fputs(ELLIPSIS, stdout);
	if (!right && !last)
		print_spaces(width - used);
}

/* The text from `from` up to before `to`, in colour where a mark covers it. */
static void print_stretches(
	const char *clean, size_t from, size_t to, const struct stretch *marks, size_t n_marks)
{
	for (size_t i = 0; i < n_marks && marks[i].start < to; i++) {
		size_t start = marks[i].start > from ? marks[i].start : from;
		size_t end = marks[i].end < to ? marks[i].end : to;

		if (end <= start)
			continue;
		fwrite(clean + from, 1, start - from, stdout);
		fputs(colour_on(COLOUR_MATCH), stdout);
		fwrite(clean + start, 1, end - start, stdout);
		fputs(colour_off(COLOUR_MATCH), stdout);
		from = end;
	}
	fwrite(clean + from, 1, to - from, stdout);
	end_text(clean);
}

static void print_lines(const char *clean, size_t printed, size_t indent,
	const struct stretch *marks, size_t n_marks)
{
	size_t width = SIZE_MAX / 2, next = 0, from = 0;

	if (terminal_is_tty())
		width = terminal_width() > indent + WRAP_MIN ? terminal_width() - indent : WRAP_MIN;
	do {
		size_t n = text_line(clean + from, width, &next);

		print_stretches(clean, from + printed, from + n, marks, n_marks);
		printed = 0;
		putchar('\n');
		from += next;
		if (next > 0 && clean[from])
			print_spaces(indent);
	} while (next > 0 && clean[from]);
}

void print_wrapped(const char *clean, size_t indent)
{
	print_lines(clean, 0, indent, NULL, 0);
}

void print_wrapped_behind(const char *clean, size_t printed, size_t indent)
{
	print_lines(clean, printed, indent, NULL, 0);
}

void print_wrapped_marked(
	const char *clean, size_t indent, const struct stretch *marks, size_t n_marks)
{
	print_lines(clean, 0, indent, marks, n_marks);
}

void table_add(struct table *t, enum colour colour, const char *const *cells)
{
	struct table_row *row;

	if (t->n_rows == t->allocated) {
		t->allocated = t->allocated ? 2 * t->allocated : 32;
		t->rows = must(realloc(t->rows, t->allocated * sizeof(*t->rows)));
	}
	row = &t->rows[t->n_rows++];
	row->colour = colour;
	for (size_t i = 0; i < t->n_columns; i++)
		row->cells[i] = text_clean(cells[i], false);
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t max = t->columns[column].max;
	size_t width = strlen(t->columns[column].title);

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t w = text_width(t->rows[i].cells[column]);

		width = w > width ? w : width;
	}
	return max > 0 && width > max ? max : width;
}

static void print_row(const struct table *t, const size_t *widths, char *const *cells)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		bool last = i + 1 == t->n_columns;

		print_cell(cells[i], widths[i], t->columns[i].right, last);
		if (!last)
			print_spaces(GAP);
	}
}

void table_print(struct table *t)
{
	size_t widths[TABLE_COLUMNS_MAX], used = 0, total = terminal_width();
	char *titles[TABLE_COLUMNS_MAX];
	size_t last = t->n_columns - 1;

	for (size_t i = 0; i < t->n_columns; i++) {
		widths[i] = column_width(t, i);
		titles[i] = (char *)(uintptr_t)t->columns[i].title;
		used += i < last ? widths[i] + GAP : 0;
	}
	if (used + widths[last] > total)
		widths[last] =
			total > used + strlen(titles[last]) ? total - used : strlen(titles[last]);
	fputs(colour_on(COLOUR_DIM), stdout);
	print_row(t, widths, titles);
	printf("%s\n", colour_off(COLOUR_DIM));
	for (size_t i = 0; i < t->n_rows; i++) {
		struct table_row *row = &t->rows[i];

		fputs(colour_on(row->colour), stdout);
		print_row(t, widths, row->cells);
		printf("%s\n", colour_off(row->colour));
		for (size_t j = 0; j < t->n_columns; j++)
			free(row->cells[j]);
	}
	free(t->rows);
	t->rows = NULL;
	t->n_rows = t->allocated = 0;
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Days from local midnight to local midnight; noon keeps clear of changes to summer time. */
static int days_between(struct tm from, struct tm to)
{
	from.tm_hour = to.tm_hour = 12;
	from.tm_min = to.tm_min = from.tm_sec = to.tm_sec = 0;
	from.tm_isdst = to.tm_isdst = -1;
	return (int)((mktime(&to) - mktime(&from) + (to.tm_year >= from.tm_year ? 43200 : -43200)) /
		86400);
}

const char *time_text(int64_t ms, char buffer[TIME_TEXT_SIZE])
{
	time_t seconds = (time_t)(ms / 1000), now = (time_t)(now_ms() / 1000);
	struct tm then, today;
	const char *format = "%Y-%m-%d";
	int days;

	if (ms == 0 || !localtime_r(&seconds, &then) || !localtime_r(&now, &today)) {
		strcpy(buffer, "-");
		return buffer;
	}
	days = days_between(then, today);
	if (days == 0)
		format = "%H:%M";
	else if (days == 1)
		format = "yesterday %H:%M";
	else if (days > 1 && days < 7)
		format = "%a %H:%M";
	else if (days > 0 && then.tm_year == today.tm_year)
		format = "%-d %b %H:%M";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strftime(buffer, TIME_TEXT_SIZE, format, &then) == 0)
		buffer[0] = '\0';
#pragma GCC diagnostic pop
	return buffer;
}

const char *duration_text(int64_t ms, char buffer[TIME_TEXT_SIZE])
{
	int64_t s = ms > 0 ? (ms + 500) / 1000 : 0;

	if (s < 90)
		snprintf(buffer, TIME_TEXT_SIZE, "%" PRId64 " s", s);
	else if (s < 5400)
		snprintf(buffer, TIME_TEXT_SIZE, "%" PRId64 " min", (s + 30) / 60);
	else if (s < 172800)
		snprintf(buffer, TIME_TEXT_SIZE, "%" PRId64 " h", (s + 1800) / 3600);
	else
		snprintf(buffer, TIME_TEXT_SIZE, "%" PRId64 " d", (s + 43200) / 86400);
	return buffer;
}

const char *size_text(int64_t bytes, char buffer[TIME_TEXT_SIZE])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	double n = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(buffer, TIME_TEXT_SIZE, "%" PRId64 " B", bytes);
		return buffer;
	}
	while (n >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		n /= 1000;
		unit++;
	}
	snprintf(buffer, TIME_TEXT_SIZE, n < 10 ? "%.1f %s" : "%.0f %s", n, units[unit]);
	return buffer;
}
