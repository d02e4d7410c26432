/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/native/native-private.h"

#define LOGIN_TIMEOUT_S 60
#define MAX_LOGIN_ANSWER (64u << 10)

/* A token is thrown away this long before it expires, so that it does not on the way. */
#define MARGIN_MS 5000

bool auth_has_token(struct native *n)
{
	const struct auth *a = &n->auth;

	return a->token && (!a->expires_at_us || clock_monotonic_us() < a->expires_at_us);
}

void auth_expire(struct native *n, const char *token)
{
	struct auth *a = &n->auth;

	if (!a->token || !token || strcmp(a->token, token) != 0)
		return;
	free(a->token);
	a->token = NULL;
}

int auth_reset(struct native *n, const char *token)
{
	struct auth *a = &n->auth;
	char *copy = token ? strdup(token) : NULL;

	if (token && !copy)
		return -ENOMEM;
	if (a->login)
		call_end(a->login);
	event_loop_undefer(n->loop, &a->hopeless);
	free(a->token);
	a->token = copy;
	a->expires_at_us = 0;
	a->login = NULL;
	a->refused = false;
	a->not_before_us = 0;
	return 0;
}

static int to_identity(struct native *n, const cJSON *o, void *ret, struct json_error *e)
{
	return convert_identity(o, ret, e);
}

/* NULL, or why there is no token; `own` is where that lies. */
static const struct problem *read_identity(
	struct native *n, const struct answer *a, struct service_identity *ret, struct problem *own)
{
	const struct problem *p = answer_read(a, n, to_identity, ret, own);

	if (p && p != own)
		problem_copy(p, own);
	if (p && own->status == 403)
		own->class = PROBLEM_UNAUTHORISED;
	return p ? own : NULL;
}

/* By the server's clock alone: this side's may be wrong, and is then for every token. */
static uint64_t expiry(const struct answer *a, int64_t expires_at)
{
	const char *date = http_request_header(a->request, "Date");
	int64_t issued = date ? http_date_parse(date) : -1;
	int64_t left = expires_at - issued * 1000 - MARGIN_MS;

	if (issued < 0 || expires_at == 0 || left <= 0)
		return 0;
	return clock_monotonic_us() + (uint64_t)left * 1000;
}

static void take_identity(struct native *n, const struct answer *answer, struct service_identity *i)
{
	free(n->auth.token);
	n->auth.token = TAKE_PTR(i->token);
	n->auth.expires_at_us = expiry(answer, i->token_expires_at);
	free(n->account.self_id);
	n->account.self_id = TAKE_PTR(i->user.id);
}

/* Callbacks come last, and each may free the service. */
static void on_login(struct service_call *c, const struct answer *answer)
{
	struct native *n = c->native;
	_cleanup_(service_identity_clear) struct service_identity i = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p = read_identity(n, answer, &i, &own);

	n->auth.login = NULL;
	if (!p) {
		log_debug("signed in");
		take_identity(n, answer, &i);
		session_resume(n, NULL);
		calls_resume(n, NULL);
		if (n->service.events && n->service.events->on_token)
			n->service.events->on_token(
				n->service.userdata, n->auth.token, i.token_expires_at);
	} else {
		n->auth.refused = p->class == PROBLEM_UNAUTHORISED;
		n->auth.not_before_us = clock_monotonic_us() + (uint64_t)p->retry_after_ms * 1000;
		session_resume(n, p);
		calls_resume(n, p);
	}
	call_end(c);
}

static uint32_t held_ms(const struct auth *a)
{
	uint64_t now = clock_monotonic_us();

	return a->not_before_us > now ? (uint32_t)((a->not_before_us - now) / 1000) + 1 : 0;
}

void auth_on_hopeless(void *userdata)
{
	struct native *n = userdata;
	struct problem p;
	uint32_t left = held_ms(&n->auth);

	if (left > 0) {
		problem_set(&p, PROBLEM_TRANSIENT, 0, "the server wants no login now", NULL);
		p.retry_after_ms = left;
	} else if (!n->auth.refused && n->account.password && n->account.user_id) {
		problem_no_memory(&p);
	} else {
		problem_set(&p, PROBLEM_UNAUTHORISED, 0, "sign in first", NULL);
	}
	session_resume(n, &p);
	calls_resume(n, &p);
	problem_clear(&p);
}

static void send_login(
	struct service_call *c, const char *url, const char *user_id, const char *password)
{
	const struct call_request r = {
		.method = "GET",
		.url = url,
		.headers = { "Accept: application/json, application/problem+json" },
		.user = user_id,
		.password = password,
		.timeout_s = LOGIN_TIMEOUT_S,
		.max_body = MAX_LOGIN_ANSWER,
	};

	call_send(c, &r);
}

void auth_login(struct native *n)
{
	_cleanup_free_ char *url = NULL;

	if (n->auth.login)
		return;
	if (!n->auth.refused && held_ms(&n->auth) == 0 && n->account.password &&
		n->account.user_id) {
		url = account_url(&n->account, "/login");
		n->auth.login =
			call_new(&n->service, sizeof(struct service_call), on_login, NULL, NULL);
	}
	if (n->auth.login)
		send_login(n->auth.login, url, n->account.user_id, n->account.password);
	else
		event_loop_defer(n->loop, &n->auth.hopeless);
}

struct login_call {
	struct service_call call;
	service_login_fn fn;
};

static void on_checked(struct service_call *c, const struct answer *answer)
{
	struct login_call *l = (struct login_call *)c;
	_cleanup_(service_identity_clear) struct service_identity i = { 0 };
	_cleanup_(problem_clear) struct problem own = { 0 };
	const struct problem *p = read_identity(c->native, answer, &i, &own);

	call_end(c);
	l->fn(c->userdata, p, p ? NULL : &i);
}

int auth_check(struct service *s, const struct service_credentials *c, service_login_fn fn,
	void *userdata, struct service_call **ret)
{
	_cleanup_(account_clear) struct account a = { 0 };
	_cleanup_free_ char *url = NULL;
	struct login_call *l;
	int r;

	if (!c->server || !c->user_id || !c->password)
		return -EINVAL;
	r = account_set_server(&a, c->server);
	if (r < 0)
		return r;
	url = account_url(&a, "/login");
	if (!url)
		return -ENOMEM;
	l = call_new(s, sizeof(*l), on_checked, NULL, userdata);
	if (!l)
		return -ENOMEM;
	l->fn = fn;
	send_login(&l->call, url, c->user_id, c->password);
	if (ret)
		*ret = &l->call;
	return 0;
}
