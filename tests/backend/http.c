/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json-fields.h"
#include "router.h"
#include "server.h"
#include "tus.h"

#define CHUNK 65536

static const struct {
	const char *name;
	int lws;
} methods[HTTP_METHOD_COUNT] = {
	[HTTP_GET] = { "GET", LWSHUMETH_GET },
	[HTTP_HEAD] = { "HEAD", LWSHUMETH_HEAD },
	[HTTP_POST] = { "POST", LWSHUMETH_POST },
	[HTTP_PUT] = { "PUT", LWSHUMETH_PUT },
	[HTTP_PATCH] = { "PATCH", LWSHUMETH_PATCH },
	[HTTP_DELETE] = { "DELETE", LWSHUMETH_DELETE },
	[HTTP_OPTIONS] = { "OPTIONS", LWSHUMETH_OPTIONS },
};

const char *http_method_name(enum http_method method)
{
	return methods[method].name;
}

static int method_of(struct lws *wsi, enum http_method *ret)
{
	char *uri;
	int len;
	int lws_method = lws_http_get_uri_and_method(wsi, &uri, &len);

	for (int i = 0; i < HTTP_METHOD_COUNT; i++)
		if (methods[i].lws == lws_method) {
			*ret = (enum http_method)i;
			return 0;
		}
	return -EINVAL;
}

static int known_header(struct lws *wsi, enum lws_token_indexes token, char *ret, size_t size)
{
	if (lws_hdr_total_length(wsi, token) == 0)
		return -ENOENT;
	return lws_hdr_copy(wsi, ret, (int)size, token) < 0 ? -ENOSPC : 0;
}

int http_header(struct exchange *x, const char *name, char *ret, size_t size)
{
	static const struct {
		const char *name;
		enum lws_token_indexes token;
	} known[] = {
		{ "authorization:", WSI_TOKEN_HTTP_AUTHORIZATION },
		{ "content-length:", WSI_TOKEN_HTTP_CONTENT_LENGTH },
		{ "content-type:", WSI_TOKEN_HTTP_CONTENT_TYPE },
		{ "expect:", WSI_TOKEN_HTTP_EXPECT },
		{ "if-none-match:", WSI_TOKEN_HTTP_IF_NONE_MATCH },
		{ "if-range:", WSI_TOKEN_HTTP_IF_RANGE },
		{ "range:", WSI_TOKEN_HTTP_RANGE },
		{ "transfer-encoding:", WSI_TOKEN_HTTP_TRANSFER_ENCODING },
	};
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return known_header(x->wsi, known[i].token, ret, size);
	n = lws_hdr_custom_length(x->wsi, name, (int)strlen(name));
	if (n < 0)
		return -ENOENT;
	if ((size_t)n >= size ||
		lws_hdr_custom_copy(x->wsi, ret, (int)size, name, (int)strlen(name)) < 0)
		return -ENOSPC;
	return 0;
}

int http_query(struct exchange *x, const char *name, char *ret, size_t size)
{
	char pair[512];
	size_t len = strlen(name);
	int n;

	for (int i = 0; (n = lws_hdr_copy_fragment(
				 x->wsi, pair, sizeof(pair), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
		i++) {
		if (n == 0 || strncmp(pair, name, len) != 0 || pair[len] != '=')
			continue;
		return snprintf(ret, size, "%s", pair + len + 1) < (int)size ? 0 : -ENOSPC;
	}
	return -ENOENT;
}

struct user *http_authenticate(struct server *server, struct lws *wsi, struct problem *p)
{
	char header[TOKEN_MAX + 16], id[65];
	struct user *user;

	if (known_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, header, sizeof(header)) < 0 ||
		strncasecmp(header, "Bearer ", 7) != 0) {
		problem_set(p, PROBLEM_TOKEN_MISSING,
			"An Authorization header with a Bearer token is needed");
		return NULL;
	}
	switch (token_verify(&server->tokens, header + 7, id)) {
	case TOKEN_GOOD:
		user = users_find(server->users, id);
		if (user && user->listed)
			return user;
		problem_set(p, PROBLEM_TOKEN_INVALID, "The token's user is gone");
		return NULL;
	case TOKEN_EXPIRED:
		problem_set(p, PROBLEM_TOKEN_EXPIRED, "Log in again");
		return NULL;
	case TOKEN_FORGED:
		break;
	}
	problem_set(p, PROBLEM_TOKEN_INVALID, "The token is not of this server");
	return NULL;
}

cJSON *http_json(struct exchange *x)
{
	cJSON *o = NULL;

	if (buffer_size(&x->body) > 0)
		(void)json_parse((const char *)buffer_bytes(&x->body), buffer_size(&x->body), &o);
	return o;
}

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
	_cleanup_(cJSON_Deletep)
	cJSON *owned = value;
	_cleanup_free_ char *text = owned ? json_print(owned) : NULL;
	size_t len = text ? strlen(text) : 0;

	x->response.content_type = content_type;
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

	x->response.content_type = content_type;
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

static struct exchange *exchange_new(struct server *server, struct lws *wsi)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->server = server;
	x->wsi = wsi;
	x->cut_upload_after = -1;
	x->response.fd = -1;
	x->response.cut_after = -1;
	TAILQ_INSERT_TAIL(&server->exchanges, x, by_server);
	return x;
}

static void exchange_free(struct exchange *x)
{
	if (x->patch)
		patch_abort(x->patch);
	lws_sul_cancel(&x->due_timer);
	if (x->waking)
		TAILQ_REMOVE(&x->server->waking_exchanges, x, by_waking);
	TAILQ_REMOVE(&x->server->exchanges, x, by_server);
	buffer_clear(&x->body);
	buffer_clear(&x->response.headers);
	buffer_clear(&x->response.body);
	if (x->response.fd >= 0)
		close(x->response.fd);
	free(x);
}

void exchange_drop(struct exchange *x)
{
	shutdown(lws_get_socket_fd(x->wsi), SHUT_RDWR);
	lws_set_timeout(x->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

static void on_due(lws_sorted_usec_list_t *sul)
{
	struct exchange *x = lws_container_of(sul, struct exchange, due_timer);

	lws_callback_on_writable(x->wsi);
}

/* The body is consumed first, so that the connection can carry the next request. */
static bool body_is_consumed(const struct exchange *x)
{
	return x->response.close_after || x->body_received >= x->content_length;
}

void exchange_wake(struct exchange *x)
{
	uint64_t now = clock_monotonic_us();

	if (x->response.due_us > now)
		lws_sul_schedule(x->server->lws, 0, &x->due_timer, on_due,
			(lws_usec_t)(x->response.due_us - now) + 1000);
	else if (body_is_consumed(x))
		lws_callback_on_writable(x->wsi);
}

static int add_headers(struct exchange *x, unsigned char **p, unsigned char *end)
{
	_cleanup_free_ char *lines = NULL;
	char *rest, *name;
	size_t size = buffer_size(&x->response.headers);

	if (size == 0)
		return 0;
	lines = strndup((const char *)buffer_bytes(&x->response.headers), size);
	rest = lines;
	while (lines && (name = strsep(&rest, "\n")) && *name) {
		char *value = strsep(&rest, "\n");

		if (lws_add_http_header_by_name(x->wsi, (const unsigned char *)name,
			    (const unsigned char *)value, (int)strlen(value), p, end))
			return -ENOSPC;
	}
	return lines ? 0 : -ENOMEM;
}

static int send_head(struct exchange *x)
{
	struct response *r = &x->response;
	unsigned char buffer[LWS_PRE + 4096], *start = buffer + LWS_PRE, *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;

	if (lws_add_http_header_status(x->wsi, (unsigned int)r->status, &p, end))
		return -ENOSPC;
	if (r->content_type &&
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

static int finish(struct exchange *x, struct exchange **slot)
{
	struct lws *wsi = x->wsi;
	bool close_after = x->response.close_after;

	exchange_free(x);
	*slot = NULL;
	return close_after || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_writable(struct exchange **slot)
{
	struct exchange *x = *slot;
	struct response *r = &x->response;
	_cleanup_free_ unsigned char *chunk = NULL;
	ssize_t n;

	if (r->status == 0 || !store_committed(x->server->store, r->barrier) ||
		r->due_us > clock_monotonic_us() || !body_is_consumed(x))
		return 0;
	if (!r->head_sent && send_head(x) < 0)
		return -1;
	chunk = malloc(LWS_PRE + CHUNK);
	if (!chunk)
		return -1;
	do {
		n = next_bytes(x, chunk + LWS_PRE);
		if (n < 0 || (n > 0 && send_chunk(x, chunk + LWS_PRE, (size_t)n) < 0))
			return -1;
		if (n == 0)
			return finish(x, slot);
	} while (!lws_send_pipe_choked(x->wsi));
	lws_callback_on_writable(x->wsi);
	return 0;
}

static bool refused_by_fault(struct exchange *x)
{
	struct problem p;
	struct fault fault;

	if (!faults_on_request(
		    &x->server->faults, FAULT_REFUSE, http_method_name(x->method), x->path, &fault))
		return false;
	problem_set(&p, PROBLEM_REFUSED, "Refused by an injected fault");
	p.status = (int)fault.status;
	p.retry_after_s = (int)fault.retry_after_s;
	reply_problem(x, &p);
	return true;
}

/* Finds the route and lets in who may; false when the request is answered by that already. */
static bool admit(struct exchange *x)
{
	char allowed[128];
	struct problem p;

	x->route = router_find(x, allowed, sizeof(allowed));
	if (x->route && x->route->flags & ROUTE_CONTROL && !x->server->config.control) {
		x->route = NULL;
		allowed[0] = '\0';
	}
	if (!x->route)
		x->server->stats.requests_other++;
	else
		++*(uint64_t *)((char *)&x->server->stats + x->route->counter);
	if (!(x->route && x->route->flags & ROUTE_CONTROL) && refused_by_fault(x))
		return false;
	if (!x->route && !*allowed) {
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such resource");
		return false;
	}
	if (!x->route) {
		reply_header(x, "allow", "%s", allowed);
		reply_error(x, PROBLEM_METHOD_NOT_ALLOWED, "It takes %s", allowed);
		return false;
	}
	if (x->route->flags & ROUTE_PUBLIC)
		return true;
	x->user = http_authenticate(x->server, x->wsi, &p);
	if (x->user)
		return true;
	x->server->stats.requests_unauthorized++;
	reply_problem(x, &p);
	return false;
}

/* Reads how long the body is; false when that cannot be, and the request is answered. */
static bool measure_body(struct exchange *x)
{
	char text[32], *end;

	if (http_header(x, "content-length:", text, sizeof(text)) == 0) {
		errno = 0;
		x->content_length = strtoll(text, &end, 10);
		if (errno == 0 && *end == '\0' && x->content_length >= 0 && text[0] >= '0')
			return true;
		x->content_length = 0;
	} else if (http_header(x, "transfer-encoding:", text, sizeof(text)) == -ENOENT &&
		x->method != HTTP_POST && x->method != HTTP_PUT && x->method != HTTP_PATCH) {
		return true;
	}
	x->response.close_after = true;
	reply_error(x, PROBLEM_LENGTH_REQUIRED, "A body comes with its Content-Length");
	return false;
}

static void handle(struct exchange *x)
{
	if (x->handled || x->response.status != 0)
		return;
	x->handled = true;
	x->route->handle(x);
}

static int send_continue(struct exchange *x)
{
	unsigned char buffer[LWS_PRE + 32];
	int n = sprintf((char *)buffer + LWS_PRE, "HTTP/1.1 100 Continue\r\n\r\n");

	return lws_write(x->wsi, buffer + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

/* A client that waits for leave to send its body gets it, or the answer instead of it. */
static int on_expectation(struct exchange *x)
{
	char text[32];

	if (x->content_length == 0 || http_header(x, "expect:", text, sizeof(text)) < 0)
		return 0;
	if (x->response.status == 0)
		return send_continue(x);
	x->response.close_after = true;
	return 0;
}

static int on_request(struct lws *wsi, struct exchange **slot, const char *path, size_t len)
{
	struct server *server = lws_context_user(lws_get_context(wsi));
	struct exchange *x = exchange_new(server, wsi);
	struct fault fault;

	if (!x)
		return -1;
	*slot = x;
	if (method_of(wsi, &x->method) < 0 || len >= sizeof(x->path))
		return -1;
	memcpy(x->path, path, len);
	if (measure_body(x) && admit(x)) {
		if (x->route->flags & ROUTE_BODY && x->content_length > HTTP_BODY_MAX)
			reply_error(
				x, PROBLEM_TOO_LARGE, "A body has at most %d bytes", HTTP_BODY_MAX);
		if (x->content_length > 0 &&
			faults_on_request(&server->faults, FAULT_CUT_UPLOAD,
				http_method_name(x->method), x->path, &fault))
			x->cut_upload_after = fault.bytes;
		if (!(x->route->flags & ROUTE_BODY) || x->content_length == 0)
			handle(x);
	}
	return on_expectation(x);
}

static int on_body(struct exchange *x, const void *data, size_t len)
{
	bool cut =
		x->cut_upload_after >= 0 && x->body_received + (int64_t)len >= x->cut_upload_after;

	if (cut)
		len = (size_t)(x->cut_upload_after - x->body_received);
	x->body_received += (int64_t)len;
	if (x->response.status == 0 && x->patch)
		patch_data(x->patch, data, len);
	else if (x->response.status == 0 && buffer_append(&x->body, data, len) < 0)
		return -1;
	return cut ? -1 : 0;
}

static void on_body_end(struct exchange *x)
{
	if (x->response.status == 0 && x->patch)
		patch_end(x->patch);
	else if (x->route)
		handle(x);
	if (x->response.status != 0)
		exchange_wake(x);
}

/* The upgrade to chat.v1 is decided here, where a refusal can still be a proper answer. */
static int on_upgrade(struct lws *wsi, const char *protocol)
{
	struct server *server = lws_context_user(lws_get_context(wsi));
	struct exchange *x = exchange_new(server, wsi);
	char offered[256] = "", *uri = NULL;
	int len = 0, r = -1;
	struct problem p;

	if (!x)
		return -1;
	server->stats.requests_ws++;
	if (method_of(wsi, &x->method) == 0 && lws_http_get_uri_and_method(wsi, &uri, &len) >= 0)
		snprintf(x->path, sizeof(x->path), "%.*s", len, uri);
	known_header(wsi, WSI_TOKEN_PROTOCOL, offered, sizeof(offered));
	if (refused_by_fault(x))
		;
	else if (x->method != HTTP_GET || strcmp(x->path, "/ws") != 0 ||
		strcasecmp(protocol, "websocket") != 0)
		reply_error(x, PROBLEM_NOT_FOUND, "Only /ws can be upgraded, to websocket");
	else if (!http_authenticate(server, wsi, &p)) {
		server->stats.requests_unauthorized++;
		reply_problem(x, &p);
	} else if (!strstr(offered, "chat.v1"))
		reply_error(x, PROBLEM_MALFORMED, "The subprotocol chat.v1 is spoken here");
	else
		r = 0;
	if (r < 0 && send_head(x) == 0 && buffer_size(&x->response.body) > 0) {
		_cleanup_free_ unsigned char *chunk = malloc(LWS_PRE + CHUNK);
		ssize_t n = chunk ? next_bytes(x, chunk + LWS_PRE) : -1;

		if (n > 0 && lws_write(wsi, chunk + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) >= 0)
			r = 1;
	}
	exchange_free(x);
	return r;
}

int http_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct exchange **slot = user;

	if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
		return on_upgrade(wsi, in);
	if (reason == LWS_CALLBACK_HTTP)
		return on_request(wsi, slot, in, len);
	if (!slot || !*slot)
		return 0;
	if (reason == LWS_CALLBACK_HTTP_BODY)
		return on_body(*slot, in, len);
	if (reason == LWS_CALLBACK_HTTP_BODY_COMPLETION)
		on_body_end(*slot);
	else if (reason == LWS_CALLBACK_HTTP_WRITEABLE)
		return on_writable(slot);
	else if (reason == LWS_CALLBACK_CLOSED_HTTP || reason == LWS_CALLBACK_HTTP_DROP_PROTOCOL) {
		exchange_free(*slot);
		*slot = NULL;
	}
	return 0;
}
