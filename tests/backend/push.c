/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "push.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json-fields.h"
#include "base/log.h"
#include "json.h"
#include "messages.h"
#include "server.h"
#include "web-push.h"

#define TEXT_MAX 120     /* characters */
#define PAYLOAD_MAX 2048 /* bytes; a name and a text of the longest characters fit */
#define TTL "86400"
#define GONE(status) ((status) == 404 || (status) == 410)

struct delivery {
	struct server *server;
	char user_id[65], device_id[65], endpoint[2049];
	uint8_t body[PAYLOAD_MAX + WEB_PUSH_OVERHEAD];
	size_t size;
	TAILQ_ENTRY(delivery) entry;
};

/* A whole number of characters. */
static size_t cut(const char *text)
{
	size_t n = 0, characters = 0;

	while (text[n] && ((text[n] & 0xc0) == 0x80 || characters++ < TEXT_MAX))
		n++;
	return n;
}

static char *print_payload(const struct user *to, const struct user *from, const struct message *m)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	_cleanup_free_ char *text = strndup(m->text, cut(m->text));
	cJSON *messages = cJSON_AddArrayToObject(o, "messages"), *message = cJSON_CreateObject();

	cJSON_AddItemToArray(messages, message);
	cJSON_AddStringToObject(message, "user_name", from->name ? from->name : from->id);
	cJSON_AddStringToObject(message, "text", text ? text : "");
	add_integer(message, "created_at", m->created_at);
	cJSON_AddStringToObject(o, "user_id", to->id);
	return json_print(o);
}

static int decode(const char *text, uint8_t *ret, size_t size)
{
	size_t n;

	return sodium_base642bin(ret, size, text, strlen(text), NULL, &n, NULL,
		       sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
			n == size
		? 0
		: -EINVAL;
}

static int seal(struct delivery *d, const char *p256dh, const char *auth, const char *payload)
{
	uint8_t point[WEB_PUSH_POINT], secret[16], text[PAYLOAD_MAX + 1];
	size_t n = strlen(payload);

	if (n > PAYLOAD_MAX || decode(p256dh, point, sizeof(point)) < 0 ||
		decode(auth, secret, sizeof(secret)) < 0)
		return -EINVAL;
	memcpy(text, payload, n);
	text[n] = 2;
	d->size = n + WEB_PUSH_OVERHEAD;
	return web_push_seal(point, secret, NULL, text, n + 1, d->body);
}

static int begin(struct delivery *d)
{
	char *url = strdup(d->endpoint), path[2050], host[300];
	struct lws_client_connect_info info = {
		.context = d->server->lws,
		.vhost = d->server->vhost,
		.method = "POST",
		.local_protocol_name = "push",
		.opaque_user_data = d,
	};
	const char *scheme, *rest;
	int r = -EINVAL;

	if (url && lws_parse_uri(url, &scheme, &info.address, &info.port, &rest) == 0 &&
		strcmp(scheme, "http") == 0) {
		snprintf(path, sizeof(path), "/%s", rest);
		snprintf(host, sizeof(host), "%s:%d", info.address, info.port);
		info.path = path;
		info.host = info.origin = host;
		TAILQ_INSERT_TAIL(&d->server->deliveries, d, entry);
		/* A failure may be told, and the delivery be gone, before this returns. */
		lws_client_connect_via_info(&info);
		r = 0;
	}
	free(url);
	return r;
}

static void on_committed(void *userdata, bool committed)
{
	struct delivery *d = userdata;

	if (committed && d->server->lws && begin(d) == 0)
		return;
	d->server->stats.pushes_failed++;
	free(d);
}

static void add(struct server *server, const struct user *to, sqlite3_stmt *q, const char *payload)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (!d)
		return;
	d->server = server;
	snprintf(d->user_id, sizeof(d->user_id), "%s", to->id);
	snprintf(d->device_id, sizeof(d->device_id), "%s", column_text(q, 0));
	snprintf(d->endpoint, sizeof(d->endpoint), "%s", column_text(q, 1));
	if (seal(d, column_text(q, 2), column_text(q, 3), payload) < 0 ||
		store_after_commit(server->store, on_committed, d) < 0) {
		server->stats.pushes_failed++;
		free(d);
	}
}

void push_tell(struct server *server, const struct user *to, const struct user *from,
	const struct message *message)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_PUSH_LIST);
	_cleanup_free_ char *payload = NULL;

	bind_text(q, 1, to->id);
	while (store_next(server->store, q) > 0) {
		if (!payload)
			payload = print_payload(to, from, message);
		if (payload)
			add(server, to, q, payload);
	}
}

static bool has_registered(struct server *server, const struct user *user)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_PUSH_LIST);
	bool found;

	bind_text(q, 1, user->id);
	found = store_next(server->store, q) > 0;
	sqlite3_reset(q);
	return found;
}

void push_what_is_left(struct server *server, const struct user *user)
{
	struct member *m;
	struct message newest;

	if (!has_registered(server, user))
		return;
	TAILQ_FOREACH(m, &user->by_activity, by_activity)
		if (m->received_seq < m->chat->last_seq && m->chat->last_user != user &&
			message_at(server, m->chat, m->chat->last_seq, &newest) == 0)
			push_tell(server, user, m->chat->last_user, &newest);
}

void push_close(struct server *server)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&server->deliveries))) {
		TAILQ_REMOVE(&server->deliveries, d, entry);
		free(d);
	}
}

static int add_headers(struct lws *wsi, struct delivery *d, unsigned char **at, unsigned char *end)
{
	static const struct {
		const char *name, *value;
	} headers[] = {
		{ "content-type:", "application/octet-stream" },
		{ "content-encoding:", "aes128gcm" },
		{ "ttl:", TTL },
		{ "urgency:", "high" },
	};
	char length[24];
	int n = snprintf(length, sizeof(length), "%zu", d->size);

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (lws_add_http_header_by_name(wsi, (const unsigned char *)headers[i].name,
			    (const unsigned char *)headers[i].value, (int)strlen(headers[i].value),
			    at, end))
			return -1;
	if (lws_add_http_header_by_token(
		    wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, (const unsigned char *)length, n, at, end))
		return -1;
	lws_client_http_body_pending(wsi, 1);
	lws_callback_on_writable(wsi);
	return 0;
}

static int write_body(struct lws *wsi, struct delivery *d)
{
	uint8_t space[LWS_PRE + sizeof(d->body)];

	lws_client_http_body_pending(wsi, 0);
	memcpy(space + LWS_PRE, d->body, d->size);
	return lws_write(wsi, space + LWS_PRE, d->size, LWS_WRITE_HTTP_FINAL) == (int)d->size ? 0
											      : -1;
}

/* RFC 8030: a subscription that is gone is not asked again. */
static void take_status(struct delivery *d, unsigned status)
{
	struct server *server = d->server;
	sqlite3_stmt *q;

	if (status >= 200 && status < 300) {
		server->stats.pushes_sent++;
		return;
	}
	server->stats.pushes_failed++;
	log_info("a push service answered %u", status);
	if (!GONE(status))
		return;
	q = store_query(server->store, QUERY_PUSH_DROP);
	bind_text(q, 1, d->user_id);
	bind_text(q, 2, d->device_id);
	bind_text(q, 3, d->endpoint);
	(void)store_run(server->store, q);
}

static int read_on(struct lws *wsi)
{
	char space[LWS_PRE + 1024], *at = space + LWS_PRE;
	int n = 1024;

	return lws_http_client_read(wsi, &at, &n) < 0 ? -1 : 0;
}

static void end(struct lws *wsi, struct delivery *d)
{
	lws_set_opaque_user_data(wsi, NULL);
	TAILQ_REMOVE(&d->server->deliveries, d, entry);
	free(d);
}

int push_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct delivery *d = lws_get_opaque_user_data(wsi);
	unsigned char **at = in;

	if (reason == LWS_CALLBACK_RECEIVE_CLIENT_HTTP)
		return read_on(wsi);
	if (reason == LWS_CALLBACK_COMPLETED_CLIENT_HTTP)
		return -1;
	if (!d)
		return 0;
	switch ((int)reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return add_headers(wsi, d, at, *at + len);
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
		return write_body(wsi, d);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		take_status(d, lws_http_client_http_response(wsi));
		end(wsi, d);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		d->server->stats.pushes_failed++;
		end(wsi, d);
		return 0;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		end(wsi, d);
		return 0;
	}
	return 0;
}
