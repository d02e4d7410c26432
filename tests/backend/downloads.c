/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attachments as their receivers see them: the description, and the bytes with ranges (RFC 9110).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "chats.h"
#include "http.h"
#include "router.h"
#include "server.h"
#include "uploads.h"
#include "views.h"

/* The uploader, and once it is sent, both members of the chat. */
static bool may_see(struct exchange *x, const struct upload *u)
{
	struct chat *chat;
	char message[65];
	int64_t number;

	if (strcmp(u->owner, x->user->id) == 0)
		return true;
	if (attachment_use(x->server->store, u->attachment, &number, message) < 0)
		return false;
	chat = chats_find_by_number(x->server->chats, number);
	return chat && chat_member(chat, x->user);
}

void handle_attachment(struct exchange *x)
{
	struct attachment a;

	if (attachment_find(x->server->store, x->parameters[0], &a) < 0)
		reply_error(
			x, PROBLEM_NOT_FOUND, "There is no such attachment, or it is not complete");
	else if (!may_see(x, &a.full))
		reply_error(x, PROBLEM_FORBIDDEN, "The attachment is in nobody's chat with you");
	else
		reply_json(x, 200, view_attachment(x->server, x->parameters[0]));
}

struct range {
	int64_t first, last; /* both inside */
};

enum range_verdict {
	RANGE_NONE, /* none asked, or one that may be ignored */
	RANGE_GOOD,
	RANGE_OUTSIDE,
};

/*
 * A number of digits only, moving `text` behind it; -1 when there is none, the highest when it is
 * too long.
 */
static int64_t digits(const char **text)
{
	size_t n = strspn(*text, "0123456789");
	int64_t value = n == 0 ? -1 : n > 18 ? INT64_MAX : strtoll(*text, NULL, 10);

	*text += n;
	return value;
}

/* One range of bytes; anything else is ignored, as the RFC allows. */
static enum range_verdict parse_range(const char *text, int64_t size, struct range *ret)
{
	int64_t first, last;

	if (strncmp(text, "bytes=", 6) != 0)
		return RANGE_NONE;
	text += 6;
	first = digits(&text);
	if (*text++ != '-')
		return RANGE_NONE;
	last = digits(&text);
	if (*text != '\0' || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
		return RANGE_NONE;
	if (first < 0) {
		first = last < size ? size - last : 0;
		if (last == 0 || size == 0)
			return RANGE_OUTSIDE;
		last = size - 1;
	}
	if (first >= size)
		return RANGE_OUTSIDE;
	ret->first = first;
	ret->last = last < 0 || last >= size ? size - 1 : last;
	return RANGE_GOOD;
}

/* What the Range and If-Range headers ask for, given the present ETag. */
static enum range_verdict asked_range(
	struct exchange *x, const char *etag, int64_t size, struct range *ret)
{
	char text[128];
	int r = http_header(x, "if-range:", text, sizeof(text));

	if (r == -ENOSPC || (r == 0 && strcmp(text, etag) != 0))
		return RANGE_NONE;
	if (http_header(x, "range:", text, sizeof(text)) < 0)
		return RANGE_NONE;
	return parse_range(text, size, ret);
}

static void send_bytes(
	struct exchange *x, const struct upload *u, const struct range *range, int status)
{
	int fd = upload_open(x->server->config.data_directory, u->id, false);

	if (fd < 0) {
		reply_error(x, PROBLEM_INTERNAL, "The bytes could not be read");
		return;
	}
	reply_bytes(x, status, u->mime, fd, range->first, range->last - range->first + 1);
}

static void answer_bytes(struct exchange *x, const struct upload *u)
{
	struct range range = { 0, u->length - 1 };
	char etag[96], match[256];

	snprintf(etag, sizeof(etag), "\"%.32s-%" PRId64 "\"", u->sha256,
		x->server->faults.etag_generation);
	reply_header(x, "etag", "%s", etag);
	reply_header(x, "accept-ranges", "bytes");
	reply_header(x, "cache-control", "private, max-age=31536000, immutable");
	reply_header(x, "x-content-type-options", "nosniff");
	if (http_header(x, "if-none-match:", match, sizeof(match)) == 0 && strstr(match, etag)) {
		reply_empty(x, 304);
		return;
	}
	switch (asked_range(x, etag, u->length, &range)) {
	case RANGE_NONE:
		send_bytes(x, u, &range, 200);
		return;
	case RANGE_GOOD:
		reply_header(x, "content-range", "bytes %" PRId64 "-%" PRId64 "/%" PRId64,
			range.first, range.last, u->length);
		send_bytes(x, u, &range, 206);
		return;
	case RANGE_OUTSIDE:
		reply_header(x, "content-range", "bytes */%" PRId64, u->length);
		reply_error(x, PROBLEM_RANGE, "There are %" PRId64 " bytes", u->length);
		return;
	}
}

static bool redirected_by_fault(struct exchange *x, enum variant variant)
{
	struct fault fault;
	char url[256];

	if (!faults_on_request(&x->server->faults, FAULT_REDIRECT, http_method_name(x->method),
		    x->path, &fault))
		return false;
	server_bytes_url(x->server, x->parameters[0], variant, url, sizeof(url));
	reply_header(x, "location", "%s", url);
	reply_empty(x, 307);
	return true;
}

void handle_bytes(struct exchange *x)
{
	int found = variant_from_string(x->parameters[1]);
	enum variant variant = found < 0 ? VARIANT_FULL : (enum variant)found;
	struct upload u;

	if (found < 0 || upload_find_variant(x->server->store, x->parameters[0], variant, &u) < 0 ||
		!upload_is_complete(&u))
		reply_error(x, PROBLEM_NOT_FOUND, "There are no such bytes");
	else if (!exchange_is_at_cdn(x) && !may_see(x, &u))
		reply_error(x, PROBLEM_FORBIDDEN, "The attachment is in nobody's chat with you");
	else if (!redirected_by_fault(x, variant))
		answer_bytes(x, &u);
}
