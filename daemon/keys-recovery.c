/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery key: random, spelt for people, and one more thing that the key is wrapped by. */
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>

#include "keys-internal.h"

/* Letters that are not taken for one another; Crockford's base 32. */
static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define RECOVERY_BYTES 20
#define RECOVERY_LETTERS 32
#define RECOVERY_GROUP 4

static void spell(const uint8_t bytes[RECOVERY_BYTES], char ret[KEYS_RECOVERY_SIZE])
{
	unsigned bits = 0, n = 0;
	char *to = ret;

	for (unsigned i = 0, letter = 0; letter < RECOVERY_LETTERS; letter++) {
		if (n < 5) {
			bits = (bits << 8 | bytes[i++]) & 0xfff;
			n += 8;
		}
		n -= 5;
		if (letter > 0 && letter % RECOVERY_GROUP == 0)
			*to++ = '-';
		*to++ = letters[bits >> n & 31];
	}
	*to = '\0';
}

/* What a person makes of a letter. */
static int value_of(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	at = c ? strchr(letters, c) : NULL;
	return at ? (int)(at - letters) : -1;
}

static bool unspell(const char *s, uint8_t ret[RECOVERY_BYTES])
{
	unsigned bits = 0, n = 0, i = 0, seen = 0;

	for (; *s; s++) {
		int value;

		if (*s == '-' || *s == ' ')
			continue;
		value = value_of(*s);
		if (value < 0 || ++seen > RECOVERY_LETTERS)
			return false;
		bits = (bits << 5 | (unsigned)value) & 0xfff;
		n += 5;
		if (n >= 8) {
			n -= 8;
			ret[i++] = (uint8_t)(bits >> n);
		}
	}
	return seen == RECOVERY_LETTERS;
}

int keys_make_recovery(struct keys *k, char ret[KEYS_RECOVERY_SIZE], struct failure *f)
{
	uint8_t bytes[RECOVERY_BYTES];
	char path[PATH_MAX];
	int r = keys_path(k, KEYS_RECOVERY_FILE, path);

	randombytes_buf(bytes, sizeof(bytes));
	r = r < 0 ? r : key_box_write(path, KEY_BOX_RECOVERY, bytes, sizeof(bytes), k->key, NULL);
	if (r == 0)
		spell(bytes, ret);
	sodium_memzero(bytes, sizeof(bytes));
	return r < 0 ? failure_from_errno(f, r) : 0;
}

int keys_recover(struct keys *k, const char *recovery_key, struct failure *f)
{
	uint8_t bytes[RECOVERY_BYTES];
	struct db_key *key = NULL;
	char path[PATH_MAX];
	int r = keys_path(k, KEYS_RECOVERY_FILE, path);

	if (r == 0)
		r = unspell(recovery_key, bytes) ? 0 : -EKEYREJECTED;
	r = r < 0 ? r : key_box_read(path, KEY_BOX_RECOVERY, bytes, sizeof(bytes), &key);
	sodium_memzero(bytes, sizeof(bytes));
	if (r == -EKEYREJECTED)
		return failure_set(f, FAILURE_DENIED, "this is not the recovery key");
	if (r == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "no recovery key was made");
	return r < 0 ? failure_from_errno(f, r) : keys_adopt(k, key, f);
}
