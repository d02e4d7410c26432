/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "keys-internal.h"

#define CREDENTIAL "chatd.key"
#define CREDENTIAL_MIN 16
#define CREDENTIAL_MAX 4096
#define CHECK_SIZE 16

#define CHECK_FILE "key.check"

static const char *const files[] = {
	[KEY_SOURCE_CREDENTIAL] = "key.credential",
	[KEY_SOURCE_SECRET_SERVICE] = "key.keyring",
	[KEY_SOURCE_PASSPHRASE] = "key.wrapped",
	[KEY_SOURCE_FILE] = "key",
};

int keys_path(const struct keys *k, const char *name, char ret[PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/%s", k->data_dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int keys_source_path(const struct keys *k, enum key_source source, char ret[PATH_MAX])
{
	return keys_path(k, files[source], ret);
}

static bool exists(const struct keys *k, const char *name)
{
	char path[PATH_MAX];

	return keys_path(k, name, path) == 0 && access(path, F_OK) == 0;
}

static enum key_source find_source(const struct keys *k)
{
	for (unsigned i = KEY_SOURCE_CREDENTIAL; i <= KEY_SOURCE_FILE; i++)
		if (exists(k, files[i]))
			return (enum key_source)i;
	return KEY_SOURCE_NONE;
}

int keys_lock(struct keys *k, struct failure *f, enum lock_reason reason, const char *format, ...)
{
	va_list ap;

	if (!k->lock.locked)
		k->lock.since = clock_wall_ms();
	k->lock.locked = true;
	k->lock.reason = reason;
	va_start(ap, format);
	vsnprintf(k->lock.detail, sizeof(k->lock.detail), format, ap);
	va_end(ap);
	return failure_set(f, FAILURE_LOCKED, "%s", k->lock.detail);
}

int keys_lock_for(struct keys *k, struct failure *f, int r, const char *what)
{
	switch (r) {
	case -ENOENT:
		return keys_lock(k, f, LOCK_KEY_MISSING, "%s is not there", what);
	case -EKEYREJECTED:
		return keys_lock(k, f, LOCK_WRONG_KEY, "%s is not the one of this account", what);
	case -EPERM:
		return keys_lock(k, f, LOCK_KEY_UNREADABLE,
			"%s can be read by others; make it private with chmod 600", what);
	case -EUCLEAN:
		return keys_lock(k, f, LOCK_KEY_UNREADABLE, "%s is damaged", what);
	default:
		return keys_lock(
			k, f, LOCK_KEY_UNREADABLE, "%s cannot be read: %s", what, strerror(-r));
	}
}

/* Tells the account's key from others. */
static void calculate_check(const struct db_key *key, char ret[2 * CHECK_SIZE + 2])
{
	static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "chatd check 1";
	uint8_t check[CHECK_SIZE];

	crypto_generichash_blake2b_salt_personal(
		check, sizeof(check), db_key_bytes(key), DB_KEY_SIZE, NULL, 0, NULL, personal);
	sodium_bin2hex(ret, 2 * CHECK_SIZE + 1, check, sizeof(check));
	strcat(ret, "\n");
}

static int read_check(const struct keys *k, char ret[2 * CHECK_SIZE + 2])
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = keys_path(k, CHECK_FILE, path);

	if (r == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || read(fd, ret, 2 * CHECK_SIZE + 1) != 2 * CHECK_SIZE + 1)
		return -ENOENT;
	ret[2 * CHECK_SIZE + 1] = '\0';
	return 0;
}

bool keys_is_confirmed(const struct keys *k)
{
	char is[2 * CHECK_SIZE + 2], should[2 * CHECK_SIZE + 2];

	if (!k->key || read_check(k, should) < 0)
		return false;
	calculate_check(k->key, is);
	return strcmp(is, should) == 0;
}

static int store_check(const struct keys *k)
{
	char check[2 * CHECK_SIZE + 2], path[PATH_MAX];
	int r = keys_path(k, CHECK_FILE, path);

	if (r < 0 || keys_is_confirmed(k))
		return r;
	calculate_check(k->key, check);
	return db_key_write_private(path, check, strlen(check), true);
}

void keys_confirm(struct keys *k)
{
	if (k->key && store_check(k) < 0)
		log_debug("the key's check cannot be stored");
}

int keys_adopt(struct keys *k, struct db_key *key, struct failure *f)
{
	char known[2 * CHECK_SIZE + 2];

	k->key = db_key_free(k->key);
	k->key = key;
	if (read_check(k, known) == 0 && !keys_is_confirmed(k)) {
		keys_refuse(k);
		return failure_set(f, FAILURE_LOCKED, "%s", k->lock.detail);
	}
	k->lock = (struct lock_state){ 0 };
	return 0;
}

void keys_refuse(struct keys *k)
{
	struct failure f;

	k->key = db_key_free(k->key);
	keys_lock(k, &f, LOCK_WRONG_KEY,
		"the key does not fit the database, or the database is damaged; nothing was "
		"changed");
}

/* The credential's bytes in memory that the caller frees with sodium_free. */
static int read_credential(const struct keys *k, uint8_t **ret, size_t *ret_size)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	uint8_t *bytes;
	ssize_t n;

	if (!k->credentials_dir)
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s/" CREDENTIAL, k->credentials_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bytes = sodium_malloc(CREDENTIAL_MAX);
	if (!bytes)
		return -ENOMEM;
	n = read(fd, bytes, CREDENTIAL_MAX);
	if (n < CREDENTIAL_MIN) {
		sodium_free(bytes);
		return n < 0 ? -EIO : -EUCLEAN;
	}
	*ret = bytes;
	*ret_size = (size_t)n;
	return 0;
}

static int fetch_from_credential(struct keys *k, struct failure *f)
{
	struct db_key *key = NULL;
	char path[PATH_MAX];
	uint8_t *secret = NULL;
	size_t size = 0;
	int r = read_credential(k, &secret, &size);

	if (r < 0)
		return keys_lock_for(k, f, r, "the credential " CREDENTIAL);
	r = keys_source_path(k, KEY_SOURCE_CREDENTIAL, path);
	r = r < 0 ? r : key_box_read(path, KEY_BOX_SECRET, secret, size, &key);
	sodium_free(secret);
	if (r == -EKEYREJECTED)
		return keys_lock_for(k, f, r, "the credential " CREDENTIAL);
	return r < 0 ? keys_lock_for(k, f, r, path) : keys_adopt(k, key, f);
}

static int fetch_by_passphrase(struct keys *k, const char *passphrase, struct failure *f)
{
	struct db_key *key = NULL;
	char path[PATH_MAX];
	int r = keys_source_path(k, KEY_SOURCE_PASSPHRASE, path);

	if (!passphrase)
		return keys_lock(k, f, LOCK_PASSPHRASE,
			"the account's passphrase is needed; use 'chatctl unlock'");
	r = r < 0 ? r
		  : key_box_read(path, KEY_BOX_PASSPHRASE, passphrase, strlen(passphrase), &key);
	if (r == -EKEYREJECTED)
		return failure_set(f, FAILURE_DENIED, "this is not the passphrase");
	return r < 0 ? keys_lock_for(k, f, r, path) : keys_adopt(k, key, f);
}

static int fetch_from_file(struct keys *k, struct failure *f)
{
	struct db_key *key = NULL;
	char path[PATH_MAX];
	int r = keys_source_path(k, KEY_SOURCE_FILE, path);

	r = r < 0 ? r : db_key_read_file(path, &key);
	return r < 0 ? keys_lock_for(k, f, r, path) : keys_adopt(k, key, f);
}

static int wrap(
	struct keys *k, enum key_source to, enum key_box_kind kind, const void *secret, size_t size)
{
	char path[PATH_MAX];
	int r = keys_source_path(k, to, path);

	return r < 0 ? r : key_box_write(path, kind, secret, size, k->key, NULL);
}

static int put_into_credential(struct keys *k)
{
	uint8_t *secret = NULL;
	size_t size = 0;
	int r = read_credential(k, &secret, &size);

	if (r < 0)
		return r;
	r = wrap(k, KEY_SOURCE_CREDENTIAL, KEY_BOX_SECRET, secret, size);
	sodium_free(secret);
	return r;
}

static int put_into_file(struct keys *k)
{
	char path[PATH_MAX];
	int r = keys_source_path(k, KEY_SOURCE_FILE, path);

	r = r < 0 ? r : db_key_write_file(path, k->key);
	return r == -EEXIST ? 0 : r;
}

void keys_leave_others(struct keys *k, enum key_source to)
{
	char path[PATH_MAX];

	for (unsigned i = KEY_SOURCE_CREDENTIAL; i <= KEY_SOURCE_FILE; i++)
		if (i != to && keys_source_path(k, i, path) == 0)
			unlink(path);
	k->source = to;
}

static int fail_put(struct failure *f, int r, enum key_source to)
{
	if (to == KEY_SOURCE_CREDENTIAL && r == -ENOENT)
		return failure_set(f, FAILURE_UNSUPPORTED,
			"the service manager gives the daemon no credential " CREDENTIAL);
	if (to == KEY_SOURCE_CREDENTIAL && r == -EUCLEAN)
		return failure_set(f, FAILURE_INVALID,
			"the credential " CREDENTIAL " has fewer than %d bytes", CREDENTIAL_MIN);
	return failure_from_errno(f, r);
}

static int put(struct keys *k, enum key_source to, const char *passphrase, struct failure *f)
{
	int r = -EOPNOTSUPP;

	switch (to) {
	case KEY_SOURCE_CREDENTIAL:
		r = put_into_credential(k);
		break;
	case KEY_SOURCE_PASSPHRASE:
		r = wrap(k, to, KEY_BOX_PASSPHRASE, passphrase, strlen(passphrase));
		break;
	case KEY_SOURCE_FILE:
		r = put_into_file(k);
		break;
	case KEY_SOURCE_SECRET_SERVICE: /* takes longer: see keyring_put */
	case KEY_SOURCE_NONE:
		break;
	}
	if (r < 0)
		return fail_put(f, r, to);
	keyring_note_old(k);
	keys_leave_others(k, to);
	keyring_drop_old(k);
	return 0;
}

/* The first run of an account makes its key. */
static int make_key(struct keys *k, struct failure *f)
{
	enum key_source to = KEY_SOURCE_FILE;
	int r;

	if (exists(k, "chat.db"))
		return keys_lock(
			k, f, LOCK_KEY_MISSING, "%s has a database and no key to it", k->data_dir);
	if (k->credentials_dir) {
		uint8_t *secret = NULL;
		size_t size;

		if (read_credential(k, &secret, &size) == 0) {
			sodium_free(secret);
			to = KEY_SOURCE_CREDENTIAL;
		}
	}
	r = path_make_directories(k->data_dir);
	if (r < 0)
		return failure_from_errno(f, r);
	k->key = db_key_generate();
	if (!k->key)
		return failure_from_errno(f, -ENOMEM);
	r = put(k, to, NULL, f);
	if (r < 0)
		k->key = db_key_free(k->key);
	return r;
}

static int fetch_now(struct keys *k, const char *passphrase, struct failure *f)
{
	switch (k->source) {
	case KEY_SOURCE_CREDENTIAL:
		return fetch_from_credential(k, f);
	case KEY_SOURCE_PASSPHRASE:
		return fetch_by_passphrase(k, passphrase, f);
	case KEY_SOURCE_FILE:
		return fetch_from_file(k, f);
	case KEY_SOURCE_NONE:
		return make_key(k, f);
	case KEY_SOURCE_SECRET_SERVICE:
		break;
	}
	return failure_from_errno(f, -EOPNOTSUPP);
}

void keys_fetch(struct keys *k, const char *passphrase, bool may_ask, keys_fn fn, void *userdata)
{
	struct failure f;
	int r;

	k->source = find_source(k);
	if (k->source == KEY_SOURCE_SECRET_SERVICE) {
		keyring_fetch(k, may_ask, fn, userdata);
		return;
	}
	r = fetch_now(k, passphrase, &f);
	fn(userdata, r < 0 ? &f : NULL);
}

void keys_move(
	struct keys *k, enum key_source to, const char *passphrase, keys_fn fn, void *userdata)
{
	struct failure f;
	int r;

	if (to == KEY_SOURCE_SECRET_SERVICE) {
		keyring_put(k, fn, userdata);
		return;
	}
	r = put(k, to, passphrase, &f);
	fn(userdata, r < 0 ? &f : NULL);
}

const struct db_key *keys_get(const struct keys *k)
{
	return k->key;
}

void keys_forget(struct keys *k)
{
	struct failure f;

	k->key = db_key_free(k->key);
	if (k->source == KEY_SOURCE_PASSPHRASE)
		fetch_by_passphrase(k, NULL, &f);
	else
		keys_lock(k, &f, LOCK_ASKED, "it was locked on request; use 'chatctl unlock'");
}

void keys_set_retry(struct keys *k, void (*fn)(void *userdata), void *userdata)
{
	k->retry_fn = fn;
	k->retry_userdata = userdata;
}

enum key_source keys_source(const struct keys *k)
{
	return k->source;
}

const struct lock_state *keys_explain(const struct keys *k)
{
	return &k->lock;
}

static int copy_file(const struct keys *k, const char *name, const char *directory)
{
	char from[PATH_MAX], to[PATH_MAX], bytes[512];
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r = keys_path(k, name, from);

	if (r < 0 || snprintf(to, sizeof(to), "%s/%s", directory, name) >= (int)sizeof(to))
		return -ENAMETOOLONG;
	fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, bytes, sizeof(bytes));
	return n < 0 ? -errno : db_key_write_private(to, bytes, (size_t)n, true);
}

/* It may be missing: it could not be stored when the key was confirmed. */
static int copy_check(const struct keys *k, const char *directory)
{
	int r = store_check(k);

	return r < 0 ? r : copy_file(k, CHECK_FILE, directory);
}

static void discard_copies(const char *const *names, size_t n, const char *directory)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < n; i++)
		if (snprintf(path, sizeof(path), "%s/%s", directory, names[i]) < (int)sizeof(path))
			unlink(path);
}

int keys_copy(const struct keys *k, const char *directory, struct failure *f)
{
	const char *const copied[] = { CHECK_FILE, files[KEY_SOURCE_CREDENTIAL],
		files[KEY_SOURCE_SECRET_SERVICE], files[KEY_SOURCE_PASSPHRASE],
		KEYS_RECOVERY_FILE };
	bool any = false;
	int r = 0;

	for (size_t i = 1; i < ARRAY_SIZE(copied); i++) {
		if (!exists(k, copied[i]))
			continue;
		any = true;
		if (directory && r == 0)
			r = copy_file(k, copied[i], directory);
	}
	if (!any)
		return failure_set(f, FAILURE_CONFLICT,
			"nothing could open the copy, since a key file is not copied; make a "
			"recovery key first ('chatctl key recovery')");
	if (directory && r == 0)
		r = copy_check(k, directory);
	if (directory && r < 0)
		discard_copies(copied, ARRAY_SIZE(copied), directory);
	return r < 0 ? failure_from_errno(f, r) : 0;
}

int keys_new(const struct keys_options *o, struct keys **ret)
{
	_cleanup_(keys_freep) struct keys *k = calloc(1, sizeof(*k));

	if (!k || !(k->data_dir = strdup(o->data_dir)))
		return -ENOMEM;
	if (o->credentials_dir && !(k->credentials_dir = strdup(o->credentials_dir)))
		return -ENOMEM;
	if (!(k->account = strdup(o->account)) ||
		(o->bus_address && !(k->bus_address = strdup(o->bus_address))))
		return -ENOMEM;
	k->loop = o->loop;
	*ret = TAKE_PTR(k);
	return 0;
}

struct keys *keys_free(struct keys *k)
{
	if (!k)
		return NULL;
	keyring_done(k);
	db_key_free(k->key);
	free(k->data_dir);
	free(k->account);
	free(k->bus_address);
	free(k->credentials_dir);
	free(k);
	return NULL;
}
