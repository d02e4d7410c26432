/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the native service share. */
#pragma once

#include <sys/queue.h>

#include "base/buffer.h"
#include "base/event-loop.h"
#include "net/http-client.h"
#include "net/url.h"
#include "net/ws-client.h"
#include "service/native/convert.h"
#include "service/native/native.h"
#include "service/native/problems.h"

TAILQ_HEAD(call_list, service_call);

/* For whom the service speaks; all NULL: for nobody. */
struct account {
	char *server; /* base URL without a slash at its end */
	struct url origin;
	char *user_id;
	char *password;
	char *device_id;
	char *self_id; /* the user's id as the server calls it; user_id until it has spoken */
};

/* The token and how to get one. */
struct auth {
	char *token;                /* NULL: none, or known to be expired */
	uint64_t expires_at_us;     /* monotonic; 0: not known */
	struct service_call *login; /* under way; NULL: none */
	uint64_t not_before_us; /* monotonic; the server wants no login before */
	bool refused; /* the server does not take these credentials: do not ask again */
	struct loop_deferred hopeless; /* tells those who wait that there will be no token */
};

enum session_state {
	SESSION_CLOSED,
	SESSION_LOGIN,    /* waits for a token */
	SESSION_OPENING,  /* the WebSocket is being opened */
	SESSION_GREETING, /* waits for the server's HELLO */
	SESSION_OPEN,
};

struct session {
	enum session_state state;
	char *connection_id;
	char *token;                 /* that the WebSocket was opened with */
	bool retried;                /* with a new token, after the server refused the first */
	struct loop_timer *timer;    /* of the greeting */
	struct loop_deferred failed; /* tells `problem`, found inside connect() */
	struct problem problem;
};

/* Counted references keep it while callbacks run that may free the service. */
struct native {
	struct service service; /* first: the two are cast into each other */
	struct event_loop *loop;
	char *ca_file;
	char *client;
	struct http_client *http;
	struct ws_client *ws;
	struct account account;
	struct auth auth;
	struct session session;
	struct call_list calls;
	unsigned references;
	bool freed; /* by its owner: nothing is called back any more */
};

static inline struct native *native_from(struct service *s)
{
	return (struct native *)s;
}

/* native.c */
void native_hold(struct native *n);
void native_release(struct native *n);

/* Takes `server` apart. -EINVAL when it is not an http or https URL that paths can be appended to.
 */
int account_set_server(struct account *a, const char *server);
void account_clear(struct account *a);

/* NULL, or why no traffic to `u` is allowed: without TLS only to loopback, and that only for a
 * server there. */
const char *account_refuses(const struct account *a, const struct url *u);

/* The same for a server that is none of an account yet. */
const char *url_refused(const struct url *u);

/* An owned URL: the server's base and a path in printf's manner; NULL when memory is short. */
char *account_url(const struct account *a, const char *format, ...) _printf_(2, 3);

/*
 * calls.c: requests under way.
 *
 * A call sends one or more requests, one at a time; `answered` is told how each ended. It either
 * sends the next or ends the call with call_end() and then tells its owner. A call is freed when it
 * has ended and nothing on the stack needs it; `destroy` releases what its kind added.
 */
struct answer {
	int status; /* 0: none came */
	const char *body;
	size_t body_len;
	struct http_request *request;  /* for its headers; NULL when none was sent */
	const struct problem *problem; /* NULL for a 2xx */
	bool too_large;                /* the answer was, and has been given up */
};

/*
 * Reads what a success brought into `ret`, by `convert`, which is as the functions of convert.h.
 * NULL, or what is wrong: the answer's own problem, or `own`, filled in.
 */
const struct problem *answer_read(const struct answer *a, struct native *n,
	int (*convert)(struct native *n, const cJSON *o, void *ret, struct json_error *e),
	void *ret, struct problem *own);

/* Strings are copied; `body` (malloc's) is taken. */
struct call_request {
	const char *method;
	const char *url;
	const char *headers[6]; /* NULL ends them */
	char *body;
	size_t body_len;
	size_t max_body;
	unsigned timeout_s;
	bool without_token;          /* even to the API itself */
	const char *user, *password; /* HTTP Basic, to whatever server; NULL: the account's token */
	/* The body of a 2xx, piece by piece; negative aborts. NULL: it is collected. */
	int (*sink)(struct service_call *c, struct http_request *r, const void *data, size_t len);
};

#define CALL_MAX_HEADERS 8

enum call_state {
	CALL_IDLE,
	CALL_WAITING, /* for a token */
	CALL_RUNNING,
	CALL_FAILED, /* before anything was sent; the loop tells */
	CALL_OVER,
};

struct service_call {
	TAILQ_ENTRY(service_call) entry;
	struct native *native;
	unsigned references;
	enum call_state state;
	const char *method; /* static */
	char *url;
	char *user, *password;
	char *headers[CALL_MAX_HEADERS];
	unsigned n_headers;
	char *body;
	size_t body_len;
	size_t max_body;
	unsigned timeout_s;
	int (*sink)(struct service_call *c, struct http_request *r, const void *data, size_t len);
	struct buffer refusal; /* the body of what is not a 2xx, when there is a sink */
	bool with_token;       /* the URL is the API's own */
	bool replayed;         /* has been sent again with a new token */
	char *token;           /* that it was sent with */
	struct http_request *request;
	struct loop_deferred failed;
	struct problem problem;
	void (*answered)(struct service_call *c, const struct answer *a);
	void (*destroy)(struct service_call *c);
	void *userdata; /* of its owner */
};

/* `size` bytes that begin with a service_call, zeroed but for that, with one reference: the list's.
 */
void *call_new(struct service *s, size_t size,
	void (*answered)(struct service_call *, const struct answer *),
	void (*destroy)(struct service_call *), void *userdata);

/* Sends; how it went is told from the loop. Not while another request of the call is under way. */
void call_send(struct service_call *c, const struct call_request *r);

/* In place of a request: `answered` is told of this from the loop. */
void call_fail(struct service_call *c, enum problem_class class, const char *title);

/* The call is over: nothing is told any more. */
void call_end(struct service_call *c);

struct service_call *call_ref(struct service_call *c);
void call_unref(struct service_call *c);
static inline void call_unrefp(struct service_call **c)
{
	call_unref(*c);
}

/* For the service's cancel. */
void calls_cancel(struct service *s, struct service_call *c);
void calls_end_all(struct native *n);

/* The token has come, or `p` says why not, to all that wait for it. Nothing is called back from
 * inside. */
void calls_resume(struct native *n, const struct problem *p);

/* The account is another one now: what is under way for the old one fails. */
void calls_disown(struct native *n);

/* auth.c */
bool auth_has_token(struct native *n);

/* Gets a token, by one login however often it is called; calls_resume and session_resume follow,
 * from the loop. */
void auth_login(struct native *n);

/* The server refused `token`; without effect when another one is in use already. */
void auth_expire(struct native *n, const char *token);

/* Forgets the token and what is known of the credentials; `token` (may be NULL) is the new one. 0
 * or -ENOMEM. */
int auth_reset(struct native *n, const char *token);
void auth_on_hopeless(void *userdata);

/* The service's login(). */
int auth_check(struct service *s, const struct service_credentials *c, service_login_fn fn,
	void *userdata, struct service_call **ret);

/* session.c */
int session_connect(struct service *s);
void session_disconnect(struct service *s, const char *reason);
bool session_is_parting(struct service *s);
void session_probe(struct service *s);
int session_send(struct native *n, const char *event_type, cJSON *payload); /* takes the payload */
void session_resume(struct native *n, const struct problem *p);
extern const struct ws_client_events session_events;
void session_on_greeting_timeout(void *userdata);
void session_on_failed(void *userdata);

/* Ends the session with BYE and tells on_closed, over a frame that makes no sense. `what` for
 * people. */
void session_refuse(struct native *n, const char *what);

/* Ends it as the server wished. Takes what `p` holds. */
void session_end(struct native *n, struct problem *p);

/* The server's greeting has come. */
void session_greeted(struct native *n, const char *connection_id, const char *user_id,
	int64_t heartbeat_s, int64_t max_in_flight);

/* frames.c: reads a frame and tells what it means. */
void frame_handle(struct native *n, const char *data, size_t len);
char *frame_print(const char *connection_id, const char *event_type, cJSON *payload);

extern const struct chat_lobby_service native_lobby;
extern const struct chat_room_service native_room;
extern const struct attachment_service native_attachments;
extern const struct push_service native_push;
int native_push_make_keys(struct push_keys *ret);
int native_push_open(const struct push_keys *keys, const void *data, size_t size,
	struct push_content *ret);
int native_upload(struct service *s, const struct upload_request *r, struct service_call **ret);
int native_download(struct service *s, const struct download_request *r, struct service_call **ret);
