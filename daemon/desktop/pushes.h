/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pushes over UnifiedPush: a connector on the session's bus, and the registration with one of the
 * distributors that are there or that the bus could start. Both versions of the interfaces.
 */
#pragma once

#include <stdint.h>

#include <systemd/sd-bus.h>

#include "base/bus-link.h"
#include "base/cleanup.h"
#include "base/event-loop.h"
#include "repository/push-link.h"

struct pushes;

struct pushes_options {
	struct event_loop *loop;
	const char *name; /* on the bus; distributors start the program by it */
	uint64_t seed;    /* of the jitter */
	const struct push_events *events;
	void *userdata; /* these get it */
};

/* What subscribes; `userdata` is a struct pushes. */
extern const struct push_connector pushes_connector;

/* Pointers are borrowed until pushes_free, the table is static; the name is copied. -ENOMEM. */
int pushes_new(const struct pushes_options *o, struct pushes **ret);

/* There is a bus, which `link` carries, or, with NULL, none any more. Both are borrowed. */
void pushes_attach(struct pushes *p, struct bus_link *link, sd_bus *bus);

/*
 * Gives the name up; `fn` comes once when all pushes that were on their way have come, at once
 * without a bus.
 */
void pushes_retire(struct pushes *p, loop_fn fn, void *userdata);

/* The bus must be detached. Takes NULL, returns NULL. */
struct pushes *pushes_free(struct pushes *p);
DEFINE_CLEANUP(struct pushes *, pushes_free)
