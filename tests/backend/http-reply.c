/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The answers to HTTP requests: how they are made up, and how they are written out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/json-fields.h"
#include "http.h"
#include "router.h"
#include "server.h"

#define CHUNK 65536

void reply_header(struct exchange *x, const char *name, const char *format, ...)
{
	char value[1200], line[1300];
	va_list ap;
	int n;

	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "%s:\n%s\n", name, value);
	buffer_append(&x->response.headers, line, (size_t)n);
}

/* Marks the answer as complete; it leaves with the turn's commit. */
static void answered(struct exchange *x, int status)
{
	struct fault fault;

	x->response.status = status;
	x->response.barrier = store_barrier(x->server->store);
	if (!(x->route && x->route->flags & ROUTE_CONTROL) &&
		faults_on_request(&x->server->faults, FAULT_SLOW, http_method_name(x->method),
			x->path, &fault))
		x->response.due_us = clock_monotonic_us() + (uint64_t)fault.ms * 1000;
	if (!x->waking)
		TAILQ_INSERT_TAIL(&x->server->waking_exchanges, x, by_waking);
	x->waking = true;
}

static void reply_text(struct exchange *x, int status, const char *content_type, cJSON *value)
{
	_cleanup_(cJSON_Deletep) cJSON *owned = value;
	_cleanup_free_ char *text = owned ? json_print(owned) : NULL;
	size_t len = text ? strlen(text) : 0;

	snprintf(x->response.content_type, sizeof(x->response.content_type), "%s", content_type);
	x->response.has_length = true;
	x->response.length = (int64_t)len;
	buffer_append(&x->response.body, text, len);
	answered(x, status);
}

void reply_json(struct exchange *x, int status, cJSON *value)
{
	reply_text(x, status, "application/json", value);
}

void reply_empty(struct exchange *x, int status)
{
	x->response.has_length = status != 204 && status != 304;
	answered(x, status);
}

void reply_problem(struct exchange *x, const struct problem *p)
{
	if (p->status == 401)
		reply_header(x, "www-authenticate", "%s",
			x->route && x->route->flags & ROUTE_PUBLIC
				? "Basic realm=\"chat\", charset=\"UTF-8\""
				: "Bearer realm=\"chat\"");
	if (p->retry_after_s > 0)
		reply_header(x, "retry-after", "%d", p->retry_after_s);
	reply_text(x, p->status, "application/problem+json", problem_to_json(p));
}

void reply_error(struct exchange *x, enum problem_kind kind, const char *format, ...)
{
	char detail[200];
	struct problem p;
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
	problem_set(&p, kind, "%s", detail);
	reply_problem(x, &p);
}

void reply_bytes(struct exchange *x, int status, const char *content_type, int fd, int64_t offset,
	int64_t length)
{
	struct fault fault;

	snprintf(x->response.content_type, sizeof(x->response.content_type), "%s", content_type);
	x->response.fd = fd;
	x->response.offset = offset;
	x->response.left = length;
	x->response.has_length = true;
	x->response.length = length;
	if (faults_on_request(&x->server->faults, FAULT_CUT_DOWNLOAD, http_method_name(x->method),
		    x->path, &fault))
		x->response.cut_after = fault.bytes;
	answered(x, status);
}

static int add_headers(struct exchange *x, unsigned char **p, unsigned char *end)
{
	char *rest, *name;

	if (buffer_size(&x->response.headers) == 0)
		return 0;
	if (buffer_append(&x->response.headers, "", 1) < 0)
		return -ENOMEM;
	rest = (char *)buffer_bytes(&x->response.headers);
	while ((name = strsep(&rest, "\n")) && *name) {
		char *value = strsep(&rest, "\n");

		if (lws_add_http_header_by_name(x->wsi, (const unsigned char *)name,
			    (const unsigned char *)value, (int)strlen(value), p, end))
			return -ENOSPC;
	}
	return 0;
}

static int send_head(struct exchange *x)
{
	struct response *r = &x->response;
	unsigned char buffer[LWS_PRE + 4096], *start = buffer + LWS_PRE, *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;

	if (lws_add_http_header_status(x->wsi, (unsigned int)r->status, &p, end))
		return -ENOSPC;
	if (*r->content_type &&
		lws_add_http_header_by_token(x->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
			(const unsigned char *)r->content_type, (int)strlen(r->content_type), &p,
			end))
		return -ENOSPC;
	if (r->has_length) {
		char length[32];
		int n = snprintf(length, sizeof(length), "%" PRId64, r->length);

		if (lws_add_http_header_by_token(x->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH,
			    (const unsigned char *)length, n, &p, end))
			return -ENOSPC;
	}
	if (r->close_after &&
		lws_add_http_header_by_token(
			x->wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)"close", 5, &p, end))
		return -ENOSPC;
	if (add_headers(x, &p, end) < 0 || lws_finalize_write_http_header(x->wsi, start, &p, end))
		return -ENOSPC;
	r->head_sent = true;
	return 0;
}

/* Fills `chunk` with the next bytes of the answer's body; 0 at its end. */
static ssize_t next_bytes(struct exchange *x, unsigned char *chunk)
{
	struct response *r = &x->response;
	ssize_t n;

	if (x->method == HTTP_HEAD)
		return 0;
	if (r->fd < 0) {
		n = (ssize_t)buffer_size(&r->body);
		n = n > CHUNK ? CHUNK : n;
		if (n > 0)
			memcpy(chunk, buffer_bytes(&r->body), (size_t)n);
		buffer_consume(&r->body, (size_t)n);
		return n;
	}
	n = r->left > CHUNK ? CHUNK : (ssize_t)r->left;
	n = pread(r->fd, chunk, (size_t)n, r->offset);
	if (n < 0)
		return -errno;
	if (n == 0 && r->left > 0)
		return -EIO;
	r->offset += n;
	r->left -= n;
	x->server->stats.bytes_downloaded += (uint64_t)n;
	return n;
}

/* Sends at most what the fault still lets through; -ECONNABORTED when that is all. */
static int send_chunk(struct exchange *x, unsigned char *chunk, size_t n)
{
	struct response *r = &x->response;
	bool cut = r->cut_after >= 0 && (int64_t)n >= r->cut_after;

	if (cut)
		n = (size_t)r->cut_after;
	else if (r->cut_after >= 0)
		r->cut_after -= (int64_t)n;
	if (n > 0 && lws_write(x->wsi, chunk, n, LWS_WRITE_HTTP) < 0)
		return -EIO;
	return cut ? -ECONNABORTED : 0;
}

int reply_send(struct exchange *x)
{
	_cleanup_free_ unsigned char *chunk = malloc(LWS_PRE + CHUNK);
	ssize_t n;

	if (!chunk || (!x->response.head_sent && send_head(x) < 0))
		return -EIO;
	do {
		n = next_bytes(x, chunk + LWS_PRE);
		if (n < 0 || (n > 0 && send_chunk(x, chunk + LWS_PRE, (size_t)n) < 0))
			return -EIO;
		if (n == 0)
			return 1;
	} while (!lws_send_pipe_choked(x->wsi));
	lws_callback_on_writable(x->wsi);
	return 0;
}
