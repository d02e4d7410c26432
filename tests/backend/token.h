/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON Web Tokens (RFC 7519) with HS256. The key is made once and kept in the data directory, so
 * that tokens outlive a restart. Each carries the epoch it was made in: a new epoch makes all older
 * ones expire.
 */
#pragma once

#include <stdint.h>

#include <sodium.h>

#define TOKEN_MAX 512

struct token_issuer {
	unsigned char key[crypto_auth_hmacsha256_KEYBYTES];
	int64_t ttl_s;
	int64_t epoch;
};

enum token_verdict {
	TOKEN_GOOD,
	TOKEN_EXPIRED,
	TOKEN_FORGED, /* or malformed */
};

/* Reads or makes `directory`/token.key. 0 or negative errno. */
int token_issuer_open(
	struct token_issuer *issuer, const char *directory, int64_t ttl_s, int64_t epoch);

/* A token for the user; `ret_expires_ms` is wall time. 0 or -ENOMEM. */
int token_issue(const struct token_issuer *issuer, const char *user_id, char ret[TOKEN_MAX],
	int64_t *ret_expires_ms);

#define TOKEN_KEY_SIZE 33

/* A key that only this server can make for `text`: what a URL carries that needs no token. */
void token_sign_text(const struct token_issuer *issuer, const char *text, char ret[TOKEN_KEY_SIZE]);

/* Checks a token; on TOKEN_GOOD the user's id is in `ret_user_id`. */
enum token_verdict token_verify(
	const struct token_issuer *issuer, const char *token, char ret_user_id[65]);
