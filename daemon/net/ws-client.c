/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop's side of a ws-client. A link that the owner has closed is the thread's alone; what it
 * may still say bears its number and is dropped.
 */
#include "net/ws-client.h"

#include <errno.h>

#include "net/ws-worker.h"

/* What one turn delivers: a commit follows the turn, and should not grow with a flood. */
#define EVENTS_PER_TURN 256

struct ws_client {
	const struct ws_client_events *events;
	void *userdata;
	struct ws_worker *worker;
	struct loop_io *io;
	struct ws_link *link;    /* open or opening */
	struct ws_link *parting; /* over, but the owner may send a last word */
	uint64_t last_id;
	uint64_t parting_id; /* of one that is being closed; 0: none */
	unsigned interval_s, timeout_s;
	bool open;
	bool delivering;
	bool freed; /* by its owner, inside a callback */
};

static void drop_link(struct ws_client *c)
{
	if (c->link)
		c->link = ws_link_unref(c->link);
	c->open = false;
}

static void end_parting(struct ws_client *c)
{
	if (!c->parting)
		return;
	ws_link_close(c->parting);
	c->parting = ws_link_unref(c->parting);
}

static void deliver_end(struct ws_client *c, const struct ws_event *e)
{
	struct ws_end ended = {
		.failure = e->failure,
		.http_status = e->http_status,
		.retry_after = e->retry_after[0] ? e->retry_after : NULL,
		.detail = e->len ? e->data : NULL,
	};

	if (e->failure == WS_TOO_LARGE || e->failure == WS_NOT_TEXT)
		c->parting = TAKE_PTR(c->link);
	drop_link(c);
	c->events->on_closed(c->userdata, &ended);
	end_parting(c);
}

static void note_parted(struct ws_client *c, const struct ws_event *e)
{
	if (e->type != WS_EVENT_CLOSED || e->link_id != c->parting_id)
		return;
	c->parting_id = 0;
	if (c->events->on_parted)
		c->events->on_parted(c->userdata);
}

static void deliver(struct ws_client *c, const struct ws_event *e)
{
	note_parted(c, e);
	if (c->freed || !c->link || c->link->id != e->link_id)
		return;
	switch (e->type) {
	case WS_EVENT_OPEN:
		c->open = true;
		c->events->on_open(c->userdata);
		break;
	case WS_EVENT_MESSAGE:
		c->events->on_message(c->userdata, e->data, e->len);
		break;
	case WS_EVENT_CLOSED:
		deliver_end(c, e);
		break;
	}
}

static void on_events(void *userdata, int fd, unsigned ready)
{
	struct ws_client *c = userdata;

	c->delivering = true;
	for (int i = 0; i < EVENTS_PER_TURN && !c->freed; i++) {
		_cleanup_free_ struct ws_event *e = ws_worker_take_event(c->worker);

		if (!e)
			break;
		deliver(c, e);
	}
	c->delivering = false;
	if (c->freed)
		free(c);
}

int ws_client_connect(struct ws_client *c, const struct ws_client_options *o)
{
	struct ws_link *l;
	int r;

	if (c->link)
		return -EALREADY;
	r = ws_link_new(c->worker, o, &l);
	if (r < 0)
		return r;
	l->id = ++c->last_id;
	l->interval_s = c->interval_s;
	l->timeout_s = c->timeout_s;
	r = ws_worker_run(c->worker, l);
	if (r < 0) {
		ws_link_unref(l);
		return r;
	}
	c->link = l;
	return 0;
}

int ws_client_send(struct ws_client *c, const char *data, size_t len)
{
	struct ws_link *l = c->open ? c->link : c->parting;

	if (!l)
		return -ENOTCONN;
	if (len > l->max_message)
		return -EMSGSIZE;
	return ws_link_send(l, data, len);
}

void ws_client_set_heartbeat(struct ws_client *c, unsigned interval_s, unsigned timeout_s)
{
	c->interval_s = interval_s;
	c->timeout_s = timeout_s;
	if (c->link)
		ws_link_set_heartbeat(c->link, interval_s, timeout_s);
}

void ws_client_close(struct ws_client *c)
{
	end_parting(c);
	if (c->link)
		ws_link_close(c->link);
	if (c->open)
		c->parting_id = c->link->id;
	drop_link(c);
}

void ws_client_probe(struct ws_client *c)
{
	if (c->open)
		ws_link_probe(c->link);
}

bool ws_client_is_parting(const struct ws_client *c)
{
	return c->parting_id != 0;
}

struct ws_client *ws_client_new(
	struct event_loop *loop, const struct ws_client_events *events, void *userdata)
{
	struct ws_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->events = events;
	c->userdata = userdata;
	c->worker = ws_worker_new();
	if (c->worker)
		c->io = loop_io_new(loop, c->worker->event_fd, LOOP_READ, on_events, c);
	return c->io ? c : ws_client_free(c);
}

struct ws_client *ws_client_free(struct ws_client *c)
{
	if (!c)
		return NULL;
	loop_io_free(c->io);
	if (c->worker) {
		ws_client_close(c);
		ws_worker_stop(c->worker);
	}
	if (c->delivering)
		c->freed = true;
	else
		free(c);
	return NULL;
}
