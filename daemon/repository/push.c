/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Being woken without a session: the subscription with a distributor, the server's knowledge of it,
 * and what a push is good for. It tells the user that something came, and opens a session; what it
 * says is never taken for history.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/uuid.h"
#include "repository/parts.h"

#define TELL_BASE_MS 1000
#define TELL_CAP_MS 600000
#define ENDPOINT_MAX 2048

static int take_stored(void *userdata, const struct store_push *stored)
{
	struct push *p = userdata;
	int e = replace_string(&p->endpoint, stored->endpoint);

	e = e < 0 ? e : replace_string(&p->distributor, stored->distributor);
	if (e < 0)
		return e;
	snprintf(p->token, sizeof(p->token), "%s", stored->token);
	snprintf(p->keys.private_key, sizeof(p->keys.private_key), "%s", stored->private_key);
	snprintf(p->keys.p256dh, sizeof(p->keys.p256dh), "%s", stored->p256dh);
	snprintf(p->keys.auth, sizeof(p->keys.auth), "%s", stored->auth);
	p->told = stored->told;
	return 0;
}

static int store_it(struct repository *r)
{
	const struct push *p = &r->push;

	return store_push_put(r->store,
		&(struct store_push){
			.token = p->token,
			.private_key = p->keys.private_key,
			.p256dh = p->keys.p256dh,
			.auth = p->keys.auth,
			.distributor = p->distributor,
			.endpoint = p->endpoint,
			.told = p->told,
		});
}

static void forget(struct repository *r)
{
	struct push *p = &r->push;

	loop_timer_stop(p->again);
	p->call = service_call_cancel(r->service, p->call);
	sodium_memzero(&p->keys, sizeof(p->keys));
	replace_string(&p->endpoint, NULL);
	replace_string(&p->distributor, NULL);
	p->token[0] = '\0';
	p->told = p->subscribed = p->connected = false;
}

static bool is_ours(const struct repository *r, const char *token)
{
	return r->push.token[0] && strcmp(r->push.token, token) == 0;
}

bool push_is_ready(const struct repository *r)
{
	return r->push.connector && r->push.connected && r->push.told;
}

/* Telling the server. */

static void tell_server(struct repository *r);

static void on_again(void *userdata)
{
	tell_server(userdata);
}

static void on_told(void *userdata, const struct problem *problem)
{
	struct repository *r = userdata;
	struct push *p = &r->push;

	p->call = NULL;
	if (!problem) {
		backoff_reset(&p->backoff);
		p->told = true;
		store_it(r);
		log_info("the server knows where to push to");
		presence_review(r);
	} else if (problem->class == PROBLEM_TRANSIENT) {
		loop_timer_start_us(p->again,
			(uint64_t)backoff_next(&p->backoff, problem->retry_after_ms) * 1000);
	} else if (problem->class == PROBLEM_UNAUTHORISED) {
		sync_refused(r, problem);
	} else {
		log_warning("the server does not push: %s",
			problem->title ? problem->title : "no reason given");
	}
}

static void tell_server(struct repository *r)
{
	struct push *p = &r->push;
	struct push_registration registration = {
		.endpoint = p->endpoint,
		.p256dh = p->keys.p256dh,
		.auth = p->keys.auth,
	};

	if (!p->endpoint || p->told || p->call || !r->account.signed_in || r->account.refused ||
		loop_timer_is_running(p->again))
		return;
	if (r->service->push->set_push(r->service, &registration, on_told, r, &p->call) < 0)
		loop_timer_start_us(p->again, (uint64_t)backoff_next(&p->backoff, 0) * 1000);
}

/* Nobody waits for it: an endpoint that is gone tells the server as well. */
static void on_taken_back(void *userdata, const struct problem *problem)
{
	struct repository *r = userdata;

	r->push.call = NULL;
	if (problem)
		log_debug("the server has not forgotten where to push to");
	push_review(r);
	leave_note_push(r);
}

/* Subscribing. */

static void on_stored(void *userdata, int error)
{
	struct repository *r = userdata;
	struct push *p = &r->push;

	if (error < 0) {
		forget(r);
	} else if (p->connector && p->token[0] && !p->subscribed) {
		p->subscribed = true;
		p->connector->subscribe(p->connector_userdata, p->token, p->distributor);
	}
}

static void begin(struct repository *r)
{
	struct push *p = &r->push;
	int e = 0;

	if (!p->token[0]) {
		e = r->service->push->make_keys(&p->keys);
		if (e == 0) {
			uuid4_generate(p->token);
			e = store_it(r);
		}
	}
	if (e < 0) {
		log_warning("pushes cannot be subscribed to: %s", strerror(-e));
		forget(r);
		return;
	}
	barrier_after_commit(r->barrier, &p->stored);
	tell_server(r);
}

static void end(struct repository *r)
{
	struct push *p = &r->push;
	bool known = p->endpoint != NULL;

	if (p->subscribed)
		p->connector->unsubscribe(p->connector_userdata);
	forget(r);
	store_push_put(r->store, NULL);
	if (known && !r->account.refused)
		r->service->push->set_push(r->service, NULL, on_taken_back, r, &p->call);
}

static bool is_wanted(const struct repository *r)
{
	return r->push.connector && r->account.signed_in && !r->leave.begun &&
		r->presence.policy != POLICY_ALWAYS && r->service->capabilities & SERVICE_PUSH;
}

enum push_state push_get_state(const struct repository *r)
{
	if (!is_wanted(r))
		return PUSH_OFF;
	if (push_is_ready(r))
		return PUSH_READY;
	return r->push.connected ? PUSH_REGISTERING : PUSH_NO_DISTRIBUTOR;
}

void push_review(struct repository *r)
{
	struct push *p = &r->push;
	bool wanted = is_wanted(r);

	if (wanted && !p->subscribed && !p->stored.queued && (p->token[0] || !p->call))
		begin(r);
	else if (!wanted && p->token[0] && p->connector && r->account.signed_in)
		end(r);
}

void repository_set_push_connector(
	struct repository *r, const struct push_connector *connector, void *userdata)
{
	struct push *p = &r->push;

	p->connector = connector;
	p->connector_userdata = userdata;
	p->subscribed = p->connected = false;
	if (connector)
		push_review(r);
}

/* What the connector tells. */

static void on_connected(void *userdata, const char *token, bool connected)
{
	struct repository *r = userdata;

	if (!is_ours(r, token) || r->push.connected == connected)
		return;
	r->push.connected = connected;
	presence_review(r);
}

static bool is_endpoint(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n <= ENDPOINT_MAX &&
		(strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0);
}

static void on_endpoint(
	void *userdata, const char *token, const char *endpoint, const char *distributor)
{
	struct repository *r = userdata;
	struct push *p = &r->push;

	if (!is_ours(r, token))
		return;
	if (!is_endpoint(endpoint)) {
		log_warning("the push service's address is none");
		return;
	}
	on_connected(r, token, true);
	if (p->endpoint && strcmp(p->endpoint, endpoint) == 0) {
		tell_server(r);
		return;
	}
	if (replace_string(&p->endpoint, endpoint) < 0 ||
		replace_string(&p->distributor, distributor) < 0)
		return;
	p->call = service_call_cancel(r->service, p->call);
	loop_timer_stop(p->again);
	p->told = false;
	store_it(r);
	tell_server(r);
	presence_review(r);
}

/* What is wanted after all is subscribed to anew, under another token. */
static void on_unregistered(void *userdata, const char *token)
{
	struct repository *r = userdata;

	if (!is_ours(r, token))
		return;
	log_notice("the subscription to pushes is void");
	forget(r);
	store_push_put(r->store, NULL);
	push_review(r);
	presence_review(r);
}

/* A push is good once; its salt tells it from others. */
static bool is_repeated(struct push *p, const void *data)
{
	for (size_t i = 0; i < PUSHES_REMEMBERED; i++)
		if (memcmp(p->seen[i], data, PUSH_SALT_SIZE) == 0)
			return true;
	memcpy(p->seen[p->n_seen++ % PUSHES_REMEMBERED], data, PUSH_SALT_SIZE);
	return false;
}

static void on_content(struct repository *r, const struct push_content *c)
{
	if (session_is_up(r)) {
		/* The server believes that there is none. */
		if (r->service->session->probe)
			r->service->session->probe(r->service);
		return;
	}
	notices_foretell(r, c);
	r->push.sync_due = true;
	if (r->sync.state == SESSION_SUSPENDED)
		presence_review(r);
}

static void on_message(void *userdata, const char *token, const void *data, size_t size)
{
	_cleanup_(push_content_clear) struct push_content c = { 0 };
	struct repository *r = userdata;
	int e;

	if (!is_ours(r, token))
		return;
	e = r->service->push->open(&r->push.keys, data, size, &c);
	if (e < 0) {
		log_info("a push is dropped: %s",
			e == -EMSGSIZE ? "it is too long" : "it cannot be read");
	} else if (!r->account.user_id || strcmp(c.user_id, r->account.user_id) != 0) {
		log_notice("a push is dropped: it is for another user");
	} else if (is_repeated(&r->push, data)) {
		log_info("a push is dropped: it came before");
	} else {
		on_content(r, &c);
	}
}

const struct push_events repository_push_events = {
	.connected = on_connected,
	.endpoint = on_endpoint,
	.unregistered = on_unregistered,
	.message = on_message,
};

void push_note_live(struct repository *r)
{
	r->push.sync_due = false;
	tell_server(r);
	presence_review(r);
}

int push_init(struct repository *r, uint64_t seed)
{
	struct push *p = &r->push;
	int e;

	p->stored = (struct barrier_effect){ .fn = on_stored, .userdata = r };
	backoff_init(&p->backoff, TELL_BASE_MS, TELL_CAP_MS, seed);
	p->again = loop_timer_new(r->loop, on_again, r);
	if (!p->again)
		return -ENOMEM;
	e = store_push_get(r->store, take_stored, p);
	return e == -ENOENT ? 0 : e;
}

void push_done(struct repository *r)
{
	struct push *p = &r->push;

	barrier_forget(r->barrier, &p->stored);
	if (p->again)
		forget(r);
	p->again = loop_timer_free(p->again);
}
