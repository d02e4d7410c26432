/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two sides of a ws-client share: the loop's side (ws-client.c) and the thread that runs
 * libwebsockets (ws-thread.c). What is marked as guarded is touched with worker->lock held only, by
 * the functions of ws-worker.c; the rest does not change once the link has been handed to the
 * thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/heartbeat.h"
#include "net/url.h"
#include "net/ws-client.h"

/* Room in front of a payload, for libwebsockets to put the frame's header into. */
#define WS_HEADROOM 32

/*
 * Received bytes that may wait for the loop: above, the thread stops reading; below half, it reads
 * on.
 */
#define WS_INBOUND_LIMIT (4u << 20)

#define WS_DETAIL_SIZE 200

struct ws_frame {
	STAILQ_ENTRY(ws_frame) entry;
	size_t len;
	unsigned char data[]; /* WS_HEADROOM, then len bytes */
};
STAILQ_HEAD(ws_frame_list, ws_frame);

enum ws_event_type {
	WS_EVENT_OPEN,
	WS_EVENT_MESSAGE,
	WS_EVENT_CLOSED,
};

struct ws_event {
	STAILQ_ENTRY(ws_event) entry;
	enum ws_event_type type;
	uint64_t link_id;
	enum ws_failure failure;
	int http_status;
	char retry_after[48]; /* empty: none */
	size_t len;
	char data[]; /* a message, or, at most WS_DETAIL_SIZE, why it closed; len bytes and a NUL */
};
STAILQ_HEAD(ws_event_list, ws_event);

/* One connection, from ws_client_connect to its end. */
struct ws_link {
	TAILQ_ENTRY(ws_link) entry;
	struct ws_worker *worker;
	uint64_t id;
	struct url url;
	char *subprotocol;
	char *authorization;
	char *ca_file;
	char *proxy; /* empty: none; NULL: one that cannot be spoken to */
	size_t max_message;
	size_t max_queued;
	struct ws_event *end; /* the thread's: told when it is over, made early so that it can
				 always be told */
	unsigned references;  /* guarded, as all below */
	struct ws_frame_list outbound;
	size_t outbound_bytes;
	bool closing; /* the loop's side is through with it */
	bool probe;   /* asked for and not begun */
	unsigned interval_s, timeout_s;
};
TAILQ_HEAD(ws_link_list, ws_link);

struct ws_worker {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int event_fd; /* readable while there are events */
	pthread_t thread;
	bool running;          /* loop's side only: the thread has been started */
	struct heartbeat beat; /* the thread's: what connections have taught it */
	unsigned references;   /* guarded, as all below */
	bool quit;
	bool resolving;            /* the thread may be stuck in a name lookup */
	bool signalled;            /* event_fd is readable */
	bool woken;                /* the thread has been told to look for orders */
	bool paused;               /* the thread has stopped reading */
	void *context;             /* libwebsockets', while a link is run */
	struct ws_link_list links; /* to be run, in order */
	struct ws_event_list inbound;
	size_t inbound_bytes;
};

/* With one reference. NULL when memory or descriptors are short. */
struct ws_worker *ws_worker_new(void);

/* A link with one reference. -EINVAL for the URL, -ENOMEM. */
int ws_link_new(struct ws_worker *w, const struct ws_client_options *o, struct ws_link **ret);

struct ws_link *ws_link_unref(struct ws_link *l);
DEFINE_CLEANUP(struct ws_link *, ws_link_unref)

/* For the loop's side. */

/* Queues the link for the thread and starts the thread if need be. */
int ws_worker_run(struct ws_worker *w, struct ws_link *l);

/*
 * The next event, to be freed by the caller; NULL when there is none, and event_fd is not readable
 * then.
 */
struct ws_event *ws_worker_take_event(struct ws_worker *w);

/* Ends the thread: waits for it, or leaves it to itself in its name lookup. Drops a reference. */
void ws_worker_stop(struct ws_worker *w);

/* -ENOBUFS, -ENOMEM. */
int ws_link_send(struct ws_link *l, const char *data, size_t len);
void ws_link_close(struct ws_link *l);
void ws_link_set_heartbeat(struct ws_link *l, unsigned interval_s, unsigned timeout_s);
void ws_link_probe(struct ws_link *l);

/* For the thread. */

/* Sleeps until there is a link to run; its reference is the caller's. NULL: end. */
struct ws_link *ws_worker_next_link(struct ws_worker *w);

/*
 * Brackets the time in which the thread may be stuck. False: do not begin, the worker is to quit.
 */
bool ws_worker_begin_resolving(struct ws_worker *w);
void ws_worker_end_resolving(struct ws_worker *w);

/* Says what ws_thread_wake is called with when there are new orders; NULL: nothing. */
void ws_worker_set_context(struct ws_worker *w, void *context);

/* `data` NULL leaves room for `len` bytes. NULL when memory is short. */
struct ws_event *ws_event_new(enum ws_event_type type, const void *data, size_t len);

/* Hands the event over. False: enough waits, stop reading until an order says may_read. */
bool ws_link_post(struct ws_link *l, struct ws_event *e);

/* The next one to send, to be freed by the caller; NULL: none. */
struct ws_frame *ws_link_take_frame(struct ws_link *l);

struct ws_orders {
	bool close;      /* when everything is sent */
	bool hurry;      /* another link waits for this one's end */
	bool quit;       /* the whole daemon does */
	bool has_frames; /* to send */
	bool may_read;
	bool probe; /* comes once */
	unsigned interval_s, timeout_s;
};
struct ws_orders ws_link_get_orders(struct ws_link *l);

/* ws-thread.c: the thread, and what makes it look for orders; the latter from any thread. */
void *ws_thread_main(void *worker);
void ws_thread_wake(void *context);

/* Drops a reference; for the thread's end. */
void ws_worker_unref(struct ws_worker *w);
