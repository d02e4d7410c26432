/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The data key that opens an account's databases, and the key file, the simplest of the places it
 * can come from.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct db_key;

#define DB_KEY_SIZE 32

/*
 * A key of DB_KEY_SIZE bytes in guarded memory that is never swapped or dumped; the argument is
 * copied.
 */
struct db_key *db_key_new(const uint8_t bytes[DB_KEY_SIZE]);

/* One of random bytes. NULL when memory is short. */
struct db_key *db_key_generate(void);

/* Wipes it. Takes NULL, returns NULL. */
struct db_key *db_key_free(struct db_key *k);
DEFINE_CLEANUP(struct db_key *, db_key_free)

/* Its DB_KEY_SIZE bytes, borrowed. */
const uint8_t *db_key_bytes(const struct db_key *k);

/*
 * The key kept in the file `path`, mode 0600. -ENOENT when the file is not there; -EPERM when
 * others may read it; -EUCLEAN when it does not hold a key.
 */
int db_key_read_file(const char *path, struct db_key **ret);

/* Writes the key to a file that is not there yet. -EEXIST. On the disk when it returns. */
int db_key_write_file(const char *path, const struct db_key *k);

/*
 * Makes `path` hold these bytes, mode 0600: whole, on the disk when it returns, or as it was
 * before. -EEXIST: it is there, and must not be (`replaces` is false). -ENOSPC, -EIO.
 */
int db_key_write_private(const char *path, const void *bytes, size_t size, bool replaces);

/* The same with what is in another such file, which goes. */
int db_key_move_private(const char *from, const char *to);

/*
 * The form in which SQLCipher takes a raw key, so that nothing is derived at open: x'hex'. The
 * caller wipes it.
 */
#define DB_KEY_LITERAL_SIZE (2 * DB_KEY_SIZE + 4)
void db_key_literal(const struct db_key *k, char ret[DB_KEY_LITERAL_SIZE]);
