/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The objects of a connector, whose methods a distributor calls. */
#pragma once

#include <systemd/sd-bus.h>

#include "repository/push-link.h"

/* Whom the distributor's words go to. Embedded in its owner. */
struct push_receiver {
	const struct push_events *events;
	void *userdata;
	char *distributor; /* owned by the owner; NULL: none is known */
	sd_bus_slot *slots[2];
};

/* Serves both versions on `bus` until push_receiver_leave. Negative errno. */
int push_receiver_serve(struct push_receiver *r, sd_bus *bus);
void push_receiver_leave(struct push_receiver *r);
