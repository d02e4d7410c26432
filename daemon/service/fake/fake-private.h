/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the fake network share. */
#pragma once

#include "service/fake/fake.h"
#include "service/fake/schedule.h"
#include "service/fake/world.h"

enum fake_session_state {
	FAKE_CLOSED,
	FAKE_CONNECTING,
	FAKE_OPEN,
	FAKE_DROPPED, /* over, but not told yet */
};

enum fake_event_kind {
	FAKE_EVENT_GREETED,
	FAKE_EVENT_CLOSED,
	FAKE_EVENT_MESSAGE,
	FAKE_EVENT_ACCEPTED,
	FAKE_EVENT_REJECTED,
	FAKE_EVENT_RECEIVED,
	FAKE_EVENT_READ,
	FAKE_EVENT_RESYNC,
	FAKE_EVENT_TOKEN,
};

/* Something that on its time is told through service_events. Strings are owned. */
struct fake_event {
	struct task task;
	struct fake *fake;
	enum fake_event_kind kind;
	char *chat_id, *message_id, *user_id;
	int64_t seq, created_at;
	struct message message;
	struct user author;
	struct problem problem;
};

enum fake_action_kind {
	FAKE_ACTION_ARRIVE, /* a message of this user's gets to the network: belongs to the session
			     */
	FAKE_ACTION_RECEIVED, /* the peer's device stores it */
	FAKE_ACTION_READ,     /* the peer reads it */
	FAKE_ACTION_REPLY,    /* the peer answers */
};

/* Something that on its time happens in the network, session or not. */
struct fake_action {
	struct task task;
	struct fake *fake;
	enum fake_action_kind kind;
	struct message message;          /* ARRIVE */
	char *chat_id, *message_id;      /* RECEIVED, READ */
	const struct world_reply *reply; /* REPLY, of the world */
};

struct fake_slot {
	char *id;
	char *attachment_id;
	enum attachment_variant variant;
	struct buffer bytes;
};

struct fake_fault {
	unsigned count;
	int64_t after_bytes;
	struct problem problem;
};

struct fake {
	struct service service; /* first: the two are cast into each other */
	struct schedule schedule;
	struct world world;
	enum fake_session_state state;
	bool has_credentials;
	char *password, *token;
	bool token_expired;
	unsigned n_tokens;
	struct fake_fault faults[FAKE_OPERATIONS];
	unsigned calls[FAKE_OPERATIONS];
	unsigned running[FAKE_OPERATIONS];
	bool stalled[FAKE_OPERATIONS];
	struct service_call *current; /* whose step runs */
	struct task_list waiting;     /* calls that are stalled */
	struct task_list withheld;    /* acceptances not told */
	struct task_list reordering;
	unsigned n_reordering, reorder, duplicate, lose_sends, n_in_flight;
	bool withhold_acks;
	struct fake_slot *slots;
	size_t n_slots, n_slots_made;
	char *push_endpoint;
};

static inline struct fake *fake_from(struct service *s)
{
	return (struct fake *)s;
}

/*
 * Gives a call its answer: `p` when it failed, else NULL. True: it goes on, and has been scheduled
 * again. Callbacks may cancel the call or free the service: `cancelled` tells, and `fake` is not to
 * be touched then.
 */
typedef bool (*fake_answer_fn)(struct service_call *c, const struct problem *p);

/* Where an upload or a download is. */
struct fake_transfer {
	struct attachment attachment;
	enum attachment_variant variant;
	int64_t size, offset;
	int64_t moved; /* in this call */
	char *slot, *etag;
	bool begun;
	bool counted; /* among the running */
	service_source_fn source;
	service_sink_fn sink;
	service_progress_fn progress;
	void (*on_slot)(void *userdata, const char *slot);
	void (*on_etag)(void *userdata, const char *etag, int64_t total);
};

struct service_call {
	struct task task;
	struct fake *fake;
	enum fake_operation op;
	fake_answer_fn answer;
	bool waiting;   /* among the stalled */
	bool cancelled; /* while its step ran */
	union {
		service_login_fn login;
		service_chats_fn chats;
		service_chat_fn chat;
		service_user_fn user;
		service_messages_fn messages;
		service_done_fn done;
		service_attachment_fn attachment;
	} fn;
	void *userdata;
	char *id, *after, *before; /* after and before: cursors */
	int64_t limit;
	struct fake_transfer *transfer;
};

/*
 * fake-events.c: tellers take what they tell by copy; short memory loses the event, as networks do.
 */
void fake_tell_closed(struct fake *f, const struct problem *p);
void fake_tell_greeted(struct fake *f);
void fake_tell_token(struct fake *f);
void fake_tell_resync(struct fake *f);
void fake_tell_message(struct fake *f, const struct message *m);
void fake_tell_accepted(struct fake *f, const struct message *m);
void fake_tell_rejected(struct fake *f, const char *message_id, const struct problem *p);
void fake_tell_watermark(struct fake *f, enum fake_event_kind kind, const char *chat_id,
	const char *message_id, const char *user_id);
void fake_tell_withheld(struct fake *f);
void fake_events_forget(struct fake *f); /* those of the session */

/* fake-actions.c */
int fake_act_arrive(struct fake *f, const struct message *m);
void fake_actions_forget(struct fake *f); /* those of the session */

/* The peer has stored (RECEIVED) or read (READ) up to there. -ENOENT. */
int fake_set_peer_watermark(
	struct fake *f, enum fake_event_kind kind, const char *chat_id, const char *message_id);

/* fake-session.c */
extern const struct session_service fake_session;
void fake_session_end(struct fake *f); /* forgets all that belongs to it */
bool fake_sign_in(
	struct fake *f); /* a new login if the token is missing or expired; false: refused */
/*
 * A problem of this network's. Returned so that `p = fake_problem(&own, …)` reads as it is meant;
 * the owner of `ret` clears it.
 */
const struct problem *fake_problem(
	struct problem *ret, enum problem_class class, int status, const char *title);
const struct problem *fake_no_memory(struct problem *ret);
const struct problem *fake_unknown_cursor(struct problem *ret);
const struct problem *fake_unauthorised(struct problem *ret);

/* Opens the session that was asked for; false: it could not, and why. */
bool fake_session_open(struct fake *f, struct problem *ret);

/* fake-calls.c */
/* `id` (copied, may be NULL) is what the call is about. 0 or -ENOMEM. */
int fake_call_new(struct service *s, enum fake_operation op, fake_answer_fn answer, const char *id,
	void *userdata, struct service_call **ret);
struct service_call *fake_call_free(struct service_call *c);
DEFINE_CLEANUP(struct service_call *, fake_call_free)
void fake_call_start(
	struct service_call *c, struct service_call **ret); /* takes `c`; `ret` may be NULL */
void fake_call_cancel(struct service *s, struct service_call *c);
void fake_calls_resume(struct fake *f, enum fake_operation op);
void fake_calls_clear(struct fake *f);
bool fake_take_fault(struct fake *f, enum fake_operation op, struct problem *ret);
int64_t fake_clamp_limit(int64_t limit);
int fake_dup(char **to, const char *from); /* NULL stays NULL; 0 or -ENOMEM */

/* fake-lobby.c, fake-room.c, fake-transfer.c */
extern const struct chat_lobby_service fake_lobby;
extern const struct chat_room_service fake_room;
extern const struct attachment_service fake_attachments;
struct fake_transfer *fake_transfer_free(struct fake_transfer *t);
void fake_slots_clear(struct fake *f);

/* fake-control.c */
struct world_chat *fake_chat_of(
	struct fake *f, const char *user_id); /* made if need be; NULL: no memory */
