/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Locking and unlocking the account, and moving its key. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "manager-internal.h"
#include "store/write.h"

/* The key does not fit, as far as can be told: locked, and nothing was changed. */
static int open_or_lock(struct manager *m)
{
	int r = manager_open_account(m);

	if (r == -EKEYREJECTED && !keys_is_confirmed(m->keys)) {
		keys_refuse(m->keys);
		manager_close_account(m, keys_explain(m->keys));
		return 0;
	}
	return r;
}

/* One thing at a time; what follows ends in finish(). */
static bool begin(struct manager *m, repository_done_fn fn, void *userdata)
{
	struct failure f;

	if (m->done_fn) {
		failure_set(&f, FAILURE_BUSY, "the account's key is being dealt with already");
		fn(userdata, &f);
		return false;
	}
	m->done_fn = fn;
	m->done_userdata = userdata;
	return true;
}

static void finish(struct manager *m, const struct failure *f)
{
	repository_done_fn fn = m->done_fn;

	m->done_fn = NULL;
	fn(m->done_userdata, f);
}

/* With the key in memory, or with the reason why it is not. */
static void on_key(void *userdata, const struct failure *f)
{
	struct manager *m = userdata;
	struct failure failure;
	int r;

	if (f) {
		manager_close_account(m, keys_explain(m->keys));
		finish(m, f);
		return;
	}
	r = open_or_lock(m);
	if (r < 0) {
		keys_forget(m->keys);
		manager_close_account(m, keys_explain(m->keys));
		failure_set(&failure, r == -ENOSPC ? FAILURE_STORAGE_FULL : FAILURE_STORAGE_ERROR,
			"%s", manager_explain(m, r));
		finish(m, &failure);
	} else if (!m->store) {
		failure_set(&failure, FAILURE_LOCKED, "%s", keys_explain(m->keys)->detail);
		finish(m, &failure);
	} else {
		log_info("the account is unlocked");
		ipc_set_key_source(m->ipc, keys_source(m->keys));
		manager_start_account(m);
		finish(m, NULL);
	}
}

static void unlock(void *userdata, const char *passphrase, const char *recovery_key,
	repository_done_fn fn, void *fn_userdata)
{
	struct manager *m = userdata;
	struct failure f;
	int r;

	if (!begin(m, fn, fn_userdata))
		return;
	if (m->store) {
		finish(m, NULL);
	} else if (recovery_key) {
		r = keys_recover(m->keys, recovery_key, &f);
		on_key(m, r < 0 ? &f : NULL);
	} else {
		keys_fetch(m->keys, passphrase, true, on_key, m);
	}
}

/* Not in the midst of what a frontend's request may be doing. */
static void on_lock_later(void *userdata)
{
	struct manager *m = userdata;

	barrier_commit(m->barrier);
	keys_forget(m->keys);
	manager_close_account(m, keys_explain(m->keys));
	log_info("the account is locked");
	finish(m, NULL);
}

static void lock(void *userdata, repository_done_fn fn, void *fn_userdata)
{
	struct manager *m = userdata;

	if (!begin(m, fn, fn_userdata))
		return;
	if (!m->store) {
		finish(m, NULL);
		return;
	}
	m->lock_later = (struct loop_deferred){ .fn = on_lock_later, .userdata = m };
	event_loop_defer(m->loop, &m->lock_later);
}

/* Opens what is there now, and goes on as after an unlock. */
static int reopen(struct manager *m, const char *what)
{
	int r = open_or_lock(m);

	if (r < 0) {
		keys_forget(m->keys);
		manager_close_account(m, keys_explain(m->keys));
		log_error("%s: %s", what, manager_explain(m, r));
	} else if (m->store) {
		manager_start_account(m);
	}
	return r;
}

/* Signed out whatever the server says: only what is here counts. */
static void on_logout_later(void *userdata)
{
	static const char what[] = "the account cannot be signed out";
	const struct lock_state signed_out = {
		.locked = true,
		.reason = LOCK_ASKED,
		.since = clock_wall_ms(),
		.detail = "the account was signed out meanwhile",
	};
	struct manager *m = userdata;
	struct failure failure;
	int r;

	r = barrier_commit(m->barrier);
	r = r < 0 ? r : store_make_successor(m->store, m->config.data_dir);
	manager_close_account(m, &signed_out);
	r = r < 0 ? r : store_install_successor(m->config.data_dir);
	if (r < 0)
		log_error("%s: %s", what, strerror(-r));
	else
		log_info("signed out, and what was stored is removed");
	if (reopen(m, what) < 0 && r == 0)
		r = -EIO;
	if (r < 0)
		failure_set(&failure, r == -ENOSPC ? FAILURE_STORAGE_FULL : FAILURE_STORAGE_ERROR,
			"%s: %s", what, strerror(-r));
	finish(m, r < 0 ? &failure : NULL);
}

static void on_left(void *userdata, const struct failure *f)
{
	struct manager *m = userdata;

	if (f) {
		finish(m, f);
		return;
	}
	m->lock_later = (struct loop_deferred){ .fn = on_logout_later, .userdata = m };
	event_loop_defer(m->loop, &m->lock_later);
}

static void log_out(void *userdata, repository_done_fn fn, void *fn_userdata)
{
	struct manager *m = userdata;

	if (begin(m, fn, fn_userdata))
		account_take_leave(m->repository, on_left, m);
}

static void on_moved(void *userdata, const struct failure *f)
{
	struct manager *m = userdata;

	ipc_set_key_source(m->ipc, keys_source(m->keys));
	finish(m, f);
}

static void move_key(void *userdata, enum key_source to, const char *passphrase,
	repository_done_fn fn, void *fn_userdata)
{
	struct manager *m = userdata;

	if (begin(m, fn, fn_userdata))
		keys_move(m->keys, to, passphrase, on_moved, m);
}

static int copy_key(void *userdata, const char *directory, struct failure *f)
{
	const struct manager *m = userdata;

	return keys_copy(m->keys, directory, f);
}

static void make_recovery_key(void *userdata, repository_id_fn fn, void *fn_userdata)
{
	struct manager *m = userdata;
	char text[KEYS_RECOVERY_SIZE];
	struct failure f;

	if (keys_make_recovery(m->keys, text, &f) < 0)
		fn(fn_userdata, &f, NULL);
	else
		fn(fn_userdata, NULL, text);
	sodium_memzero(text, sizeof(text));
}

static void ignore(void *userdata, const struct failure *f)
{
}

/* Nobody has asked: the keyring was unlocked by somebody else, or has just come. */
static void on_retry(void *userdata)
{
	struct manager *m = userdata;

	if (m->store || m->done_fn)
		return;
	m->done_fn = ignore;
	keys_fetch(m->keys, NULL, false, on_key, m);
}

struct first_fetch {
	bool done;
	struct failure failure; /* with a detail, if it failed */
};

static void on_first_fetch(void *userdata, const struct failure *f)
{
	struct first_fetch *first = userdata;

	first->done = true;
	if (f)
		first->failure = *f;
}

int manager_unlock_at_start(struct manager *m)
{
	struct first_fetch first = { 0 };

	if (!m->keys)
		return manager_open_account(m);
	keys_fetch(m->keys, NULL, false, on_first_fetch, &first);
	while (!first.done)
		event_loop_turn(m->loop, true);
	keys_set_retry(m->keys, on_retry, m);
	if (keys_get(m->keys))
		return open_or_lock(m);
	if (first.failure.kind == FAILURE_LOCKED) {
		log_notice("the account is locked: %s", first.failure.detail);
		manager_close_account(m, keys_explain(m->keys));
		return 0;
	}
	snprintf(m->why_not, sizeof(m->why_not), "%s", first.failure.detail);
	return first.failure.kind == FAILURE_STORAGE_FULL ? -ENOSPC : -EIO;
}

const struct ipc_account_ops manager_account_ops = {
	.unlock = unlock,
	.lock = lock,
	.log_out = log_out,
	.move_key = move_key,
	.copy_key = copy_key,
	.make_recovery_key = make_recovery_key,
};
