/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API service over the project's own protocol (docs/protocol.md): a WebSocket session for what
 * is live, REST for the rest, tus for uploads.
 *
 * http:// servers are accepted on loopback addresses only; calls to any other end in a permanent
 * problem.
 */
#pragma once

#include "base/event-loop.h"
#include "service/service.h"

/* Strings are copied. */
struct native_options {
	const char *ca_file; /* PEM bundle in place of the system's roots; NULL: those */
	const char *client; /* name and version, as HELLO and User-Agent tell it: "chatd/1.0"; NULL:
			       "chatd" */
};

/* `loop` is borrowed. NULL when memory or descriptors are short. */
struct service *native_service_new(struct event_loop *loop, const struct native_options *o);

/* Connections made from now on trust these instead (NULL: the system's roots); copied. */
int native_service_set_ca_file(struct service *s, const char *ca_file);
