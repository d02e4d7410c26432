/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store's writing half, for the repository alone. Everything here takes part in the turn's
 * transaction. Errors as in store.h; -EEXIST besides, where something else stands in the place.
 */
#pragma once

#include "store/store.h"

/* Several writes as one: all of them between begin and end happen, or none if `failed`. Nests. */
int store_begin(struct store *s);
void store_end(struct store *s, bool failed);

/*
 * For a watchdog: whether the databases can be read. -ESTALE: a file was moved or deleted under the
 * daemon, and what is written would be lost.
 */
int store_probe(struct store *s);

/*
 * Writes without changing anything, so that store_write_state() tells whether writing works again.
 */
int store_try_write(struct store *s);

/* The account. Strings are borrowed during the callback; at most one account is stored. */
struct store_account {
	const char *server;
	const char *user_id;
	const char *user_name;
	const char *password;
	const char *device_id;
	const char *token;      /* NULL: none */
	const char *sync_state; /* NULL: never synchronised */
	int64_t token_expires_at;
	bool refused; /* the server did not accept the password any more */
};

typedef int (*store_account_fn)(void *userdata, const struct store_account *a);
int store_account_get(struct store *s, store_account_fn fn, void *userdata);

/* Inserts or replaces; where the sync stands is left as it is. */
int store_account_put(struct store *s, const struct store_account *a);
int store_account_set_token(struct store *s, const char *token, int64_t expires_at);
int store_account_set_sync_state(struct store *s, const char *state);
int store_account_set_refused(struct store *s, bool refused);

/* The account's subscription to pushes. Strings are borrowed during the callback. */
struct store_push {
	const char *token;
	const char *private_key, *p256dh, *auth;
	const char *distributor; /* who has taken it; NULL: nobody yet */
	const char *endpoint;    /* the same */
	bool told;               /* the server knows the endpoint */
};

/* -ENOENT: there is none. */
typedef int (*store_push_fn)(void *userdata, const struct store_push *p);
int store_push_get(struct store *s, store_push_fn fn, void *userdata);

/* Inserts or replaces; NULL: there is none any more. */
int store_push_put(struct store *s, const struct store_push *p);

/*
 * The chat with the one user of that name, and when the newest message that came in there was
 * written (0: there is none). -ENOENT: nobody or several are called that.
 */
int store_chat_find_by_name(
	struct store *s, const char *name, char ret_chat_id[65], int64_t *ret_newest_at);

/* Inserts or updates; the chats that show the user are stamped when something visible changed. */
int store_user_put(struct store *s, const struct user *u);

/* A user of whom nothing but the id is known, and is shown; -ENOENT when there is none. */
int store_user_next_unknown(struct store *s, char ret_user_id[65]);
bool store_user_is_known(struct store *s, const char *user_id);

/* What the sync needs to know of a chat. The id is a buffer, so that it may be kept. */
struct store_chat_sync {
	char id[65]; /* its present one, by whatever it was asked for */
	int64_t floor_seq, last_seq, server_seq;
	char last_id[65];  /* of the message at last_seq; "" when there is none */
	char floor_id[65]; /* of the one at floor_seq */
};

int store_chat_sync(struct store *s, const char *chat_id, struct store_chat_sync *ret);

/* The present id of a chat, by whatever it was asked for. */
int store_chat_id(struct store *s, const char *chat_id, char ret_id[65]);

/*
 * Chats with a gap between what is stored and what the server has, the most recently active first.
 */
typedef int (*store_id_fn)(void *userdata, const char *id);
int store_chat_gaps(struct store *s, int64_t limit, store_id_fn fn, void *userdata);

/* The server has nothing above what is stored after all. */
int store_chat_close_gap(struct store *s, const char *chat_id);

/*
 * Inserts or updates from the server's description: watermarks move forward only. A provisional
 * chat with the same user is named by it.
 */
int store_chat_put(struct store *s, const struct chat *c);

/*
 * A chat that the server has not named yet; writes its provisional id. The existing chat with that
 * user, if any.
 */
int store_chat_provisional(struct store *s, const char *user_id, char ret_chat_id[65]);

/*
 * The user of a provisional chat that has something to send, for asking the server; -ENOENT: none
 * left.
 */
int store_chat_next_provisional(struct store *s, char ret_user_id[65], char ret_chat_id[65]);

/*
 * The chat left the user's list: it goes, with its messages. One in which something is still to be
 * sent stays, since that will bring it back. 0 also when there is none.
 */
int store_chat_delete(struct store *s, const char *chat_id);

/* Messages in it wait to be sent. */
bool store_chat_has_pending(struct store *s, const char *chat_id);

bool store_chat_is_provisional(struct store *s, const char *chat_id);

/* Fails all PENDING messages of a chat, as when the server does not know the user. */
int store_chat_fail_pending(
	struct store *s, const char *chat_id, const char *title, const char *detail);

/*
 * How many messages are stored before `before_id` (NULL: in all), counted up to `limit`. -ENOENT.
 */
int64_t store_message_count_before(
	struct store *s, const char *chat_id, const char *before_id, int64_t limit);

struct store_put {
	int64_t added; /* messages that were not here before */
	bool gap;      /* something between them and what was here is still missing */
};

/*
 * Messages as the server has them, each with its seq, ascending, all of chat `chat_id` (which must
 * exist). With `run`, they are consecutive and extend or replace the stored run of history;
 * without, they are single arrivals. Those already here are left as they are, but for outgoing ones
 * that were still pending: these are accepted.
 */
int store_messages_put(struct store *s, const char *chat_id, const struct message *m, size_t n,
	bool run, struct store_put *ret);

/*
 * A new outgoing message, PENDING, with its attachments. Writes its place nowhere else. -EEXIST:
 * the id is taken; nothing of the message was written.
 */
int store_message_add(struct store *s, const struct message *m);

/*
 * The server's answer to a PENDING message. No effect on one that is accepted already. -EEXIST:
 * another message stands at that place; nothing was written.
 */
int store_message_accept(struct store *s, const char *message_id, int64_t seq, int64_t created_at);
int store_message_fail(
	struct store *s, const char *message_id, const char *title, const char *detail);

/*
 * PENDING messages in order of adding, after the one that has `after` as its number (0: from the
 * start).
 */
typedef int (*store_outbox_fn)(void *userdata, const struct message *m, int64_t number);
int store_outbox_list(
	struct store *s, int64_t after, int64_t limit, store_outbox_fn fn, void *userdata);

/* Notes that a PENDING message is about to be sent; committed before it is. */
int store_outbox_hand_over(struct store *s, const char *message_id);

/* Calls `fn` with the id of each PENDING message that was handed over. */
int store_outbox_handed_over(struct store *s, store_id_fn fn, void *userdata);

/* How many messages are PENDING, or FAILED. */
int64_t store_outbox_count(struct store *s, enum message_status status);

/* Whether anything is PENDING, without counting. */
bool store_outbox_has_pending(struct store *s);

/*
 * A FAILED message is PENDING again, in its old place, and its photos that did not get up are
 * UPLOADING. 1; 0 when it is PENDING already; -ENOENT; -EALREADY: the server has it; -ENODATA: the
 * bytes of one of its photos are lost.
 */
int store_message_retry(struct store *s, const char *message_id);

/*
 * Takes a PENDING or FAILED message back, and with its only message a provisional chat. -ENOENT;
 * -EALREADY: the server has it. Its photos' bytes go with the next store_media_sweep.
 */
int store_message_cancel(struct store *s, const char *message_id);

/*
 * The peer has received or read everything up to and including the message. -ENOENT: it is not
 * here.
 */
int store_receipt_peer(
	struct store *s, const char *chat_id, const char *message_id, enum message_status status);

/*
 * This user has read up to and including the message. `told`: the server knows it already. 1 when
 * it moved.
 */
int store_receipt_own(struct store *s, const char *chat_id, const char *message_id, bool told);

/* Watermarks that the server does not know yet. The message ids are NULL where nothing is due. */
struct store_receipt {
	const char *chat_id;
	const char *received_id;
	const char *read_id;
	int64_t received_seq, read_seq;
};

typedef int (*store_receipt_fn)(void *userdata, const struct store_receipt *r);
int store_receipts_due(struct store *s, store_receipt_fn fn, void *userdata);
int store_receipt_told(
	struct store *s, const char *chat_id, int64_t received_seq, int64_t read_seq);

/* Settings. -ENOENT: not set. Owned. */
int store_setting_get(struct store *s, const char *name, char **ret_value);

/* NULL takes it back. */
int store_setting_put(struct store *s, const char *name, const char *value);

/* Attachments. */
int store_attachment_set_status(
	struct store *s, const char *attachment_id, enum attachment_status status);
int store_attachment_want(struct store *s, const char *attachment_id, enum attachment_status status,
	enum attachment_priority priority);
int store_attachment_set_progress(struct store *s, const char *attachment_id, int64_t progress);
int store_attachment_set_stored(
	struct store *s, const char *attachment_id, enum attachment_variant v, bool stored);
int store_attachment_set_remote(
	struct store *s, const char *attachment_id, const char *url, const char *preview_url);

/*
 * Takes the full bytes of a READY one that can be fetched again out of the media database: it is
 * WAITING then, with its preview. -ENOENT: it is none of these.
 */
int store_attachment_evict(struct store *s, const char *attachment_id);

/*
 * Those that are on their way, or whose preview is not here: the work of the transfer queue, by
 * priority and then by id.
 */
int store_attachment_moving(struct store *s, store_attachment_fn fn, void *userdata);
int64_t store_attachment_count_moving(struct store *s);

/* True while an attachment of the message is not on the server. */
bool store_message_awaits_upload(struct store *s, const char *message_id);

/*
 * Media bytes. A blob is made by the first append; `linked` says that its attachment's row exists.
 */
int store_media_append(struct store *s, const char *attachment_id, enum attachment_variant v,
	const void *data, size_t len, bool linked);

/* Removes the blob with its bytes; 0 when there is none. */
int store_media_drop(struct store *s, const char *attachment_id, enum attachment_variant v);
int store_media_truncate(struct store *s, const char *attachment_id, enum attachment_variant v);
int store_media_set_etag(
	struct store *s, const char *attachment_id, enum attachment_variant v, const char *etag);
int store_media_set_slot(
	struct store *s, const char *attachment_id, enum attachment_variant v, const char *slot);

/*
 * How the calculation of the hash of a blob's bytes stands, at most 256 bytes; goes away with
 * store_media_truncate. Reading: -ENOENT when it is not there in this size.
 */
int store_media_set_hash(struct store *s, const char *attachment_id, enum attachment_variant v,
	const void *state, size_t size);
int store_media_get_hash(struct store *s, const char *attachment_id, enum attachment_variant v,
	void *ret_state, size_t size);

/*
 * Somebody opened the bytes at this time, in seconds since 1970. A day's further uses are not told.
 */
int store_media_set_used(
	struct store *s, const char *attachment_id, enum attachment_variant v, int64_t used_at);

/* Bytes of all blobs. */
int64_t store_media_total(struct store *s);

/*
 * Full bytes in the order in which they were used last, after the one used at `after_at` with the
 * number `after_n` (both 0: from the start).
 */
struct store_media_use {
	const char *attachment_id;
	int64_t used_at, n, size;
};

typedef int (*store_media_use_fn)(void *userdata, const struct store_media_use *u);
int store_media_by_use(struct store *s, int64_t after_at, int64_t after_n, int64_t limit,
	store_media_use_fn fn, void *userdata);

/* Owned copies, NULL when there is none. */
char *store_media_get_etag(struct store *s, const char *attachment_id, enum attachment_variant v);
char *store_media_get_slot(struct store *s, const char *attachment_id, enum attachment_variant v);

/* Makes a consumer, or moves it forward. */
int store_consumer_put(struct store *s, const char *name, int64_t seq);
int store_consumer_remove(struct store *s, const char *name);

/* Takes up to `limit` further messages into the full-text index. */
int store_search_index(struct store *s, int64_t limit);

/*
 * Drops bytes whose row never came, as after a kill between the two commits, or is gone; marks the
 * others. At start, and after messages went; not in the turn in which they did.
 */
int store_media_sweep(struct store *s);

/* Copies the logs into the databases, and keeps room back again. For idle moments. */
void store_checkpoint(struct store *s);

/*
 * Some room is kept back on the disk, so that things can be removed when there is no other: it is
 * given up here (-ENOENT: it was before), and taken again by store_open and store_checkpoint.
 */
int store_reserve_spend(struct store *s);

/* Gives free space back, a little in each turn. 1: there is more; 0: not. */
int store_give_back(struct store *s);

/*
 * Old messages leave, and the chat's floor rises above them. What is PENDING, FAILED or unread, has
 * a photo that is moving, or is the newest of its chat, never goes.
 */
struct store_evict_rule {
	int64_t before; /* ms since 1970: those written earlier go; 0: that is no reason */
	int64_t keep;   /* of each chat so many of the newest stay, others go; 0: no reason */
	int64_t limit;  /* at most so many at once */
};

/* The number of a chat that may have some, after another (0: from the first). -ENOENT. */
int64_t store_evict_next_chat(struct store *s, int64_t after);

/* How many went, or negative errno. The bytes of their photos wait for store_media_sweep. */
int store_evict_messages(struct store *s, int64_t chat, const struct store_evict_rule *rule);

/*
 * A copy of the databases in a directory that is made for it, encrypted as they are. -EEXIST,
 * -EOPNOTSUPP (in memory), what open(2) and mkdir(2) say, -ENOSPC.
 */
struct store_backup;
int store_backup_new(struct store *s, const char *path, struct store_backup **ret);

/* A further piece, at most one a turn. 1: there is more; 0: it is whole. */
int store_backup_step(struct store_backup *b);
int64_t store_backup_size(const struct store_backup *b);

/* Removes a copy, and its directory if nothing else is in it. */
void store_backup_discard(const char *directory);

/* `discard`: what was copied goes too. Takes NULL, returns NULL. */
struct store_backup *store_backup_free(struct store_backup *b, bool discard);

/*
 * An account is given up: makes an empty store beside this one, in the same directory and with the
 * same key, in which changes go on from here. It begins with every chat removed; what there is of
 * settings and consumers is taken over. Nothing of `s` is changed, and what it has not committed is
 * not taken. -ENOSPC and other errors: nothing was made.
 */
int store_make_successor(struct store *s, const char *directory);

/*
 * After store_close: it takes the place of the other, of which nothing is left, nor of what was put
 * aside. Where this fails before the messages are gone the old store can be opened again.
 */
int store_install_successor(const char *directory);
