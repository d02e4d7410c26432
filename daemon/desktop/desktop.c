/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/desktop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bus-link.h"
#include "desktop/network.h"
#include "desktop/notifications.h"
#include "desktop/pushes.h"
#include "desktop/sleep.h"

#define DRAIN_MS 200

struct desktop {
	struct bus_link *session, *system;
	struct notifications *notifications;
	struct network *network;
	struct sleep_watch *sleep;
	struct pushes *pushes; /* NULL: none are taken */
};

const struct notice_sink *const desktop_notice_sink = &notifications_sink;

void *desktop_notices(struct desktop *d)
{
	return d->notifications;
}

const struct push_connector *const desktop_push_connector = &pushes_connector;

void *desktop_pushes(struct desktop *d)
{
	return d->pushes;
}

static void on_session_up(void *userdata, sd_bus *bus)
{
	struct desktop *d = userdata;

	notifications_attach(d->notifications, d->session, bus);
	if (d->pushes)
		pushes_attach(d->pushes, d->session, bus);
}

static void on_session_down(void *userdata, int error)
{
	struct desktop *d = userdata;

	notifications_attach(d->notifications, NULL, NULL);
	if (d->pushes)
		pushes_attach(d->pushes, NULL, NULL);
}

static const struct bus_link_ops session_ops = {
	.up = on_session_up,
	.down = on_session_down,
};

static void on_system_up(void *userdata, sd_bus *bus)
{
	struct desktop *d = userdata;

	network_attach(d->network, d->system, bus);
	sleep_watch_attach(d->sleep, d->system, bus);
}

static void on_system_down(void *userdata, int error)
{
	struct desktop *d = userdata;

	network_attach(d->network, NULL, NULL);
	sleep_watch_attach(d->sleep, NULL, NULL);
}

static const struct bus_link_ops system_ops = {
	.up = on_system_up,
	.down = on_system_down,
};

int desktop_new(const struct desktop_options *o, struct desktop **ret)
{
	_cleanup_(desktop_freep) struct desktop *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	d->notifications = notifications_new(o->loop, o->notice_actions, o->notice_userdata);
	d->network = network_new(o->surroundings, o->surroundings_userdata);
	d->sleep = sleep_watch_new(o->surroundings, o->surroundings_userdata);
	if (!d->notifications || !d->network || !d->sleep)
		return -ENOMEM;
	if (o->session_bus && o->push_name)
		r = pushes_new(
			&(struct pushes_options){
				.loop = o->loop,
				.name = o->push_name,
				.seed = o->seed + 2,
				.events = o->push_events,
				.userdata = o->push_userdata,
			},
			&d->pushes);
	if (r == 0 && o->session_bus)
		r = bus_link_new(o->loop, o->session_bus, o->seed, &session_ops, d, &d->session);
	if (r == 0 && o->system_bus)
		r = bus_link_new(o->loop, o->system_bus, o->seed + 1, &system_ops, d, &d->system);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(d);
	return 0;
}

bool desktop_is_showing(const struct desktop *d)
{
	return notifications_are_there(d->notifications);
}

void desktop_retire(struct desktop *d, loop_fn fn, void *userdata)
{
	if (d->pushes)
		pushes_retire(d->pushes, fn, userdata);
	else
		fn(userdata);
}

struct desktop *desktop_free(struct desktop *d)
{
	if (!d)
		return NULL;
	if (d->session) {
		notifications_sink.withdraw(d->notifications, NULL);
		bus_link_drain(d->session, DRAIN_MS);
	}
	bus_link_free(d->session);
	bus_link_free(d->system);
	notifications_free(d->notifications);
	network_free(d->network);
	sleep_watch_free(d->sleep);
	pushes_free(d->pushes);
	free(d);
	return NULL;
}
