/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One WebSocket connection to a server. libwebsockets runs on a thread of its own, because its name
 * lookups block and Debian's builds cannot join a foreign loop; whole messages cross a bounded
 * queue and an eventfd. All functions and callbacks here belong to the loop's thread. The only file
 * that includes libwebsockets is ws-thread.c. SIGPIPE must be ignored in the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct ws_client;

enum ws_failure {
	WS_CLOSED,      /* the peer closed, or the connection broke */
	WS_UNREACHABLE, /* refused, no route, no such name, timed out, no TLS or WebSocket spoken
			   there */
	WS_TLS,         /* the certificate was not accepted */
	WS_HTTP,        /* the upgrade was answered with `http_status` */
	WS_TOO_LARGE,   /* a message above the limit */
	WS_NOT_TEXT,    /* a binary message */
	WS_NO_PONG,     /* a ping stayed without an answer */
};

/* How a connection ended. Strings are borrowed, may be NULL. */
struct ws_end {
	enum ws_failure failure;
	int http_status;         /* of WS_HTTP, else 0 */
	const char *retry_after; /* value of that header, of WS_HTTP */
	const char *detail;      /* for people */
};

struct ws_client_events {
	void (*on_open)(void *userdata);
	/* A whole text message; not NUL-terminated, borrowed. */
	void (*on_message)(void *userdata, const char *data, size_t len);
	/*
	 * Once for each ws_client_connect that was not followed by ws_client_close. After
	 * WS_TOO_LARGE and WS_NOT_TEXT the peer still listens: ws_client_send works until this
	 * returns, for a word of parting.
	 */
	void (*on_closed)(void *userdata, const struct ws_end *end);
	/* What ws_client_close began on an open connection is through. May be NULL. */
	void (*on_parted)(void *userdata);
};

/*
 * A proxy is taken from the environment, as proxy.h says, but never on the way to a loopback
 * address.
 */
struct ws_client_options {
	const char *url; /* ws:// or wss:// */
	const char *subprotocol;
	const char *authorization; /* value of the header; NULL: none */
	const char *ca_file;       /* PEM bundle in place of the system's roots; NULL: those */
	size_t max_message;        /* bytes in a message, either way */
	size_t max_queued;         /* bytes waiting to be sent */
};

/* Starts the thread at the first connect. `events` static. NULL when memory is short. */
struct ws_client *ws_client_new(
	struct event_loop *loop, const struct ws_client_events *events, void *userdata);

/* The version of libwebsockets, static. */
const char *ws_client_version(void);

/*
 * Closes as ws_client_close does, but waits for it, half a second at most, and ends the thread.
 * Allowed inside the callbacks. Takes NULL, returns NULL.
 */
struct ws_client *ws_client_free(struct ws_client *c);
DEFINE_CLEANUP(struct ws_client *, ws_client_free)

/*
 * Strings are copied. Ends in on_open or on_closed. -EALREADY while one is open or opening; -EINVAL
 * for the URL; -ENOMEM and what starting a thread gives.
 */
int ws_client_connect(struct ws_client *c, const struct ws_client_options *o);

/*
 * Queues a text message. -ENOTCONN; -ENOBUFS above max_queued; -EMSGSIZE above max_message;
 * -ENOMEM.
 */
int ws_client_send(struct ws_client *c, const char *data, size_t len);

/*
 * After `interval_s` in which nothing was received a ping is sent (what is only sent proves
 * nothing); when then nothing is received in `timeout_s`, the connection ends with WS_NO_PONG. The
 * interval grows while it proves good, as heartbeat.h says; 0 turns it off, as at the start. Holds
 * for the present connection and later ones.
 */
void ws_client_set_heartbeat(struct ws_client *c, unsigned interval_s, unsigned timeout_s);

/*
 * The network is another one: sends a ping now, with little patience, and forgets what was learnt
 * of intervals. No effect without a heartbeat or a connection that is open.
 */
void ws_client_probe(struct ws_client *c);

/* True from the closing of an open connection until on_parted. */
bool ws_client_is_parting(const struct ws_client *c);

/*
 * What is queued still goes out, then the close handshake, both for at most 2 s; a connect
 * meanwhile waits for it. No on_closed follows.
 */
void ws_client_close(struct ws_client *c);
