/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the layer's files share. */
#pragma once

#include "db/db.h"

struct sqlite3;

struct sqlite3 *db_handle(struct db *db);
