/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JPEGs whose metadata is taken out. What comes out is taken as it is by a second go. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "preview/jpeg-strip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buffer_clear) struct buffer once = { 0 }, twice = { 0 };

	if (jpeg_strip(data, size, &once) < 0)
		return 0;
	if (buffer_size(&once) > size ||
		jpeg_strip(buffer_bytes(&once), buffer_size(&once), &twice) < 0 ||
		buffer_size(&twice) != buffer_size(&once) ||
		memcmp(buffer_bytes(&twice), buffer_bytes(&once), buffer_size(&once)) != 0)
		abort();
	return 0;
}
