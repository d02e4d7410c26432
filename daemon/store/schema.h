/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of the two databases and the steps from each version to the next. */
#pragma once

#include "db/db.h"

extern const struct db_migration chat_migrations[];
extern const unsigned n_chat_migrations;
/* Opens or makes a database of messages, wherever it lies; as db_open(). */
int chat_db_open(const char *path, const struct db_key *key, unsigned cache_kib, struct db **ret);

extern const struct db_migration media_migrations[];
extern const unsigned n_media_migrations;
