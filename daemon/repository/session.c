/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The session with the network: when to connect, how long to wait before the next attempt, and what
 * to do with what the network tells by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repository/parts.h"

#define REQUEST_BASE_MS 500
#define REQUEST_CAP_MS 60000
#define PROVEN_US                                                                      \
	60000000 /* LIVE for this long: the next failure starts from the shortest wait \
		  */

static const char *const state_names[] = {
	[SESSION_OFFLINE] = "OFFLINE",
	[SESSION_CONNECTING] = "CONNECTING",
	[SESSION_GREETING] = "GREETING",
	[SESSION_CATCHING_UP] = "CATCHING_UP",
	[SESSION_LIVE] = "LIVE",
	[SESSION_BACKOFF] = "BACKOFF",
	[SESSION_LOGIN_REQUIRED] = "LOGIN_REQUIRED",
	[SESSION_LOCKED] = "LOCKED",
	[SESSION_SUSPENDED] = "SUSPENDED",
};

const char *session_state_to_string(enum session_state s)
{
	return state_names[s];
}

bool session_is_up(const struct repository *r)
{
	return r->sync.state == SESSION_CATCHING_UP || r->sync.state == SESSION_LIVE;
}

static void leave_up(struct repository *r)
{
	catchup_stop(r);
	outbox_session_ended(r);
	receipts_session_ended(r);
	lobby_session_ended(r);
}

void session_set_state(struct repository *r, enum session_state state, const char *error)
{
	struct sync *s = &r->sync;
	enum session_state old = s->state;
	struct repository_status status;
	char field[40];

	if (error)
		snprintf(s->last_error, sizeof(s->last_error), "%s", error);
	if (state == SESSION_LIVE) {
		s->last_error[0] = '\0';
		s->live_since_us = clock_monotonic_us();
	}
	if (state != SESSION_BACKOFF)
		s->next_attempt_at = 0;
	if (state == old && !error)
		return;
	if (state != old)
		s->since = clock_wall_ms();
	s->state = state;
	snprintf(field, sizeof(field), "SESSION_STATE=%s", state_names[state]);
	log_full(LOG_INFO, field, "session %s -> %s%s%s", state_names[old], state_names[state],
		error ? ": " : "", error ? error : "");
	if ((old == SESSION_CATCHING_UP || old == SESSION_LIVE) && !session_is_up(r))
		leave_up(r);
	repository_get_status(r, &status);
	if (state == SESSION_LIVE && old != SESSION_LIVE)
		push_note_live(r);
	for (unsigned i = 0; i < r->n_observers; i++)
		if (r->observers[i].observer->on_connection)
			r->observers[i].observer->on_connection(
				r->observers[i].userdata, &status.connection);
}

void sync_plan(struct repository *r, uint32_t wait_ms)
{
	struct sync *s = &r->sync;
	uint64_t now = clock_monotonic_us();

	if (s->not_before_us > now)
		wait_ms += (uint32_t)((s->not_before_us - now) / 1000);
	loop_timer_start_us(s->reconnect, (uint64_t)wait_ms * 1000);
	s->next_attempt_at = clock_wall_ms() + wait_ms;
}

/* Without a network an attempt fails in any case; one now and then, should that be a mistake. */
static void wait_and_reconnect(struct repository *r, const char *error, uint32_t floor_ms)
{
	struct sync *s = &r->sync;
	uint64_t now = clock_monotonic_us();
	bool offline = r->network.offline;

	if (s->state == SESSION_LIVE && now - s->live_since_us >= PROVEN_US)
		backoff_reset(&s->reconnect_backoff);
	s->not_before_us = floor_ms ? now + (uint64_t)floor_ms * 1000 : 0;
	sync_plan(r, backoff_next(&s->reconnect_backoff, offline ? SYNC_OFFLINE_MS : 0));
	session_set_state(r, SESSION_BACKOFF, error);
}

void sync_connect(struct repository *r)
{
	int e;

	if (!r->account.signed_in || r->account.refused || session_is_up(r) || r->network.asleep)
		return;
	if (!presence_wants_session(r)) {
		sync_suspend(r, "background");
		return;
	}
	loop_timer_stop(r->sync.reconnect);
	e = r->service->session->connect(r->service);
	if (e == -EALREADY)
		return;
	if (e < 0)
		wait_and_reconnect(r, strerror(-e), 0);
	else
		session_set_state(r, SESSION_CONNECTING, NULL);
}

static void on_reconnect(void *userdata)
{
	sync_connect(userdata);
}

void sync_suspend(struct repository *r, const char *reason)
{
	loop_timer_stop(r->sync.reconnect);
	receipts_part(r);
	r->service->session->disconnect(r->service, reason);
	session_set_state(r, SESSION_SUSPENDED, NULL);
}

void session_reset(struct repository *r)
{
	loop_timer_stop(r->sync.reconnect);
	backoff_reset(&r->sync.reconnect_backoff);
	session_set_state(r, SESSION_OFFLINE, NULL);
}

void sync_restart(struct repository *r, const char *why)
{
	if (!session_is_up(r))
		return;
	log_warning("the session starts over: %s", why);
	r->service->session->disconnect(r->service, "restart");
	wait_and_reconnect(r, why, 0);
}

void sync_refused(struct repository *r, const struct problem *p)
{
	r->account.refused = true;
	store_account_set_refused(r->store, true);
	loop_timer_stop(r->sync.reconnect);
	r->service->session->disconnect(r->service, "login refused");
	session_set_state(
		r, SESSION_LOGIN_REQUIRED, p->title ? p->title : "the server refused the password");
}

static void on_connected(void *userdata)
{
	session_set_state(userdata, SESSION_GREETING, NULL);
}

static void on_greeted(void *userdata, const char *user_id, unsigned max_in_flight)
{
	struct repository *r = userdata;

	r->sync.max_in_flight = max_in_flight > 0 ? max_in_flight : 1;
	session_set_state(r, SESSION_CATCHING_UP, NULL);
	outbox_session_began(r);
	receipts_schedule(r);
	transfers_session_began(r);
	catchup_start(r);
}

static void on_closed(void *userdata, const struct problem *p)
{
	struct repository *r = userdata;
	char text[200];

	if (p->class == PROBLEM_UNAUTHORISED) {
		sync_refused(r, p);
		return;
	}
	snprintf(text, sizeof(text), "%s%s%s", p->title ? p->title : "the connection was lost",
		p->detail ? ": " : "", p->detail ? p->detail : "");
	wait_and_reconnect(r, text, p->retry_after_ms);
}

/*
 * An own message from another device says nothing of the peer, so an unknown chat is asked for. Of
 * one that a peer's message made, the server is asked what has been read: it may have been here
 * before.
 */
static int make_chat(struct repository *r, const struct message *m)
{
	if (m->outgoing)
		return -ENOENT;
	return store_chat_put(r->store,
		&(struct chat){
			.id = m->chat_id,
			.user_id = m->user_id,
			.last_seq = m->seq,
			.created_at = m->created_at,
		});
}

static int take_message(struct repository *r, struct message *m, const struct user *author,
	bool is_known, struct store_put *ret)
{
	int e = author && author->name ? store_user_put(r->store, author) : 0;

	if (e == 0 && !is_known)
		e = make_chat(r, m);
	if (e < 0)
		return e;
	transfers_plan(r, m, true);
	return store_messages_put(r->store, m->chat_id, m, 1, false, ret);
}

static void on_message(void *userdata, struct message *m, const struct user *author)
{
	struct repository *r = userdata;
	struct store_put put = { 0 };
	char known[ID_SIZE];
	int e = store_chat_id(r->store, m->chat_id, known);
	bool is_known = e == 0;
	/*
	 * A plain message fails before anything but its author's name is written, or with it the
	 * turn.
	 */
	bool in_parts = !is_known || m->n_attachments > 0;

	if (e == 0 || e == -ENOENT)
		e = in_parts ? store_begin(r->store) : 0;
	if (e == 0) {
		e = take_message(r, m, author, is_known, &put);
		if (in_parts)
			store_end(r->store, e < 0);
	}
	if (e == -ENOENT || (e == 0 && !is_known))
		catchup_list_again(r);
	else if (e < 0)
		sync_restart(r, "a message could not be stored");
	if (put.gap)
		catchup_fill_gaps(r);
	if (put.added > 0) {
		lobby_learn_users(r);
		receipts_schedule(r);
		transfers_schedule(r);
	}
}

static void on_accepted(void *userdata, const char *message_id, const char *chat_id, int64_t seq,
	int64_t created_at)
{
	outbox_accepted(userdata, message_id, seq, created_at);
	presence_review(userdata);
}

static void on_rejected(void *userdata, const char *message_id, const struct problem *p)
{
	outbox_rejected(userdata, message_id, p);
	presence_review(userdata);
}

/*
 * A watermark on a message that is not here yet, since a page that holds it is under way: the
 * chat's own, which the server's list has, says the same of a place.
 */
static void after_receipt(struct repository *r, int error)
{
	if (error == -ENOENT)
		catchup_list_soon(r);
	else if (error < 0)
		sync_restart(r, "a receipt could not be stored");
}

static void on_received(void *userdata, const char *chat_id, const char *message_id)
{
	struct repository *r = userdata;

	after_receipt(r, store_receipt_peer(r->store, chat_id, message_id, MESSAGE_RECEIVED));
}

static void on_read(
	void *userdata, const char *chat_id, const char *message_id, const char *user_id)
{
	struct repository *r = userdata;
	int e;

	if (user_id && strcmp(user_id, r->account.user_id) == 0)
		e = store_receipt_own(r->store, chat_id, message_id, true);
	else
		e = store_receipt_peer(r->store, chat_id, message_id, MESSAGE_READ);
	after_receipt(r, e);
}

static void on_resync(void *userdata)
{
	struct repository *r = userdata;

	if (store_account_set_sync_state(r->store, NULL) < 0)
		sync_restart(r, "the sync could not start over");
	else
		catchup_start_over(r);
}

static void on_parted(void *userdata)
{
	network_on_parted(userdata);
}

static void on_token(void *userdata, const char *token, int64_t expires_at)
{
	struct repository *r = userdata;

	if (r->account.signed_in)
		store_account_set_token(r->store, token, expires_at);
}

const struct service_events sync_events = {
	.on_connected = on_connected,
	.on_greeted = on_greeted,
	.on_closed = on_closed,
	.on_message = on_message,
	.on_accepted = on_accepted,
	.on_rejected = on_rejected,
	.on_received = on_received,
	.on_read = on_read,
	.on_resync = on_resync,
	.on_token = on_token,
	.on_parted = on_parted,
};

static void on_soon(void *userdata)
{
	catchup_list_again(userdata);
}

int sync_init(struct repository *r, uint64_t seed)
{
	struct sync *s = &r->sync;

	s->since = clock_wall_ms();
	backoff_init(
		&s->reconnect_backoff, BACKOFF_RECONNECT_BASE_MS, BACKOFF_RECONNECT_CAP_MS, seed);
	backoff_init(&s->request_backoff, REQUEST_BASE_MS, REQUEST_CAP_MS, seed + 7);
	s->reconnect = loop_timer_new(r->loop, on_reconnect, r);
	s->retry = loop_timer_new(r->loop, catchup_retry, r);
	s->soon = loop_timer_new(r->loop, on_soon, r);
	return s->reconnect && s->retry && s->soon ? 0 : -ENOMEM;
}

void sync_done(struct repository *r)
{
	catchup_stop(r);
	r->sync.reconnect = loop_timer_free(r->sync.reconnect);
	r->sync.retry = loop_timer_free(r->sync.retry);
	r->sync.soon = loop_timer_free(r->sync.soon);
}
