/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ipc/bus-call.h"
#include "ipc/bus-name.h"
#include "ipc/bus-value.h"
#include "ipc/topics.h"

#define DRIVER "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* Messages that wait to be written to the bus, above which no changes are added. */
#define QUEUE_HIGH_WATER 64

/* What a signal takes beside its data. */
#define SIGNAL_BYTES 192

void bus_peer_touch(struct bus_peer *p)
{
	bus_link_touch(p->o.link);
}

void bus_peer_fail(struct bus_peer *p, int error)
{
	bus_link_fail(p->o.link, error);
}

void bus_peer_send(struct bus_peer *p, sd_bus_message *m)
{
	int r = sd_bus_send(p->o.bus, m, NULL);

	if (r < 0)
		bus_peer_fail(p, r);
}

/* Admission. */

static void leave(struct bus_peer *p)
{
	if (p->state == BUS_PEER_GONE)
		return;
	p->state = BUS_PEER_GONE;
	event_loop_defer(p->o.api->loop, &p->bury);
}

static void bury(void *userdata)
{
	struct bus_peer *p = userdata;

	p->o.on_gone(p->o.userdata, p);
}

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *name, *from, *to;

	if (sd_bus_message_read(m, "sss", &name, &from, &to) >= 0 && to[0] == '\0')
		leave(userdata);
	return 0;
}

static int on_match_added(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	if (sd_bus_message_is_method_error(m, NULL))
		leave(userdata);
	return 0;
}

static void hand_on(struct bus_peer *p, sd_bus_message *m)
{
	struct rpc_error e;

	if (p->state == BUS_PEER_ADMITTED) {
		p->o.on_message(p->o.userdata, p, m);
		return;
	}
	rpc_error_set(&e, CHAT_ERROR_DENIED, "this account is another user's");
	bus_reply_error(m, &e);
}

static int on_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_peer *p = userdata;
	uint32_t uid;

	p->user_slot = sd_bus_slot_unref(p->user_slot);
	if (p->state != BUS_PEER_ASKED)
		return 0;
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0) {
		leave(p);
		return 0;
	}
	p->state = uid == geteuid() ? BUS_PEER_ADMITTED : BUS_PEER_DENIED;
	if (p->state == BUS_PEER_DENIED)
		log_warning("A call over the bus by another user is refused.");
	for (unsigned i = 0; i < p->n_waiting; i++) {
		hand_on(p, p->waiting[i]);
		sd_bus_message_unref(p->waiting[i]);
	}
	p->n_waiting = 0;
	return 0;
}

static int ask(struct bus_peer *p)
{
	char match[256];
	int r;

	/* In this order: one who leaves before the match is there has no user any more. */
	snprintf(match, sizeof(match),
		"type='signal',sender='" DRIVER "',path='" DRIVER_PATH "',interface='" DRIVER
		"',member='NameOwnerChanged',arg0='%s'",
		p->name);
	r = sd_bus_add_match_async(
		p->o.bus, &p->gone_slot, match, on_name_owner_changed, on_match_added, p);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(p->o.bus, &p->user_slot, DRIVER, DRIVER_PATH, DRIVER,
		"GetConnectionUnixUser", on_user, p, "s", p->name);
}

void bus_peer_take(struct bus_peer *p, sd_bus_message *m)
{
	struct rpc_error e;

	if (p->state == BUS_PEER_GONE)
		return;
	if (p->state != BUS_PEER_ASKED) {
		hand_on(p, m);
	} else if (p->n_waiting < BUS_REQUESTS_MAX) {
		p->waiting[p->n_waiting++] = sd_bus_message_ref(m);
	} else {
		rpc_error_set(
			&e, CHAT_ERROR_BUSY, "%u requests are in flight already", BUS_REQUESTS_MAX);
		bus_reply_error(m, &e);
	}
}

/* Changes. */

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_peer *p = userdata;

	/* An error is an answer as well. */
	p->ping_slot = sd_bus_slot_unref(p->ping_slot);
	load_subtract(&p->unread, &p->pinged);
	p->pinged = (struct load){ 0 };
	bus_peer_ask(p);
	hub_schedule(p->o.api->hub);
	return 0;
}

static int ping(struct bus_peer *p)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(
		p->o.bus, &m, p->name, "/", "org.freedesktop.DBus.Peer", "Ping");

	/* However long it takes: one that is stuck keeps its place, and costs nothing else. */
	r = r < 0 ? r : sd_bus_call_async(p->o.bus, &p->ping_slot, m, on_pong, p, UINT64_MAX);
	if (r >= 0)
		p->pinged = p->unread;
	return r;
}

bool bus_peer_is_laden(const struct bus_peer *p)
{
	return p->unread.fds >= CLIENT_GIVEN_FDS_MAX ||
		p->unread.fd_bytes >= CLIENT_GIVEN_BYTES_MAX;
}

void bus_peer_ask(struct bus_peer *p)
{
	int r = 0;

	if (!p->ping_slot &&
		(p->unread.bytes >= BUS_PEER_HIGH_WATER / 2 ||
			p->unread.fds >= CLIENT_GIVEN_FDS_MAX / 2 ||
			p->unread.fd_bytes >= CLIENT_GIVEN_BYTES_MAX / 2))
		r = ping(p);
	if (r < 0)
		bus_peer_fail(p, r);
	bus_peer_touch(p);
}

static bool is_full(void *userdata)
{
	struct bus_peer *p = userdata;
	uint64_t queued;

	return p->state != BUS_PEER_ADMITTED || p->unread.bytes >= BUS_PEER_HIGH_WATER ||
		sd_bus_get_n_queued_write(p->o.bus, &queued) < 0 || queued >= QUEUE_HIGH_WATER;
}

static int make_signal(
	const struct bus_peer *p, struct event *e, sd_bus_message **ret, size_t *ret_bytes)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const cJSON *data = event_tree(e);
	int r = data ? sd_bus_message_new_signal(p->o.bus, &m, BUS_PATH, BUS_NAME, "Change")
		     : -ENOMEM;

	r = r < 0 ? r : sd_bus_message_set_destination(m, p->name);
	r = r < 0 ? r : sd_bus_message_append(m, "ts", (uint64_t)e->seq, topic_names[e->topic]);
	r = r < 0 ? r : bus_value_append(m, data, topics[e->topic].data, -1, ret_bytes);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

static void take_event(void *userdata, struct event *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct bus_peer *p = userdata;
	size_t bytes;
	int r = make_signal(p, e, &m, &bytes);

	if (r < 0) {
		bus_peer_fail(p, r);
		return;
	}
	bus_peer_send(p, m);
	p->unread.bytes += bytes + SIGNAL_BYTES;
}

static void flush_events(void *userdata)
{
	bus_peer_ask(userdata);
}

static const struct subscriber_ops subscriber_ops = {
	.is_full = is_full,
	.take = take_event,
	.flush = flush_events,
};

int bus_peer_new(const struct bus_peer_options *o, struct bus_peer **ret)
{
	_cleanup_(bus_peer_freep) struct bus_peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->o = *o;
	p->bury = (struct loop_deferred){ .fn = bury, .userdata = p };
	call_queue_init(&p->calls, o->api, &p->client, &bus_call_ops);
	client_init(&p->client, o->api, SCOPES_ALL, &subscriber_ops, p);
	p->name = strdup(o->name);
	p->o.name = NULL;
	r = p->name ? ask(p) : -ENOMEM;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

struct bus_peer *bus_peer_free(struct bus_peer *p)
{
	if (!p)
		return NULL;
	event_loop_undefer(p->o.api->loop, &p->bury);
	call_queue_clear(&p->calls);
	client_clear(&p->client);
	sd_bus_slot_unref(p->gone_slot);
	sd_bus_slot_unref(p->user_slot);
	sd_bus_slot_unref(p->ping_slot);
	for (unsigned i = 0; i < p->n_waiting; i++)
		sd_bus_message_unref(p->waiting[i]);
	free(p->name);
	free(p);
	return NULL;
}
