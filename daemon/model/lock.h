/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Where the key of an account's databases comes from; of several, the first counts. */
enum key_source {
	KEY_SOURCE_NONE, /* a trial without a disk, or nothing is known yet */
	KEY_SOURCE_CREDENTIAL,
	KEY_SOURCE_SECRET_SERVICE,
	KEY_SOURCE_PASSPHRASE,
	KEY_SOURCE_FILE,
};

/* Why an account is locked: its databases are closed, and their key is not in memory. */
enum lock_reason {
	LOCK_PASSPHRASE,          /* nobody has given it yet */
	LOCK_ASKED,               /* somebody wanted it so */
	LOCK_KEYRING_LOCKED,      /* the Secret Service has the key, and is locked itself */
	LOCK_KEYRING_UNAVAILABLE, /* no Secret Service answers */
	LOCK_KEY_MISSING,         /* where the key should be is none of this account */
	LOCK_KEY_UNREADABLE,      /* what holds it cannot be read, or is damaged */
	LOCK_WRONG_KEY,           /* it does not open the databases */
	LOCK_REPAIR,              /* a damaged database is put right, and opened again */
};

/* By the enums' numbers, NULL-terminated. */
extern const char *const key_source_names[];
extern const char *const lock_reason_names[];

const char *key_source_to_string(enum key_source s);
const char *lock_reason_to_string(enum lock_reason r);

struct lock_state {
	bool locked; /* the rest is of no meaning if not */
	enum lock_reason reason;
	int64_t since;    /* ms since 1970 */
	char detail[160]; /* for people: what is to be done */
};
