/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Owns every module: builds the object graph and hands each module what it needs. */
#pragma once

#include "base/cleanup.h"
#include "settings.h"

struct manager;

/*
 * Opens the account's data, starts to listen and to connect. `c` is borrowed until manager_free.
 * Says in the log why it could not: -EINVAL, -EADDRINUSE, -EKEYREJECTED, -EUCLEAN and others.
 */
int manager_new(const struct config *c, struct manager **ret);

/* Serves until SIGTERM or SIGINT; returns the exit status. */
int manager_run(struct manager *m);

/* Says goodbye to the server and to the frontends. Takes NULL, returns NULL. */
struct manager *manager_free(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_free)
