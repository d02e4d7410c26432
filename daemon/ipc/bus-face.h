/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API on the session's bus: the object and the name, and the clients that speak to it. A bus
 * that is not there, or goes away, is none of the daemon's troubles.
 */
#pragma once

#include <stdbool.h>

#include "ipc/api.h"

struct bus_face;

struct bus_face_options {
	struct api *api;     /* borrowed until bus_face_free */
	const char *address; /* of the bus */
	unsigned max_peers;
	bool yields; /* leaves the name to any other daemon that wants it */
};

/* -ENOMEM. */
int bus_face_new(const struct bus_face_options *o, struct bus_face **ret);

/* The session with the server has changed its state. */
void bus_face_on_connection(struct bus_face *f);

unsigned bus_face_count_peers(const struct bus_face *f);

/*
 * Gives the name up; `fn` comes once when all that was called by it has come, at once without a
 * bus.
 */
void bus_face_retire(struct bus_face *f, loop_fn fn, void *userdata);

/* Takes no more calls and writes what waits, at most until `timeout_ms` have passed. */
void bus_face_drain(struct bus_face *f, int timeout_ms);

/* Takes NULL, returns NULL. */
struct bus_face *bus_face_free(struct bus_face *f);
DEFINE_CLEANUP(struct bus_face *, bus_face_free)
