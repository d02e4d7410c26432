/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A WebSocket session of one device: its incoming frames, its bounded queue of outgoing ones, its
 * end. What the frames mean stands in frames.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <cjson/cJSON.h>
#include <libwebsockets.h>

#include "base/buffer.h"

struct server;
struct user;

#define FRAME_MAX (256 * 1024)

/* The text of a payload, shared by the sessions it goes to. */
struct payload {
	unsigned references;
	size_t length;
	char text[];
};

struct frame;
TAILQ_HEAD(frame_queue, frame);

struct session {
	struct server *server;
	struct lws *wsi;
	struct user *user;
	char device_id[65]; /* "" until HELLO */
	char connection_id[32];
	bool greeted; /* in the user's list */
	bool closing; /* says nothing after what is queued, hears nothing */
	bool waking;  /* in the server's waking_sessions */
	struct buffer received;
	struct frame_queue queue, held; /* `held` waits to be reordered */
	size_t queued_bytes;
	int64_t in_flight; /* MSG_OUT whose acknowledgement was not written yet */
	lws_sorted_usec_list_t hello_timer, due_timer;
	TAILQ_ENTRY(session) by_server, by_user, by_waking;
};

/* The protocol "chat.v1". */
int session_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

/* Prints and frees `value`; NULL when memory is short. The caller holds one reference. */
struct payload *payload_new(cJSON *value);
struct payload *payload_unref(struct payload *payload); /* takes NULL */
static inline void payload_unrefp(struct payload **p)
{
	payload_unref(*p);
}

/*
 * Queues a frame, which leaves after the commit of what was written so far. `event_type` is static.
 * Faults strike here. A session whose queue is full is cut off; nothing is sent on one that is
 * closing.
 */
void session_push(struct session *session, const char *event_type, struct payload *payload);

/* Pushes to all of the user's sessions but `except` (may be NULL). */
void session_push_to_user(struct user *user, const struct session *except, const char *event_type,
	struct payload *payload);

/* Says BYE after what is queued, then closes. `retry_after_s` 0 is not said. */
void session_bye(struct session *session, const char *reason, int64_t retry_after_s);

/* Closes after what is queued, without BYE: the client has said it. */
void session_end(struct session *session);

/* Closes the TCP connection without a word. */
void session_drop(struct session *session);

/* Puts a session that has greeted into its user's list; another of the same device is replaced. */
void session_join(struct session *session);

/* Stops or resumes reading from the socket, pings included. */
void session_mute(struct session *session, bool mute);

/* Lets frames go that wait to be reordered, the last first. */
void session_release_held(struct session *session);
