/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "web-push.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/cleanup.h"

#define HASH 32
#define RECORD_SIZE 4096

DEFINE_CLEANUP(EC_GROUP *, EC_GROUP_free)
DEFINE_CLEANUP(EC_POINT *, EC_POINT_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

static void hmac(const void *key, size_t key_size, const void *data, size_t size, uint8_t *ret)
{
	HMAC(EVP_sha256(), key, (int)key_size, data, size, ret, NULL);
}

/* The own public key of `scalar`, and the x of the product of it and the peer's point. */
static int multiply(const uint8_t *scalar, const uint8_t *peer, uint8_t *ret_point, uint8_t *ret_x)
{
	_cleanup_(EC_GROUP_freep) EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	_cleanup_(EC_POINT_freep) EC_POINT *own = g ? EC_POINT_new(g) : NULL;
	_cleanup_(EC_POINT_freep) EC_POINT *other = g ? EC_POINT_new(g) : NULL;
	_cleanup_(BN_freep) BIGNUM *n = BN_bin2bn(scalar, WEB_PUSH_SCALAR, NULL);
	uint8_t product[WEB_PUSH_POINT];

	if (!own || !other || !n)
		return -EIO;
	if (!EC_POINT_oct2point(g, other, peer, WEB_PUSH_POINT, NULL))
		return -EINVAL;
	if (!EC_POINT_mul(g, own, n, NULL, NULL, NULL) ||
		!EC_POINT_mul(g, other, NULL, other, n, NULL) ||
		EC_POINT_point2oct(g, own, POINT_CONVERSION_UNCOMPRESSED, ret_point, WEB_PUSH_POINT,
			NULL) != WEB_PUSH_POINT ||
		EC_POINT_point2oct(g, other, POINT_CONVERSION_UNCOMPRESSED, product,
			sizeof(product), NULL) != sizeof(product))
		return -EIO;
	memcpy(ret_x, product + 1, HASH);
	return 0;
}

/* RFC 8291, section 3.4, and RFC 8188, section 2: each step as it stands there. */
static void derive(const uint8_t *shared, const uint8_t *auth, const uint8_t *peer,
	const uint8_t *own, const uint8_t *salt, uint8_t *ret_key, uint8_t *ret_nonce)
{
	static const char label[] = "WebPush: info";
	static const char key_info[] = "Content-Encoding: aes128gcm\0\1";
	static const char nonce_info[] = "Content-Encoding: nonce\0\1";
	uint8_t info[sizeof(label) + 2 * WEB_PUSH_POINT + 1], prk[HASH], ikm[HASH];
	uint8_t *at = info;

	memcpy(at, label, sizeof(label));
	memcpy(at += sizeof(label), peer, WEB_PUSH_POINT);
	memcpy(at += WEB_PUSH_POINT, own, WEB_PUSH_POINT);
	at[WEB_PUSH_POINT] = 1;
	hmac(auth, 16, shared, HASH, prk);
	hmac(prk, HASH, info, sizeof(info), ikm);
	hmac(salt, WEB_PUSH_SALT, ikm, HASH, prk);
	hmac(prk, HASH, key_info, sizeof(key_info) - 1, ret_key);
	hmac(prk, HASH, nonce_info, sizeof(nonce_info) - 1, ret_nonce);
}

static int encrypt(
	const uint8_t *key, const uint8_t *nonce, const void *data, size_t size, uint8_t *ret)
{
	_cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	if (!c || EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, nonce) <= 0 ||
		EVP_EncryptUpdate(c, ret, &n, data, (int)size) <= 0 ||
		EVP_EncryptFinal_ex(c, ret + n, &n) <= 0 ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, ret + size) <= 0)
		return -EIO;
	return 0;
}

int web_push_seal(const uint8_t point[WEB_PUSH_POINT], const uint8_t auth[16],
	const struct web_push_once *once, const void *data, size_t size, uint8_t *ret)
{
	uint8_t shared[HASH], key[HASH], nonce[HASH];
	uint8_t *own = ret + WEB_PUSH_SALT + 5;
	struct web_push_once made;
	int r;

	if (!once) {
		if (RAND_bytes((unsigned char *)&made, sizeof(made)) <= 0)
			return -EIO;
		made.scalar[0] &= 0x7f; /* surely below the order of the group */
		once = &made;
	}
	r = multiply(once->scalar, point, own, shared);
	if (r < 0)
		return r;
	memcpy(ret, once->salt, WEB_PUSH_SALT);
	memcpy(ret + WEB_PUSH_SALT,
		(uint8_t[]){ 0, 0, RECORD_SIZE >> 8, RECORD_SIZE & 0xff, WEB_PUSH_POINT }, 5);
	derive(shared, auth, point, own, once->salt, key, nonce);
	return encrypt(key, nonce, data, size, ret + WEB_PUSH_HEADER);
}
