/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether there is a network and whether it costs, as NetworkManager has it on the system's bus.
 * Without NetworkManager, or when it does not know, there is one that costs nothing.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/bus-link.h"
#include "base/cleanup.h"
#include "repository/surroundings.h"

struct network;

/* `told` (static) get `userdata`. NULL: memory is short. */
struct network *network_new(const struct surroundings *told, void *userdata);

/* There is a bus, which `link` carries, or, with NULL, none any more. Both are borrowed. */
void network_attach(struct network *n, struct bus_link *link, sd_bus *bus);

/* The bus must be detached. Takes NULL, returns NULL. */
struct network *network_free(struct network *n);
DEFINE_CLEANUP(struct network *, network_free)
