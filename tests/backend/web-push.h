/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Encrypts messages of Web Push for a device: RFC 8291, one record of aes128gcm. Written apart from
 * the daemon's decryption, so that one checks the other.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WEB_PUSH_POINT 65
#define WEB_PUSH_SCALAR 32
#define WEB_PUSH_SALT 16
#define WEB_PUSH_HEADER (WEB_PUSH_SALT + 4 + 1 + WEB_PUSH_POINT)
#define WEB_PUSH_OVERHEAD (WEB_PUSH_HEADER + 1 + 16) /* what a message grows by, unpadded */

/* Of one message: the sender's pair of keys, and the salt. */
struct web_push_once {
	uint8_t scalar[WEB_PUSH_SCALAR], salt[WEB_PUSH_SALT];
};

/*
 * Encrypts `size` bytes, as they are, for the public key `point` and the secret `auth` of 16
 * bytes. What is encrypted ends with the delimiter and the padding, which are the caller's. `once`
 * NULL: made at random. `ret` takes WEB_PUSH_HEADER + size + 16 bytes. 0, -EINVAL (no such point),
 * -EIO.
 */
int web_push_seal(const uint8_t point[WEB_PUSH_POINT], const uint8_t auth[16],
	const struct web_push_once *once, const void *data, size_t size, uint8_t *ret);
