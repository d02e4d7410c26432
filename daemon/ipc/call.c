/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/call.h"

#include <errno.h>

#include "ipc/limits.h"

/* A turn that fails takes the reads in it along; with the third it is not their neighbours. */
#define ATTEMPTS_MAX 3

static void call_free(struct call *c)
{
	request_clear(&c->rq);
	cJSON_Delete(c->params);
	c->ops->free(c);
}

/* One that changes nothing can be asked again: what is so now is not what was undone. */
static bool run_again(struct call *c)
{
	unsigned flags = c->rq.method ? c->rq.method->flags : 0;

	if ((flags & METHOD_WRITES) || c->attempts == 0 || c->attempts == ATTEMPTS_MAX)
		return false;
	TAILQ_INSERT_TAIL(&c->queue->running, c, entry);
	c->queue->n++;
	c->attempts++;
	request_run_again(&c->rq);
	return true;
}

/* The turn was rolled back: what its answers say is not so. False: they come later. */
static bool withdraw(struct call *c, int error)
{
	struct failure failure;
	struct rpc_error e;

	if (c->rq.method && (c->rq.method->flags & METHOD_TELLS_COMMITTED))
		return true;
	if (c->rq.stages_subscription)
		subscriber_settle(&c->queue->client->subscriber, false);
	c->rq.stages_subscription = false;
	if (run_again(c))
		return false;
	if (c->is_error)
		return true;
	failure_from_errno(&failure, error);
	if (failure.kind != FAILURE_STORAGE_FULL || !(c->rq.method->flags & METHOD_WRITES))
		failure_from_errno(&failure, -EIO);
	rpc_error_from_failure(&e, &failure);
	c->ops->encode(c, NULL, &e, -1);
	c->is_error = true;
	return true;
}

static void on_commit(void *userdata, int error)
{
	struct call_list finished = TAILQ_HEAD_INITIALIZER(finished);
	struct call_queue *q = userdata;
	struct call *c;

	TAILQ_CONCAT(&finished, &q->finished, entry);
	while ((c = TAILQ_FIRST(&finished))) {
		TAILQ_REMOVE(&finished, c, entry);
		q->n--;
		if (error < 0 && !withdraw(c, error))
			continue;
		c->ops->deliver(c);
		call_free(c);
	}
	q->ops->delivered(q);
}

static void finish(struct call *c, cJSON *result, const struct rpc_error *error, int fd)
{
	struct call_queue *q = c->queue;

	TAILQ_REMOVE(&q->running, c, entry);
	TAILQ_INSERT_TAIL(&q->finished, c, entry);
	c->is_error = !c->ops->encode(c, result, error, fd) || error;
	barrier_after_commit(q->api->barrier, &q->effect);
}

static void drop_orphan(struct call *c, cJSON *result, int fd)
{
	TAILQ_REMOVE(&c->rq.api->orphans, c, entry);
	c->rq.api->n_orphans--;
	cJSON_Delete(result);
	if (fd >= 0)
		close(fd);
	call_free(c);
}

static void run(struct call *c)
{
	if (c->rq.method->flags & METHOD_ORDERED)
		c->queue->ordered_runs = true;
	if ((c->rq.method->flags & METHOD_WAITS) && c->rq.api->n_orphans >= ORPHANS_MAX)
		return request_fail_with(&c->rq, FAILURE_BUSY,
			"too many requests of clients that have left are under way");
	c->attempts++;
	request_run(&c->rq, TAKE_PTR(c->params));
}

static void start_held(struct call_queue *q)
{
	struct call *c;

	/* A handler that ends at once comes back here: one loop starts them all. */
	if (q->starts_held)
		return;
	q->starts_held = true;
	while (!q->ordered_runs && (c = TAILQ_FIRST(&q->held))) {
		TAILQ_REMOVE(&q->held, c, entry);
		TAILQ_INSERT_TAIL(&q->running, c, entry);
		run(c);
	}
	q->starts_held = false;
}

static void on_done(struct request *rq, cJSON *result, const struct rpc_error *error, int fd)
{
	struct call *c = (struct call *)rq;
	struct call_queue *q = c->queue;
	bool ordered = rq->method->flags & METHOD_ORDERED;

	if (!q)
		return drop_orphan(c, result, fd);
	if (error)
		rq->stages_subscription = false;
	finish(c, result, error, fd);
	if (ordered) {
		q->ordered_runs = false;
		start_held(q);
	}
}

static const struct request_ops request_ops = {
	.done = on_done,
};

void call_queue_enter(struct call_queue *q, struct call *c, struct fd_list *fds)
{
	c->ops = q->ops;
	c->queue = q;
	c->rq.ops = &request_ops;
	c->rq.api = q->api;
	c->rq.client = q->client;
	c->rq.fds = fds ? fd_list_ref(fds) : NULL;
	q->n++;
	TAILQ_INSERT_TAIL(&q->running, c, entry);
}

void call_queue_start(struct call *c, cJSON *params)
{
	struct call_queue *q = c->queue;

	c->params = params;
	if ((c->rq.method->flags & METHOD_ORDERED) && (q->ordered_runs || !TAILQ_EMPTY(&q->held))) {
		TAILQ_REMOVE(&q->running, c, entry);
		TAILQ_INSERT_TAIL(&q->held, c, entry);
	} else {
		run(c);
	}
}

void call_queue_fail(struct call *c, const struct rpc_error *e)
{
	finish(c, NULL, e, -1);
}

static unsigned count_fds(const struct call_list *list)
{
	struct call *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, list, entry)
		n += c->rq.fds ? c->rq.fds->n : 0;
	return n;
}

unsigned call_queue_count_fds(const struct call_queue *q)
{
	return count_fds(&q->running) + count_fds(&q->held) + count_fds(&q->finished);
}

void call_queue_limit_fds(const struct call_queue *q, struct fd_list *fds)
{
	if (call_queue_count_fds(q) + fds->n > CLIENT_FDS_MAX)
		fd_list_drop(fds);
}

void call_queue_init(
	struct call_queue *q, struct api *api, struct client *client, const struct call_ops *ops)
{
	*q = (struct call_queue){ .api = api, .client = client, .ops = ops };
	q->effect = (struct barrier_effect){ .fn = on_commit, .userdata = q };
	TAILQ_INIT(&q->running);
	TAILQ_INIT(&q->held);
	TAILQ_INIT(&q->finished);
	TAILQ_INSERT_TAIL(&api->queues, q, entry);
}

static void free_all(struct call_list *list)
{
	struct call *c;

	while ((c = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, c, entry);
		call_free(c);
	}
}

void call_queue_clear(struct call_queue *q)
{
	struct call *c;

	TAILQ_REMOVE(&q->api->queues, q, entry);
	barrier_forget(q->api->barrier, &q->effect);
	free_all(&q->held);
	free_all(&q->finished);
	while ((c = TAILQ_FIRST(&q->running))) {
		TAILQ_REMOVE(&q->running, c, entry);
		c->queue = NULL;
		c->rq.client = NULL;
		TAILQ_INSERT_TAIL(&c->rq.api->orphans, c, entry);
		c->rq.api->n_orphans++;
		if (c->rq.on_client_gone)
			c->rq.on_client_gone(&c->rq);
	}
	q->n = 0;
}

static void end_locked(struct call *c)
{
	struct rpc_error e;

	if (c->rq.on_client_gone) {
		c->rq.on_client_gone(&c->rq);
		return;
	}
	rpc_error_set(&e, CHAT_ERROR_LOCKED, "%s", c->rq.api->lock.detail);
	c->rq.ops->done(&c->rq, NULL, &e, -1);
}

static struct call *find_in_need(struct call_queue *q)
{
	struct call *c;

	TAILQ_FOREACH(c, &q->running, entry)
		if (!(c->rq.method->flags & METHOD_WHILE_LOCKED))
			return c;
	return NULL;
}

void calls_lock(struct api *api)
{
	struct call_queue *q;
	struct call *c;

	/* One that ends may start another, which then finds the account locked. */
	TAILQ_FOREACH(q, &api->queues, entry)
		while ((c = find_in_need(q)))
			end_locked(c);
	calls_free_orphans(&api->orphans);
	api->n_orphans = 0;
}

void calls_free_orphans(struct call_list *orphans)
{
	free_all(orphans);
}
