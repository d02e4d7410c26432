/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of Web Push as they reach a device: RFC 8291, one record of aes128gcm (RFC 8188). Pure:
 * no bus, no network.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WEB_PUSH_MAX 4096 /* bytes of an encrypted message; RFC 8030 asks nobody for more */

#define WEB_PUSH_PRIVATE_SIZE 32
#define WEB_PUSH_PUBLIC_SIZE 65 /* an uncompressed point of P-256 */
#define WEB_PUSH_AUTH_SIZE 16

/* Those of one subscription. The public key and `auth` are for the server. */
struct web_push_keys {
	uint8_t private_key[WEB_PUSH_PRIVATE_SIZE];
	uint8_t public_key[WEB_PUSH_PUBLIC_SIZE];
	uint8_t auth[WEB_PUSH_AUTH_SIZE];
};

/* New ones. -EIO: the library fails. */
int web_push_keys_generate(struct web_push_keys *ret);

/*
 * Writes what is in the message, without padding: fewer bytes than `size`. -EMSGSIZE: it is too
 * long; -EBADMSG: it is none, or none for these keys; -EINVAL: the keys are none; -EIO.
 */
int web_push_decrypt(const struct web_push_keys *keys, const void *data, size_t size,
	uint8_t ret[WEB_PUSH_MAX], size_t *ret_size);
