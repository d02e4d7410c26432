/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The PATCH of a tus upload, piece by piece as its bytes come in.
 */
#pragma once

#include <stddef.h>

struct patch;

/* Takes bytes of the body. A failure is answered at the end. */
void patch_data(struct patch *patch, const void *data, size_t n);

/* The body is complete: checks, advances the upload and answers. The patch is gone then. */
void patch_end(struct patch *patch);

/*
 * The connection broke: keeps what came, unless a checksum over all of it was announced. The patch
 * is gone then.
 */
void patch_abort(struct patch *patch);
