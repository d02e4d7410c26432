/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine's sleep, as logind announces it on the system's bus. While a delay is held the
 * machine waits a moment, so that what has to be done before can be.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/bus-link.h"
#include "base/cleanup.h"
#include "repository/surroundings.h"

struct sleep_watch;

/* `told` (static) get `userdata`. NULL: memory is short. */
struct sleep_watch *sleep_watch_new(const struct surroundings *told, void *userdata);

/* There is a bus, which `link` carries, or, with NULL, none any more. Both are borrowed. */
void sleep_watch_attach(struct sleep_watch *s, struct bus_link *link, sd_bus *bus);

/* The bus must be detached. Takes NULL, returns NULL. */
struct sleep_watch *sleep_watch_free(struct sleep_watch *s);
DEFINE_CLEANUP(struct sleep_watch *, sleep_watch_free)
