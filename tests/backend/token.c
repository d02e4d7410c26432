/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json-fields.h"
#include "base/uuid.h"
#include "json.h"

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SIGNATURE_TEXT sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES, BASE64)

static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

struct claims {
	const char *sub;
	int64_t exp, epoch;
};

static const struct json_field claim_fields[] = {
	{ "sub", JSON_ID, JSON_REQUIRED, offsetof(struct claims, sub) },
	{ "exp", JSON_INTEGER, JSON_REQUIRED, offsetof(struct claims, exp) },
	{ "epoch", JSON_INTEGER, JSON_REQUIRED, offsetof(struct claims, epoch) },
	{ NULL },
};

static int make_key(struct token_issuer *t, const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	randombytes_buf(t->key, sizeof(t->key));
	if (write(fd, t->key, sizeof(t->key)) != (ssize_t)sizeof(t->key) || fsync(fd) < 0)
		return -EIO;
	return 0;
}

int token_issuer_open(struct token_issuer *t, const char *directory, int64_t ttl_s, int64_t epoch)
{
	_cleanup_close_ int fd = -1;
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/token.key", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	t->ttl_s = ttl_s;
	t->epoch = epoch;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? make_key(t, path) : -errno;
	return read(fd, t->key, sizeof(t->key)) == (ssize_t)sizeof(t->key) ? 0 : -EBADMSG;
}

static void sign(
	const struct token_issuer *t, const char *text, size_t len, char ret[SIGNATURE_TEXT])
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256(mac, (const unsigned char *)text, len, t->key);
	sodium_bin2base64(ret, SIGNATURE_TEXT, mac, sizeof(mac), BASE64);
}

static void encode(const char *text, char *ret, size_t size)
{
	sodium_bin2base64(ret, size, (const unsigned char *)text, strlen(text), BASE64);
}

static char *print_claims(const char *user_id, int64_t now_s, int64_t expires_s, int64_t epoch)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	char jti[UUID_STRING_SIZE];

	uuid4_generate(jti);
	cJSON_AddStringToObject(o, "sub", user_id);
	add_integer(o, "iat", now_s);
	add_integer(o, "exp", expires_s);
	cJSON_AddStringToObject(o, "jti", jti);
	add_integer(o, "epoch", epoch);
	return json_print(o);
}

int token_issue(const struct token_issuer *t, const char *user_id, char ret[TOKEN_MAX],
	int64_t *ret_expires_ms)
{
	int64_t now_s = clock_wall_ms() / 1000;
	_cleanup_free_ char *claims = print_claims(user_id, now_s, now_s + t->ttl_s, t->epoch);
	char first[64], second[400], signature[SIGNATURE_TEXT];
	int n;

	if (!claims || sodium_base64_ENCODED_LEN(strlen(claims), BASE64) > sizeof(second))
		return -ENOMEM;
	encode(header, first, sizeof(first));
	encode(claims, second, sizeof(second));
	n = snprintf(ret, TOKEN_MAX, "%s.%s", first, second);
	sign(t, ret, (size_t)n, signature);
	snprintf(ret + n, (size_t)(TOKEN_MAX - n), ".%s", signature);
	*ret_expires_ms = (now_s + t->ttl_s) * 1000;
	return 0;
}

static enum token_verdict judge(
	const struct token_issuer *t, const char *text, size_t len, char ret_user_id[65])
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct claims c = { 0 };
	struct json_error e;

	if (json_parse(text, len, &o) < 0 || json_fields_decode(claim_fields, o, false, &c, &e) < 0)
		return TOKEN_FORGED;
	if (c.epoch != t->epoch || c.exp * 1000 <= clock_wall_ms())
		return TOKEN_EXPIRED;
	snprintf(ret_user_id, 65, "%s", c.sub);
	return TOKEN_GOOD;
}

enum token_verdict token_verify(
	const struct token_issuer *t, const char *token, char ret_user_id[65])
{
	const char *first = strchr(token, '.');
	const char *second = first ? strchr(first + 1, '.') : NULL;
	char expected[SIGNATURE_TEXT];
	unsigned char claims[TOKEN_MAX];
	size_t len;

	if (!second || strlen(second + 1) != SIGNATURE_TEXT - 1)
		return TOKEN_FORGED;
	sign(t, token, (size_t)(second - token), expected);
	if (sodium_memcmp(expected, second + 1, SIGNATURE_TEXT - 1) != 0)
		return TOKEN_FORGED;
	if (sodium_base642bin(claims, sizeof(claims), first + 1, (size_t)(second - first - 1), NULL,
		    &len, NULL, BASE64) != 0)
		return TOKEN_FORGED;
	return judge(t, (const char *)claims, len, ret_user_id);
}

void token_sign_text(const struct token_issuer *t, const char *text, char ret[TOKEN_KEY_SIZE])
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256(mac, (const unsigned char *)text, strlen(text), t->key);
	sodium_bin2hex(ret, TOKEN_KEY_SIZE, mac, TOKEN_KEY_SIZE / 2);
}
