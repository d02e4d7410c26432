/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connection to a message bus on the loop, which comes back when the bus does. Nothing is polled
 * for: while there is no bus, the directory of its socket is watched. Backoff serves what cannot be
 * watched, and a bus that is there and refuses.
 */
#pragma once

#include <stdint.h>

#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct bus_link;

struct bus_link_ops {
	/* There is a connection, and the bus has given it a name. Borrowed until `down`. */
	void (*up)(void *userdata, sd_bus *bus);
	/* That connection is lost, why says `error`. Slots and messages of it must be released. */
	void (*down)(void *userdata, int error);
	/* Messages had to wait to be written, and none waits any more. May be NULL. */
	void (*written)(void *userdata);
};

/* The address of the session's bus, owned; NULL when nothing names one or memory is short. */
char *bus_address_session(void);

/* The same of the system's bus. */
char *bus_address_system(void);

/*
 * Begins to connect to `address`, at the end of this turn. `seed` is of the backoff's jitter, `ops`
 * static. -ENOMEM.
 */
int bus_link_new(struct event_loop *loop, const char *address, uint64_t seed,
	const struct bus_link_ops *ops, void *userdata, struct bus_link **ret);

/*
 * Comes after calls that sent something or began to wait for an answer, unless they were made by a
 * handler of the bus: sd-bus may then want other events or another timeout.
 */
void bus_link_touch(struct bus_link *l);

/*
 * Has `fn` called with NameOwnerChanged signals of `name`, as sd_bus_add_match_async does. What is
 * there already is not told.
 */
int bus_match_owner(sd_bus *bus, sd_bus_slot **slot, const char *name, sd_bus_message_handler_t fn,
	void *userdata);

/* Gives the present connection up, at the end of this turn; `down` follows, then another try. */
void bus_link_fail(struct bus_link *l, int error);

/* Writes what waits, for at most `timeout_ms`. What arrives meanwhile reaches its handlers. */
void bus_link_drain(struct bus_link *l, int timeout_ms);

/* `down` comes first when there is a connection. Takes NULL, returns NULL. */
struct bus_link *bus_link_free(struct bus_link *l);
DEFINE_CLEANUP(struct bus_link *, bus_link_free)
