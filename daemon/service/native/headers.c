/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/native/headers.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 17

/* Digits only; moves `text` behind them. -1 when there are none, or too many. */
static int64_t digits(const char **text)
{
	size_t n = strspn(*text, "0123456789");
	int64_t value = n > 0 && n <= MAX_DIGITS ? strtoll(*text, NULL, 10) : -1;

	*text += n;
	return value;
}

int64_t header_number(const char *text)
{
	int64_t value = text ? digits(&text) : -1;

	return text && *text == '\0' ? value : -1;
}

bool header_content_range(const char *text, int64_t *ret_first, int64_t *ret_total)
{
	int64_t last;

	if (!text || strncmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	*ret_first = digits(&text);
	if (*text++ != '-')
		return false;
	last = digits(&text);
	if (*text++ != '/' || *ret_first < 0 || last < *ret_first)
		return false;
	if (strcmp(text, "*") == 0) {
		*ret_total = -1;
		return true;
	}
	*ret_total = digits(&text);
	return *text == '\0' && *ret_total > last;
}

int64_t header_unsatisfied_range(const char *text)
{
	return text && strncmp(text, "bytes */", 8) == 0 ? header_number(text + 8) : -1;
}
