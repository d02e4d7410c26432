/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which handler answers which request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "stats.h"

enum route_flag {
	ROUTE_PUBLIC = 1 << 0,  /* without a token */
	ROUTE_BODY = 1 << 1,    /* the handler runs once the whole body is there */
	ROUTE_CONTROL = 1 << 2, /* only with --control; faults do not strike here */
	ROUTE_CDN = 1 << 3,     /* served on the origin of --cdn too */
};

struct route {
	enum http_method method;
	const char *pattern; /* "/chats/{}/messages" */
	unsigned flags;
	void (*handle)(struct exchange *x);
	size_t counter; /* offset of its counter in struct stats */
};

/*
 * The route of x->method and x->path, with the parameters filled in. NULL when there is none;
 * `ret_allowed` then lists the methods that the path does have ("" when the path is unknown).
 */
const struct route *router_find(struct exchange *x, char *ret_allowed, size_t size);

/* rest-account.c */
void handle_login(struct exchange *x);
void handle_user(struct exchange *x);
void handle_push_put(struct exchange *x);
void handle_push_delete(struct exchange *x);

/* rest-chats.c */
void handle_chats(struct exchange *x);
void handle_chat_create(struct exchange *x);
void handle_chat_delete(struct exchange *x);
void handle_messages(struct exchange *x);

/* tus.c */
void handle_uploads_options(struct exchange *x);
void handle_upload_create(struct exchange *x);
void handle_upload_head(struct exchange *x);
void handle_upload_patch(struct exchange *x);
void handle_upload_delete(struct exchange *x);

/* downloads.c */
void handle_attachment(struct exchange *x);
void handle_bytes(struct exchange *x);

/* control.c */
void handle_control(struct exchange *x);
void handle_control_stats(struct exchange *x);
