/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The account's data key: where it comes from, and its moves from one of these places to another,
 * which wrap it anew and touch no data. What is in the data directory beside the databases:
 *
 *   key.credential  the key, wrapped by a credential of the service manager's, chatd.key
 *   key.keyring     the key, wrapped by a secret that the Secret Service keeps
 *   key.wrapped     the key, wrapped by a passphrase
 *   key             the key itself, as a file that others cannot read
 *   key.recovery    the key, wrapped by the recovery key; no source, but a way back in
 *   key.check       tells the account's key from another one, and nothing else of it
 *
 * Of the first four the first that is there is the source.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "db/key.h"
#include "model/failure.h"
#include "model/lock.h"

struct keys;

struct keys_options {
	struct event_loop *loop;
	const char *data_dir;
	const char *account;         /* for people: the keyring shows it */
	const char *credentials_dir; /* of the service manager's; NULL: none */
	const char *bus_address;     /* of the session's bus; NULL: none */
};

/* Strings are copied. -ENOMEM. */
int keys_new(const struct keys_options *o, struct keys **ret);

/* Wipes the key; no callback comes any more. Takes NULL, returns NULL. */
struct keys *keys_free(struct keys *k);
DEFINE_CLEANUP(struct keys *, keys_free)

/* Called once; `failure` is NULL on success. Possibly before the function returns. */
typedef void (*keys_fn)(void *userdata, const struct failure *failure);

/*
 * Gets the key into memory. A new account's is made. `passphrase`: NULL where none is given.
 * `may_ask`: the Secret Service may open a window to be unlocked in.
 * Failures: LOCKED (why, says
 * keys_explain), DENIED (a wrong passphrase), BUSY, STORAGE_FULL.
 */
void keys_fetch(struct keys *k, const char *passphrase, bool may_ask, keys_fn fn, void *userdata);

/* The same by the recovery key. DENIED, NOT_FOUND: there is none. */
int keys_recover(struct keys *k, const char *recovery_key, struct failure *ret_failure);

/*
 * Moves the key, which is in memory, to another source; to the passphrase given, if that is the
 * source. Then it is there alone. Failures: UNSUPPORTED (there is no credential, no Secret
 * Service), STORAGE_FULL, BUSY.
 */
void keys_move(
	struct keys *k, enum key_source to, const char *passphrase, keys_fn fn, void *userdata);

#define KEYS_RECOVERY_SIZE 48

/* Makes a recovery key, which takes the place of an earlier one. The caller wipes it. */
int keys_make_recovery(struct keys *k, char ret[KEYS_RECOVERY_SIZE], struct failure *ret_failure);

/*
 * Copies what the key is wrapped in, and never a key file, into a directory beside a copy of the
 * databases; NULL: only tells whether there is anything that could open these. CONFLICT: no.
 */
int keys_copy(const struct keys *k, const char *directory, struct failure *ret_failure);

/* The key, borrowed until keys_forget; NULL when it is not in memory. */
const struct db_key *keys_get(const struct keys *k);

/* Wipes it, because somebody wants it so. */
void keys_forget(struct keys *k);

/* It has opened the databases: from now on it can be told from another one. */
void keys_confirm(struct keys *k);

/* True for a key that has opened the databases before: it is not a wrong one. */
bool keys_is_confirmed(const struct keys *k);

/* It does not open the databases. */
void keys_refuse(struct keys *k);

enum key_source keys_source(const struct keys *k);

/* Why there is no key, `locked` included. */
const struct lock_state *keys_explain(const struct keys *k);

/*
 * Told when the Secret Service, for which keys_fetch failed, may be asked with more success: it
 * has come, or was unlocked by somebody else.
 */
void keys_set_retry(struct keys *k, void (*fn)(void *userdata), void *userdata);
