/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/desktop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bus-link.h"
#include "desktop/notifications.h"

#define DRAIN_MS 200

struct desktop {
	struct bus_link *session;
	struct notifications *notifications;
};

const struct notice_sink *const desktop_notice_sink = &notifications_sink;

void *desktop_notices(struct desktop *d)
{
	return d->notifications;
}

static void on_session_up(void *userdata, sd_bus *bus)
{
	struct desktop *d = userdata;

	notifications_attach(d->notifications, d->session, bus);
}

static void on_session_down(void *userdata, int error)
{
	struct desktop *d = userdata;

	notifications_attach(d->notifications, NULL, NULL);
}

static const struct bus_link_ops session_ops = {
	.up = on_session_up,
	.down = on_session_down,
};

int desktop_new(const struct desktop_options *o, struct desktop **ret)
{
	_cleanup_(desktop_freep) struct desktop *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	d->notifications = notifications_new(o->loop, o->notice_actions, o->userdata);
	if (!d->notifications)
		return -ENOMEM;
	if (o->session_bus)
		r = bus_link_new(o->loop, o->session_bus, o->seed, &session_ops, d, &d->session);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(d);
	return 0;
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
	notifications_free(d->notifications);
	free(d);
	return NULL;
}
