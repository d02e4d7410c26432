/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection to the socket: bytes in, bytes out, and what it is charged for. What the lines ask
 * for is in line-call.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/event-loop.h"
#include "db/barrier.h"
#include "ipc/api.h"
#include "ipc/line-call.h"
#include "ipc/line-reader.h"
#include "ipc/output.h"
#include "ipc/request.h"

/*
 * Bytes of output above which a peer is not read from and not told of changes, until half of them
 * are gone. Where there are many peers it is an even share of what all may have, lest a thousand
 * that read slowly hold a thousand times as much; a position in the changes is all that a peer
 * needs.
 */
#define PEER_HIGH_WATER (256u * 1024u)
#define PEER_HIGH_WATER_MIN (16u * 1024u)
#define ALL_PEERS_HIGH_WATER (16u * 1024u * 1024u)

struct peer {
	struct api *api;
	struct client client;
	int fd;
	pid_t pid;
	struct loop_io *io;
	int taken_fd; /* of the same connection; -1 but while it is watched */
	struct loop_io *taken_io;
	struct loop_timer *stall_timer;
	struct loop_deferred proceed; /* goes on with input that has arrived already */
	struct loop_deferred bury;    /* hands the dead peer to its owner */
	struct line_reader reader;
	struct output output;
	struct line_queue lines;
	bool choked; /* was above a high-water mark and is not yet below half of each */
	bool eof;    /* sends nothing any more */
	bool dead;
	void (*on_gone)(void *userdata, struct peer *p);
	void *userdata;
	TAILQ_ENTRY(peer) entry; /* its owner's */
};

struct peer_options {
	struct api *api;
	int fd; /* taken, also on failure; connected and non-blocking */
	pid_t pid;
	unsigned scopes;
	void (*on_gone)(void *userdata, struct peer *p); /* the connection is over: free it */
	void *userdata;
};

/* Greets the peer and serves it. -ENOMEM. */
int peer_new(const struct peer_options *o, struct peer **ret);

/* Requests under way go on without it. Takes NULL, returns NULL. */
struct peer *peer_free(struct peer *p);
DEFINE_CLEANUP(struct peer *, peer_free)

/* Queues a line; peer_flush follows. */
void peer_send(struct peer *p, struct chunk *line);

/* Writes what the socket takes. */
void peer_flush(struct peer *p);

/* Goes on with what has arrived, at the end of this turn. */
void peer_proceed_later(struct peer *p);

/* Ends the connection; on_gone follows. No effect the second time. */
void peer_close(struct peer *p);

/* Stops reading for good. */
void peer_stop_reading(struct peer *p);
