/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A data key wrapped by a secret, in a file beside the databases. Another secret means another
 * wrapping, and never a change of the data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "db/key.h"

/* How the secret becomes the key of the wrapping. */
enum key_box_kind {
	KEY_BOX_PASSPHRASE, /* slowly, Argon2id: a person has thought of it */
	KEY_BOX_SECRET,     /* at once: it is random already */
	KEY_BOX_RECOVERY,   /* the same, and never taken for the one above */
};

#define KEY_BOX_ID_SIZE 33

/*
 * Wraps `key` into the file `path`, in place of what it held. `ret_id` (may be NULL) is this
 * wrapping's own name in hexadecimal digits. -ENOSPC, -EIO, -ENOMEM.
 */
int key_box_write(const char *path, enum key_box_kind kind, const void *secret, size_t size,
	const struct db_key *key, char ret_id[KEY_BOX_ID_SIZE]);

/*
 * Unwraps it. -ENOENT: there is no file; -EKEYREJECTED: the secret is not the one; -EUCLEAN: the
 * file is damaged, of another kind, or of a newer version.
 */
int key_box_read(const char *path, enum key_box_kind kind, const void *secret, size_t size,
	struct db_key **ret);

/* The name of the wrapping in the file, without unwrapping it. Errors as above. */
int key_box_id(const char *path, enum key_box_kind kind, char ret_id[KEY_BOX_ID_SIZE]);
