/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which notifications there should be, and when each may be told: one a chat, seldom updated, few
 * at once, and one for all where many chats have news together. Pure: no bus, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "repository/notice.h"

#define BUBBLE_INTERVAL_US 1000000 /* between two updates of one bubble */
#define BUBBLES_BURST 5            /* shown at once; beyond, one in BUBBLE_REFILL_US */
#define BUBBLE_REFILL_US 2000000
#define BUBBLES_APART 5 /* chats that get bubbles of their own when they have news together */
#define BUBBLES_MAX 64

struct bubbles;

struct bubble {
	struct bubbles *owner;
	char chat_id[65]; /* empty: the one for many chats */
	char message_id[65];
	char *sender, *text; /* NULL: not to be shown */
	unsigned n_photos;
	int64_t unread;
	unsigned n_chats; /* of the one for many */
	bool failed;
	bool foretold;    /* the message is not here yet */
	uint32_t id;      /* the server's; 0: not on screen */
	bool pending;     /* what it says was not told yet */
	bool gathered;    /* told by the one for many */
	bool silent;      /* the next telling is no news */
	bool in_flight;   /* being told: it stays in memory until that is answered */
	bool withdrawn;   /* goes when it is answered */
	uint64_t told_us; /* 0: never */
	char *token;      /* to raise a window with */
	TAILQ_ENTRY(bubble) entry;
};

TAILQ_HEAD(bubble_list, bubble);

struct bubbles {
	void *userdata;
	struct bubble_list list;
	unsigned n;
	unsigned tokens;
	uint64_t refilled_us;
};

void bubbles_init(struct bubbles *b, void *userdata);
void bubbles_clear(struct bubbles *b);

/* Takes what there is to say; copies. -ENOMEM. */
int bubbles_put(struct bubbles *b, const struct notice *n);

/*
 * The next one to be closed, as often as there is one: `ret_id` is the server's, to be told.
 * `chat_id` NULL: all.
 */
bool bubbles_withdraw(struct bubbles *b, const char *chat_id, uint32_t *ret_id);

/*
 * One that is to be told now, marked as in flight; NULL: none, and in `ret_wait_us` how long until
 * there is one (UINT64_MAX: for nothing).
 */
struct bubble *bubbles_next(struct bubbles *b, uint64_t now_us, uint64_t *ret_wait_us);

/*
 * The telling was answered: with an id, or 0 when it failed. Returns the id of what must be closed,
 * since it was withdrawn meanwhile, or 0; the bubble is gone then.
 */
uint32_t bubble_told(struct bubble *bubble, uint32_t id);

/* NULL when none has that id. */
struct bubble *bubbles_find(struct bubbles *b, uint32_t id);

/* The one for many chats stands for this one, the newest of them; others for themselves. */
const struct bubble *bubble_subject(const struct bubble *bubble);

/* The user, or time, closed it. */
void bubble_closed(struct bubble *bubble);

/* The server is another one: nothing is on screen, and what was in flight has no answer. */
void bubbles_forget_ids(struct bubbles *b);
