/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the manager's files share. */
#pragma once

#include "base/event-loop.h"
#include "db/barrier.h"
#include "desktop/desktop.h"
#include "ipc/ipc.h"
#include "keys.h"
#include "manager.h"
#include "notify.h"
#include "repository/repository.h"
#include "service/service.h"
#include "store/store.h"

struct manager {
	const struct config *given;
	struct config config;
	struct event_loop *loop;
	struct loop_signal *sigterm, *sigint, *sighup;
	struct barrier *barrier;
	struct loop_timer *idle;
	struct loop_timer *linger; /* before it ends; NULL: it does not end by itself */
	uint64_t started_us;
	bool is_ending;
	struct notifier *notifier;
	struct ipc *ipc;
	struct keys *keys; /* NULL: a trial, which has none */
	char sqlcipher_version[32];
	struct ipc_version versions[4];

	/* There while the account is open. */
	struct store *store;
	struct service *service;
	struct repository *repository;
	struct desktop *desktop;
	void (*slept)(void *userdata); /* to be told when the machine may sleep */
	void *slept_userdata;
	struct loop_deferred damage_later;
	struct lock_state repair; /* while a damaged database is put right */
	bool is_salvaging, met_damage;
	char why_not[256]; /* it could not be opened, where an errno does not say it */

	/* What a frontend has asked for, while it is being done. */
	repository_done_fn done_fn;
	void *done_userdata;
	struct loop_deferred lock_later;
};

/* Opens the databases with the key in memory, and what works on them. Undone on failure. */
int manager_open_account(struct manager *m);

/* The part of that which speaks to the desktop and follows the machine; freed with desktop_free. */
int manager_open_desktop(struct manager *m);

/* Ends the session and closes the databases; says why to whoever wants to know. */
void manager_close_account(struct manager *m, const struct lock_state *why);

/* Only that: nobody is told. The API and the notifier have let go of it. */
void manager_free_account(struct manager *m);

/* Begins to connect, where there is an account that is signed in. */
void manager_start_account(struct manager *m);

/* For people: why the account's data could not be opened. */
const char *manager_explain(const struct manager *m, int error);

/*
 * The account's key is fetched and the account opened, or locked. Negative errno when neither can
 * be done. Before the API is served.
 */
int manager_unlock_at_start(struct manager *m);

/*
 * Ends the loop when there has been nothing to do for a while, if the daemon would be started
 * again. -ENOMEM.
 */
int manager_watch_idleness(struct manager *m);
void manager_forget_idleness(struct manager *m);

extern const struct ipc_account_ops manager_account_ops;
