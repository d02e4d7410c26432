/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the service manager is told: that the daemon answers, how things stand, and, while the loop
 * turns and the database works, that it is alive. Without a service manager all of it does nothing.
 */
#pragma once

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "db/barrier.h"
#include "model/lock.h"
#include "repository/repository.h"
#include "store/store.h"

struct notifier;

struct notifier_options {
	struct event_loop *loop;
	struct barrier *barrier;
};

/* Pointers are borrowed until notifier_free. Tells nothing yet. */
int notifier_new(const struct notifier_options *o, struct notifier **ret);

/* Takes NULL, returns NULL. */
struct notifier *notifier_free(struct notifier *n);
DEFINE_CLEANUP(struct notifier *, notifier_free)

/* The account is open: its state is told, and its database watched. Borrowed until -close. */
void notifier_open(struct notifier *n, struct store *store, struct repository *repository);

/* The account is locked, says `why` (borrowed until -open), and the two are about to go. */
void notifier_close(struct notifier *n, const struct lock_state *why);

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

/* What comes now may take minutes, during which nothing else is done. */
void notifier_takes_time(struct notifier *n);

/* For the moment before the end of a daemon that cannot start. */
void notify_failed_start(const char *why);
