/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/write.h"

#define PATIENCE_US UINT64_C(900000000) /* for what takes its time */
#define STATUS_INTERVAL_US 1000000      /* between two status lines that only counts have changed */

struct notifier {
	struct notifier_options o;
	struct store *store; /* NULL: the account is locked, or not open yet */
	struct repository *repository;
	const struct lock_state *lock; /* while it is locked */
	struct loop_deferred ready;
	bool has_greeted, is_ready;

	char status[512];
	struct barrier_effect tell;
	struct loop_timer *tell_later;

	uint64_t watchdog_us; /* 0: nobody watches */
	bool is_patient;      /* whoever watches has been asked to wait */
	uint64_t looked_at_us;
	struct barrier_effect feed;
	struct loop_timer *look;
};

static const char *storage_words(struct store *s)
{
	int r = store_write_state(s);

	if (r == 0)
		return "";
	return r == -ENOSPC ? "; the disk is full" : "; the database cannot be written";
}

static void describe(struct notifier *n, char *to, size_t size)
{
	struct repository_status s;
	const char *error, *colon;
	int64_t unread;

	if (!n->store) {
		snprintf(to, size, "%s: %s", session_state_to_string(SESSION_LOCKED),
			n->lock ? n->lock->detail : "");
		return;
	}
	repository_get_status(n->repository, &s);
	error = s.connection.last_error ? s.connection.last_error : "";
	colon = *error ? ": " : "";
	if (!s.signed_in) {
		snprintf(to, size, "%s%s%s; not signed in, use 'chatctl login SERVER USER'%s",
			session_state_to_string(s.connection.state), colon, error,
			storage_words(n->store));
		return;
	}
	unread = store_unread_total(n->store);
	snprintf(to, size,
		"%s%s%s; @%s at %s; %" PRId64 " unread, %" PRId64 " pending, %" PRId64 " failed%s",
		session_state_to_string(s.connection.state), colon, error, s.user_id, s.server,
		unread, s.outbox_pending, s.outbox_failed, storage_words(n->store));
}

/* The server's words are in it, which must not become fields of their own. */
static void write_status(struct notifier *n, char *to, size_t size)
{
	describe(n, to, size);
	text_one_line(to);
}

static void tell_status(struct notifier *n)
{
	char status[sizeof(n->status)];

	write_status(n, status, sizeof(status));
	if (strcmp(status, n->status) == 0)
		return;
	strcpy(n->status, status);
	sd_notifyf(0, "STATUS=%s", n->status);
}

/* What is told is committed, or was undone. */
static void on_tell(void *userdata, int error)
{
	struct notifier *n = userdata;

	if (n->is_ready)
		tell_status(n);
}

static void on_tell_later(void *userdata)
{
	struct notifier *n = userdata;

	barrier_after_commit(n->o.barrier, &n->tell);
}

static void on_connection(void *userdata, const struct session_status *s)
{
	on_tell_later(userdata);
}

static const struct repository_observer observer = {
	.on_connection = on_connection,
};

void notifier_note_commit(struct notifier *n)
{
	if (n->is_ready && !loop_timer_is_running(n->tell_later))
		loop_timer_start_us(n->tell_later, STATUS_INTERVAL_US);
}

static void feed(struct notifier *n)
{
	sd_notify(0, "WATCHDOG=1");
}

/*
 * The end of a turn in which a write was tried. A full disk is no reason to start over: what is
 * there can be read, and a new process would find the disk as full.
 */
static void on_feed(void *userdata, int error)
{
	if (error == 0 || error == -ENOSPC)
		feed(userdata);
	else
		log_error("the database cannot be written: %s", strerror(-error));
}

/* Whether the database works, as far as reading tells; says so in the log if not. */
static bool look_at_database(struct notifier *n)
{
	int r = n->store ? store_probe(n->store) : 0;

	n->looked_at_us = clock_monotonic_us();
	loop_timer_start_us(n->look, n->watchdog_us / 2);
	if (r < 0)
		log_error("the database does not work any more: %s",
			r == -ESTALE ? "its file is gone" : strerror(-r));
	return r == 0;
}

static void on_look(void *userdata)
{
	struct notifier *n = userdata;

	if (!look_at_database(n))
		return;
	if (n->store && store_write_state(n->store) < 0)
		store_try_write(n->store);
	barrier_after_commit(n->o.barrier, &n->feed);
}

/* A daemon that is awake anyway feeds the watchdog in time, so that it need not wake up for it. */
static void on_turn_end(void *userdata)
{
	struct notifier *n = userdata;

	if ((n->store && store_write_state(n->store) < 0) ||
		clock_monotonic_us() - n->looked_at_us < n->watchdog_us / 4)
		return;
	if (look_at_database(n))
		feed(n);
}

/* Who waits at the sockets is let in by the first turn, and greeted at its end. */
static void on_ready(void *userdata)
{
	struct notifier *n = userdata;

	if (!n->has_greeted) {
		n->has_greeted = true;
		event_loop_defer(n->o.loop, &n->ready);
		return;
	}
	n->is_ready = true;
	write_status(n, n->status, sizeof(n->status));
	sd_notifyf(0, "READY=1\nSTATUS=%s", n->status);
	if (n->watchdog_us > 0) {
		event_loop_add_turn_end(n->o.loop, on_turn_end, n);
		on_look(n);
	}
}

void notifier_ready(struct notifier *n)
{
	event_loop_defer(n->o.loop, &n->ready);
}

void notifier_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
}

void notifier_reloaded(void)
{
	sd_notify(0, "READY=1");
}

void notifier_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

/* The watchdog's own time comes back with the account. */
void notifier_takes_time(struct notifier *n)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, PATIENCE_US);
	if (n->watchdog_us == 0)
		return;
	sd_notifyf(0, "WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, PATIENCE_US);
	n->is_patient = true;
}

void notify_failed_start(const char *why)
{
	char status[512];

	snprintf(status, sizeof(status), "%s", why);
	text_one_line(status);
	sd_notifyf(0, "STATUS=%s", status);
}

void notifier_open(struct notifier *n, struct store *store, struct repository *repository)
{
	n->store = store;
	n->repository = repository;
	n->lock = NULL;
	if (n->is_patient)
		sd_notifyf(0, "WATCHDOG_USEC=%" PRIu64, n->watchdog_us);
	n->is_patient = false;
	repository_add_observer(repository, &observer, n);
	on_tell_later(n);
}

void notifier_close(struct notifier *n, const struct lock_state *why)
{
	if (n->repository)
		repository_remove_observer(n->repository, n);
	n->store = NULL;
	n->repository = NULL;
	n->lock = why;
	on_tell_later(n);
}

int notifier_new(const struct notifier_options *o, struct notifier **ret)
{
	_cleanup_(notifier_freep) struct notifier *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->o = *o;
	n->ready = (struct loop_deferred){ .fn = on_ready, .userdata = n };
	n->tell = (struct barrier_effect){ .fn = on_tell, .userdata = n };
	n->feed = (struct barrier_effect){ .fn = on_feed, .userdata = n };
	n->tell_later = loop_timer_new(o->loop, on_tell_later, n);
	n->look = loop_timer_new(o->loop, on_look, n);
	if (!n->tell_later || !n->look)
		return -ENOMEM;
	if (sd_watchdog_enabled(0, &n->watchdog_us) <= 0)
		n->watchdog_us = 0;
	*ret = TAKE_PTR(n);
	return 0;
}

struct notifier *notifier_free(struct notifier *n)
{
	if (!n)
		return NULL;
	if (n->repository)
		repository_remove_observer(n->repository, n);
	event_loop_undefer(n->o.loop, &n->ready);
	event_loop_remove_turn_end(n->o.loop, n);
	barrier_forget(n->o.barrier, &n->tell);
	barrier_forget(n->o.barrier, &n->feed);
	loop_timer_free(n->tell_later);
	loop_timer_free(n->look);
	free(n);
	return NULL;
}
