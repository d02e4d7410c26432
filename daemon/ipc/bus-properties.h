/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The properties of the bus' object: what they are as of the last commit, told to the bus when they
 * change, at most 10 times a second.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "ipc/api.h"

struct bus_properties;

/* `api` is borrowed. NULL when memory is short. */
struct bus_properties *bus_properties_new(struct api *api);

/* From now on changes are told to `bus` (borrowed); NULL: to nobody. */
void bus_properties_attach(struct bus_properties *p, sd_bus *bus);

/* The session with the server has changed its state. */
void bus_properties_refresh(struct bus_properties *p);

/*
 * Carries out a call to org.freedesktop.DBus.Properties. Negative errno when it could not be
 * answered.
 */
int bus_properties_call(struct bus_properties *p, sd_bus_message *m);

/* Takes NULL, returns NULL. */
struct bus_properties *bus_properties_free(struct bus_properties *p);
DEFINE_CLEANUP(struct bus_properties *, bus_properties_free)
