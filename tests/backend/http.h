/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests as the handlers see them: an exchange has what was asked, takes the body and
 * carries the answer, which leaves after the commit of what was written so far.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <cjson/cJSON.h>
#include <libwebsockets.h>

#include "base/buffer.h"
#include "faults.h"
#include "problem.h"

struct exchange;
struct patch;
struct route;
struct server;
struct user;

#define HTTP_BODY_MAX (64 * 1024)
#define HTTP_PARAMETERS 2

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHOD_COUNT,
};

struct response {
	int status;             /* 0: no answer yet */
	char content_type[128]; /* "": none */
	struct buffer headers;  /* "name: value\n" lines */
	struct buffer body;
	int fd;               /* bytes to send instead of the body, or -1 */
	int64_t offset, left; /* of those bytes */
	bool has_length;      /* false where the status allows no body */
	int64_t length;
	bool head_sent, close_after;
	uint64_t barrier, due_us;
	int64_t cut_after; /* bytes of body until the connection is cut, or -1 */
};

struct exchange {
	struct server *server;
	struct lws *wsi;
	enum http_method method;
	char path[512];
	char parameters[HTTP_PARAMETERS][65]; /* what stood in the route's {} places */
	const struct route *route;
	struct user *user; /* NULL on routes without a token, and at the CDN */
	int64_t content_length;
	int64_t body_received;
	int64_t cut_upload_after; /* or -1 */
	struct buffer body;       /* of routes that take it whole */
	struct patch *patch;      /* of the one that takes it piece by piece */
	struct response response;
	bool handled, waking;
	lws_sorted_usec_list_t due_timer;
	TAILQ_ENTRY(exchange) by_server, by_waking;
};

/* The protocol "http", the first of the vhost. */
int http_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

const char *http_method_name(enum http_method method);

/* Reads a header by its lower-case name with colon ("upload-offset:"). 0, -ENOENT, -ENOSPC. */
int http_header(struct exchange *x, const char *name, char *ret, size_t size);

/* Reads a decoded query parameter. 0, -ENOENT, -ENOSPC. */
int http_query(struct exchange *x, const char *name, char *ret, size_t size);

/* The user whose token came with the request; NULL with a problem otherwise. */
struct user *http_authenticate(struct server *server, struct lws *wsi, struct problem *ret_problem);

/* The body as JSON, owned; NULL when it is none. */
cJSON *http_json(struct exchange *x);

/* Answers. Each request is answered once; the value of reply_json() is taken over. */
void reply_json(struct exchange *x, int status, cJSON *value);
void reply_empty(struct exchange *x, int status);
void reply_problem(struct exchange *x, const struct problem *problem);
void reply_error(struct exchange *x, enum problem_kind kind, const char *format, ...)
	_printf_(3, 4);

/* Sends `length` bytes of `fd` (taken over) from `offset` on. */
void reply_bytes(struct exchange *x, int status, const char *content_type, int fd, int64_t offset,
	int64_t length);

/* Adds a header to the answer; before or after the reply. */
void reply_header(struct exchange *x, const char *name, const char *format, ...) _printf_(3, 4);

/*
 * Writes as much of the answer as the socket takes. 1 when that was all, 0 when more is to come,
 * -EIO.
 */
int reply_send(struct exchange *x);

/* True when the request came to the origin of --cdn. */
bool exchange_is_at_cdn(const struct exchange *x);

/* Cuts the connection of an exchange whose answer nobody waits for any more. */
void exchange_drop(struct exchange *x);

/* Asks libwebsockets to send the answer now that its commit is there. */
void exchange_wake(struct exchange *x);
