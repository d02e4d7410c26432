/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API service: what the product needs of a chat network, whatever protocol that speaks. An
 * implementation (service/native, service/fake) fills in the tables of operations below; nothing
 * above this header knows which.
 *
 * Rules for implementations and callers:
 * - Ids and cursors are opaque strings. A message has the client's id from the start and a seq once
 * accepted.
 * - Everything is asynchronous and on the loop's thread. Callbacks and events come from the loop,
 * never from inside the call that started them. Arguments of callbacks are borrowed for the call's
 * duration; a callback that wants to keep a struct moves its content out and leaves it zeroed, or
 * copies.
 * - A call ends in exactly one callback, unless it is cancelled or the service is freed: then there
 * is none.
 * - Retrying is the caller's business, guided by problem_class. The one thing retried inside is
 * what needed a fresh sign-in: one login for all calls waiting, then each is replayed once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/attachment.h"
#include "model/chat.h"
#include "model/message.h"
#include "model/problem.h"
#include "model/user.h"

struct service;
struct service_call; /* a request under way, for cancelling it */

/* What a network can do; what it cannot, the repository does without. */
enum {
	SERVICE_CHAT_LIST = 1 << 0,        /* keeps the list of chats and says what changed in it */
	SERVICE_RECEIPTS = 1 << 1,         /* carries received and read watermarks */
	SERVICE_PUSH = 1 << 2,             /* can wake this device through a push provider */
	SERVICE_RESUMABLE_UPLOAD = 1 << 3, /* an upload goes on where it broke off */
	SERVICE_HISTORY_PAGING = 1 << 4,   /* serves older history page by page */
};

/* Who signs in where. Strings borrowed by calls that take it. */
struct service_credentials {
	const char *server; /* base URL, e.g. "https://chat.example" */
	const char *user_id;
	const char *password;
	const char *device_id; /* this installation, stable */
	const char *token;     /* from an earlier login; NULL: none */
};

/* What login learnt. */
struct service_identity {
	struct user user;
	char *token;              /* a secret */
	int64_t token_expires_at; /* ms since 1970 UTC; 0: not known */
};

void service_identity_clear(struct service_identity *i);

/*
 * What the network tells by itself, once connected. All are called with the `userdata` of
 * service_set_events.
 */
struct service_events {
	/*
	 * The transport is up and the greeting under way. May be NULL; a network without this step
	 * skips it.
	 */
	void (*on_connected)(void *userdata);

	/*
	 * The session is up: the network knows this device and will deliver. `max_in_flight`:
	 * unacknowledged sends.
	 */
	void (*on_greeted)(void *userdata, const char *user_id, unsigned max_in_flight);

	/*
	 * The session is over, or could not start; `connect` may be called again. UNAUTHORISED: the
	 * server refused the credentials. `problem->retry_after_ms` is the server's wish.
	 */
	void (*on_closed)(void *userdata, const struct problem *problem);

	/*
	 * A message, incoming or sent by this user's other device (m->outgoing). `author` may be
	 * NULL when known before.
	 */
	void (*on_message)(void *userdata, struct message *m, const struct user *author);

	/* The network accepted the message: its place and time. First level of acknowledgement. */
	void (*on_accepted)(void *userdata, const char *message_id, const char *chat_id,
		int64_t seq, int64_t created_at);

	/*
	 * The network refused the message: for good, unless the problem is TRANSIENT, when the same
	 * may be sent again later.
	 */
	void (*on_rejected)(void *userdata, const char *message_id, const struct problem *problem);

	/* The peer's device has everything up to and including `message_id`. Second level. */
	void (*on_received)(void *userdata, const char *chat_id, const char *message_id);

	/*
	 * `user_id` has read up to and including `message_id`: the peer, or this user on another
	 * device. Third level.
	 */
	void (*on_read)(
		void *userdata, const char *chat_id, const char *message_id, const char *user_id);

	/*
	 * What was synchronised so far is void: forget the cursors and start over. Local data
	 * stays.
	 */
	void (*on_resync)(void *userdata);

	/* A login made on demand produced a new token, to be kept with the account. */
	void (*on_token)(void *userdata, const char *token, int64_t expires_at);

	/* The goodbye of disconnect is through, or has taken too long. May be NULL. */
	void (*on_parted)(void *userdata);
};

typedef void (*service_login_fn)(
	void *userdata, const struct problem *problem, struct service_identity *identity);

struct session_service {
	/*
	 * Checks the credentials with the server. One of problem and identity is NULL in the
	 * callback.
	 */
	int (*login)(struct service *s, const struct service_credentials *c, service_login_fn fn,
		void *userdata, struct service_call **ret);

	/*
	 * Makes the service speak for this account from now on; copies `c`. NULL forgets it. No
	 * traffic.
	 */
	int (*set_credentials)(struct service *s, const struct service_credentials *c);

	/* Opens the session; ends in on_greeted or on_closed. -EALREADY when open or opening. */
	int (*connect)(struct service *s);

	/* Says goodbye and closes; no on_closed follows. */
	void (*disconnect)(struct service *s, const char *reason);

	/* True until on_parted: the goodbye is on its way. May be NULL: that takes no time. */
	bool (*is_parting)(struct service *s);

	/*
	 * Asks for a sign of life now; without one the session ends soon, in on_closed. May be
	 * NULL: the network needs no asking.
	 */
	void (*probe)(struct service *s);
};

struct chat_page_query {
	const char *changed_after; /* the state of an earlier page; NULL: the list itself, newest
				      first */
	const char *after_id;      /* go on after this chat; NULL: from the start */
	int64_t limit;
};

/* Arrays and strings are owned by whoever holds the page. */
struct chat_page {
	struct chat *chats;
	size_t n_chats;
	struct user *users;
	size_t n_users;
	struct message *messages; /* the chats' last ones */
	size_t n_messages;
	char **removed; /* ids of chats that left the list since changed_after */
	size_t n_removed;
	char *state; /* for the next changed_after */
	bool more;
};

void chat_page_clear(struct chat_page *p);

typedef void (*service_chats_fn)(
	void *userdata, const struct problem *problem, struct chat_page *page);
typedef void (*service_chat_fn)(void *userdata, const struct problem *problem,
	const struct chat *chat, const struct user *peer);
typedef void (*service_user_fn)(
	void *userdata, const struct problem *problem, const struct user *user);
typedef void (*service_done_fn)(void *userdata, const struct problem *problem);

struct chat_lobby_service {
	int (*list_chats)(struct service *s, const struct chat_page_query *q, service_chats_fn fn,
		void *userdata, struct service_call **ret);

	/*
	 * The one-to-one chat with that user, made if need be. `peer` may be NULL in the callback.
	 */
	int (*create_chat)(struct service *s, const char *user_id, service_chat_fn fn,
		void *userdata, struct service_call **ret);

	int (*delete_chat)(struct service *s, const char *chat_id, service_done_fn fn,
		void *userdata, struct service_call **ret);

	int (*get_user)(struct service *s, const char *user_id, service_user_fn fn, void *userdata,
		struct service_call **ret);
};

struct message_page_query {
	const char *chat_id;
	const char *after_id; /* at most one of the two; neither: the newest page */
	const char *before_id;
	int64_t limit;
};

struct message_page {
	struct message *messages; /* ascending by seq */
	size_t n_messages;
	struct user *users;
	size_t n_users;
	bool more; /* there are further ones in the direction asked for */
};

void message_page_clear(struct message_page *p);

typedef void (*service_messages_fn)(
	void *userdata, const struct problem *problem, struct message_page *page);

struct chat_room_service {
	int (*list_messages)(struct service *s, const struct message_page_query *q,
		service_messages_fn fn, void *userdata, struct service_call **ret);

	/*
	 * Hands a message to the session; the answer is on_accepted or on_rejected, or neither when
	 * the session ends first. Sending the same id again is safe. -ENOTCONN without a session,
	 * -ENOBUFS when its queue is full, -EMSGSIZE when the network carries no message as large:
	 * then it never will.
	 */
	int (*send)(struct service *s, const struct message *m);

	/* Watermarks: everything up to and including `message_id`. -ENOTCONN, -ENOBUFS. */
	int (*send_received)(struct service *s, const char *chat_id, const char *message_id);
	int (*send_read)(struct service *s, const char *chat_id, const char *message_id);
};

/*
 * Reads up to `len` bytes at `offset` into `buf`; returns how many (0 at the end) or negative
 * errno.
 */
typedef ssize_t (*service_source_fn)(void *userdata, int64_t offset, void *buf, size_t len);

/*
 * Takes downloaded bytes. `offset` is where they go: 0 again after bytes were taken means that the
 * server's copy has changed and it starts over. Negative errno aborts the call with a permanent
 * problem.
 */
typedef int (*service_sink_fn)(void *userdata, int64_t offset, const void *data, size_t len);

/* Bytes the other side has, of `total`. */
typedef void (*service_progress_fn)(void *userdata, int64_t done, int64_t total);

struct upload_request {
	const struct attachment *attachment; /* copied */
	enum attachment_variant variant;
	const char *mime; /* of this variant */
	int64_t size;     /* of this variant */
	const char *slot; /* where an earlier attempt was uploading to; NULL: ask for a new one */
	service_source_fn source;
	service_progress_fn progress; /* may be NULL */
	void (*on_slot)(void *userdata,
		const char *slot); /* a new slot, to be kept for resuming; may be NULL */
	service_done_fn done;
	void *userdata;
};

struct download_request {
	const struct attachment *attachment; /* copied */
	enum attachment_variant variant;
	int64_t offset;   /* bytes already here */
	const char *etag; /* that they belong to; NULL when offset is 0 */
	service_sink_fn sink;
	/*
	 * Before the first byte. An empty etag: this copy cannot be gone on with later. total -1:
	 * not known.
	 */
	void (*on_etag)(void *userdata, const char *etag, int64_t total);
	service_done_fn done;
	void *userdata;
};

typedef void (*service_attachment_fn)(
	void *userdata, const struct problem *problem, struct attachment *attachment);

struct attachment_service {
	int (*upload)(struct service *s, const struct upload_request *r, struct service_call **ret);

	/*
	 * After both variants are up: what the network now knows of the attachment, its URLs above
	 * all.
	 */
	int (*describe)(struct service *s, const char *attachment_id, service_attachment_fn fn,
		void *userdata, struct service_call **ret);

	int (*download)(
		struct service *s, const struct download_request *r, struct service_call **ret);
};

struct push_registration {
	const char *endpoint;
	const char *p256dh; /* base64url */
	const char *auth;   /* base64url */
};

/* What pushes to a device are encrypted for, as text. */
struct push_keys {
	char private_key[64]; /* a secret, as the next but one */
	char p256dh[96];
	char auth[32];
};

/* What a push says. Strings are owned by whoever holds it. */
struct push_message {
	char *user_name; /* who wrote */
	char *text;      /* how it begins */
	int64_t created_at;
};

struct push_content {
	char *user_id; /* whom it is for */
	struct push_message *messages;
	size_t n_messages;
};

void push_content_clear(struct push_content *c);

struct push_service {
	/* NULL takes the registration back. */
	int (*set_push)(struct service *s, const struct push_registration *r, service_done_fn fn,
		void *userdata, struct service_call **ret);

	/* New ones. No traffic. */
	int (*make_keys)(struct push_keys *ret);

	/*
	 * Opens a push as it came. -EMSGSIZE: too long; -EBADMSG: it is none, or none for these
	 * keys. No traffic.
	 */
	int (*open)(const struct push_keys *keys, const void *data, size_t size,
		struct push_content *ret);
};

/*
 * What every implementation starts with. The tables are static; a table is NULL where capabilities
 * exclude it.
 */
struct service {
	const char *name;
	unsigned capabilities; /* SERVICE_* */
	const struct session_service *session;
	const struct chat_lobby_service *lobby;
	const struct chat_room_service *room;
	const struct attachment_service *attachments;
	const struct push_service *push;
	void (*cancel)(struct service *s, struct service_call *call);
	void (*free)(struct service *s);
	const struct service_events *events; /* set by service_set_events */
	void *userdata;
};

/* `events` (static) are called with `userdata` from now on. Before the first connect. */
void service_set_events(struct service *s, const struct service_events *events, void *userdata);

/*
 * Ends a call without its callback. Takes NULL, returns NULL. Not for calls whose callback has
 * begun.
 */
struct service_call *service_call_cancel(struct service *s, struct service_call *call);

/* Disconnects, drops all calls without their callbacks. Takes NULL, returns NULL. */
struct service *service_free(struct service *s);
DEFINE_CLEANUP(struct service *, service_free)
