/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the service manager is told: that the daemon answers, how things stand, and, while the loop
 * turns and the database works, that it is alive. Without a service manager all of it does nothing.
 */
#pragma once

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "db/barrier.h"
#include "repository/repository.h"
#include "store/store.h"

struct notifier;

struct notifier_options {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	struct repository *repository;
};

/*
 * Pointers are borrowed until notifier_free, which must come before repository_free. Tells nothing
 * yet.
 */
int notifier_new(const struct notifier_options *o, struct notifier **ret);

/* Takes NULL, returns NULL. */
struct notifier *notifier_free(struct notifier *n);
DEFINE_CLEANUP(struct notifier *, notifier_free)

/*
 * The sockets are served from the next turn of the loop on. When who waits there has been greeted,
 * the manager learns that the daemon is ready. From then on its status line says what `chatctl
 * status` says, and the watchdog is fed.
 */
void notifier_ready(struct notifier *n);

/* To be called after each commit: counts in the status line may have changed. */
void notifier_note_commit(struct notifier *n);

/* Before and after changed settings are read. */
void notifier_reloading(void);
void notifier_reloaded(void);

void notifier_stopping(void);

/* For the moment before the end of a daemon that cannot start. */
void notify_failed_start(const char *why);
