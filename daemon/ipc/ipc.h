/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API that frontends speak, as docs/api.md describes it: JSON-RPC 2.0 over a Unix socket, and
 * the same methods on the session's bus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "db/barrier.h"
#include "model/lock.h"
#include "repository/repository.h"
#include "store/store.h"

struct ipc;

/* A library whose version daemon.status shows. */
struct ipc_version {
	const char *name;
	const char *version;
};

/*
 * What the API asks of whoever holds the account's key. Each ends, now or later, in one call of
 * `fn`, and may call ipc_open or ipc_close before. None is called while another is under way.
 */
struct ipc_account_ops {
	/* One of these, or neither: the key's source is asked. */
	void (*unlock)(void *userdata, const char *passphrase, const char *recovery_key,
		repository_done_fn fn, void *fn_userdata);
	void (*lock)(void *userdata, repository_done_fn fn, void *fn_userdata);
	/*
	 * What the account holds is given up, after what others know of this device. Nothing is
	 * lost on failure: BUSY, STORAGE_FULL, STORAGE_ERROR.
	 */
	void (*log_out)(void *userdata, repository_done_fn fn, void *fn_userdata);
	/* `passphrase` is NULL but for that source. */
	void (*move_key)(void *userdata, enum key_source to, const char *passphrase,
		repository_done_fn fn, void *fn_userdata);
	/*
	 * Puts what the key is wrapped in beside a copy of the databases. NULL: only whether there
	 * is anything that could open it. CONFLICT: no; DENIED, STORAGE_FULL.
	 */
	int (*copy_key)(void *userdata, const char *directory, struct failure *ret_failure);
	/* The key is for people to write down; borrowed. */
	void (*make_recovery_key)(void *userdata, repository_id_fn fn, void *fn_userdata);
};

struct ipc_options {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store; /* this and the next are NULL while the account is locked */
	struct repository *repository;
	const struct lock_state *lock; /* copied; NULL: it is not locked */
	const struct ipc_account_ops *account_ops;
	void *account_userdata;
	const char *account;     /* local name */
	const char *socket_path; /* made and removed here, unless systemd has handed sockets over */
	enum key_source key_source;
	const struct ipc_version *versions; /* static */
	size_t n_versions;
	unsigned max_peers;      /* 0: IPC_PEERS_MAX */
	const char *bus_address; /* of the session's bus; NULL: not served there */
	bool bus_yields;         /* leaves its name on the bus to any other that wants it */
};

#define IPC_PEERS_MAX 1200

/*
 * Starts to listen. Pointers are borrowed until ipc_free, strings copied. Sockets that systemd has
 * handed over (LISTEN_FDS, which is taken out of the environment) are used instead of
 * `socket_path`; those named "read" or "send" give their clients that scope only. -EADDRINUSE: a
 * live daemon answers at `socket_path`; -EEXIST: something else is there; -EPERM: others can write
 * to its directory; -ENAMETOOLONG; -EINVAL: neither path nor sockets, or these are not listening
 * Unix sockets.
 */
int ipc_new(const struct ipc_options *o, struct ipc **ret);

/*
 * The account is open from now on, and borrowed until ipc_close or ipc_free. Subscriptions go on
 * from where they were.
 */
void ipc_open(struct ipc *ipc, struct store *store, struct repository *repository);

/*
 * The account is locked, or is so for another reason than before. Requests under way end with that;
 * the repository's callbacks for them must not come any more, so no turn of the loop may run
 * between this and repository_free.
 */
void ipc_close(struct ipc *ipc, const struct lock_state *why);

void ipc_set_key_source(struct ipc *ipc, enum key_source source);

/* Whether systemd has handed the sockets over, and would start the daemon for who comes. */
bool ipc_is_activated(const struct ipc *ipc);

/* Those at the sockets, and those on the bus that have called and are there still. */
unsigned ipc_count_clients(const struct ipc *ipc);

/*
 * Accepts nobody any more and gives the name on the bus up; `fn` comes once when the bus has taken
 * that, and what was called before has come. Those who are there are served.
 */
void ipc_retire(struct ipc *ipc, loop_fn fn, void *userdata);

/*
 * Ends the turn and writes out what peers still wait for, for at most half a second; reads nothing
 * any more. For the moment before ipc_free.
 */
void ipc_drain(struct ipc *ipc);

/*
 * Closes all connections. Requests under way are forgotten: the repository's callbacks for them
 * must not come any more, so no turn of the loop may run between this and repository_free. Takes
 * NULL, returns NULL.
 */
struct ipc *ipc_free(struct ipc *ipc);
DEFINE_CLEANUP(struct ipc *, ipc_free)

/*
 * For a daemon that cannot start: whoever waits at the sockets that systemd has handed over is told
 * why, instead of waiting for a start that fails again.
 */
void ipc_turn_away(const char *why);

/*
 * What rpc.discover answers: an OpenRPC document as text, owned; NULL when memory is short. Needs
 * no daemon.
 */
char *ipc_discover_json(void);
