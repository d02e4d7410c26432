/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl.h"

#define REPLACEMENT 0xfffdu
#define INVALID UINT32_MAX
#define ZERO_WIDTH_JOINER 0x200du

/* More marks on one letter than any language has only serve to write over the lines around. */
#define MARKS_MAX 8

/* The code point at `s` and its length; INVALID and 1 for a byte that begins none. */
static uint32_t decode(const char *text, size_t *ret_length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? s[0] : n == 2 ? s[0] & 0x1f : n == 3 ? s[0] & 0x0f : s[0] & 0x07;

	*ret_length = 1;
	if (n == 0 || s[0] >= 0xf8)
		return INVALID;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return INVALID;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return INVALID;
	*ret_length = n;
	return c;
}

static char *encode(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

static bool is_direction_control(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
		(c >= 0x2066 && c <= 0x206f);
}

static bool is_line_end(uint32_t c)
{
	return c == '\n' || c == 0x2028 || c == 0x2029;
}

/* What stands for a code point on the terminal; 0: nothing. */
static uint32_t harmless(uint32_t c, bool keep_lines)
{
	if (is_line_end(c))
		return keep_lines ? '\n' : ' ';
	if (c == '\t')
		return ' ';
	if (is_direction_control(c) || c == 0xfeff)
		return 0;
	if (c < 0x20)
		return 0x2400 + c;
	if (c == 0x7f)
		return 0x2421;
	if (c == INVALID || wcwidth((wchar_t)c) < 0)
		return REPLACEMENT;
	return c;
}

char *text_clean(const char *s, bool keep_lines)
{
	char *clean, *out;
	unsigned marks = 0;

	if (!s)
		s = "";
	out = clean = must(malloc(3 * strlen(s) + 1)); /* one byte becomes three at most */
	while (*s) {
		size_t n;
		uint32_t c = decode(s, &n);

		s += n;
		if (c == '\r' && *s == '\n')
			continue;
		c = harmless(c, keep_lines);
		if (c == 0)
			continue;
		marks = c != '\n' && wcwidth((wchar_t)c) == 0 ? marks + 1 : 0;
		if (marks <= MARKS_MAX)
			out = encode(out, c);
	}
	*out = '\0';
	return clean;
}

/* What people see as one character: a letter with its marks, an emoji with what is joined to it. */
static size_t cluster(const char *s, size_t *ret_width)
{
	size_t n, length;
	uint32_t c = decode(s, &length);
	bool joined = false;

	*ret_width = c == INVALID ? 1 : (size_t)wcwidth((wchar_t)c);
	while (s[length]) {
		c = decode(s + length, &n);
		if (c == INVALID ||
			(wcwidth((wchar_t)c) != 0 && !joined && !(c >= 0x1f3fb && c <= 0x1f3ff)))
			break;
		joined = c == ZERO_WIDTH_JOINER;
		*ret_width += (size_t)wcwidth((wchar_t)c);
		length += n;
	}
	return length;
}

size_t text_fit(const char *s, size_t columns, size_t *ret_width)
{
	size_t length = 0, width = 0;

	while (s[length] && s[length] != '\n') {
		size_t w, n = cluster(s + length, &w);

		if (width + w > columns)
			break;
		width += w;
		length += n;
	}
	*ret_width = width;
	return length;
}

size_t text_width(const char *s)
{
	size_t width;

	text_fit(s, SIZE_MAX / 2, &width);
	return width;
}

size_t text_line(const char *s, size_t columns, size_t *ret_next)
{
	size_t width, n = text_fit(s, columns, &width);
	size_t end = n;

	if (n == 0 && s[0] && s[0] != '\n')
		n = end = cluster(s, &width); /* wider than the line: it must go somewhere */
	if (!s[n] || s[n] == '\n') {
		*ret_next = s[n] ? n + 1 : 0;
		return n;
	}
	if (s[n] != ' ')
		while (end > 0 && s[end - 1] != ' ')
			end--;
	if (end == 0)
		end = n; /* one long word */
	*ret_next = end + strspn(s + end, " ");
	while (end > 0 && s[end - 1] == ' ')
		end--;
	if (!s[*ret_next])
		*ret_next = 0;
	return end;
}

bool text_is_rtl(const char *s)
{
	while (*s) {
		size_t n;
		uint32_t c = decode(s, &n);

		if ((c >= 0x0590 && c <= 0x08ff) || (c >= 0xfb1d && c <= 0xfdff) ||
			(c >= 0xfe70 && c <= 0xfefe) || (c >= 0x10800 && c <= 0x10fff) ||
			(c >= 0x1e800 && c <= 0x1efff))
			return true;
		s += n;
	}
	return false;
}

char *text_fold(const char *s)
{
	char *folded = must(malloc(4 * strlen(s) + 1)), *out = folded;

	while (*s) {
		size_t n;
		uint32_t c = decode(s, &n);

		out = encode(out, c == INVALID ? REPLACEMENT : (uint32_t)towlower((wint_t)c));
		s += n;
	}
	*out = '\0';
	return folded;
}

bool text_is_valid(const char *s, size_t length)
{
	const char *end = s + length;

	while (s < end) {
		size_t n;

		if (!*s || decode(s, &n) == INVALID)
			return false;
		s += n;
	}
	return true;
}
