/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview/jpeg-strip.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Markers of ITU-T T.81, table B.1. */
enum {
	JPEG_TEM = 0x01,
	JPEG_RST0 = 0xd0,
	JPEG_RST7 = 0xd7,
	JPEG_SOI = 0xd8,
	JPEG_EOI = 0xd9,
	JPEG_SOS = 0xda,
	JPEG_APP0 = 0xe0,
	JPEG_APP2 = 0xe2,
	JPEG_APP14 = 0xee,
	JPEG_APP15 = 0xef,
	JPEG_COM = 0xfe,
};

/* A marker and the segment that it begins: the length's two bytes and what they count. */
struct segment {
	uint8_t marker;
	const uint8_t *bytes;
	size_t size;
};

static bool starts_with(const struct segment *s, const char *identifier, size_t n)
{
	return s->size >= 2 + n && memcmp(s->bytes + 2, identifier, n) == 0;
}

/* Colours depend on the profile (APP2) and on Adobe's transform (APP14). */
static bool is_needed(const struct segment *s)
{
	switch (s->marker) {
	case JPEG_APP2:
		return starts_with(s, "ICC_PROFILE", sizeof("ICC_PROFILE"));
	case JPEG_APP14:
		return starts_with(s, "Adobe", 5);
	case JPEG_COM:
		return false;
	}
	return s->marker < JPEG_APP0 || s->marker > JPEG_APP15;
}

static int append(struct buffer *to, const struct segment *s)
{
	const uint8_t marker[] = { 0xff, s->marker };
	int r = buffer_append(to, marker, sizeof(marker));

	return r < 0 ? r : buffer_append(to, s->bytes, s->size);
}

/*
 * JFIF's own segment says the pixels' shape; it may hold a thumbnail after that, which stays
 * behind.
 */
static int append_jfif(struct buffer *to, const struct segment *s)
{
	uint8_t bytes[16] = { 0, sizeof(bytes) };
	const struct segment jfif = { JPEG_APP0, bytes, sizeof(bytes) };

	if (!starts_with(s, "JFIF", 5) || s->size < sizeof(bytes))
		return 0;
	memcpy(bytes + 2, s->bytes + 2, 12);
	return append(to, &jfif);
}

/* What stands alone, without a segment. */
static bool is_bare(uint8_t marker)
{
	return marker <= JPEG_TEM || (marker >= JPEG_RST0 && marker <= JPEG_EOI);
}

/* Fill bytes may precede a marker. */
static int take_marker(const uint8_t **at, const uint8_t *end, uint8_t *ret)
{
	if (*at == end || **at != 0xff)
		return -EBADMSG;
	while (*at < end && **at == 0xff)
		(*at)++;
	if (*at == end)
		return -EBADMSG;
	*ret = *(*at)++;
	return 0;
}

static int take_segment(const uint8_t **at, const uint8_t *end, uint8_t marker, struct segment *ret)
{
	if (is_bare(marker) || end - *at < 2)
		return -EBADMSG;
	ret->marker = marker;
	ret->bytes = *at;
	ret->size = (size_t)(*at)[0] << 8 | (*at)[1];
	if (ret->size < 2 || ret->size > (size_t)(end - *at))
		return -EBADMSG;
	*at += ret->size;
	return 0;
}

/* To the marker that ends a scan: in its data 0xff is followed by 0 or a restart marker. */
static const uint8_t *skip_scan(const uint8_t *at, const uint8_t *end)
{
	for (;;) {
		at = at < end ? memchr(at, 0xff, (size_t)(end - at)) : NULL;
		if (!at || end - at < 2)
			return NULL;
		if (at[1] == 0xff)
			at++;
		else if (at[1] == 0 || (at[1] >= JPEG_RST0 && at[1] <= JPEG_RST7))
			at += 2;
		else
			return at;
	}
}

static int copy_scan(const uint8_t **at, const uint8_t *end, struct buffer *to)
{
	const uint8_t *next = skip_scan(*at, end);
	int r;

	if (!next)
		return -EBADMSG;
	r = buffer_append(to, *at, (size_t)(next - *at));
	*at = next;
	return r;
}

int jpeg_strip(const uint8_t *data, size_t size, struct buffer *to)
{
	static const uint8_t soi[] = { 0xff, JPEG_SOI }, eoi[] = { 0xff, JPEG_EOI };
	const uint8_t *at = data, *end = data + size;
	struct segment s;
	uint8_t marker;
	int r;

	if (size < 4 || memcmp(data, soi, sizeof(soi)) != 0)
		return -EBADMSG;
	r = buffer_append(to, soi, sizeof(soi));
	at += sizeof(soi);
	while (r == 0) {
		r = take_marker(&at, end, &marker);
		if (r == 0 && marker == JPEG_EOI)
			return buffer_append(to, eoi, sizeof(eoi));
		r = r < 0 ? r : take_segment(&at, end, marker, &s);
		if (r == 0 && s.marker == JPEG_APP0)
			r = append_jfif(to, &s);
		else if (r == 0 && is_needed(&s))
			r = append(to, &s);
		if (r == 0 && s.marker == JPEG_SOS)
			r = copy_scan(&at, end, to);
	}
	return r;
}
