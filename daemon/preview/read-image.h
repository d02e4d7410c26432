/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An image's bytes, for the helpers. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"

/*
 * Reads `fd` to its end into `to`; a file from its beginning. 0, -EFBIG above `max_bytes`, -ENOMEM,
 * or another negative errno.
 */
int read_image(int fd, int64_t max_bytes, struct buffer *to);
