/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the methods work on, the same for every face.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/event-loop.h"
#include "base/uuid.h"
#include "db/barrier.h"
#include "ipc/ipc.h"
#include "repository/repository.h"
#include "store/store.h"

struct call;
struct hub;

TAILQ_HEAD(call_list, call);

/* All pointers but the strings are borrowed. */
struct api {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	struct repository *repository;
	struct hub *hub;
	char *account;
	char *key_source;
	const struct ipc_version *versions;
	size_t n_versions;
	uint64_t stall_us;                  /* how long a peer may leave its output unread */
	struct call_list orphans;           /* requests under way whose peers have gone */
	char instance_id[UUID_STRING_SIZE]; /* of this run of the daemon */
};
