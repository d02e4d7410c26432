/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/key-box.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#define VERSION 1
#define SALT_SIZE 16 /* crypto_pwhash_SALTBYTES, and BLAKE2b's too */

/*
 * What deriving costs, for whoever guesses and for the daemon that waits for it: about a tenth of a
 * second, on memory that a small machine has to spare.
 */
#define ARGON_OPS 4u
#define ARGON_MEMORY_KIB (64u * 1024u)

/* More than this no file may ask for. */
#define ARGON_OPS_MAX 64u
#define ARGON_MEMORY_KIB_MAX (1024u * 1024u)

struct box {
	char magic[7];
	uint8_t version;
	uint8_t kind;
	uint8_t unused[3];
	uint8_t ops[4], memory_kib[4]; /* little-endian, of Argon2id */
	uint8_t salt[SALT_SIZE];
	uint8_t nonce[crypto_secretbox_NONCEBYTES];
	uint8_t wrapped[DB_KEY_SIZE + crypto_secretbox_MACBYTES];
};

static const char magic[7] = "chatkey";

static const char *const contexts[] = {
	[KEY_BOX_SECRET] = "chatd key 1",
	[KEY_BOX_RECOVERY] = "chatd recovery 1",
};

static void put32(uint8_t to[4], uint32_t n)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get32(const uint8_t from[4])
{
	return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* The key of the wrapping, into memory that the caller wipes. */
static int derive(const struct box *b, const void *secret, size_t size, uint8_t *ret)
{
	uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };

	if (b->kind == KEY_BOX_PASSPHRASE)
		return crypto_pwhash(ret, crypto_secretbox_KEYBYTES, secret, size, b->salt,
			       get32(b->ops), (size_t)get32(b->memory_kib) * 1024,
			       crypto_pwhash_ALG_ARGON2ID13) == 0
			? 0
			: -ENOMEM;
	memcpy(personal, contexts[b->kind], strlen(contexts[b->kind]));
	crypto_generichash_blake2b_salt_personal(
		ret, crypto_secretbox_KEYBYTES, secret, size, NULL, 0, b->salt, personal);
	return 0;
}

static void name_of(const struct box *b, char ret_id[KEY_BOX_ID_SIZE])
{
	sodium_bin2hex(ret_id, KEY_BOX_ID_SIZE, b->salt, SALT_SIZE);
}

int key_box_write(const char *path, enum key_box_kind kind, const void *secret, size_t size,
	const struct db_key *key, char ret_id[KEY_BOX_ID_SIZE])
{
	struct box b = { .version = VERSION, .kind = (uint8_t)kind };
	uint8_t *k;
	int r;

	if (sodium_init() < 0 || !(k = sodium_malloc(crypto_secretbox_KEYBYTES)))
		return -ENOMEM;
	memcpy(b.magic, magic, sizeof(magic));
	if (kind == KEY_BOX_PASSPHRASE) {
		put32(b.ops, ARGON_OPS);
		put32(b.memory_kib, ARGON_MEMORY_KIB);
	}
	randombytes_buf(b.salt, sizeof(b.salt));
	randombytes_buf(b.nonce, sizeof(b.nonce));
	r = derive(&b, secret, size, k);
	if (r == 0)
		crypto_secretbox_easy(b.wrapped, db_key_bytes(key), DB_KEY_SIZE, b.nonce, k);
	sodium_free(k);
	r = r < 0 ? r : db_key_write_private(path, &b, sizeof(b), true);
	if (r == 0 && ret_id)
		name_of(&b, ret_id);
	return r;
}

static int load(const char *path, enum key_box_kind kind, struct box *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, sizeof(*ret));
	if (n < 0)
		return -EIO;
	if (n != sizeof(*ret) || memcmp(ret->magic, magic, sizeof(magic)) != 0 ||
		ret->version != VERSION || ret->kind != kind || get32(ret->ops) > ARGON_OPS_MAX ||
		get32(ret->memory_kib) > ARGON_MEMORY_KIB_MAX)
		return -EUCLEAN;
	if (kind == KEY_BOX_PASSPHRASE &&
		(get32(ret->ops) < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
			get32(ret->memory_kib) * UINT64_C(1024) <
				crypto_pwhash_argon2id_MEMLIMIT_MIN))
		return -EUCLEAN;
	return 0;
}

int key_box_read(const char *path, enum key_box_kind kind, const void *secret, size_t size,
	struct db_key **ret)
{
	uint8_t bytes[DB_KEY_SIZE], *k;
	struct db_key *key = NULL;
	struct box b;
	int r = load(path, kind, &b);

	if (r < 0)
		return r;
	if (sodium_init() < 0 || !(k = sodium_malloc(crypto_secretbox_KEYBYTES)))
		return -ENOMEM;
	r = derive(&b, secret, size, k);
	if (r == 0 &&
		crypto_secretbox_open_easy(bytes, b.wrapped, sizeof(b.wrapped), b.nonce, k) != 0)
		r = -EKEYREJECTED;
	sodium_free(k);
	if (r == 0)
		key = db_key_new(bytes);
	sodium_memzero(bytes, sizeof(bytes));
	if (r == 0 && !key)
		r = -ENOMEM;
	if (r == 0)
		*ret = key;
	return r;
}

int key_box_id(const char *path, enum key_box_kind kind, char ret_id[KEY_BOX_ID_SIZE])
{
	struct box b;
	int r = load(path, kind, &b);

	if (r == 0)
		name_of(&b, ret_id);
	return r;
}
