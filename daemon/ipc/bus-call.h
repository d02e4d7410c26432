/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Methods of the API called over the bus: each a call whose answer is a message.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "ipc/call.h"

extern const struct call_ops bus_call_ops;

/*
 * Starts what a method call to one of our interfaces asks for, or answers that it cannot. The
 * queue was set up with bus_call_ops. -ENOMEM when nothing can be answered either.
 */
int bus_call_start(struct call_queue *q, sd_bus_message *m);

/* Answers a call with an error of the API; negative errno when that could not be sent. */
int bus_reply_error(sd_bus_message *m, const struct rpc_error *e);
