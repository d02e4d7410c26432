/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Secrets in the desktop's keyring, over org.freedesktop.secrets on the session's bus. They travel
 * as they are: the bus is local, and who could listen to it could ask as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"

struct secret_service;

/* `address` is the bus's; copied. -ENOMEM. */
int secret_service_new(
	struct event_loop *loop, const char *address, uint64_t seed, struct secret_service **ret);

/* What is under way is forgotten. Takes NULL, returns NULL. */
struct secret_service *secret_service_free(struct secret_service *s);
DEFINE_CLEANUP(struct secret_service *, secret_service_free)

/*
 * Called once, from the loop. `error`: 0, with the secret if one was asked for, borrowed; -ENOENT:
 * there is none of that name, or no keyring to put it into; -EACCES: the keyring is locked, and
 * stays so; -EHOSTUNREACH: nobody answers; -EPROTO: what answers makes no sense.
 */
typedef void (*secret_fn)(void *userdata, int error, const void *secret, size_t size);

/*
 * One at a time. `id` (copied) names the secret. The service may open a window to be unlocked in:
 * for a lookup if `may_ask`, for the others always.
 */
void secret_service_lookup(
	struct secret_service *s, const char *id, bool may_ask, secret_fn fn, void *userdata);
void secret_service_store(struct secret_service *s, const char *id, const char *label,
	const void *secret, size_t size, secret_fn fn, void *userdata);
void secret_service_remove(struct secret_service *s, const char *id, secret_fn fn, void *userdata);

/* Told, while nothing is under way, that another try may have more success. */
void secret_service_watch(struct secret_service *s, void (*fn)(void *userdata), void *userdata);
