/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/bubble-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define ELLIPSIS "\u2026"
#define ESCAPED_MAX 6 /* bytes of "&quot;" */

/* The beginning of `text` that ends between characters, in at most `max` bytes. */
static size_t fitting(const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static const char *escape(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&apos;";
	default:
		return NULL;
	}
}

/* Control characters become blanks, so that a line remains one. */
static char *clean(const char *text, size_t max, bool lines, bool markup)
{
	size_t n = fitting(text, max);
	char *copy = malloc(n * ESCAPED_MAX + sizeof(ELLIPSIS)), *to = copy;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		const char *escaped = markup ? escape(text[i]) : NULL;

		if (escaped)
			to = stpcpy(to, escaped);
		else if ((c < ' ' && !(lines && c == '\n')) || c == 0x7f)
			*to++ = ' ';
		else
			*to++ = text[i];
	}
	strcpy(to, text[n] ? ELLIPSIS : "");
	return copy;
}

static char *title_of_many(const struct bubble *b)
{
	char *text;

	return asprintf(&text, "%" PRId64 " new messages in %u chats", b->unread, b->n_chats) < 0
		? NULL
		: text;
}

char *bubble_title(const struct bubble *b)
{
	_cleanup_free_ char *sender = NULL;
	char *text;

	if (!b->chat_id[0])
		return title_of_many(b);
	if (b->failed)
		return strdup("Your answer was not sent");
	if (!b->sender)
		return b->unread > 1
			? asprintf(&text, "%" PRId64 " new messages", b->unread) < 0 ? NULL : text
			: strdup("New message");
	sender = clean(b->sender, BUBBLE_TITLE_BYTES, false, false);
	if (!sender || b->unread <= 1)
		return TAKE_PTR(sender);
	return asprintf(&text, "%s (%" PRId64 ")", sender, b->unread) < 0 ? NULL : text;
}

char *bubble_body(const struct bubble *b, bool markup)
{
	char photos[40] = "";

	if (b->text && b->text[0])
		return clean(b->text, BUBBLE_BODY_BYTES, true, markup);
	if (b->n_photos == 1)
		snprintf(photos, sizeof(photos), "Photo");
	else if (b->n_photos > 1)
		snprintf(photos, sizeof(photos), "%u photos", b->n_photos);
	return strdup(photos);
}
