/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits for an answer: queueing, deadlines, repeating after a lost connection, telling. */
#include "client-internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "decode.h"

static struct request *request_free(struct request *r)
{
	if (!r)
		return NULL;
	if (r->line)
		explicit_bzero(r->line, r->length);
	cJSON_free(r->line);
	for (size_t i = 0; i < r->n_fds; i++)
		close(r->fds[i].fd);
	free(r);
	return NULL;
}

static void request_freep(struct request **r)
{
	request_free(*r);
}

struct request *request_find(struct chat_client *c, int id)
{
	struct request *r;

	TAILQ_FOREACH(r, &c->requests, entry)
		if (r->id == id)
			return r;
	return NULL;
}

static void request_remove(struct chat_client *c, struct request *r)
{
	TAILQ_REMOVE(&c->requests, r, entry);
	c->n_requests--;
	c->request_bytes -= r->length;
}

static int next_id(struct chat_client *c)
{
	do
		c->last_id = c->last_id == INT_MAX ? 1 : c->last_id + 1;
	while (request_find(c, c->last_id));
	return c->last_id;
}

/* Parameters may be passwords. */
static void wipe_strings(cJSON *json)
{
	cJSON *v;

	cJSON_ArrayForEach(v, json) {
		if (cJSON_IsString(v))
			explicit_bzero(v->valuestring, strlen(v->valuestring));
		wipe_strings(v);
	}
}

/* The newline takes the place of the terminating zero: lines have a length. */
static int print_line(struct chat_client *c, struct request *r, const char *method, cJSON *params)
{
	_cleanup_json_ cJSON *message = cJSON_CreateObject();

	if (params && !(message && cJSON_AddItemToObject(message, "params", params))) {
		cJSON_Delete(params);
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	}
	if (!message || !cJSON_AddStringToObject(message, "jsonrpc", "2.0") ||
		!cJSON_AddNumberToObject(message, "id", r->id) ||
		!cJSON_AddStringToObject(message, "method", method))
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	r->line = cJSON_PrintUnformatted(message);
	wipe_strings(params);
	if (!r->line)
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	r->length = strlen(r->line) + 1;
	if (!utf8_is_valid(r->line, r->length - 1))
		return client_fail(c, CHAT_CLIENT_ERROR_INVALID, "the parameters are not UTF-8");
	if (r->length > CHAT_LINE_MAX)
		return client_fail(c, CHAT_CLIENT_ERROR_TOO_LARGE,
			"the request is %zu bytes long; at most %u can be sent", r->length,
			CHAT_LINE_MAX);
	r->line[r->length - 1] = '\n';
	return 0;
}

static int copy_fds(struct chat_client *c, struct request *r, const int *fds, size_t n)
{
	if (n > CHAT_FDS_MAX)
		return client_fail(c, CHAT_CLIENT_ERROR_TOO_LARGE,
			"%zu descriptors; at most %u can go with a request", n, CHAT_FDS_MAX);
	for (size_t i = 0; i < n; i++) {
		int fd = fd_dup_cloexec(fds[i]);

		if (fd < 0)
			return error_set_errno(&c->error, -fd, "cannot duplicate a descriptor");
		r->fds[r->n_fds].offset = lseek(fd, 0, SEEK_CUR);
		r->fds[r->n_fds++].fd = fd;
		if (r->fds[i].offset < 0)
			r->repeatable = false;
	}
	return 0;
}

static int check_room(struct chat_client *c, const struct request *r)
{
	if (r->kind == RESULT_SUBSCRIBED)
		return 0;
	if (c->n_requests >= REQUESTS_MAX || c->request_bytes + r->length > REQUEST_BYTES_MAX)
		return client_fail(c, CHAT_CLIENT_ERROR_BUSY, "too many requests are under way");
	return 0;
}

static uint64_t deadline_of(const struct chat_client *c, const struct request_options *o)
{
	if (o->kind == RESULT_SUBSCRIBED || c->timeout_ms < 0)
		return UINT64_MAX;
	return deadline_after(monotonic_us(), (int64_t)c->timeout_ms + o->extra_ms);
}

int request_new(struct chat_client *c, const struct request_options *o)
{
	_cleanup_json_ cJSON *params = o->params;
	_cleanup_(request_freep) struct request *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	r->id = next_id(c);
	r->kind = o->kind;
	r->repeatable = o->repeatable;
	r->waiter = o->waiter;
	r->callback = o->callback;
	r->userdata = o->userdata;
	r->deadline_us = deadline_of(c, o);
	e = print_line(c, r, o->method, TAKE_PTR(params));
	if (e == 0)
		e = copy_fds(c, r, o->fds, o->n_fds);
	if (e == 0)
		e = check_room(c, r);
	if (e < 0)
		return e;
	e = r->id;
	c->n_requests++;
	c->request_bytes += r->length;
	if (o->first)
		TAILQ_INSERT_HEAD(&c->requests, r, entry);
	else
		TAILQ_INSERT_TAIL(&c->requests, r, entry);
	r = NULL;
	/* Somebody asked now: no use in waiting out what is left of the backoff. */
	c->reconnect_us = 0;
	connection_watch(c);
	return e;
}

int request_call(struct chat_client *c, struct request_options *o, void *ret)
{
	struct waiter waiter = { 0 };
	int id, e;

	if (c->dispatching) {
		cJSON_Delete(o->params);
		client_fail(c, CHAT_CLIENT_ERROR_INVALID, "a call that blocks inside a callback");
		return -EDEADLK;
	}
	o->waiter = &waiter;
	id = request_new(c, o);
	if (id < 0)
		return id;
	e = client_wait_for(c, &waiter);
	if (e < 0)
		return e;
	if (ret)
		memcpy(ret, &waiter.value, sizeof(waiter.value));
	else if (waiter.value)
		result_unref(result_of(waiter.value));
	return 0;
}

struct request *request_unsent(struct chat_client *c)
{
	struct request *r;

	TAILQ_FOREACH(r, &c->requests, entry)
		if (r->sent < r->length)
			return r;
	return NULL;
}

void request_sent(struct chat_client *c, struct request *r, size_t n)
{
	if (r->sent == 0)
		r->sends++;
	r->sent += n;
	if (r->sent < r->length || !r->abandoned)
		return;
	request_remove(c, r);
	request_free(r);
}

/* The function that makes the struct of a kind; NULL where there is none. */
static int (*decoder_of(enum result_kind kind))(struct result *, void **)
{
	switch (kind) {
	case RESULT_DONE:
	case RESULT_FOCUSED:
	case RESULT_SUBSCRIBED:
		return NULL;
	case RESULT_STATUS:
		return decode_status;
	case RESULT_ACCOUNT:
		return decode_account;
	case RESULT_INFO:
		return decode_info;
	case RESULT_INFO_LIST:
		return decode_info_list;
	case RESULT_MESSAGE:
		return decode_message;
	case RESULT_MESSAGE_LIST:
		return decode_message_list;
	case RESULT_SEARCH_LIST:
		return decode_search_list;
	case RESULT_ATTACHMENT:
		return decode_attachment;
	case RESULT_FILE:
		return decode_file;
	case RESULT_USER:
		return decode_user;
	case RESULT_SETTING:
		return decode_setting;
	case RESULT_SETTING_LIST:
		return decode_setting_list;
	case RESULT_CHANGE_LIST:
		return decode_change_list;
	case RESULT_REPLY:
		return decode_reply;
	}
	return NULL;
}

static void call_back(
	struct chat_client *c, const struct request *r, const struct chat_error *error, void *value)
{
	switch (r->kind) {
	case RESULT_DONE:
	case RESULT_FOCUSED:
		return r->callback.done(c, error, r->userdata);
	case RESULT_STATUS:
		return r->callback.status(c, error, value, r->userdata);
	case RESULT_ACCOUNT:
		return r->callback.account(c, error, value, r->userdata);
	case RESULT_INFO:
		return r->callback.info(c, error, value, r->userdata);
	case RESULT_INFO_LIST:
		return r->callback.info_list(c, error, value, r->userdata);
	case RESULT_MESSAGE:
		return r->callback.message(c, error, value, r->userdata);
	case RESULT_MESSAGE_LIST:
		return r->callback.message_list(c, error, value, r->userdata);
	case RESULT_SEARCH_LIST:
		return r->callback.search_list(c, error, value, r->userdata);
	case RESULT_ATTACHMENT:
		return r->callback.attachment(c, error, value, r->userdata);
	case RESULT_FILE:
		return r->callback.file(c, error, value, r->userdata);
	case RESULT_USER:
		return r->callback.user(c, error, value, r->userdata);
	case RESULT_SETTING:
		return r->callback.setting(c, error, value, r->userdata);
	case RESULT_SETTING_LIST:
		return r->callback.setting_list(c, error, value, r->userdata);
	case RESULT_CHANGE_LIST:
		return r->callback.change_list(c, error, value, r->userdata);
	case RESULT_REPLY:
		return r->callback.reply(c, error, value, r->userdata);
	case RESULT_SUBSCRIBED:
		return;
	}
}

/* Tells who waits and frees the request, which is on no list any more. Takes `result`. */
static void finish(struct chat_client *c, struct request *r, struct result *result, void *value,
	const struct error_store *error)
{
	if (r->abandoned) {
		result_unref(result);
	} else if (r->kind == RESULT_SUBSCRIBED) {
		subscription_on_answer(c, r->userdata, result ? result_json(result) : NULL, error);
		result_unref(result);
	} else if (r->waiter) {
		if (error)
			error_copy(&r->waiter->error, error);
		r->waiter->value = value;
		r->waiter->done = true;
		c->caller_is_due = true;
		if (!value)
			result_unref(result);
	} else {
		if (r->callback.done)
			call_back(c, r, error ? &error->pub : NULL, value);
		result_unref(result);
	}
	request_free(r);
}

void request_answered(struct chat_client *c, struct request *r, struct result *result,
	const struct error_store *error)
{
	int (*decode)(struct result *, void **) = decoder_of(r->kind);
	struct error_store own;
	void *value = NULL;
	int e = 0;

	request_remove(c, r);
	if (!result && r->kind == RESULT_FOCUSED && error->pub.code == CHAT_CLIENT_ERROR_NOT_FOUND)
		focus_on_refused(c);
	if (result && decode && !r->abandoned)
		e = decode(result, &value);
	if (e < 0) {
		result = result_unref(result);
		error_set(&own,
			e == -ENOMEM ? CHAT_CLIENT_ERROR_NO_MEMORY : CHAT_CLIENT_ERROR_PROTOCOL,
			e == -ENOMEM ? "out of memory" : "the daemon's answer is not understood");
		error = &own;
	}
	finish(c, r, result, value, error);
}

void request_fail(struct chat_client *c, struct request *r, const struct error_store *error)
{
	request_remove(c, r);
	error_copy(&r->error, error);
	TAILQ_INSERT_TAIL(&c->failed, r, entry);
}

void request_on_unreachable(struct chat_client *c)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&c->requests); r; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (!r->outlived)
			request_fail(c, r, &c->down);
	}
}

/* True if the request may be put on another connection, and is made ready for it. */
static bool rewind_request(struct request *r)
{
	bool whole = r->sent == r->length; /* only then can the daemon have acted on it */

	if (r->abandoned || r->sends >= SENDS_MAX)
		return false;
	if (whole && !r->repeatable)
		return false;
	for (size_t i = 0; i < r->n_fds && r->sent > 0; i++)
		if (r->fds[i].offset >= 0 && lseek(r->fds[i].fd, r->fds[i].offset, SEEK_SET) < 0)
			return false;
	r->sent = 0;
	r->outlived = true;
	return true;
}

void request_on_lost(struct chat_client *c, const struct error_store *why, bool all)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&c->requests); r; r = next) {
		next = TAILQ_NEXT(r, entry);
		r->abandoned |= r->kind == RESULT_SUBSCRIBED;
		if (all || !rewind_request(r))
			request_fail(c, r, why);
	}
}

uint64_t request_next_deadline(const struct chat_client *c)
{
	const struct request *r;
	uint64_t next = UINT64_MAX;

	TAILQ_FOREACH(r, &c->requests, entry)
		if (!r->abandoned && r->deadline_us < next)
			next = r->deadline_us;
	return next;
}

bool request_expire(struct chat_client *c, uint64_t now_us)
{
	struct error_store error;
	struct request *r, *next;
	bool any = false, stuck = false;

	if (c->state == CHAT_CLIENT_DISCONNECTED && c->down.pub.code)
		error_copy(&error, &c->down);
	else
		error_set(&error, CHAT_CLIENT_ERROR_TIMED_OUT, "no answer in time");
	for (r = TAILQ_FIRST(&c->requests); r; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->abandoned || r->deadline_us > now_us)
			continue;
		stuck |= r->sent > 0 && r->sent < r->length;
		request_fail(c, r, &error);
		any = true;
	}
	if (stuck) {
		/* Half a line is out, and the rest will never be. */
		error_set(&error, CHAT_CLIENT_ERROR_DISCONNECTED, "the daemon does not read");
		connection_lost(c, &error);
	}
	return any;
}

bool request_tell_failed(struct chat_client *c)
{
	struct request *r = TAILQ_FIRST(&c->failed);

	if (!r)
		return false;
	while (r && !c->closed) {
		TAILQ_REMOVE(&c->failed, r, entry);
		finish(c, r, NULL, NULL, &r->error);
		r = TAILQ_FIRST(&c->failed);
	}
	return true;
}

static struct request *find_cancellable(struct request_list *list, int id)
{
	struct request *r;

	TAILQ_FOREACH(r, list, entry)
		if (r->id == id && !r->abandoned && !r->waiter && r->kind != RESULT_SUBSCRIBED)
			return r;
	return NULL;
}

int chat_client_cancel(struct chat_client *c, int id)
{
	struct request *r = find_cancellable(&c->failed, id);

	if (r) {
		TAILQ_REMOVE(&c->failed, r, entry);
		request_free(r);
		return 0;
	}
	r = find_cancellable(&c->requests, id);
	if (!r)
		return client_fail(c, CHAT_CLIENT_ERROR_NOT_FOUND, "no such request is under way");
	if (r->sent > 0 && r->sent < r->length) {
		r->abandoned = true;
		return 0;
	}
	request_remove(c, r);
	request_free(r);
	return 0;
}

static void free_list(struct request_list *list)
{
	struct request *r;

	while ((r = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, r, entry);
		request_free(r);
	}
}

void request_free_all(struct chat_client *c)
{
	free_list(&c->requests);
	free_list(&c->failed);
	c->n_requests = 0;
	c->request_bytes = 0;
}
