/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the account's key share. */
#pragma once

#include <limits.h>

#include "db/key-box.h"
#include "desktop/secret-service.h"
#include "keys.h"

#define KEYS_RECOVERY_FILE "key.recovery"

struct keys {
	struct event_loop *loop;
	char *data_dir, *account, *credentials_dir, *bus_address;
	enum key_source source;
	struct db_key *key;
	struct lock_state lock;
	void (*retry_fn)(void *userdata);
	void *retry_userdata;

	/* What waits for the Secret Service, if anything does: fn is set. */
	struct secret_service *service;
	struct loop_deferred rest; /* lets it go when nothing waits for it any more */
	char id[KEY_BOX_ID_SIZE];
	char old_id[KEY_BOX_ID_SIZE]; /* of what it need not keep any more; "" */
	uint8_t *secret;              /* that is being stored, in guarded memory */
	keys_fn fn;
	void *userdata;
};

/* The path of a file of the key's. -ENAMETOOLONG. */
int keys_path(const struct keys *k, const char *name, char ret[PATH_MAX]);
int keys_source_path(const struct keys *k, enum key_source source, char ret[PATH_MAX]);

/* There is no key, for this reason; fills the failure that goes with it and returns its errno. */
int keys_lock(struct keys *k, struct failure *f, enum lock_reason reason, const char *format, ...)
	_printf_(4, 5);

/* The same for what an errno says of `what`. */
int keys_lock_for(struct keys *k, struct failure *f, int error, const char *what);

/* A key has been found; taken. One that is known to be another account's is none. */
int keys_adopt(struct keys *k, struct db_key *key, struct failure *f);

/* The key is at `to`, on the disk: the other sources go. */
void keys_leave_others(struct keys *k, enum key_source to);

/* The Secret Service's part of keys_fetch and keys_move; end in `fn`. */
void keyring_fetch(struct keys *k, bool may_ask, keys_fn fn, void *userdata);
void keyring_put(struct keys *k, keys_fn fn, void *userdata);

/* It need not keep what the wrapping in key.keyring, which is about to go, was made with. */
void keyring_note_old(struct keys *k);
void keyring_drop_old(struct keys *k);

void keyring_done(struct keys *k);
