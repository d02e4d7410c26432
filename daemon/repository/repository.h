/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the product does, between the API above and store and service below. One struct repository
 * is one account; its files are its parts: account, lobby, room, outbox, receipts, sync, transfer.
 *
 * Functions that may have to ask the network take a callback. It is called exactly once with
 * `failure` NULL on success, possibly before the function returns, unless repository_free comes
 * first. What a callback reports has been written in this turn's transaction, so a reply that
 * depends on it goes through the commit barrier.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "db/barrier.h"
#include "model/failure.h"
#include "model/push.h"
#include "repository/notice.h"
#include "repository/push-link.h"
#include "service/service.h"
#include "store/store.h"

struct repository;

struct repository_options {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	struct service *service;
	const char *preview_helper; /* path of chatd-preview */
	uint64_t seed;              /* of the jitter */
};

/*
 * All of `o` is borrowed until repository_free; strings are copied. Reads the account and starts
 * nothing.
 */
int repository_new(const struct repository_options *o, struct repository **ret);

/* Says goodbye to the server if connected. Takes NULL, returns NULL. */
struct repository *repository_free(struct repository *r);
DEFINE_CLEANUP(struct repository *, repository_free)

/* Photos that are looked at from now on go through the program at this path; copied. */
int repository_set_preview_helper(struct repository *r, const char *path);

/* Begins to connect if an account is signed in. */
void repository_start(struct repository *r);

/* What observers are told, outside the durable changes. */

enum session_state {
	SESSION_OFFLINE, /* no account, or told to stay offline */
	SESSION_CONNECTING,
	SESSION_GREETING,
	SESSION_CATCHING_UP,
	SESSION_LIVE,           /* only while the server answers */
	SESSION_BACKOFF,        /* waiting before the next attempt */
	SESSION_LOGIN_REQUIRED, /* the server refused the credentials; no further attempts */
	SESSION_LOCKED,
	SESSION_SUSPENDED, /* closed until somebody wants it: connection.policy */
};

const char *session_state_to_string(enum session_state s);

struct session_status {
	enum session_state state;
	int64_t since;           /* ms since 1970 */
	int64_t next_attempt_at; /* 0: none planned */
	const char *last_error;  /* borrowed; NULL: none since the last LIVE */
};

struct repository_status {
	struct session_status connection;
	const char *server; /* these three borrowed, NULL when nobody is signed in */
	const char *user_id;
	const char *user_name;
	bool signed_in;
	int64_t outbox_pending, outbox_failed;
	int64_t transfers_active, transfers_waiting;
	enum push_state push;
	const char *push_distributor; /* its name on the bus, borrowed; NULL: none has taken it */
};

void repository_get_status(struct repository *r, struct repository_status *ret);

struct repository_observer {
	void (*on_connection)(void *userdata, const struct session_status *s);
	/* At most 10 times a second for one attachment. */
	void (*on_transfer_progress)(void *userdata, const struct attachment *a);
	/* The user wants to see a chat; `message_id` and `token` (of its window) may be NULL. */
	void (*on_open)(
		void *userdata, const char *chat_id, const char *message_id, const char *token);
};

/* At most 4; `o` static. */
void repository_add_observer(
	struct repository *r, const struct repository_observer *o, void *userdata);

/* Takes back what was added with `userdata`; an observer that goes first must leave. */
void repository_remove_observer(struct repository *r, const void *userdata);

/* The machine. */

/*
 * Whether there is a network, true until somebody says otherwise. Without one attempts are rare;
 * when it is back there is one within seconds, which are up to chance.
 */
void repository_set_online(struct repository *r, bool online);

/* The way to the outside is another one: whether the session has outlived that is found out. */
void repository_note_move(struct repository *r);

typedef void (*repository_slept_fn)(void *userdata);

/*
 * Says goodbye to the server and makes no attempt until repository_resume. `fn` comes once, when
 * the server has taken the goodbye or too much time has passed, possibly before this returns, but
 * not after repository_resume.
 */
void repository_sleep(struct repository *r, repository_slept_fn fn, void *userdata);
void repository_resume(struct repository *r);

/* Notices: what the user should be told of. */

/* From now on `sink` (static) shows them; NULL: nobody any more. */
void repository_set_notice_sink(
	struct repository *r, const struct notice_sink *sink, void *userdata);

/* What the sink calls, with the repository. */
extern const struct notice_actions repository_notice_actions;

/*
 * A frontend had the chat `before` on screen and now has another; NULL: none. Nobody is told of
 * what comes in a chat that is seen. -ENOMEM.
 */
int repository_focus(struct repository *r, const char *before, const char *now);

/* Pushes. */

/* From now on `connector` (static) can have them passed on; NULL: nobody any more. */
void repository_set_push_connector(
	struct repository *r, const struct push_connector *connector, void *userdata);

/* What the connector calls, with the repository. */
extern const struct push_events repository_push_events;

/*
 * True while nothing is under way or waits, and pushes would tell of what comes: by the policy
 * "push" the process may end then, after repository_linger_s.
 */
bool repository_is_idle(struct repository *r);
int64_t repository_linger_s(const struct repository *r);

/* Account. */

typedef void (*repository_done_fn)(void *userdata, const struct failure *failure);

/*
 * Signs in and starts the first sync. Failures: INVALID (not a URL), DENIED (wrong password),
 * OFFLINE (no answer), CONFLICT (another user is signed in here), BUSY (a login is under way).
 */
void account_login(struct repository *r, const char *server, const char *user_id,
	const char *password, repository_done_fn fn, void *userdata);

/*
 * Before an account is given up: the server forgets where to push to, and the distributor that
 * pushes were wanted. `fn` comes once that is so, or when it has taken five seconds; nothing here
 * is changed, but the caller frees the repository next. Failures: BUSY (a login is under way).
 */
void account_take_leave(struct repository *r, repository_done_fn fn, void *userdata);

/* Lobby. */

typedef void (*repository_id_fn)(void *userdata, const struct failure *failure, const char *id);

/*
 * The chat with a user, made at the server if need be. Failures: NOT_FOUND (no such user), OFFLINE,
 * LOGIN_REQUIRED.
 */
void lobby_create_chat(
	struct repository *r, const char *user_id, repository_id_fn fn, void *userdata);

/*
 * Takes the chat off this user's list, on all devices, and what this one holds of it with it. It
 * comes back with the next message from either side. Failures: NOT_FOUND, CONFLICT (messages in it
 * still wait to be sent), OFFLINE, LOGIN_REQUIRED.
 */
void lobby_delete_chat(
	struct repository *r, const char *chat_id, repository_done_fn fn, void *userdata);

/* Makes sure that the user is in the store, asking the server if not. */
void lobby_fetch_user(
	struct repository *r, const char *user_id, repository_done_fn fn, void *userdata);

/* Room. */

/* A photo to send: the caller's descriptor (borrowed for the call) or a path. */
struct room_photo {
	int fd;           /* -1: open `path` */
	const char *path; /* absolute */
	const char *name; /* file name to show; NULL: the path's last part, or none */
};

#define ROOM_PHOTOS_MAX 10
#define ROOM_TEXT_MAX 65536 /* bytes; leaves room for JSON escapes in a frame of 256 KiB */

struct room_send {
	const char *chat_id; /* one of these two */
	const char *user_id;
	const char *text;
	const char *message_id; /* the caller's, or NULL: one is made */
	const struct room_photo *photos;
	size_t n_photos;
};

/*
 * Takes a message over: once `fn` has reported success and the turn is committed it will be
 * delivered, or be FAILED with the server's reason. The same message_id again succeeds without a
 * second message; with another content it is a CONFLICT. Failures: NOT_FOUND (chat), LOGIN_REQUIRED
 * (never signed in), INVALID, UNSUPPORTED (not an image), TOO_LARGE. Copies what it keeps.
 */
void room_send(
	struct repository *r, const struct room_send *m, repository_id_fn fn, void *userdata);

/*
 * Sees to it that `limit` messages before `before_id` (NULL: the newest) are in the store, as far
 * as the chat's history has them and the server can be asked. Succeeds offline too, with what is
 * there. NOT_FOUND: chat or message.
 */
void room_load_history(struct repository *r, const char *chat_id, const char *before_id,
	int64_t limit, repository_done_fn fn, void *userdata);

/* True while messages older than the oldest stored one are known to exist. */
bool room_has_older_history(struct repository *r, const char *chat_id);

/* Everything up to and including `message_id` is read; tells the server in good time. */
int room_mark_read(struct repository *r, const char *chat_id, const char *message_id,
	struct failure *ret_failure);

/*
 * A FAILED message is PENDING again and goes under the same id: the server remembers nothing of
 * what it refused. 0 also when it is PENDING. NOT_FOUND; CONFLICT: the server has it.
 */
int room_retry(struct repository *r, const char *message_id, struct failure *ret_failure);

/*
 * Takes back a message that is not sent. NOT_FOUND; CONFLICT: the server has it, or may have it
 * since it is on its way.
 */
int room_cancel(struct repository *r, const char *message_id, struct failure *ret_failure);

/* Consumers: durable positions in the order of changes, moved by whoever follows it. */

/*
 * Where the consumer is; a new one begins at `since` (negative: now). INVALID, CONFLICT: too many.
 */
int consumer_open(struct repository *r, const char *name, int64_t since, int64_t *ret_seq,
	struct failure *ret_failure);

/* Moves it forward; tells where it is then. NOT_FOUND, INVALID: ahead of the newest change. */
int consumer_ack(struct repository *r, const char *name, int64_t seq, int64_t *ret_seq,
	struct failure *ret_failure);
int consumer_forget(struct repository *r, const char *name, struct failure *ret_failure);

/* Settings. */

enum setting_type {
	SETTING_CHOICE,
	SETTING_INTEGER,
};

struct setting {
	const char *name; /* NULL ends the table */
	enum setting_type type;
	const char *const *values; /* of a choice, NULL-terminated */
	int64_t min, max;          /* of an integer */
	const char *initial;       /* what it is when nobody has set it */
	const char *doc;
};

/* All there are. */
const struct setting *setting_table(void);

/* What it is now, owned. -ENOENT: there is no such setting. */
int setting_get(struct repository *r, const char *name, char **ret_value);

/*
 * Effective at once; NULL: the initial value again. NOT_FOUND; INVALID: no value of its type.
 */
int setting_set(
	struct repository *r, const char *name, const char *value, struct failure *ret_failure);

/* Tells whether there is a frontend to which it matters that the session is live. */
void repository_set_watched(struct repository *r, bool watched);

/* Search. */

/*
 * Sees to it that store_search finds everything that is in the store; may take several turns.
 * Succeeds with what can be found where the index cannot be written.
 */
void search_prepare(struct repository *r, repository_done_fn fn, void *userdata);

/* Storage. */

/* How much was dealt with; 0 on failure. */
typedef void (*repository_count_fn)(void *userdata, const struct failure *failure, int64_t n);

/*
 * Makes a copy of the databases in a directory that is not there yet; tells its bytes. CONFLICT
 * (it is there), DENIED, NOT_FOUND, STORAGE_FULL, BUSY, UNSUPPORTED (nothing is on a disk).
 */
void storage_backup(struct repository *r, const char *path, repository_count_fn fn, void *userdata);

/* Removes a copy that turns out to be of no use. */
void storage_discard_backup(const char *path);

/*
 * All photos that can be fetched again go; all messages but each chat's newest, those unread and
 * those to be sent. Tells how many went. BUSY.
 */
void storage_purge_media(struct repository *r, repository_count_fn fn, void *userdata);
void storage_purge_history(struct repository *r, repository_count_fn fn, void *userdata);

/* Attachments. */

/*
 * Whether traffic costs the user; false until somebody says so. What was begun by itself stops on a
 * metered network, where the policy says so, and goes on when it is not metered any more.
 */
void transfers_set_metered(struct repository *r, bool metered);

/* The bytes were looked at: they go after those that were not. */
void transfer_note_use(struct repository *r, const char *attachment_id, enum attachment_variant v);

/*
 * Asks for the full bytes; returns at once, follow attachment.updated. No effect when they are here
 * or coming.
 */
int transfer_download(struct repository *r, const char *attachment_id, struct failure *ret_failure);

/*
 * Stops a transfer. A download is WAITING then, and goes on from there when it is asked for again;
 * an upload takes its message with it, which is FAILED. No effect where nothing moves. CONFLICT:
 * too late, the photo is on the server.
 */
int transfer_cancel(struct repository *r, const char *attachment_id, struct failure *ret_failure);

/*
 * A sealed read-only memfd with the bytes of a variant, owned by the caller. NOT_FOUND; BUSY while
 * not all are here.
 */
int transfer_open(struct repository *r, const char *attachment_id, enum attachment_variant v,
	int *ret_fd, int64_t *ret_size, struct failure *ret_failure);
