/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The desktop's keyring as the key's source: it keeps a random secret, and the key is wrapped by
 * that in a file. So who has one of the two has nothing.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "keys-internal.h"

#define SECRET_SIZE 32
#define NEXT_FILE "key.next" /* a wrapping whose secret is on its way into the keyring */

static void finish(struct keys *k, const struct failure *f)
{
	keys_fn fn = k->fn;

	k->fn = NULL;
	sodium_free(k->secret);
	k->secret = NULL;
	if (k->old_id[0])
		keyring_drop_old(k);
	else
		event_loop_defer(k->loop, &k->rest);
	fn(k->userdata, f);
}

/* While it is the reason for being locked, what happens to it is of interest. */
static bool is_awaited(const struct keys *k)
{
	return k->lock.locked &&
		(k->lock.reason == LOCK_KEYRING_LOCKED ||
			k->lock.reason == LOCK_KEYRING_UNAVAILABLE);
}

static void on_rest(void *userdata)
{
	struct keys *k = userdata;

	if (!k->fn && !is_awaited(k))
		k->service = secret_service_free(k->service);
}

static void on_watch(void *userdata)
{
	struct keys *k = userdata;

	if (!k->fn && is_awaited(k) && k->retry_fn)
		k->retry_fn(k->retry_userdata);
}

static int open_service(struct keys *k)
{
	uint64_t seed;
	int r;

	k->rest = (struct loop_deferred){ .fn = on_rest, .userdata = k };
	if (k->service)
		return 0;
	if (!k->bus_address)
		return -EHOSTUNREACH;
	randombytes_buf(&seed, sizeof(seed));
	r = secret_service_new(k->loop, k->bus_address, seed, &k->service);
	if (r == 0)
		secret_service_watch(k->service, on_watch, k);
	return r;
}

static int lock_for(struct keys *k, struct failure *f, int error)
{
	switch (error) {
	case -EACCES:
		return keys_lock(k, f, LOCK_KEYRING_LOCKED,
			"the desktop's keyring is locked; 'chatctl unlock' opens its window");
	case -ENOENT:
		return keys_lock(
			k, f, LOCK_KEY_MISSING, "the desktop's keyring has no key of this account");
	default:
		return keys_lock(k, f, LOCK_KEYRING_UNAVAILABLE,
			"no keyring (org.freedesktop.secrets) answers on the session's bus");
	}
}

static void on_fetched(void *userdata, int error, const void *secret, size_t size)
{
	struct keys *k = userdata;
	struct db_key *key = NULL;
	char path[PATH_MAX];
	struct failure f;
	int r;

	if (error < 0) {
		lock_for(k, &f, error);
		finish(k, &f);
		return;
	}
	r = keys_source_path(k, KEY_SOURCE_SECRET_SERVICE, path);
	r = r < 0 ? r : key_box_read(path, KEY_BOX_SECRET, secret, size, &key);
	r = r < 0 ? keys_lock_for(k, &f, r, path) : keys_adopt(k, key, &f);
	finish(k, r < 0 ? &f : NULL);
}

void keyring_fetch(struct keys *k, bool may_ask, keys_fn fn, void *userdata)
{
	char path[PATH_MAX];
	struct failure f;
	int r = keys_source_path(k, KEY_SOURCE_SECRET_SERVICE, path);

	r = r < 0 ? r : key_box_id(path, KEY_BOX_SECRET, k->id);
	if (r < 0) {
		keys_lock_for(k, &f, r, path);
	} else if ((r = open_service(k)) < 0) {
		lock_for(k, &f, r);
	} else {
		k->fn = fn;
		k->userdata = userdata;
		secret_service_lookup(k->service, k->id, may_ask, on_fetched, k);
		return;
	}
	fn(userdata, &f);
}

static void fail_put(struct keys *k, int error)
{
	char path[PATH_MAX];
	struct failure f;

	if (keys_path(k, NEXT_FILE, path) == 0)
		unlink(path);
	switch (error) {
	case -EACCES:
		failure_set(&f, FAILURE_DENIED, "the desktop's keyring was not unlocked");
		break;
	case -ENOENT:
		failure_set(&f, FAILURE_UNSUPPORTED, "the desktop's keyring keeps nothing");
		break;
	case -EHOSTUNREACH:
	case -EPROTO:
		failure_set(&f, FAILURE_UNSUPPORTED,
			"no keyring (org.freedesktop.secrets) answers on the session's bus");
		break;
	default:
		failure_from_errno(&f, error);
	}
	finish(k, &f);
}

/* What was stored comes back: only now is it relied upon. */
static void on_read_back(void *userdata, int error, const void *secret, size_t size)
{
	struct keys *k = userdata;
	char from[PATH_MAX], to[PATH_MAX];
	int r = error;

	if (r == 0 && (size != SECRET_SIZE || sodium_memcmp(secret, k->secret, size) != 0))
		r = -EPROTO;
	r = r < 0 ? r : keys_path(k, NEXT_FILE, from);
	r = r < 0 ? r : keys_source_path(k, KEY_SOURCE_SECRET_SERVICE, to);
	if (r == 0) {
		keyring_note_old(k);
		r = db_key_move_private(from, to);
	}
	if (r < 0) {
		k->old_id[0] = '\0';
		fail_put(k, r);
		return;
	}
	keys_leave_others(k, KEY_SOURCE_SECRET_SERVICE);
	finish(k, NULL);
}

static void on_stored(void *userdata, int error, const void *secret, size_t size)
{
	struct keys *k = userdata;

	if (error < 0)
		fail_put(k, error);
	else
		secret_service_lookup(k->service, k->id, false, on_read_back, k);
}

static int wrap(struct keys *k)
{
	char path[PATH_MAX];
	int r = keys_path(k, NEXT_FILE, path);

	if (r < 0)
		return r;
	k->secret = sodium_malloc(SECRET_SIZE);
	if (!k->secret)
		return -ENOMEM;
	randombytes_buf(k->secret, SECRET_SIZE);
	return key_box_write(path, KEY_BOX_SECRET, k->secret, SECRET_SIZE, k->key, k->id);
}

void keyring_put(struct keys *k, keys_fn fn, void *userdata)
{
	char label[80];
	int r = open_service(k);

	k->fn = fn;
	k->userdata = userdata;
	r = r < 0 ? r : wrap(k);
	if (r < 0) {
		fail_put(k, r);
		return;
	}
	snprintf(label, sizeof(label), "chatd: account %.60s", k->account);
	secret_service_store(k->service, k->id, label, k->secret, SECRET_SIZE, on_stored, k);
}

void keyring_note_old(struct keys *k)
{
	char path[PATH_MAX];

	k->old_id[0] = '\0';
	if (keys_source_path(k, KEY_SOURCE_SECRET_SERVICE, path) == 0)
		key_box_id(path, KEY_BOX_SECRET, k->old_id);
}

static void on_dropped(void *userdata, int error, const void *secret, size_t size)
{
	struct keys *k = userdata;

	if (error < 0)
		log_notice("the desktop's keyring keeps a secret that nothing needs any more");
	event_loop_defer(k->loop, &k->rest);
}

/* Nobody waits for this. */
void keyring_drop_old(struct keys *k)
{
	if (!k->old_id[0] || open_service(k) < 0)
		return;
	secret_service_remove(k->service, k->old_id, on_dropped, k);
	k->old_id[0] = '\0';
}

void keyring_done(struct keys *k)
{
	if (k->rest.fn)
		event_loop_undefer(k->loop, &k->rest);
	k->service = secret_service_free(k->service);
	sodium_free(k->secret);
	k->secret = NULL;
}
