/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identifiers made by this client: UUIDs of version 7 (RFC 9562), which sort by the time they were
 * made.
 */
#pragma once

#include <stdbool.h>

#define UUID_STRING_SIZE 37

/*
 * Writes a new version 7 UUID, lower case with hyphens. Two made one after the other sort in that
 * order.
 */
void uuid7_generate(char ret[UUID_STRING_SIZE]);

/* Writes a new version 4 UUID: nothing but randomness, for tokens and instance ids. */
void uuid4_generate(char ret[UUID_STRING_SIZE]);

/*
 * True for an opaque id as the protocols allow it: 1 to 64 printable ASCII characters without
 * space.
 */
bool id_is_valid(const char *id);
