/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/uuid.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"

static void format(const uint8_t b[16], char ret[UUID_STRING_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	char *out = ret;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[b[i] >> 4];
		*out++ = hex[b[i] & 15];
	}
	*out = '\0';
}

void uuid7_generate(char ret[UUID_STRING_SIZE])
{
	/*
	 * Milliseconds and, within one, a counter in the 12 bits that RFC 9562 (method 1) allows
	 * for it.
	 */
	static uint64_t last;
	uint64_t now = (uint64_t)clock_wall_ms() << 12;
	uint8_t b[16];

	randombytes_buf(b, sizeof(b));
	now |= (uint64_t)(b[6] & 0x07) << 8 | b[7];
	if (now <= last)
		now = last + 1;
	last = now;

	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(now >> (52 - 8 * i));
	b[6] = (uint8_t)(0x70 | ((now >> 8) & 0x0f));
	b[7] = (uint8_t)now;
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	format(b, ret);
}

void uuid4_generate(char ret[UUID_STRING_SIZE])
{
	uint8_t b[16];

	randombytes_buf(b, sizeof(b));
	b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	format(b, ret);
}

bool id_is_valid(const char *id)
{
	size_t n = strlen(id);

	if (n < 1 || n > 64)
		return false;
	for (size_t i = 0; i < n; i++)
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	return true;
}
