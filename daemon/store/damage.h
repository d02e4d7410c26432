/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of a damaged database: it is marked when damage is met, put aside under a dated name,
 * and followed by a new one. A kill at any moment leaves the old one in its place, or one of these
 * steps to be done again.
 */
#pragma once

#include "db/key.h"
#include "store/schema.h"

/* A database's name when it is put aside. */
#define DAMAGE_NAME_SIZE 64

/* A file beside the database says that damage was met: the next start looks. */
int damage_mark(const char *directory, const char *name);
bool damage_is_marked(const char *directory, const char *name);
void damage_unmark(const char *directory, const char *name);

/* Renames the database and its log; `ret` is its name then. -EEXIST, -ENAMETOOLONG, -EACCES, … */
int damage_put_aside(const char *directory, const char *name, char ret[DAMAGE_NAME_SIZE]);

/* The name of the new chat.db until the old one is put aside. */
#define DAMAGE_BUILT "chat.db.salvaged"

/*
 * Makes it, whole and on the disk when it is there, of what can be read of chat.db, which is left
 * as it is. -ENOSPC and others: nothing has changed.
 */
int damage_build(const char *directory, const struct db_key *key);
bool damage_is_built(const char *directory);

/*
 * Puts chat.db aside, under the name that the new one has of it (salvage.h), and that one into its
 * place; goes on where an earlier call was killed.
 */
int damage_swap(const char *directory, const char *aside);
