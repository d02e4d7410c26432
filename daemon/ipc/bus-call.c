/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-call.h"

#include <errno.h>
#include <sys/stat.h>

#include "ipc/bus-name.h"
#include "ipc/bus-peer.h"
#include "ipc/bus-value.h"
#include "ipc/json-text.h"
#include "ipc/limits.h"

struct bus_call {
	struct call call; /* first */
	sd_bus_message *message;
	sd_bus_message *reply; /* NULL: none is expected, or none could be made */
	struct load given;     /* the descriptor in it */
};

/* The error's own member holds its text; behind it comes what programs look at. */
static int make_error(sd_bus_message *m, const struct rpc_error *e, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(cJSON_Deletep) cJSON *o = rpc_error_to_json(e);
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(o, "data");
	const cJSON *detail = cJSON_GetObjectItemCaseSensitive(data, "detail");
	char name[BUS_NAME_SIZE];
	int r;

	if (!detail)
		return -ENOMEM;
	bus_name_of_error(e->code, name);
	if (e->code == CHAT_RPC_METHOD_NOT_FOUND)
		snprintf(name, sizeof(name), SD_BUS_ERROR_UNKNOWN_METHOD);
	r = sd_bus_message_new_method_error(
		m, &reply, &SD_BUS_ERROR_MAKE_CONST(name, detail->valuestring));
	r = r < 0 ? r : bus_value_append(reply, data, NULL, -1, NULL);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(reply);
	return 0;
}

static int make_result(const struct bus_call *c, cJSON *result, int fd, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = json_unfold(result) ? sd_bus_message_new_method_return(c->message, &reply)
				    : -ENOMEM;

	r = r < 0 ? r : bus_value_append(reply, result, c->call.rq.method->result, fd, NULL);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(reply);
	return 0;
}

/* Charges the client with the descriptor of the reply, in place of an earlier reply's. */
static void charge(struct bus_call *c, int fd)
{
	struct load *unread = &((struct bus_peer *)c->call.queue)->unread;
	struct stat st;

	load_subtract(unread, &c->given);
	c->given = (struct load){ 0 };
	if (fd < 0)
		return;
	c->given.fds = 1;
	c->given.fd_bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	unread->fds += c->given.fds;
	unread->fd_bytes += c->given.fd_bytes;
}

static bool on_encode(struct call *call, cJSON *tree, const struct rpc_error *error, int given)
{
	_cleanup_(cJSON_Deletep) cJSON *result = tree;
	_cleanup_close_ int fd = given;
	struct bus_call *c = (struct bus_call *)call;
	struct rpc_error failed;

	c->reply = sd_bus_message_unref(c->reply);
	if (sd_bus_message_get_expect_reply(c->message) <= 0)
		return true;
	if (!error && make_result(c, result, fd, &c->reply) < 0) {
		rpc_error_set(&failed, CHAT_RPC_INTERNAL_ERROR, "the answer cannot be written");
		error = &failed;
	}
	charge(c, error ? -1 : fd);
	if (error)
		make_error(c->message, error, &c->reply);
	return error != &failed;
}

static void on_deliver(struct call *call)
{
	struct bus_call *c = (struct bus_call *)call;
	struct bus_peer *p = (struct bus_peer *)call->queue;
	bool expected = sd_bus_message_get_expect_reply(c->message) > 0;

	if (c->reply)
		bus_peer_send(p, c->reply);
	else if (expected)
		bus_peer_fail(p, -ENOMEM);
	if (call->rq.stages_subscription)
		subscriber_settle(&call->queue->client->subscriber, true);
}

static void on_delivered(struct call_queue *q)
{
	bus_peer_ask((struct bus_peer *)q);
}

static void on_free(struct call *call)
{
	struct bus_call *c = (struct bus_call *)call;

	sd_bus_message_unref(c->message);
	sd_bus_message_unref(c->reply);
	free(c);
}

const struct call_ops bus_call_ops = {
	.encode = on_encode,
	.deliver = on_deliver,
	.delivered = on_delivered,
	.free = on_free,
};

int bus_reply_error(sd_bus_message *m, const struct rpc_error *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	if (sd_bus_message_get_expect_reply(m) <= 0)
		return 0;
	r = make_error(m, e, &reply);
	return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(m), reply, NULL);
}

/* One a{sv}, or nothing at all. */
static int read_params(
	sd_bus_message *m, cJSON **ret, struct fd_list **ret_fds, struct rpc_error *ret_error)
{
	int r;

	if (sd_bus_message_is_empty(m) > 0)
		return 0;
	r = bus_value_read(m, ret, ret_fds, ret_error);
	if (r < 0 || sd_bus_message_at_end(m, true) > 0)
		return r;
	rpc_error_set(ret_error, CHAT_RPC_INVALID_PARAMS, "parameters are one a{sv}");
	return -EINVAL;
}

int bus_call_start(struct call_queue *q, sd_bus_message *m)
{
	_cleanup_(fd_list_unrefp) struct fd_list *fds = NULL;
	_cleanup_(cJSON_Deletep) cJSON *params = NULL;
	const struct method *method;
	struct rpc_error error;
	struct bus_call *c;
	int r;

	method = bus_method_find(
		sd_bus_message_get_interface(m), sd_bus_message_get_member(m), &error);
	if (!method)
		return bus_reply_error(m, &error);
	if (q->n >= BUS_REQUESTS_MAX) {
		rpc_error_set(&error, CHAT_ERROR_BUSY, "%u requests are in flight already",
			BUS_REQUESTS_MAX);
		return bus_reply_error(m, &error);
	}
	if ((method->flags & METHOD_SENDS_FD) && bus_peer_is_laden((struct bus_peer *)q)) {
		rpc_error_set(&error, CHAT_ERROR_BUSY,
			"the descriptors of earlier answers have not been taken");
		return bus_reply_error(m, &error);
	}
	if (method->flags & METHOD_SECRET)
		sd_bus_message_sensitive(m);
	r = read_params(m, &params, &fds, &error);
	if (fds)
		call_queue_limit_fds(q, fds);
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->message = sd_bus_message_ref(m);
	c->call.rq.method = method;
	call_queue_enter(q, &c->call, fds);
	if (r < 0)
		call_queue_fail(&c->call, &error);
	else
		call_queue_start(&c->call, TAKE_PTR(params));
	return 0;
}
