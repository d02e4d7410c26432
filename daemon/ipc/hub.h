/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Subscriptions are cursors over the store's changes: the database is the queue, and nothing is
 * kept of a subscriber but its position. Subscribers that stand at the same place are served
 * together: one query, one encoding, however many they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/event-loop.h"
#include "base/json-fields.h"
#include "db/barrier.h"
#include "ipc/output.h"
#include "store/store.h"

struct hub;

/* Something to tell, for as long as a call of `take` lasts. */
struct event {
	int64_t seq; /* 0: ephemeral */
	unsigned topic;
	cJSON *data;        /* maybe text (json-text.h): event_tree is for walking it */
	struct chunk *line; /* of event_line */
};

/*
 * The notification as a line, made once for all who ask; borrowed from the event. NULL when memory
 * is short.
 */
struct chunk *event_line(struct event *e);

/* What is told, as a tree, made once as well; borrowed. NULL when memory is short. */
const cJSON *event_tree(struct event *e);

struct subscriber_ops {
	/* True while nothing more can be taken; hub_schedule says when that is over. */
	bool (*is_full)(void *userdata);
	void (*take)(void *userdata, struct event *e);
	/* Comes after one or more calls of `take`. */
	void (*flush)(void *userdata);
};

struct subscription {
	unsigned topics; /* bits */
	char **chats;    /* owned; only these, when there are any */
	size_t n_chats;
	int64_t position; /* everything up to and including this seq has been told */
	/*
	 * A pass begins with everything told up to `pass_from` and ends at `pass_to`, the newest
	 * change of that moment. What a pass tells as added it tells as of `pass_to` or later.
	 */
	int64_t pass_from, pass_to;
};

void subscription_clear(struct subscription *s);

enum subscription_change {
	SUBSCRIPTION_KEPT,
	SUBSCRIPTION_REPLACED,
	SUBSCRIPTION_ENDED,
};

/* One who can subscribe, to one thing at a time. Embedded in its owner. */
struct subscriber {
	struct hub *hub;
	const struct subscriber_ops *ops;
	void *userdata;
	bool active;
	bool stopped; /* full in the midst of a page */
	bool took;    /* something that is not flushed yet */
	struct subscription current;
	enum subscription_change staged_change; /* waits for its answer to be on the way */
	struct subscription staged;
	uint64_t seen; /* of the ephemeral events */
	TAILQ_ENTRY(subscriber) entry;
};

/* Borrows the two until hub_free. Closed at first. NULL when memory is short. */
struct hub *hub_new(struct event_loop *loop, struct barrier *barrier);

/*
 * The changes of `store` (borrowed until hub_close) are told. While closed just what is ephemeral
 * is; subscribers keep their positions.
 */
void hub_open(struct hub *h, struct store *store);
void hub_close(struct hub *h);

/* All subscribers must be gone. Takes NULL, returns NULL. */
struct hub *hub_free(struct hub *h);
DEFINE_CLEANUP(struct hub *, hub_free)

void hub_add(struct hub *h, struct subscriber *s, const struct subscriber_ops *ops, void *userdata);

/* Takes one off and releases what it holds; no effect when it was never added. */
void hub_remove(struct subscriber *s);

/*
 * What subscriber_settle will put in place of the current subscription; NULL ends it. Moves out of
 * `subscription`.
 */
void subscriber_stage(struct subscriber *s, struct subscription *subscription);

/*
 * The answer to the staged change has been queued (then it is in force) or became an error (then it
 * is dropped).
 */
void subscriber_settle(struct subscriber *s, bool in_force);

/*
 * The present id of a chat, by whatever it has been called; the id itself when it is not known.
 * Owned; NULL when it cannot be told.
 */
char *hub_resolve_chat(struct hub *h, const char *chat_id);

/* Serves those who are not full any more, at the end of the turn. */
void hub_schedule(struct hub *h);

/* Told when there is somebody who watches, and when there is nobody any more. */
typedef void (*hub_watch_fn)(void *userdata, bool watched);
void hub_set_watch(struct hub *h, hub_watch_fn fn, void *userdata);

bool hub_is_watched(const struct hub *h);

/* How many have been added, and may subscribe or have. */
unsigned hub_count(const struct hub *h);

/* Counts as watching without a subscription; as often as it was held it must be released. */
void hub_hold(struct hub *h);
void hub_release(struct hub *h);

/* True if anybody has asked for a topic: else making its events is wasted. */
bool hub_is_wanted(const struct hub *h, unsigned topic);

/*
 * Tells of something ephemeral. Of one `subject` only the newest is kept (borrowed; unique within
 * the topic), and it is sent at most 10 times a second. `chat_id` may be NULL; takes `data`.
 */
void hub_publish(
	struct hub *h, unsigned topic, const char *subject, const char *chat_id, cJSON *data);
