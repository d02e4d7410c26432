/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * URLs, taken apart by libcurl's own parser, so that what is checked here is what http-client later
 * talks to.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* An absolute URL of a scheme with a host: http, https, ws or wss. Strings are owned. */
struct url {
	char *scheme;  /* lower case */
	char *host;    /* an IPv6 address stands without its brackets */
	char *target;  /* path and query, as they go into a request; starts with '/' */
	unsigned port; /* the scheme's own when the URL names none */
};

/* 0; -EINVAL when it is not such a URL, or carries a user or password; -ENOMEM. */
int url_parse(const char *text, struct url *ret);

/* Releases what `u` holds, not `u` itself. */
void url_clear(struct url *u);

#define _cleanup_url_ _cleanup_(url_clear)

/* https or wss. */
bool url_is_secure(const struct url *u);

/* The host is this machine: 127.0.0.0/8, ::1 or "localhost". */
bool url_is_loopback(const struct url *u);

/* Same scheme, host and port. */
bool url_same_origin(const struct url *a, const struct url *b);

/* `reference`, absolute or relative, as seen from `base`: an owned URL in `ret`. -EINVAL, -ENOMEM.
 */
int url_resolve(const char *base, const char *reference, char **ret);

/* `s` with everything but letters, digits and "-._~" percent-encoded; owned; NULL when memory is
 * short. */
char *url_escape(const char *s);
