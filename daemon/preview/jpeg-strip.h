/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Appends to `to` the JPEG in `data` without what is not needed to show its pixels in their
 * colours: Exif, XMP, IPTC, comments, thumbnails, and whatever follows its end all go. 0; -EBADMSG
 * when it is not a whole JPEG; -ENOMEM. The contents of `to` are undefined after a failure.
 */
int jpeg_strip(const uint8_t *data, size_t size, struct buffer *to);
