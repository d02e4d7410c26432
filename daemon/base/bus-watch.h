/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tells when the socket of a bus appears, by a watch on its directory.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct bus_watch;

/*
 * For a bus address, of which a path is needed: NULL when it has none, or when memory is short.
 * `fn` comes when the socket was made; also when its directory went away, which ends the watch.
 */
struct bus_watch *bus_watch_new(
	struct event_loop *loop, const char *address, loop_fn fn, void *userdata);

/* 0, or negative errno when the directory cannot be watched. */
int bus_watch_start(struct bus_watch *w);
void bus_watch_stop(struct bus_watch *w);
bool bus_watch_is_active(const struct bus_watch *w);

/* Takes NULL, returns NULL. */
struct bus_watch *bus_watch_free(struct bus_watch *w);
DEFINE_CLEANUP(struct bus_watch *, bus_watch_free)
