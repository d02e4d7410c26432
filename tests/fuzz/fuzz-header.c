/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Headers of a server's answers, and the URLs that it names. The first byte says which. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "net/url.h"
#include "service/native/headers.h"
#include "service/native/problems.h"

static void range(const char *text)
{
	int64_t first, total;

	if (header_content_range(text, &first, &total) && (first < 0 || total < -1 || total == 0))
		abort();
	if (header_number(text) < -1 || header_unsatisfied_range(text) < -1)
		abort();
}

static void retry_after(const char *text)
{
	const char *date = strchr(text, '\n');

	if (problem_parse_retry_after(text, date ? date + 1 : NULL) > 86400000u)
		abort();
}

/* What was taken apart is put together into the same again. */
static void url(const char *text)
{
	_cleanup_url_ struct url u = { 0 }, again = { 0 };
	_cleanup_free_ char *resolved = NULL;

	if (url_parse(text, &u) < 0)
		return;
	if (u.target[0] != '/' || !*u.host || u.port == 0 || u.port > 65535 ||
		!url_same_origin(&u, &u))
		abort();
	url_is_loopback(&u);
	/* "//" begins a reference to another host. */
	if (u.target[1] != '/' && url_resolve(text, u.target, &resolved) == 0 &&
		(url_parse(resolved, &again) < 0 || !url_same_origin(&u, &again)))
		abort();
}

static void reference(const char *text)
{
	_cleanup_free_ char *resolved = NULL;
	_cleanup_url_ struct url u = { 0 };

	if (url_resolve("https://chat.example/a/b?c", text, &resolved) == 0)
		url_parse(resolved, &u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *) = { range, retry_after, url, reference };
	_cleanup_free_ char *text = NULL;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	readers[data[0] % ARRAY_SIZE(readers)](text);
	return 0;
}
