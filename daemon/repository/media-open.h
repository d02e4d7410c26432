/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/store.h"

/*
 * Stored bytes as a sealed, read-only memfd at offset 0, owned by the caller. Negative errno as the
 * store's.
 */
int media_open(struct store *s, const char *attachment_id, enum attachment_variant v, int *ret_fd,
	int64_t *ret_size);
