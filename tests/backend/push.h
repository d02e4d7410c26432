/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Web Push (RFC 8030): tells the devices of a user who has no session that a message came. One
 * attempt each; the message itself is fetched with the next session in any case.
 */
#pragma once

#include <libwebsockets.h>

struct message;
struct server;
struct user;

/* POSTs to each endpoint that `to` has registered, after the commit of what was written so far. */
void push_tell(struct server *server, const struct user *to, const struct user *from,
	const struct message *message);

/*
 * The user's last session is over: what was sent in it and is on no device, as far as is known, may
 * have been lost with it. Tells of the newest message of each such chat.
 */
void push_what_is_left(struct server *server, const struct user *user);

/* Frees what libwebsockets, which is gone by now, has not told the end of. */
void push_close(struct server *server);

/* The protocol "push", of requests to endpoints. */
int push_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
