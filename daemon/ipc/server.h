/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The listening sockets and the peers that came through them.
 */
#pragma once

#include "ipc/api.h"

struct server;

/* `api` is borrowed until server_free. -ENOMEM. */
int server_new(struct api *api, unsigned max_peers, struct server **ret);

/* Closes the connections and removes what server_listen_at made. Takes NULL, returns NULL. */
struct server *server_free(struct server *s);
DEFINE_CLEANUP(struct server *, server_free)

/* Listens at `path`, as ipc_new says. */
int server_listen_at(struct server *s, const char *path);

/*
 * Listens on what systemd has handed over. Returns how many sockets these are, or negative errno.
 */
int server_listen_systemd(struct server *s);

/*
 * Of no server: whoever waits at the sockets that systemd has handed over is told `why`, as a
 * storage_error, and let go. The sockets are closed here.
 */
void server_turn_away_systemd(const char *why);

/* Accepts on a listening socket (taken) for clients of these scopes. */
int server_listen_on(struct server *s, int fd, unsigned scopes);

unsigned server_count_peers(const struct server *s);

/* Who connects from now on waits in the sockets. */
void server_stop_accepting(struct server *s);

/* Reads no more and writes what waits, at most until `timeout_ms` have passed. */
void server_drain(struct server *s, int timeout_ms);
