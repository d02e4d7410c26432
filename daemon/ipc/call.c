/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/call.h"

#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#include "base/buffer.h"
#include "ipc/peer.h"
#include "ipc/rpc.h"

/*
 * Bytes of answers after which the rest of a batch is not started, so that its line stays below
 * CHAT_LINE_MAX.
 */
#define BATCH_FULL (512u * 1024u)

/* What is left of a line for the errors of those that do not fit. */
#define BATCH_RESERVE (64u * 1024u)

struct call {
	struct request rq;        /* first */
	struct call_queue *queue; /* NULL: the peer has gone */
	struct batch *batch;
	cJSON *id;     /* NULL: a notification */
	cJSON *params; /* while held */
	struct chunk *line;
	bool is_error;
	TAILQ_ENTRY(call) entry;
};

struct batch {
	cJSON *entries; /* not started yet */
	struct fd_list *fds;
	unsigned unfinished;
	size_t bytes; /* of the answers so far */
	struct buffer text;
	bool failed; /* memory was short */
	bool stages_subscription;
	TAILQ_ENTRY(batch) entry;
};

static struct call *call_free(struct call *c)
{
	request_clear(&c->rq);
	cJSON_Delete(c->id);
	cJSON_Delete(c->params);
	chunk_unref(c->line);
	free(c);
	return NULL;
}

static void batch_free(struct call_queue *q, struct batch *b)
{
	TAILQ_REMOVE(&q->batches, b, entry);
	cJSON_Delete(b->entries);
	fd_list_unref(b->fds);
	buffer_clear(&b->text);
	free(b);
}

static void settle(struct call_queue *q, bool in_force)
{
	subscriber_settle(&q->peer->client.subscriber, in_force);
}

static void batch_end(struct call_queue *q, struct batch *b)
{
	_cleanup_(chunk_unrefp) struct chunk *line = NULL;

	if (b->unfinished > 0 || q->starting == b)
		return;
	if (buffer_size(&b->text) > 0 || b->failed) {
		if (buffer_append(&b->text, "]\n", 2) == 0 && !b->failed)
			line = chunk_new(buffer_bytes(&b->text), buffer_size(&b->text));
		peer_send(q->peer, line);
	}
	if (b->stages_subscription)
		settle(q, true);
	batch_free(q, b);
}

static void batch_add(struct call_queue *q, struct batch *b, const struct call *c)
{
	if (c->line) {
		const char *separator = buffer_size(&b->text) > 0 ? "," : "[";

		if (buffer_append(&b->text, separator, 1) < 0 ||
			buffer_append(&b->text, c->line->data, c->line->size - 1) < 0)
			b->failed = true;
	}
	b->stages_subscription |= c->rq.stages_subscription;
	b->unfinished--;
	batch_end(q, b);
}

static void deliver(struct call_queue *q, struct call *c)
{
	if (c->batch) {
		batch_add(q, c->batch, c);
		return;
	}
	if (c->id)
		peer_send(q->peer, c->line);
	if (c->rq.stages_subscription)
		settle(q, true);
}

/* The turn was rolled back: what its answers say is not so. */
static void withdraw(struct call_queue *q, struct call *c, int error)
{
	struct failure failure;
	struct rpc_error e;

	if (c->rq.stages_subscription)
		settle(q, false);
	c->rq.stages_subscription = false;
	if (c->is_error || !c->id)
		return;
	failure_from_errno(&failure, error);
	if (failure.kind != FAILURE_STORAGE_FULL)
		failure_from_errno(&failure, -EIO);
	rpc_error_from_failure(&e, &failure);
	chunk_unref(c->line);
	c->line = rpc_error_line(c->id, &e);
}

static void on_commit(void *userdata, int error)
{
	struct call_queue *q = userdata;
	struct call *c;

	while ((c = TAILQ_FIRST(&q->finished))) {
		TAILQ_REMOVE(&q->finished, c, entry);
		q->n--;
		q->finished_bytes -= c->line ? c->line->size : 0;
		if (error < 0)
			withdraw(q, c, error);
		deliver(q, c);
		call_free(c);
	}
	peer_flush(q->peer);
	peer_proceed_later(q->peer);
}

static void finish(struct call *c, struct chunk *line, bool is_error)
{
	struct call_queue *q = c->queue;

	TAILQ_REMOVE(&q->running, c, entry);
	TAILQ_INSERT_TAIL(&q->finished, c, entry);
	c->line = line;
	c->is_error = is_error;
	q->finished_bytes += line ? line->size : 0;
	if (c->batch && line)
		c->batch->bytes += line->size;
	barrier_after_commit(q->peer->api->barrier, &q->effect);
}

static void finish_with_error(struct call *c, const struct rpc_error *e)
{
	finish(c, c->id ? rpc_error_line(c->id, e) : NULL, true);
}

static bool fits(const struct call *c, const struct chunk *line)
{
	if (!line)
		return true;
	if (!c->batch || (c->rq.method->flags & METHOD_WRITES))
		return line->size <= CHAT_LINE_MAX;
	return c->batch->bytes + line->size <= CHAT_LINE_MAX - BATCH_RESERVE;
}

static void finish_with_result(struct call *c, cJSON *result, int fd)
{
	struct chunk *line = c->id ? rpc_result_line(c->id, result) : NULL;
	struct rpc_error e;

	if (!c->id)
		cJSON_Delete(result);
	if (line)
		line->fd = fd;
	else if (fd >= 0)
		close(fd);
	if (fits(c, line)) {
		finish(c, line, false);
		return;
	}
	chunk_unref(line);
	rpc_error_set(
		&e, CHAT_ERROR_TOO_LARGE, "the answer does not fit into a line; ask for less");
	finish_with_error(c, &e);
}

static void drop_orphan(struct call *c, cJSON *result, int fd)
{
	TAILQ_REMOVE(&c->rq.api->orphans, c, entry);
	cJSON_Delete(result);
	if (fd >= 0)
		close(fd);
	call_free(c);
}

static void run(struct call *c);

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
	if (error) {
		rq->stages_subscription = false;
		finish_with_error(c, error);
	} else {
		finish_with_result(c, result, fd);
	}
	if (ordered) {
		q->ordered_runs = false;
		start_held(q);
	}
}

static const struct request_ops request_ops = {
	.done = on_done,
};

static void run(struct call *c)
{
	if (c->rq.method->flags & METHOD_ORDERED)
		c->queue->ordered_runs = true;
	request_run(&c->rq, TAKE_PTR(c->params));
}

static struct call *call_new(struct call_queue *q, struct batch *b, struct fd_list *fds)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		peer_close(q->peer);
		return NULL;
	}
	c->queue = q;
	c->rq.ops = &request_ops;
	c->rq.api = q->peer->api;
	c->rq.client = &q->peer->client;
	c->rq.fds = fds ? fd_list_ref(fds) : NULL;
	c->batch = b;
	if (b)
		b->unfinished++;
	q->n++;
	TAILQ_INSERT_TAIL(&q->running, c, entry);
	return c;
}

static int check_batch(const struct call *c, struct rpc_error *e)
{
	if (!c->batch)
		return 0;
	if (c->batch->bytes >= BATCH_FULL) {
		rpc_error_set(e, CHAT_ERROR_TOO_LARGE,
			"the answers before this one fill the batch's line");
		return -1;
	}
	if (c->rq.method->flags & METHOD_SENDS_FD) {
		rpc_error_set(e, CHAT_ERROR_UNSUPPORTED, "a descriptor cannot travel with a batch");
		return -1;
	}
	return 0;
}

static void start_or_hold(struct call *c)
{
	struct call_queue *q = c->queue;

	if ((c->rq.method->flags & METHOD_ORDERED) && (q->ordered_runs || !TAILQ_EMPTY(&q->held))) {
		TAILQ_REMOVE(&q->running, c, entry);
		TAILQ_INSERT_TAIL(&q->held, c, entry);
	} else {
		run(c);
	}
}

/* Starts one request; `envelope` is borrowed and robbed of its parts. */
static void start(struct call_queue *q, cJSON *envelope, struct batch *b, struct fd_list *fds)
{
	struct call *c = call_new(q, b, fds);
	struct rpc_call call;
	struct rpc_error error;
	int r;

	if (!c)
		return;
	r = rpc_open(envelope, &call, &error);
	c->id = TAKE_PTR(call.id);
	c->params = TAKE_PTR(call.params);
	if (r == 0) {
		c->rq.method = method_find(call.method, &error);
		r = c->rq.method ? check_batch(c, &error) : -1;
	}
	rpc_call_clear(&call);
	if (r < 0)
		finish_with_error(c, &error);
	else
		start_or_hold(c);
}

/* Answers something that is not even a request. */
static void answer_null(struct call_queue *q, const struct rpc_error *e)
{
	struct call *c = call_new(q, NULL, NULL);

	if (!c)
		return;
	c->id = cJSON_CreateNull();
	finish_with_error(c, e);
}

static void start_batch(struct call_queue *q, cJSON *entries, struct fd_list *fds)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b) {
		cJSON_Delete(entries);
		peer_close(q->peer);
		return;
	}
	b->entries = entries;
	b->fds = fds ? fd_list_ref(fds) : NULL;
	TAILQ_INSERT_TAIL(&q->batches, b, entry);
	q->starting = b;
}

static bool check_batch_size(int n, struct rpc_error *e)
{
	if (n == 0)
		rpc_error_set(e, CHAT_RPC_INVALID_REQUEST, "the batch is empty");
	else if (n > RPC_BATCH_MAX)
		rpc_error_set(e, CHAT_ERROR_TOO_LARGE, "a batch holds at most %d requests",
			RPC_BATCH_MAX);
	return n > 0 && n <= RPC_BATCH_MAX;
}

void call_queue_next_of_batch(struct call_queue *q)
{
	struct batch *b = q->starting;
	_cleanup_(cJSON_Deletep) cJSON *envelope = cJSON_DetachItemFromArray(b->entries, 0);

	if (envelope) {
		start(q, envelope, b, b->fds);
		return;
	}
	q->starting = NULL;
	batch_end(q, b);
}

static unsigned count_fds(const struct call_list *list)
{
	struct call *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, list, entry)
		n += c->rq.fds ? c->rq.fds->n : 0;
	return n;
}

/* Requests that wait could otherwise keep most of what the process may have open. */
static void limit_fds(struct call_queue *q, struct fd_list *fds)
{
	unsigned held = count_fds(&q->running) + count_fds(&q->held) + count_fds(&q->finished);

	if (held + fds->n > PEER_FDS_MAX)
		fd_list_drop(fds);
}

void call_queue_line(struct call_queue *q, struct line *line)
{
	_cleanup_(fd_list_unrefp) struct fd_list *fds = TAKE_PTR(line->fds);
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;
	struct rpc_error error;
	int r = rpc_parse(line->data, line->len, &value, &error);

	if (fds)
		limit_fds(q, fds);
	/* It may have held a password. */
	sodium_memzero(line->data, line->len);
	if (r < 0)
		answer_null(q, &error);
	else if (!cJSON_IsArray(value))
		start(q, value, NULL, fds);
	else if (!check_batch_size(cJSON_GetArraySize(value), &error))
		answer_null(q, &error);
	else
		start_batch(q, TAKE_PTR(value), fds);
}

void call_queue_too_long(struct call_queue *q)
{
	struct rpc_error error;

	rpc_error_set(&error, CHAT_ERROR_TOO_LARGE, "a line holds at most %u bytes", CHAT_LINE_MAX);
	answer_null(q, &error);
}

void call_queue_init(struct call_queue *q, struct peer *p)
{
	*q = (struct call_queue){ .peer = p };
	q->effect = (struct barrier_effect){ .fn = on_commit, .userdata = q };
	TAILQ_INIT(&q->running);
	TAILQ_INIT(&q->held);
	TAILQ_INIT(&q->finished);
	TAILQ_INIT(&q->batches);
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
	struct batch *b;
	struct call *c;

	barrier_forget(q->peer->api->barrier, &q->effect);
	free_all(&q->held);
	free_all(&q->finished);
	while ((c = TAILQ_FIRST(&q->running))) {
		TAILQ_REMOVE(&q->running, c, entry);
		c->queue = NULL;
		c->batch = NULL;
		c->rq.client = NULL;
		TAILQ_INSERT_TAIL(&c->rq.api->orphans, c, entry);
		if (c->rq.on_client_gone)
			c->rq.on_client_gone(&c->rq);
	}
	while ((b = TAILQ_FIRST(&q->batches)))
		batch_free(q, b);
}

void calls_free_orphans(struct call_list *orphans)
{
	free_all(orphans);
}
