/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The WebSocket session: CLOSED -> LOGIN (only without a token) -> OPENING -> GREETING -> OPEN, and
 * from each back to CLOSED.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "service/native/native-private.h"

#define MAX_FRAME (256u << 10)
#define MAX_QUEUED (4u << 20)
#define GREETING_TIMEOUT_US (20 * 1000000ull)
#define PONG_TIMEOUT_S 20

static const char *const state_names[] = {
	[SESSION_CLOSED] = "closed",
	[SESSION_LOGIN] = "waiting for a token",
	[SESSION_OPENING] = "opening",
	[SESSION_GREETING] = "greeting",
	[SESSION_OPEN] = "open",
};

static void set_state(struct native *n, enum session_state state)
{
	struct session *s = &n->session;

	log_debug("session: %s -> %s", state_names[s->state], state_names[state]);
	s->state = state;
	if (state == SESSION_GREETING)
		loop_timer_start_us(s->timer, GREETING_TIMEOUT_US);
	else
		loop_timer_stop(s->timer);
	if (state != SESSION_CLOSED)
		return;
	event_loop_undefer(n->loop, &s->failed);
	ws_client_set_heartbeat(n->ws, 0, 0);
	free(s->connection_id);
	free(s->token);
	s->connection_id = s->token = NULL;
}

/* Takes what `p` holds, and tells. */
static void end(struct native *n, struct problem *p)
{
	ws_client_close(n->ws);
	set_state(n, SESSION_CLOSED);
	native_hold(n);
	if (n->service.events && n->service.events->on_closed)
		n->service.events->on_closed(n->service.userdata, p);
	problem_clear(p);
	native_release(n);
}

static void end_with(
	struct native *n, enum problem_class class, const char *title, const char *detail)
{
	struct problem p;

	problem_set(&p, class, 0, title, detail);
	end(n, &p);
}

void session_end(struct native *n, struct problem *p)
{
	end(n, p);
}

/* From inside connect(), where nothing may be called back. */
static void fail_later(struct native *n, const struct problem *p)
{
	problem_clear(&n->session.problem);
	problem_copy(p, &n->session.problem);
	event_loop_defer(n->loop, &n->session.failed);
}

static void fail_later_with(struct native *n, enum problem_class class, const char *title)
{
	struct problem p;

	problem_set(&p, class, 0, title, NULL);
	fail_later(n, &p);
	problem_clear(&p);
}

void session_on_failed(void *userdata)
{
	struct native *n = userdata;
	struct problem p = n->session.problem;

	n->session.problem = (struct problem){ 0 };
	end(n, &p);
}

static int open_websocket(struct native *n, const char *url, const char *token)
{
	_cleanup_free_ char *authorization = NULL;
	struct ws_client_options o = {
		.url = url,
		.subprotocol = "chat.v1",
		.ca_file = n->ca_file,
		.max_message = MAX_FRAME,
		.max_queued = MAX_QUEUED,
	};

	if (asprintf(&authorization, "Bearer %s", token) < 0) {
		authorization = NULL;
		return -ENOMEM;
	}
	o.authorization = authorization;
	return ws_client_connect(n->ws, &o);
}

/* With a token: opens. Without: asks for one, and is called again. */
static void proceed(struct native *n)
{
	_cleanup_free_ char *url = NULL;

	if (!auth_has_token(n)) {
		set_state(n, SESSION_LOGIN);
		auth_login(n);
		return;
	}
	set_state(n, SESSION_OPENING);
	free(n->session.token);
	n->session.token = strdup(n->auth.token);
	/* "http…" to "ws…" */
	if (asprintf(&url, "ws%s/ws", n->account.server + 4) < 0)
		url = NULL;
	if (!url || !n->session.token || open_websocket(n, url, n->session.token) < 0)
		fail_later_with(n, PROBLEM_TRANSIENT, "the connection could not be set up");
}

int session_connect(struct service *s)
{
	struct native *n = native_from(s);
	const char *refusal;

	if (n->session.state != SESSION_CLOSED)
		return -EALREADY;
	if (!n->account.server)
		return -EINVAL;
	n->session.retried = false;
	refusal = account_refuses(&n->account, &n->account.origin);
	if (refusal) {
		set_state(n, SESSION_OPENING);
		fail_later_with(n, PROBLEM_PERMANENT, refusal);
		return 0;
	}
	proceed(n);
	return 0;
}

void session_resume(struct native *n, const struct problem *p)
{
	if (n->session.state != SESSION_LOGIN)
		return;
	if (p)
		fail_later(n, p);
	else
		proceed(n);
}

static void say_bye(struct native *n, const char *reason)
{
	cJSON *payload = cJSON_CreateObject();

	if (payload)
		cJSON_AddStringToObject(payload, "reason", reason);
	session_send(n, "BYE", payload);
}

void session_disconnect(struct service *s, const char *reason)
{
	struct native *n = native_from(s);

	if (n->session.state == SESSION_CLOSED)
		return;
	say_bye(n, reason);
	ws_client_close(n->ws);
	set_state(n, SESSION_CLOSED);
}

bool session_is_parting(struct service *s)
{
	return ws_client_is_parting(native_from(s)->ws);
}

void session_probe(struct service *s)
{
	ws_client_probe(native_from(s)->ws);
}

int session_send(struct native *n, const char *event_type, cJSON *payload)
{
	_cleanup_(cJSON_Deletep) cJSON *owned = payload;
	_cleanup_free_ char *text = NULL;

	if (!payload)
		return -ENOMEM;
	if (n->session.state != SESSION_OPEN && n->session.state != SESSION_GREETING)
		return -ENOTCONN;
	text = frame_print(n->session.connection_id, event_type, TAKE_PTR(owned));
	return text ? ws_client_send(n->ws, text, strlen(text)) : -ENOMEM;
}

void session_refuse(struct native *n, const char *what)
{
	log_warning("the server sent a frame that makes no sense: %s", what);
	say_bye(n, "malformed");
	end_with(n, PROBLEM_TRANSIENT, "the server sent what makes no sense", what);
}

void session_greeted(struct native *n, const char *connection_id, const char *user_id,
	int64_t heartbeat_s, int64_t max_in_flight)
{
	char *id = strdup(connection_id), *self = strdup(user_id);

	if (!id || !self) {
		free(id);
		free(self);
		end_with(n, PROBLEM_TRANSIENT, "memory is short", NULL);
		return;
	}
	n->session.connection_id = id;
	free(n->account.self_id);
	n->account.self_id = self;
	ws_client_set_heartbeat(n->ws, (unsigned)heartbeat_s, PONG_TIMEOUT_S);
	set_state(n, SESSION_OPEN);
	if (n->service.events && n->service.events->on_greeted)
		n->service.events->on_greeted(n->service.userdata, self, (unsigned)max_in_flight);
}

void session_on_greeting_timeout(void *userdata)
{
	end_with(userdata, PROBLEM_TRANSIENT, "the server does not greet", NULL);
}

static void on_open(void *userdata)
{
	struct native *n = userdata;
	cJSON *payload = cJSON_CreateObject();

	if (payload) {
		cJSON_AddStringToObject(payload, "device_id", n->account.device_id);
		cJSON_AddStringToObject(payload, "client", n->client);
	}
	set_state(n, SESSION_GREETING);
	if (session_send(n, "HELLO", payload) < 0)
		end_with(n, PROBLEM_TRANSIENT, "the server cannot be greeted", NULL);
	else if (n->service.events && n->service.events->on_connected)
		n->service.events->on_connected(n->service.userdata);
}

static void on_message(void *userdata, const char *data, size_t len)
{
	struct native *n = userdata;

	native_hold(n);
	frame_handle(n, data, len);
	native_release(n);
}

static void on_http(struct native *n, const struct ws_end *e)
{
	struct problem p;

	if (e->http_status == 401)
		auth_expire(n, n->session.token);
	if (e->http_status == 401 && !n->session.retried) {
		n->session.retried = true;
		proceed(n);
		return;
	}
	problem_from_answer(e->http_status, NULL, 0, e->retry_after, NULL, &p);
	end(n, &p);
}

static void on_closed(void *userdata, const struct ws_end *e)
{
	struct native *n = userdata;
	struct problem p;

	switch (e->failure) {
	case WS_HTTP:
		on_http(n, e);
		return;
	case WS_TOO_LARGE:
	case WS_NOT_TEXT:
		session_refuse(n, e->detail);
		return;
	case WS_UNREACHABLE:
	case WS_TLS:
		problem_from_failure(e->detail, e->failure == WS_TLS, &p);
		end(n, &p);
		return;
	case WS_CLOSED:
	case WS_NO_PONG:
		end_with(n, PROBLEM_TRANSIENT, "the connection is lost", e->detail);
		return;
	}
}

static void on_parted(void *userdata)
{
	struct native *n = userdata;

	if (n->service.events && n->service.events->on_parted)
		n->service.events->on_parted(n->service.userdata);
}

const struct ws_client_events session_events = {
	.on_open = on_open,
	.on_message = on_message,
	.on_closed = on_closed,
	.on_parted = on_parted,
};
