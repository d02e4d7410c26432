/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "service/native/native-private.h"

#define MAX_REFUSAL (64u << 10)

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static void clear_request(struct service_call *c)
{
	c->request = http_request_cancel(c->request);
	event_loop_undefer(c->native->loop, &c->failed);
	problem_clear(&c->problem);
	for (unsigned i = 0; i < c->n_headers; i++)
		free(c->headers[i]);
	c->n_headers = 0;
	free(c->url);
	free(c->user);
	free(c->password);
	free(c->body);
	free(c->token);
	c->url = c->user = c->password = c->body = c->token = NULL;
	buffer_clear(&c->refusal);
}

struct service_call *call_ref(struct service_call *c)
{
	c->references++;
	return c;
}

void call_unref(struct service_call *c)
{
	if (--c->references > 0)
		return;
	if (c->destroy)
		c->destroy(c);
	free(c);
}

void call_end(struct service_call *c)
{
	if (c->state == CALL_OVER)
		return;
	clear_request(c);
	TAILQ_REMOVE(&c->native->calls, c, entry);
	c->state = CALL_OVER;
	call_unref(c);
}

static void fail(struct service_call *c, const struct problem *p)
{
	problem_clear(&c->problem);
	problem_copy(p, &c->problem);
	c->state = CALL_FAILED;
	event_loop_defer(c->native->loop, &c->failed);
}

void call_fail(struct service_call *c, enum problem_class class, const char *title)
{
	struct problem p;

	problem_set(&p, class, 0, title, NULL);
	fail(c, &p);
	problem_clear(&p);
}

static void on_failed(void *userdata)
{
	struct service_call *c = call_ref(userdata);
	struct native *n = c->native;
	struct problem p = c->problem;
	struct answer a = { .body = "", .problem = &p };

	c->problem = (struct problem){ 0 };
	native_hold(n);
	c->state = CALL_IDLE;
	c->answered(c, &a);
	problem_clear(&p);
	call_unref(c);
	native_release(n);
}

void *call_new(struct service *s, size_t size,
	void (*answered)(struct service_call *, const struct answer *),
	void (*destroy)(struct service_call *), void *userdata)
{
	struct native *n = native_from(s);
	struct service_call *c = calloc(1, size);

	if (!c)
		return NULL;
	c->native = n;
	c->references = 1;
	c->answered = answered;
	c->destroy = destroy;
	c->userdata = userdata;
	c->failed = (struct loop_deferred){ .fn = on_failed, .userdata = c };
	TAILQ_INSERT_TAIL(&n->calls, c, entry);
	return c;
}

static bool is_success(int status)
{
	return status >= 200 && status <= 299;
}

/* What the answer says, when it is not a success. */
static void describe(struct service_call *c, struct http_request *r,
	const struct http_response *response, struct problem *ret)
{
	const char *body = c->sink ? (const char *)buffer_bytes(&c->refusal) : response->body;
	size_t len = c->sink ? buffer_size(&c->refusal) : response->body_len;

	if (response->status == 0) {
		problem_from_failure(response->error, response->tls_failed, ret);
		return;
	}
	problem_from_answer(response->status, body, len, http_request_header(r, "Retry-After"),
		http_request_header(r, "Date"), ret);
	/* Another server than the API's own says nothing about the account. */
	if (ret->class == PROBLEM_UNAUTHORISED && !c->with_token && !c->user)
		ret->class = PROBLEM_PERMANENT;
}

static void tell(
	struct service_call *c, struct http_request *r, const struct http_response *response)
{
	struct problem p = { 0 };
	struct answer a = {
		.status = response->status,
		.body = response->body,
		.body_len = response->body_len,
		.request = r,
		.too_large = response->too_large,
	};

	if (!is_success(response->status)) {
		describe(c, r, response, &p);
		a.problem = &p;
	}
	c->state = CALL_IDLE;
	c->answered(c, &a);
	problem_clear(&p);
}

const struct problem *answer_read(const struct answer *a, struct native *n,
	int (*convert)(struct native *n, const cJSON *o, void *ret, struct json_error *e),
	void *ret, struct problem *own)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct json_error e = { "it is not JSON" };
	int r;

	if (a->problem)
		return a->problem;
	r = json_parse(a->body, a->body_len, &o);
	if (r == 0)
		r = convert(n, o, ret, &e);
	if (r == 0)
		return NULL;
	if (r == -ENOMEM)
		problem_no_memory(own);
	else
		problem_malformed(e.text, own);
	return own;
}

static void dispatch(struct service_call *c);

static void on_done(void *userdata, struct http_request *r, const struct http_response *response)
{
	struct service_call *c = call_ref(userdata);
	struct native *n = c->native;

	native_hold(n);
	c->request = NULL;
	log_debug("%s: %d%s%s", c->method, response->status, response->error ? ", " : "",
		response->error ? response->error : "");
	if (response->status == 401 && c->with_token)
		auth_expire(n, c->token);
	if (response->status == 401 && c->with_token && !c->replayed) {
		c->replayed = true;
		dispatch(c);
	} else {
		tell(c, r, response);
	}
	call_unref(c);
	native_release(n);
}

static int on_body(void *userdata, struct http_request *r, const void *data, size_t len)
{
	struct service_call *c = call_ref(userdata);
	struct native *n = c->native;
	int ret = 0;

	native_hold(n);
	if (is_success(http_request_status(r)))
		ret = c->sink(c, r, data, len);
	else if (len <= MAX_REFUSAL - buffer_size(&c->refusal))
		buffer_append(&c->refusal, data, len);
	call_unref(c);
	native_release(n);
	return ret;
}

static int add_header(struct service_call *c, const char *name, const char *value)
{
	char *header;

	if (asprintf(&header, "%s: %s", name, value) < 0)
		return -ENOMEM;
	c->headers[c->n_headers++] = header;
	return 0;
}

/* Puts the present token into the last header, in place of an earlier one. */
static int set_token(struct service_call *c)
{
	const char *token = c->native->auth.token;

	if (c->token)
		free(c->headers[--c->n_headers]);
	free(c->token);
	c->token = strdup(token);
	if (!c->token ||
		asprintf(&c->headers[c->n_headers], "Authorization: Bearer %s", token) < 0) {
		free(c->token);
		c->token = NULL;
		return -ENOMEM;
	}
	c->n_headers++;
	return 0;
}

static int run(struct service_call *c)
{
	const char *headers[CALL_MAX_HEADERS + 1] = { NULL };
	struct http_options o = {
		.method = c->method,
		.url = c->url,
		.headers = headers,
		.user = c->user,
		.password = c->password,
		.body = c->body,
		.body_len = c->body_len,
		.max_body = c->max_body,
		.timeout_s = c->timeout_s,
		.sink = c->sink ? on_body : NULL,
		.done = on_done,
		.userdata = c,
	};

	if (c->with_token && set_token(c) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < c->n_headers; i++)
		headers[i] = c->headers[i];
	buffer_clear(&c->refusal);
	c->state = CALL_RUNNING;
	return http_client_start(c->native->http, &o, &c->request);
}

static void dispatch(struct service_call *c)
{
	if (c->with_token && !auth_has_token(c->native)) {
		c->state = CALL_WAITING;
		auth_login(c->native);
	} else if (run(c) < 0) {
		call_fail(c, PROBLEM_TRANSIENT, "memory is short");
	}
}

static int take_request(struct service_call *c, const struct call_request *r)
{
	clear_request(c);
	c->replayed = false;
	c->method = r->method;
	c->body = r->body;
	c->body_len = r->body_len;
	c->max_body = r->max_body;
	c->timeout_s = r->timeout_s;
	c->sink = r->sink;
	c->url = copy(r->url);
	c->user = copy(r->user);
	c->password = copy(r->password);
	if (!c->url || (r->user && (!c->user || !c->password)))
		return -ENOMEM;
	for (unsigned i = 0; r->headers[i]; i++) {
		c->headers[i] = strdup(r->headers[i]);
		if (!c->headers[i])
			return -ENOMEM;
		c->n_headers++;
	}
	return add_header(c, "User-Agent", c->native->client);
}

void call_send(struct service_call *c, const struct call_request *r)
{
	const struct account *a = &c->native->account;
	_cleanup_url_ struct url url = { 0 };
	const char *refusal;

	if (take_request(c, r) < 0) {
		call_fail(c, PROBLEM_TRANSIENT, "memory is short");
		return;
	}
	if (!c->user && !a->server) {
		call_fail(c, PROBLEM_UNAUTHORISED, "nobody is signed in");
		return;
	}
	if (url_parse(c->url, &url) < 0) {
		call_fail(c, PROBLEM_PERMANENT, "a URL makes no sense");
		return;
	}
	refusal = c->user ? url_refused(&url) : account_refuses(a, &url);
	if (refusal) {
		call_fail(c, PROBLEM_PERMANENT, refusal);
		return;
	}
	c->with_token = !c->user && !r->without_token && url_same_origin(&url, &a->origin);
	dispatch(c);
}

void calls_resume(struct native *n, const struct problem *p)
{
	struct service_call *c;

	TAILQ_FOREACH(c, &n->calls, entry) {
		if (c->state != CALL_WAITING)
			continue;
		if (p)
			fail(c, p);
		else if (run(c) < 0)
			call_fail(c, PROBLEM_TRANSIENT, "memory is short");
	}
}

void calls_disown(struct native *n)
{
	struct service_call *c;

	TAILQ_FOREACH(c, &n->calls, entry) {
		if (c->user || (c->state != CALL_WAITING && c->state != CALL_RUNNING))
			continue;
		c->request = http_request_cancel(c->request);
		call_fail(c, PROBLEM_UNAUTHORISED, "somebody else signed in");
	}
}

void calls_cancel(struct service *s, struct service_call *c)
{
	call_end(c);
}

void calls_end_all(struct native *n)
{
	struct service_call *c;

	while ((c = TAILQ_FIRST(&n->calls)))
		call_end(c);
}
