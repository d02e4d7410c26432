/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which proxy the environment names for a connection, by the rules that curl has: http_proxy for ws
 * and http, https_proxy for wss and https, all_proxy in their place, no_proxy for exceptions; all
 * but the first in capitals too. Never on the way to a loopback address. For the WebSocket alone:
 * curl looks by itself.
 */
#pragma once

#include "net/url.h"

/*
 * 0 and an owned "[user:password@]host:port", empty where there is none to be used.
 * -EPROTONOSUPPORT: one that is not spoken to with plain HTTP. -ENOMEM.
 */
int proxy_find(const struct url *u, char **ret);

/*
 * True if `list`, as no_proxy has it, names the host: by name, as within a domain, or by address.
 */
bool proxy_is_bypassed(const char *list, const char *host);
