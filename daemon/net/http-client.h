/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests on the daemon's loop (libcurl's multi socket interface). Bytes in, bytes out: no
 * JSON, no retry, no redirect is ever followed. Proxies are taken from the environment as curl
 * does, but never on the way to a loopback address. The only files that include libcurl are
 * http-client.c and url.c. The process must ignore SIGPIPE: OpenSSL writes to sockets plainly.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct http_client;
struct http_request;

struct http_response {
	int status; /* 0: no answer came; see error */
	const char
		*error; /* NULL, or why there is none, for people: "connection refused", "TLS: …" */
	int tls_failed;   /* 1 when the peer's certificate was not accepted */
	int too_large;    /* 1 when the body was above max_body; status is 0 then */
	const char *body; /* NUL-terminated; empty when the request has a sink */
	size_t body_len;
};

typedef void (*http_done_fn)(
	void *userdata, struct http_request *r, const struct http_response *response);

/*
 * Takes body bytes as they come, some 256 KiB a turn of the loop at most, of any status;
 * http_request_status and _header say of which. <0 aborts: `done` follows with status 0.
 */
typedef int (*http_sink_fn)(void *userdata, struct http_request *r, const void *data, size_t len);

struct http_options {
	const char *method; /* "GET", "POST", … */
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const char *user;           /* with password: HTTP Basic */
	const char *password;
	const void *body; /* copied */
	size_t body_len;
	size_t max_body;          /* a larger collected body fails the request; 0: 4 MiB */
	unsigned timeout_s;       /* for the whole request; 0: none */
	unsigned stall_timeout_s; /* without a byte moving; 0: 30 */
	http_sink_fn sink;        /* NULL: the body is collected */
	http_done_fn done;
	void *userdata;
};

/* `ca_file`: PEM bundle beside the system's roots' place (replaces them), or NULL; copied. */
struct http_client *http_client_new(struct event_loop *loop, const char *ca_file);

/* For requests from now on; connections that are open stay in use. */
int http_client_set_ca_file(struct http_client *c, const char *ca_file);

/* The version of libcurl, static. */
const char *http_client_version(void);

/* Drops all requests without their callbacks; allowed inside them too. Takes NULL, returns NULL. */
struct http_client *http_client_free(struct http_client *c);
DEFINE_CLEANUP(struct http_client *, http_client_free)

/*
 * Starts a request; strings are copied. `done` is called once, from the loop, and the request is
 * gone with it. -EINVAL for a URL that is not http or https; -ENOMEM.
 */
int http_client_start(
	struct http_client *c, const struct http_options *o, struct http_request **ret);

/*
 * Ends a request without its callback. Takes NULL, returns NULL. Allowed inside its own sink;
 * inside its own done there is nothing left to end.
 */
struct http_request *http_request_cancel(struct http_request *r);

/*
 * Within sink and done: the status so far (0: none yet) and the value of a header (NULL; borrowed).
 */
int http_request_status(const struct http_request *r);
const char *http_request_header(struct http_request *r, const char *name);

/* An HTTP date as seconds since 1970 UTC; -1 when it is none. */
int64_t http_date_parse(const char *text);
