/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * New messages on the user's screen, over org.freedesktop.Notifications on the session's bus.
 * Without a server, or a bus, what is to be shown waits; the server may come at any time.
 */
#pragma once

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "base/bus-link.h"
#include "base/cleanup.h"
#include "base/event-loop.h"
#include "repository/notice.h"

struct notifications;

/* What shows them; `userdata` is a struct notifications. */
extern const struct notice_sink notifications_sink;

/* `actions` (static) get `userdata`. NULL: memory is short. */
struct notifications *notifications_new(
	struct event_loop *loop, const struct notice_actions *actions, void *userdata);

/* There is a bus, which `link` carries, or, with NULL, none any more. Both are borrowed. */
void notifications_attach(struct notifications *n, struct bus_link *link, sd_bus *bus);

/* Whether there is one on screen, or about to be; none is where nothing shows them. */
bool notifications_are_there(const struct notifications *n);

/* The bus must be detached. Takes NULL, returns NULL. */
struct notifications *notifications_free(struct notifications *n);
DEFINE_CLEANUP(struct notifications *, notifications_free)
