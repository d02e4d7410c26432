/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The user's desktop: what chatd has to do with other programs on the buses. Each module finds its
 * peer when there is one, and does without until then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "repository/notice.h"
#include "repository/push-link.h"
#include "repository/surroundings.h"

struct desktop;

struct desktop_options {
	struct event_loop *loop;
	const char *session_bus; /* the buses' addresses; NULL: that one is not used */
	const char *system_bus;
	uint64_t seed; /* of the jitter */
	const struct notice_actions *notice_actions;
	void *notice_userdata; /* these get it */
	const struct surroundings *surroundings;
	void *surroundings_userdata;
	const char *push_name; /* on the session's bus, where pushes are taken; NULL: nowhere */
	const struct push_events *push_events;
	void *push_userdata;
};

/* Pointers are borrowed until desktop_free, tables static. -ENOMEM. */
int desktop_new(const struct desktop_options *o, struct desktop **ret);

/* Where notices are shown: this table, with what desktop_notices gives. */
extern const struct notice_sink *const desktop_notice_sink;
void *desktop_notices(struct desktop *d);

/* Who has pushes passed on: this table, with what desktop_pushes gives; NULL: nobody. */
extern const struct push_connector *const desktop_push_connector;
void *desktop_pushes(struct desktop *d);

/* True while something of ours is on the screen, or about to be. */
bool desktop_is_showing(const struct desktop *d);

/* Takes no more pushes; `fn` comes once when those on their way have come. */
void desktop_retire(struct desktop *d, loop_fn fn, void *userdata);

/* Takes back what is on the screen. Takes NULL, returns NULL. */
struct desktop *desktop_free(struct desktop *d);
DEFINE_CLEANUP(struct desktop *, desktop_free)
