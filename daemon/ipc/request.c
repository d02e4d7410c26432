/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/request.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>

void client_init(struct client *c, struct api *api, unsigned scopes,
	const struct subscriber_ops *ops, void *userdata)
{
	c->api = api;
	c->scopes = scopes;
	hub_add(api->hub, &c->subscriber, ops, userdata);
}

void client_clear(struct client *c)
{
	if (c->focus[0]) {
		hub_release(c->subscriber.hub);
		if (!c->api->lock.locked)
			repository_focus(c->api->repository, c->focus, NULL);
	}
	c->focus[0] = '\0';
	hub_remove(&c->subscriber);
}

/* What could not be read looks like what is not there. */
static bool is_spoilt(const struct request *rq)
{
	const struct api *api = rq->api;

	return !api->lock.locked && api->store && store_has_met_damage(api->store) &&
		!(rq->method->flags & METHOD_WHILE_LOCKED);
}

static void end(struct request *rq, cJSON *result, const struct rpc_error *error, int fd)
{
	struct rpc_error spoilt;

	if (!is_spoilt(rq))
		return rq->ops->done(rq, result, error, fd);
	cJSON_Delete(result);
	if (fd >= 0)
		close(fd);
	rpc_error_set(&spoilt, CHAT_ERROR_STORAGE_ERROR,
		"the database is damaged; what can be read of it is being carried over");
	rq->ops->done(rq, NULL, &spoilt, -1);
}

static int check_fds(const struct request *rq, struct rpc_error *e)
{
	if (!rq->fds)
		return 0;
	if (rq->fds->too_many) {
		rpc_error_set(e, CHAT_ERROR_TOO_LARGE, "at most %u descriptors come with one line",
			CHAT_FDS_MAX);
		return -1;
	}
	if (rq->fds->lost) {
		rpc_error_set(e, CHAT_ERROR_BUSY, "too many descriptors are open: these were lost");
		return -1;
	}
	return 0;
}

static int check(struct request *rq, struct rpc_error *e)
{
	const struct method *m = rq->method;

	if (!(m->scopes & rq->client->scopes)) {
		rpc_error_set(e, CHAT_ERROR_DENIED, "this connection may not use %s", m->name);
		return -1;
	}
	if (rq->api->lock.locked && !(m->flags & METHOD_WHILE_LOCKED)) {
		rpc_error_set(e, CHAT_ERROR_LOCKED, "%s", rq->api->lock.detail);
		return -1;
	}
	if (check_fds(rq, e) < 0)
		return -1;
	rq->params = calloc(1, m->params_size ? m->params_size : 1);
	if (!rq->params) {
		rpc_error_set(e, CHAT_RPC_INTERNAL_ERROR, "out of memory");
		return -1;
	}
	return method_decode(m, rq->tree, rq->params, e);
}

void request_run(struct request *rq, cJSON *params)
{
	struct rpc_error error;

	rq->tree = params;
	if (check(rq, &error) < 0)
		end(rq, NULL, &error, -1);
	else
		rq->method->handler(rq);
}

void request_run_again(struct request *rq)
{
	free(rq->params);
	rq->params = NULL;
	rq->handler_data = NULL;
	rq->on_client_gone = NULL;
	request_run(rq, TAKE_PTR(rq->tree));
}

static void wipe(cJSON *tree)
{
	cJSON *item;

	cJSON_ArrayForEach(item, tree)
		if (cJSON_IsString(item))
			sodium_memzero(item->valuestring, strlen(item->valuestring));
}

void request_clear(struct request *rq)
{
	if (rq->method && (rq->method->flags & METHOD_SECRET))
		wipe(rq->tree);
	cJSON_Delete(rq->tree);
	free(rq->params);
	fd_list_unref(rq->fds);
	rq->tree = NULL;
	rq->params = NULL;
	rq->fds = NULL;
}

void request_reply(struct request *rq, cJSON *result)
{
	request_reply_fd(rq, result, -1);
}

void request_reply_fd(struct request *rq, cJSON *result, int fd)
{
	struct rpc_error error;

	if (result)
		return end(rq, result, NULL, fd);
	if (fd >= 0)
		close(fd);
	rpc_error_set(&error, CHAT_RPC_INTERNAL_ERROR, "out of memory");
	end(rq, NULL, &error, -1);
}

void request_fail(struct request *rq, const struct failure *f)
{
	struct rpc_error error;

	rpc_error_from_failure(&error, f);
	end(rq, NULL, &error, -1);
}

void request_fail_errno(struct request *rq, int r)
{
	struct failure failure;

	failure_from_errno(&failure, r);
	request_fail(rq, &failure);
}

void request_fail_with(struct request *rq, enum failure_kind kind, const char *format, ...)
{
	struct failure failure = { .kind = kind };
	va_list ap;

	va_start(ap, format);
	vsnprintf(failure.detail, sizeof(failure.detail), format, ap);
	va_end(ap);
	request_fail(rq, &failure);
}

void request_fail_params(struct request *rq, const char *format, ...)
{
	struct rpc_error error = { .code = CHAT_RPC_INVALID_PARAMS };
	va_list ap;

	va_start(ap, format);
	vsnprintf(error.detail, sizeof(error.detail), format, ap);
	va_end(ap);
	end(rq, NULL, &error, -1);
}
