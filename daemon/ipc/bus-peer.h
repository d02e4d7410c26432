/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client on the bus, from its first call until it leaves. Whose user it is is asked of the bus
 * before anything is done for it. What it has not read of the changes it was sent is counted, as
 * the bus would take any amount of it: now and then it is sent a Ping, whose answer comes when it
 * has read what came before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <systemd/sd-bus.h>

#include "base/bus-link.h"
#include "ipc/api.h"
#include "ipc/call.h"
#include "ipc/limits.h"
#include "ipc/output.h"

/* Bytes of changes that a client may have unread. */
#define BUS_PEER_HIGH_WATER (256u * 1024u)

struct bus_peer;

struct bus_peer_options {
	struct api *api;
	struct bus_link *link;
	sd_bus *bus;
	const char *name; /* unique; copied */
	/* What an admitted client sends, in order. */
	void (*on_message)(void *userdata, struct bus_peer *p, sd_bus_message *m);
	/* It has left: free it. */
	void (*on_gone)(void *userdata, struct bus_peer *p);
	void *userdata;
};

enum bus_peer_state {
	BUS_PEER_ASKED, /* the bus, for whose it is */
	BUS_PEER_ADMITTED,
	BUS_PEER_DENIED,
	BUS_PEER_GONE,
};

struct bus_peer {
	struct call_queue calls; /* first */
	struct client client;
	struct bus_peer_options o;
	char *name;
	enum bus_peer_state state;
	sd_bus_slot *gone_slot, *user_slot, *ping_slot;
	sd_bus_message *waiting[BUS_REQUESTS_MAX]; /* for its admission */
	unsigned n_waiting;
	struct load unread; /* bytes of changes; descriptors of answers */
	struct load pinged; /* of these, what came before the ping that is under way */
	struct loop_deferred bury;
	TAILQ_ENTRY(bus_peer) entry; /* its owner's */
};

/* All of `o` but the name is borrowed. Negative errno. */
int bus_peer_new(const struct bus_peer_options *o, struct bus_peer **ret);

/* Requests under way go on without it. Takes NULL, returns NULL. */
struct bus_peer *bus_peer_free(struct bus_peer *p);
DEFINE_CLEANUP(struct bus_peer *, bus_peer_free)

/* Takes in a method call of this client. */
void bus_peer_take(struct bus_peer *p, sd_bus_message *m);

/* Whether it has been given so many descriptors that it takes these first. */
bool bus_peer_is_laden(const struct bus_peer *p);

/* Begins to find out whether it has read what it was sent, if that is much. */
void bus_peer_ask(struct bus_peer *p);

/* Sends a message; bus_peer_touch follows. */
void bus_peer_send(struct bus_peer *p, sd_bus_message *m);
void bus_peer_touch(struct bus_peer *p);

/*
 * Something that the client must have could not be sent: the connection to the bus is given up, so
 * that all see that they missed something.
 */
void bus_peer_fail(struct bus_peer *p, int error);
