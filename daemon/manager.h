/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Owns every module: builds the object graph and hands each module what it needs. */
#pragma once

#include "base/cleanup.h"
#include "settings.h"

struct manager;

/*
 * Reads the settings, opens the account's data, starts to listen and to connect. `given` is what
 * the command line says, borrowed until manager_free. Says in the log why it could not: -EINVAL
 * (settings), -EADDRINUSE, -EKEYREJECTED, -EUCLEAN and others.
 */
int manager_new(const struct config *given, struct manager **ret);

/* Serves until SIGTERM or SIGINT, reads the settings again at SIGHUP; returns the exit status. */
int manager_run(struct manager *m);

/* Says goodbye to the server and to the frontends. Takes NULL, returns NULL. */
struct manager *manager_free(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_free)
