/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A chat network that is made up: the interface of service.h over a JSON file, in memory, without
 * traffic. For `chatd --demo`, and for tests, which make it misbehave through the calls below.
 *
 * The file (every member is checked; what is not named here is refused):
 *   user       {id, name, picture_url?}: who signs in
 *   users      [{id, name, picture_url?}]
 *   chats      [{id?, user_id, created_at?, unread?, peer_read?, messages?: [
 *                {id?, from, text?, created_at? | minutes_ago?, attachments?: [
 *                  {id, mime?, name?, width?, height?, file? | generate?, preview_file? |
 * preview_generate?}]}]}] messages oldest first; files are looked for beside the JSON file,
 * `generate` makes so many bytes up behaviour  {login?: "accept" | "refuse", password?,
 * latency_ms?, ack_ms?, received_ms?, read_ms?, reply_ms?, max_in_flight?, replies?: [{user_id?,
 * text}]} without `password` any is taken. received_ms and read_ms count from the acceptance; -1:
 * never; `replies` are given in turn to what the user sends, reply_ms after it
 *
 * It keeps to the rules of service.h: nothing is called back from inside a call, not from the ones
 * below either.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event-loop.h"
#include "base/json-fields.h"
#include "service/service.h"

/* NULL with `ret_error` filled in when the file cannot be used. `loop` is borrowed. */
struct service *fake_service_new(
	struct event_loop *loop, const char *json_path, struct json_error *ret_error);

/*
 * The rest is for tests. `s` is always a service made above. What they set in motion happens from
 * the loop.
 */

enum fake_operation {
	FAKE_LOGIN,
	FAKE_CONNECT, /* fails as on_closed */
	FAKE_LIST_CHATS,
	FAKE_CREATE_CHAT,
	FAKE_DELETE_CHAT,
	FAKE_GET_USER,
	FAKE_LIST_MESSAGES,
	FAKE_SEND, /* fails as on_rejected */
	FAKE_SEND_RECEIVED,
	FAKE_SEND_READ,
	FAKE_UPLOAD,
	FAKE_DESCRIBE,
	FAKE_DOWNLOAD,
	FAKE_SET_PUSH,
	FAKE_OPERATIONS,
};

/*
 * The next `count` calls of `op` fail with a copy of `p`. Uploads and downloads do so after
 * `after_bytes` bytes were moved in that call; for others it has no meaning. FAKE_SEND_RECEIVED and
 * FAKE_SEND_READ do not fail.
 */
void fake_service_fail(struct service *s, enum fake_operation op, unsigned count,
	int64_t after_bytes, const struct problem *p);

/* While set, calls of `op` that answer through a service_call wait, in order; then they go on. */
void fake_service_stall(struct service *s, enum fake_operation op, bool stall);

/* How often `op` was called. */
unsigned fake_service_count_calls(struct service *s, enum fake_operation op);

/* Uploads or downloads (by `op`) that have not ended: for tests of how many run at once. */
unsigned fake_service_count_running(struct service *s, enum fake_operation op);

/*
 * The session ends with on_closed; what was under way in it is lost. `p` NULL: a transient problem.
 */
void fake_service_drop(struct service *s, const struct problem *p);

/*
 * While set, messages are accepted but nobody is told; then those of the present session are told.
 */
void fake_service_withhold_acks(struct service *s, bool withhold);

/* The next `count` messages sent never reach the network. */
void fake_service_lose_sends(struct service *s, unsigned count);

/* The next `count` events (message, accepted, received, read) are told twice. */
void fake_service_duplicate_events(struct service *s, unsigned count);

/* The next `count` events are kept back until there are so many, then told in reverse. */
void fake_service_reorder_events(struct service *s, unsigned count);

/* Cursors and states given out so far are not known any more, and on_resync says so. */
void fake_service_resync(struct service *s);

/*
 * The next call finds the token expired: one login for it, then on_token; a refused one ends in
 * UNAUTHORISED.
 */
void fake_service_expire_token(struct service *s);

/* From now on every sign-in is refused, or accepted again. */
void fake_service_refuse_logins(struct service *s, bool refuse);

/*
 * A message that somebody else's device, or the user's other one, hands to the network. Strings are
 * copied.
 */
struct fake_message {
	const char *chat_id; /* NULL: the chat with `user_id`, made if need be */
	const char *user_id; /* who wrote it; the user's own id: from another device; somebody
				unknown is made known */
	const char *id;      /* NULL: a new one */
	const char *text;
	const struct attachment *attachments; /* shown as they are */
	size_t n_attachments;
	bool silent; /* placed, but not told: the next one leaves a gap */
};

/*
 * 0 and the message's place; -ENOENT without such a chat; -EEXIST for an id that is there; -ENOMEM.
 */
int fake_service_inject(struct service *s, const struct fake_message *m, int64_t *ret_seq);

/* The peer has stored, or read, up to and including that message. -ENOENT. */
int fake_service_peer_received(struct service *s, const char *chat_id, const char *message_id);
int fake_service_peer_read(struct service *s, const char *chat_id, const char *message_id);

/* This user has read up to there on another device. -ENOENT. */
int fake_service_read_elsewhere(struct service *s, const char *chat_id, const char *message_id);

/* This user has removed the chat from the list on another device. -ENOENT. */
int fake_service_delete_elsewhere(struct service *s, const char *chat_id);

/* The network's own view of a chat. -ENOENT. */
struct fake_chat_view {
	size_t n_messages;
	int64_t received_seq; /* by this user's device */
	int64_t read_seq;     /* by this user */
	int64_t peer_received_seq, peer_read_seq;
};
int fake_service_view_chat(struct service *s, const char *chat_id, struct fake_chat_view *ret);

/* The place of a message in its chat, by the network's view; 0: never arrived. */
int64_t fake_service_message_seq(struct service *s, const char *chat_id, const char *message_id);

/* Makes an attachment's bytes other ones, under a new etag. -ENOENT, -ENOMEM. */
int fake_service_replace_bytes(struct service *s, const char *attachment_id,
	enum attachment_variant variant, const void *bytes, size_t size);

/* The endpoint registered for push, borrowed until the next call; NULL: none. */
const char *fake_service_push_endpoint(struct service *s);
