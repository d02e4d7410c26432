/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/lock.h"

#include <stddef.h>

const char *const key_source_names[] = {
	[KEY_SOURCE_NONE] = "none",
	[KEY_SOURCE_CREDENTIAL] = "credential",
	[KEY_SOURCE_SECRET_SERVICE] = "secret_service",
	[KEY_SOURCE_PASSPHRASE] = "passphrase",
	[KEY_SOURCE_FILE] = "file",
	NULL,
};

const char *const lock_reason_names[] = {
	[LOCK_PASSPHRASE] = "passphrase",
	[LOCK_ASKED] = "asked",
	[LOCK_KEYRING_LOCKED] = "keyring_locked",
	[LOCK_KEYRING_UNAVAILABLE] = "keyring_unavailable",
	[LOCK_KEY_MISSING] = "key_missing",
	[LOCK_KEY_UNREADABLE] = "key_unreadable",
	[LOCK_WRONG_KEY] = "wrong_key",
	[LOCK_REPAIR] = "repair",
	NULL,
};

const char *key_source_to_string(enum key_source s)
{
	return key_source_names[s];
}

const char *lock_reason_to_string(enum lock_reason r)
{
	return lock_reason_names[r];
}
