/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/web-push.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/cleanup.h"

#define CURVE "prime256v1"
#define SALT_SIZE 16
#define SECRET_SIZE 32
#define KEY_SIZE 16
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define LAST_RECORD 2 /* the delimiter between what is said and the padding */

/* salt, size of a record, length of the key's name, the key's name: the sender's public key */
#define HEADER_SIZE (SALT_SIZE + 4 + 1 + WEB_PUSH_PUBLIC_SIZE)

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP(BIGNUM *, BN_clear_free)

/* What a message is opened with; nothing of it stays in memory. */
struct secrets {
	uint8_t shared[SECRET_SIZE], input[SECRET_SIZE];
	uint8_t key[KEY_SIZE], nonce[NONCE_SIZE];
};

static void wipe_secrets(struct secrets *s)
{
	OPENSSL_cleanse(s, sizeof(*s));
}

int web_push_keys_generate(struct web_push_keys *ret)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *pair = EVP_EC_gen(CURVE);
	_cleanup_(BN_clear_freep) BIGNUM *secret = NULL;
	struct web_push_keys k;
	size_t n = 0;

	if (!pair || EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_PRIV_KEY, &secret) <= 0 ||
		BN_bn2binpad(secret, k.private_key, sizeof(k.private_key)) < 0 ||
		EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_PUB_KEY, k.public_key,
			sizeof(k.public_key), &n) <= 0 ||
		n != sizeof(k.public_key) || RAND_bytes(k.auth, sizeof(k.auth)) <= 0)
		return -EIO;
	*ret = k;
	OPENSSL_cleanse(&k, sizeof(k));
	return 0;
}

/* A key of the curve: a pair with `secret`, else what others may know of one. NULL: it is none. */
static EVP_PKEY *load_key(const uint8_t *public_key, const uint8_t *secret)
{
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *c =
		EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	_cleanup_(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	_cleanup_(OSSL_PARAM_freep) OSSL_PARAM *parameters = NULL;
	_cleanup_(BN_clear_freep) BIGNUM *n = NULL;
	EVP_PKEY *key = NULL;

	if (secret)
		n = BN_bin2bn(secret, WEB_PUSH_PRIVATE_SIZE, NULL);
	if (!c || !b || (secret && !n) ||
		!OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, CURVE, 0) ||
		!OSSL_PARAM_BLD_push_octet_string(
			b, OSSL_PKEY_PARAM_PUB_KEY, public_key, WEB_PUSH_PUBLIC_SIZE) ||
		(n && !OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, n)))
		return NULL;
	parameters = OSSL_PARAM_BLD_to_param(b);
	if (!parameters || EVP_PKEY_fromdata_init(c) <= 0 ||
		EVP_PKEY_fromdata(
			c, &key, n ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
		return NULL;
	return key;
}

static int agree(const struct web_push_keys *keys, const uint8_t *sender, uint8_t ret[SECRET_SIZE])
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *own = load_key(keys->public_key, keys->private_key);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *peer = load_key(sender, NULL);
	_cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *c = NULL;
	size_t n = SECRET_SIZE;

	if (!own)
		return -EINVAL;
	c = peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	if (!c || EVP_PKEY_derive_init(c) <= 0 || EVP_PKEY_derive_set_peer(c, peer) <= 0 ||
		EVP_PKEY_derive(c, ret, &n) <= 0 || n != SECRET_SIZE)
		return -EBADMSG;
	return 0;
}

struct bytes {
	const void *data;
	size_t size;
};

/* HKDF of RFC 5869 with SHA-256. */
static int expand(struct bytes salt, struct bytes secret, struct bytes info, void *ret, size_t size)
{
	_cleanup_(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	_cleanup_(EVP_KDF_CTX_freep) EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)salt.data, salt.size),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)secret.data, secret.size),
		OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_INFO, (void *)info.data, info.size),
		OSSL_PARAM_construct_end(),
	};

	return c && EVP_KDF_derive(c, ret, size, parameters) > 0 ? 0 : -EIO;
}

/* Strings that the RFCs end with a zero byte, as C does. */
#define INFO(text) ((struct bytes){ text, sizeof(text) })

static int derive(const struct web_push_keys *keys, const uint8_t *salt, const uint8_t *sender,
	struct secrets *s)
{
	static const char label[] = "WebPush: info";
	uint8_t info[sizeof(label) + 2 * WEB_PUSH_PUBLIC_SIZE];
	struct bytes shared = { s->shared, sizeof(s->shared) };
	struct bytes input = { s->input, sizeof(s->input) };
	int r = agree(keys, sender, s->shared);

	memcpy(info, label, sizeof(label));
	memcpy(info + sizeof(label), keys->public_key, WEB_PUSH_PUBLIC_SIZE);
	memcpy(info + sizeof(label) + WEB_PUSH_PUBLIC_SIZE, sender, WEB_PUSH_PUBLIC_SIZE);
	r = r < 0 ? r
		  : expand((struct bytes){ keys->auth, sizeof(keys->auth) }, shared,
			    (struct bytes){ info, sizeof(info) }, s->input, sizeof(s->input));
	r = r < 0 ? r
		  : expand((struct bytes){ salt, SALT_SIZE }, input,
			    INFO("Content-Encoding: aes128gcm"), s->key, sizeof(s->key));
	return r < 0 ? r
		     : expand((struct bytes){ salt, SALT_SIZE }, input,
			       INFO("Content-Encoding: nonce"), s->nonce, sizeof(s->nonce));
}

/* `size` counts the tag, which stands at the end. */
static int open_record(
	const struct secrets *s, const uint8_t *record, size_t size, uint8_t *ret, size_t *ret_size)
{
	_cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0, text_size = (int)(size - TAG_SIZE);

	if (!c || EVP_DecryptInit_ex(c, EVP_aes_128_gcm(), NULL, s->key, s->nonce) <= 0 ||
		EVP_CIPHER_CTX_ctrl(
			c, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, (void *)(record + text_size)) <= 0 ||
		EVP_DecryptUpdate(c, ret, &n, record, text_size) <= 0)
		return -EIO;
	if (EVP_DecryptFinal_ex(c, ret + n, &rest) <= 0)
		return -EBADMSG;
	while (n > 0 && ret[n - 1] == 0)
		n--;
	if (n == 0 || ret[n - 1] != LAST_RECORD)
		return -EBADMSG;
	*ret_size = (size_t)n - 1;
	return 0;
}

static int open_message(const struct web_push_keys *keys, const uint8_t *data, size_t size,
	uint8_t *ret, size_t *ret_size)
{
	const uint8_t *at = data + SALT_SIZE, *sender = data + HEADER_SIZE - WEB_PUSH_PUBLIC_SIZE;
	_cleanup_(wipe_secrets) struct secrets s;
	uint32_t record_size;
	int r;

	if (size < HEADER_SIZE + TAG_SIZE + 1 || at[4] != WEB_PUSH_PUBLIC_SIZE)
		return -EBADMSG;
	record_size = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	/* RFC 8291 allows one record. */
	if (size - HEADER_SIZE > record_size || sender[0] != POINT_CONVERSION_UNCOMPRESSED)
		return -EBADMSG;
	r = derive(keys, data, sender, &s);
	return r < 0 ? r : open_record(&s, data + HEADER_SIZE, size - HEADER_SIZE, ret, ret_size);
}

int web_push_decrypt(const struct web_push_keys *keys, const void *data, size_t size,
	uint8_t ret[WEB_PUSH_MAX], size_t *ret_size)
{
	int r;

	if (size > WEB_PUSH_MAX)
		return -EMSGSIZE;
	/* Others on this thread look at the library's queue of errors. */
	ERR_set_mark();
	r = open_message(keys, data, size, ret, ret_size);
	ERR_pop_to_mark();
	return r;
}
