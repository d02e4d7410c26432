/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logging in, looking people up, registering for push.
 */
#include <sodium.h>
#include <string.h>

#include "base/json-fields.h"
#include "http.h"
#include "json.h"
#include "router.h"
#include "server.h"
#include "views.h"

/*
 * The user and password of a Basic Authorization header (RFC 7617), in one buffer; NULL when there
 * is none.
 */
static char *basic_credentials(struct exchange *x, char *ret, size_t size)
{
	char header[512];
	size_t n;

	if (http_header(x, "authorization:", header, sizeof(header)) < 0 ||
		strncasecmp(header, "Basic ", 6) != 0)
		return NULL;
	if (sodium_base642bin((unsigned char *)ret, size - 1, header + 6, strlen(header + 6), NULL,
		    &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return NULL;
	ret[n] = '\0';
	return strlen(ret) == n ? strchr(ret, ':') : NULL;
}

static void answer_token(struct exchange *x, const struct user *user)
{
	char token[TOKEN_MAX];
	int64_t expires_at;
	cJSON *o;

	if (token_issue(&x->server->tokens, user->id, token, &expires_at) < 0) {
		reply_error(x, PROBLEM_INTERNAL, "No token could be made");
		return;
	}
	x->server->stats.logins++;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "token", token);
	add_integer(o, "expires_at", expires_at);
	cJSON_AddItemToObject(o, "user", view_user(user));
	reply_header(x, "cache-control", "no-store");
	reply_json(x, 200, o);
}

void handle_login(struct exchange *x)
{
	char credentials[400];
	char *colon = basic_credentials(x, credentials, sizeof(credentials));
	struct user *user = NULL;

	if (colon) {
		*colon = '\0';
		user = users_check_password(x->server->users, credentials, colon + 1);
	}
	if (user) {
		answer_token(x, user);
	} else {
		x->server->stats.logins_refused++;
		reply_error(x, PROBLEM_BAD_CREDENTIALS, "Basic credentials of a user are needed");
	}
	sodium_memzero(credentials, sizeof(credentials));
}

void handle_user(struct exchange *x)
{
	struct user *user = users_find(x->server->users, x->parameters[0]);

	if (user)
		reply_json(x, 200, view_user(user));
	else
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such user");
}

struct push {
	const char *endpoint, *p256dh, *auth, *device_id;
};

static const struct json_field push_fields[] = {
	{ "endpoint", JSON_STRING, JSON_REQUIRED, offsetof(struct push, endpoint), 1, 2048 },
	{ "p256dh", JSON_STRING, JSON_REQUIRED, offsetof(struct push, p256dh), 1, 128 },
	{ "auth", JSON_STRING, JSON_REQUIRED, offsetof(struct push, auth), 1, 64 },
	{ "device_id", JSON_ID, JSON_REQUIRED, offsetof(struct push, device_id) },
	{ NULL },
};

/* True when `text` is base64url of exactly `n` bytes. */
static bool is_key(const char *text, size_t n)
{
	unsigned char bytes[128];
	size_t found;

	return sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, &found, NULL,
		       sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
		found == n;
}

/*
 * What is wrong with a registration, or NULL. RFC 8291: an uncompressed P-256 point and 16 bytes of
 * secret.
 */
static const char *check_push(const struct push *p)
{
	if (strncmp(p->endpoint, "http://", 7) != 0 && strncmp(p->endpoint, "https://", 8) != 0)
		return "'endpoint' must be an http or https URL";
	if (!is_key(p->p256dh, 65))
		return "'p256dh' must be base64url of 65 bytes";
	return is_key(p->auth, 16) ? NULL : "'auth' must be base64url of 16 bytes";
}

void handle_push_put(struct exchange *x)
{
	_cleanup_(cJSON_Deletep) cJSON *o = http_json(x);
	struct push p;
	struct json_error e;
	const char *wrong;
	sqlite3_stmt *q;

	if (json_fields_decode(push_fields, o, false, &p, &e) < 0)
		wrong = e.text;
	else
		wrong = check_push(&p);
	if (wrong) {
		reply_error(x, PROBLEM_MALFORMED, "%s", wrong);
		return;
	}
	q = store_query(x->server->store, QUERY_PUSH_SET);
	bind_text(q, 1, x->user->id);
	bind_text(q, 2, p.device_id);
	bind_text(q, 3, p.endpoint);
	bind_text(q, 4, p.p256dh);
	bind_text(q, 5, p.auth);
	if (store_run(x->server->store, q) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The registration could not be stored");
	else
		reply_empty(x, 204);
}

void handle_push_delete(struct exchange *x)
{
	char device_id[65];
	bool one = http_query(x, "device_id", device_id, sizeof(device_id)) == 0;
	sqlite3_stmt *q =
		store_query(x->server->store, one ? QUERY_PUSH_DELETE : QUERY_PUSH_DELETE_ALL);

	bind_text(q, 1, x->user->id);
	if (one)
		bind_text(q, 2, device_id);
	if (store_run(x->server->store, q) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The registration could not be removed");
	else
		reply_empty(x, 204);
}
