/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backend as a whole: its configuration, what it owns, and the service loop that ends each turn
 * with a commit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <libwebsockets.h>

#include "chats.h"
#include "faults.h"
#include "stats.h"
#include "store.h"
#include "token.h"
#include "uploads.h"
#include "users.h"

struct delivery;
struct exchange;
struct session;

struct config {
	const char *users_file, *data_directory;
	const char *origin; /* where clients find it; NULL: at its own */
	int port, cdn_port; /* 0: any free one */
	bool control, cdn;
	int64_t token_ttl_s, heartbeat_s, max_in_flight;
};

struct server {
	struct config config;
	struct lws_context *lws;
	struct lws_vhost *vhost, *cdn_vhost; /* cdn_vhost is NULL without --cdn */
	lws_retry_bo_t idle_policy;
	char origin[64], cdn_origin[64]; /* "http://127.0.0.1:PORT" */
	struct users *users;
	struct token_issuer tokens;
	struct store *store;
	struct chats *chats;
	struct faults faults;
	struct stats stats;
	uint64_t connections; /* numbers connection ids */
	uint64_t arrivals;    /* frames and requests that came in */
	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, session) waking_sessions; /* have frames that the coming commit lets go */
	TAILQ_HEAD(, exchange) exchanges;      /* requests under way */
	TAILQ_HEAD(, exchange)
	waking_exchanges; /* have their answer, which the coming commit lets go */
	TAILQ_HEAD(, delivery) deliveries; /* pushes under way */
	lws_sorted_usec_list_t stop_timer;
	bool stopping, stopped;
	int signal_fd; /* owned by libwebsockets once it is adopted */
};

/*
 * Opens everything and listens. 0 or negative errno; server_close() releases what was opened either
 * way.
 */
int server_open(struct server *server, const struct config *config);
void server_close(struct server *server);

/* Serves until SIGTERM or SIGINT. 0, or -EIO when the database failed. */
int server_run(struct server *server);

/* Where the bytes of an attachment are found: here, or with --cdn elsewhere behind a key. */
void server_bytes_url(const struct server *server, const char *attachment, enum variant variant,
	char *ret, size_t size);

/* True when `key` is the one that server_bytes_url() gave out for this path. */
bool server_key_is_right(const struct server *server, const char *path, const char *key);
