/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be read of a damaged chat.db, carried over into a new one. Unsent messages come first.
 * Rows that refer to what is lost are put right, or go: what the server has is fetched again, since
 * each chat's run of history ends where the first message is missing.
 */
#pragma once

#include "db/db.h"
#include "db/rescue.h"

/* The kind of the tombstone that a new database begins with; no change of an API's topic. */
#define TOMBSTONE_SALVAGED 31

/*
 * Fills `to`, which has the schema and no rows, in one transaction, and leaves a tombstone with the
 * newest change number, which is above all that the old database can have given: its id is `aside`,
 * the old one's name to be, and its chat_id the number of unsent messages that are known to be
 * lost. `from`: NULL when nothing of it can be read. -ENOSPC, -EIO, -ENOMEM; nothing is committed
 * then.
 */
int salvage_rows(struct db_rescue *from, struct db *to, const char *aside);
