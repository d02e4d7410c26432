/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of the two databases and the steps from each version to the next. */
#pragma once

#include "db/db.h"

extern const struct db_migration chat_migrations[];
extern const unsigned n_chat_migrations;
extern const struct db_migration media_migrations[];
extern const unsigned n_media_migrations;
