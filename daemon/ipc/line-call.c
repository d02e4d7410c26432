/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/line-call.h"

#include <errno.h>
#include <sodium.h>

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

struct line_call {
	struct call call; /* first */
	struct batch *batch;
	cJSON *id;   /* NULL: a notification */
	size_t size; /* of the line that it came in; 0 in a batch */
	struct chunk *line;
};

struct batch {
	cJSON *entries; /* not started yet */
	struct fd_list *fds;
	size_t size; /* of its line */
	unsigned unfinished;
	size_t bytes; /* of the answers so far */
	struct buffer text;
	bool failed; /* memory was short */
	bool stages_subscription;
	bool withholds; /* holds the answer to a change */
	TAILQ_ENTRY(batch) entry;
};

static struct line_queue *queue_of(const struct line_call *c)
{
	return (struct line_queue *)c->call.queue;
}

static void on_free(struct call *call)
{
	struct line_call *c = (struct line_call *)call;

	if (call->queue)
		queue_of(c)->request_bytes -= c->size;
	cJSON_Delete(c->id);
	chunk_unref(c->line);
	free(c);
}

static void batch_free(struct line_queue *q, struct batch *b)
{
	TAILQ_REMOVE(&q->batches, b, entry);
	q->batch_bytes -= buffer_size(&b->text);
	q->request_bytes -= b->size;
	q->n_withholding -= b->withholds;
	if (b->withholds && q->n_withholding == 0)
		hub_schedule(q->calls.api->hub);
	cJSON_Delete(b->entries);
	fd_list_unref(b->fds);
	buffer_clear(&b->text);
	free(b);
}

static void batch_write(struct line_queue *q, struct batch *b, const char *data, size_t n)
{
	if (buffer_append(&b->text, data, n) < 0)
		b->failed = true;
	else
		q->batch_bytes += n;
}

static void batch_end(struct line_queue *q, struct batch *b)
{
	_cleanup_(chunk_unrefp) struct chunk *line = NULL;

	if (b->unfinished > 0 || q->starting == b)
		return;
	if (buffer_size(&b->text) > 0 || b->failed) {
		batch_write(q, b, "]\n", 2);
		if (!b->failed)
			line = chunk_new(buffer_bytes(&b->text), buffer_size(&b->text));
		peer_send(q->peer, line);
	}
	if (b->stages_subscription)
		subscriber_settle(&q->calls.client->subscriber, true);
	batch_free(q, b);
}

static void batch_add(struct line_queue *q, struct batch *b, const struct line_call *c)
{
	if (c->line) {
		batch_write(q, b, buffer_size(&b->text) > 0 ? "," : "[", 1);
		batch_write(q, b, c->line->data, c->line->size - 1);
	}
	if (!c->call.is_error && (c->call.rq.method->flags & METHOD_WRITES) && !b->withholds) {
		b->withholds = true;
		q->n_withholding++;
	}
	b->stages_subscription |= c->call.rq.stages_subscription;
	b->unfinished--;
	batch_end(q, b);
}

static void on_deliver(struct call *call)
{
	struct line_call *c = (struct line_call *)call;
	struct line_queue *q = queue_of(c);

	load_remove(&q->finished, c->line);
	if (c->batch) {
		batch_add(q, c->batch, c);
		return;
	}
	if (c->id)
		peer_send(q->peer, c->line);
	if (call->rq.stages_subscription)
		subscriber_settle(&q->calls.client->subscriber, true);
}

static void on_delivered(struct call_queue *calls)
{
	struct line_queue *q = (struct line_queue *)calls;

	peer_flush(q->peer);
	peer_proceed_later(q->peer);
}

/* Takes the line, in place of another that was made before. */
static void set_line(struct line_call *c, struct chunk *line)
{
	struct line_queue *q = queue_of(c);

	load_remove(&q->finished, c->line);
	load_add(&q->finished, line);
	if (c->batch)
		c->batch->bytes += (line ? line->size : 0) - (c->line ? c->line->size : 0);
	chunk_unref(c->line);
	c->line = line;
}

static bool fits(const struct line_call *c, const struct chunk *line)
{
	if (!line)
		return true;
	if (!c->batch || (c->call.rq.method->flags & METHOD_WRITES))
		return line->size <= CHAT_LINE_MAX;
	return c->batch->bytes + line->size <= CHAT_LINE_MAX - BATCH_RESERVE;
}

static bool encode_result(struct line_call *c, cJSON *result, int fd)
{
	struct chunk *line = c->id ? rpc_result_line(c->id, result) : NULL;
	struct rpc_error e;

	if (!c->id)
		cJSON_Delete(result);
	if (line && fd >= 0)
		chunk_set_fd(line, fd);
	else if (fd >= 0)
		close(fd);
	if (fits(c, line)) {
		set_line(c, line);
		return true;
	}
	chunk_unref(line);
	rpc_error_set(
		&e, CHAT_ERROR_TOO_LARGE, "the answer does not fit into a line; ask for less");
	set_line(c, rpc_error_line(c->id, &e));
	return false;
}

static bool on_encode(struct call *call, cJSON *result, const struct rpc_error *error, int fd)
{
	struct line_call *c = (struct line_call *)call;

	if (!error)
		return encode_result(c, result, fd);
	if (c->id)
		set_line(c, rpc_error_line(c->id, error));
	return true;
}

static const struct call_ops call_ops = {
	.encode = on_encode,
	.deliver = on_deliver,
	.delivered = on_delivered,
	.free = on_free,
};

/* `size`: of a line with this request alone. */
static struct line_call *begin(
	struct line_queue *q, struct batch *b, size_t size, struct fd_list *fds)
{
	struct line_call *c = calloc(1, sizeof(*c));

	if (!c) {
		peer_close(q->peer);
		return NULL;
	}
	c->batch = b;
	c->size = size;
	q->request_bytes += size;
	if (b)
		b->unfinished++;
	call_queue_enter(&q->calls, &c->call, fds);
	return c;
}

static int check_batch(const struct line_call *c, struct rpc_error *e)
{
	if (!c->batch)
		return 0;
	if (c->batch->bytes >= BATCH_FULL) {
		rpc_error_set(e, CHAT_ERROR_TOO_LARGE,
			"the answers before this one fill the batch's line");
		return -1;
	}
	if (c->call.rq.method->flags & METHOD_SENDS_FD) {
		rpc_error_set(e, CHAT_ERROR_UNSUPPORTED, "a descriptor cannot travel with a batch");
		return -1;
	}
	return 0;
}

/* Starts one request; `envelope` is borrowed and robbed of its parts. */
static void start(
	struct line_queue *q, cJSON *envelope, struct batch *b, size_t size, struct fd_list *fds)
{
	struct line_call *c = begin(q, b, size, fds);
	struct rpc_call call;
	struct rpc_error error;
	int r;

	if (!c)
		return;
	r = rpc_open(envelope, &call, &error);
	c->id = TAKE_PTR(call.id);
	if (r == 0) {
		c->call.rq.method = method_find(call.method, &error);
		r = c->call.rq.method ? check_batch(c, &error) : -1;
	}
	if (r < 0)
		call_queue_fail(&c->call, &error);
	else
		call_queue_start(&c->call, TAKE_PTR(call.params));
	rpc_call_clear(&call);
}

/* Answers something that is not even a request. */
static void answer_null(struct line_queue *q, const struct rpc_error *e)
{
	struct line_call *c = begin(q, NULL, 0, NULL);

	if (!c)
		return;
	c->id = cJSON_CreateNull();
	call_queue_fail(&c->call, e);
}

static void start_batch(struct line_queue *q, cJSON *entries, size_t size, struct fd_list *fds)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b) {
		cJSON_Delete(entries);
		peer_close(q->peer);
		return;
	}
	b->entries = entries;
	b->size = size;
	q->request_bytes += size;
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

size_t line_queue_waiting_bytes(const struct line_queue *q)
{
	return q->finished.bytes + q->batch_bytes -
		(q->starting ? buffer_size(&q->starting->text) : 0);
}

void line_queue_next_of_batch(struct line_queue *q)
{
	struct batch *b = q->starting;
	_cleanup_(cJSON_Deletep) cJSON *envelope = cJSON_DetachItemFromArray(b->entries, 0);

	if (envelope) {
		start(q, envelope, b, 0, b->fds);
		return;
	}
	q->starting = NULL;
	batch_end(q, b);
}

void line_queue_add(struct line_queue *q, struct line *line)
{
	_cleanup_(fd_list_unrefp) struct fd_list *fds = TAKE_PTR(line->fds);
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;
	struct rpc_error error;
	int r = rpc_parse(line->data, line->len, &value, &error);

	if (fds)
		call_queue_limit_fds(&q->calls, fds);
	/* It may have held a password. */
	sodium_memzero(line->data, line->len);
	if (r == 0 && cJSON_IsArray(value) && !check_batch_size(cJSON_GetArraySize(value), &error))
		r = -EINVAL;
	if (r < 0)
		answer_null(q, &error);
	else if (!cJSON_IsArray(value))
		start(q, value, NULL, line->len, fds);
	else
		start_batch(q, TAKE_PTR(value), line->len, fds);
}

void line_queue_too_long(struct line_queue *q)
{
	struct rpc_error error;

	rpc_error_set(&error, CHAT_ERROR_TOO_LARGE, "a line holds at most %u bytes", CHAT_LINE_MAX);
	answer_null(q, &error);
}

void line_queue_init(struct line_queue *q, struct peer *p)
{
	*q = (struct line_queue){ .peer = p };
	call_queue_init(&q->calls, p->api, &p->client, &call_ops);
	TAILQ_INIT(&q->batches);
}

void line_queue_clear(struct line_queue *q)
{
	struct batch *b;

	call_queue_clear(&q->calls);
	while ((b = TAILQ_FIRST(&q->batches)))
		batch_free(q, b);
}
