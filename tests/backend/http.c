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

bool exchange_is_at_cdn(const struct exchange *x)
{
	return x->server->cdn_vhost && lws_get_vhost(x->wsi) == x->server->cdn_vhost;
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
	int r;

	if (x->response.status == 0 || !store_committed(x->server->store, x->response.barrier) ||
		x->response.due_us > clock_monotonic_us() || !body_is_consumed(x))
		return 0;
	r = reply_send(x);
	if (r < 0)
		return -1;
	return r > 0 ? finish(x, slot) : 0;
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

/* On the other origin there are bytes only, and who has the key may have them. */
static bool admit_at_cdn(struct exchange *x)
{
	char key[64];

	x->server->stats.requests_cdn++;
	if (lws_hdr_total_length(x->wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0)
		x->server->stats.requests_cdn_with_token++;
	if (refused_by_fault(x))
		return false;
	if (!x->route || !(x->route->flags & ROUTE_CDN) ||
		http_query(x, "key", key, sizeof(key)) < 0 ||
		!server_key_is_right(x->server, x->path, key)) {
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such resource");
		return false;
	}
	return true;
}

static bool admit_by_token(struct exchange *x)
{
	struct problem p;

	x->user = http_authenticate(x->server, x->wsi, &p);
	if (x->user)
		return true;
	x->server->stats.requests_unauthorized++;
	reply_problem(x, &p);
	return false;
}

static void count_request(struct exchange *x)
{
	if (!x->route)
		x->server->stats.requests_other++;
	else
		++*(uint64_t *)((char *)&x->server->stats + x->route->counter);
}

/* Finds the route and lets in who may; false when the request is answered by that already. */
static bool admit(struct exchange *x)
{
	char allowed[128];

	x->route = router_find(x, allowed, sizeof(allowed));
	if (x->route && x->route->flags & ROUTE_CONTROL && !x->server->config.control) {
		x->route = NULL;
		allowed[0] = '\0';
	}
	if (exchange_is_at_cdn(x))
		return admit_at_cdn(x);
	count_request(x);
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
	return x->route->flags & ROUTE_PUBLIC || admit_by_token(x);
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
	server->arrivals++;
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
	if (r < 0 && x->response.status != 0 && reply_send(x) > 0)
		r = 1;
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
