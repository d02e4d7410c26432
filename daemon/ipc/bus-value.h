/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API's JSON as D-Bus has it, both ways.
 *
 *   JSON                     to D-Bus                        from D-Bus
 *   true, false              b                               b
 *   integer                  x                               y n q i u x t, up to 2^53
 *   other number             d                               d, finite
 *   string                   s                               s o g
 *   object                   a{sv}                           a{sX}, no name twice
 *   array                    as its schema says: as, ax,     aX
 *                            ab, aa{sv}; av without schema
 *   index of a descriptor    h                               h
 *   null                     the member is left out          -
 *
 * A variant stands for what is in it. Structs and dictionaries with other keys are refused, and so
 * is null in an array, for which D-Bus has nothing.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "base/json-fields.h"
#include "ipc/line-reader.h"
#include "ipc/rpc-error.h"
#include "ipc/schema.h"

/* Containers in each other, either way; D-Bus itself allows 64. */
#define BUS_DEPTH_MAX 16

/* Members of one object that comes in. */
#define BUS_MEMBERS_MAX 256

/*
 * Reads the next argument of a message, an a{sv}, into an owned object. Descriptors are duplicated
 * into `ret_fds` (owned; NULL when none came) and stand as their index there. Values and bytes are
 * limited as those of a line are. Negative errno with `ret_error` filled in.
 */
int bus_value_read(
	sd_bus_message *m, cJSON **ret, struct fd_list **ret_fds, struct rpc_error *ret_error);

/*
 * Appends an object as a{sv}. `schema` (NULL: none) is the object's; `fd` (borrowed; -1: none)
 * takes the place of the integer in its member "fd". `ret_bytes` (may be NULL): about how many
 * bytes it takes. -EINVAL: not an object, or something in it has no counterpart; -E2BIG: too deep;
 * -ENOMEM.
 */
int bus_value_append(sd_bus_message *m, const cJSON *object, const struct schema *schema, int fd,
	size_t *ret_bytes);
