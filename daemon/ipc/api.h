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
#include "model/lock.h"
#include "repository/repository.h"
#include "store/store.h"

struct call;
struct call_queue;
struct hub;

TAILQ_HEAD(call_list, call);
TAILQ_HEAD(call_queue_list, call_queue);

/* All pointers but the strings are borrowed. */
struct api {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store; /* this and the next are NULL while the account is locked */
	struct repository *repository;
	struct lock_state lock;
	const struct ipc_account_ops *account_ops; /* NULL: nothing can be locked */
	void *account_userdata;
	struct hub *hub;
	char *account;
	enum key_source key_source;
	const struct ipc_version *versions;
	size_t n_versions;
	uint64_t stall_us;             /* how long a peer may leave its output unread */
	struct call_queue_list queues; /* of all clients */
	struct call_list orphans;      /* requests under way whose clients have gone */
	unsigned n_orphans;
	char instance_id[UUID_STRING_SIZE]; /* of this run of the daemon */
};
