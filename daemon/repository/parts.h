/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a repository and what they ask of each other. Internal to the layer. */
#pragma once

#include <sys/queue.h>

#include "base/text.h"
#include "base/backoff.h"
#include "base/uuid.h"
#include "repository/repository.h"
#include "store/write.h"

#define ID_SIZE 65
#define MAX_OBSERVERS 4

/* The account that is signed in, as the store has it. Strings are owned. */
struct account {
	bool signed_in;
	bool refused; /* the server did not accept the password any more */
	char *server, *user_id, *user_name, *password, *device_id;
	struct barrier_effect stored; /* of a sign-in */
	struct login *login;          /* one under way, or NULL */
};

/* The account is given up. */
struct leave {
	bool begun;
	repository_done_fn fn; /* NULL: nobody waits */
	void *userdata;
	struct loop_timer *timeout;
};

/* A kind of request that the server does not want now. */
struct hold {
	struct backoff backoff;
	uint64_t until_us; /* 0: it may be made */
};

void hold_init(struct hold *h, uint64_t seed);

/* The server has trouble, or asked to wait; -over: it has answered. */
void hold_begin(struct hold *h, const struct problem *p);
void hold_over(struct hold *h);

/* How long it still lasts; 0: not at all. */
uint32_t hold_left_ms(const struct hold *h);

struct gap_job;
TAILQ_HEAD(gap_jobs, gap_job);

/* The session with the network and the catching up after each greeting. */
struct sync {
	enum session_state state;
	int64_t since;
	int64_t next_attempt_at;
	uint64_t live_since_us;
	char last_error[200];
	struct backoff reconnect_backoff;
	uint64_t not_before_us; /* the server's wish; 0: none */
	struct loop_timer *reconnect;
	struct backoff request_backoff;
	struct loop_timer *retry; /* of catch-up requests */
	struct loop_timer *soon;  /* lists the chats again */
	struct service_call *chats_call;
	char after_chat[ID_SIZE]; /* where the paging of changed chats stands */
	char *first_state; /* of the first page: what changed while paging is told again after it */
	bool chats_done;
	bool listed_twice; /* because chats went, which happens once */
	bool list_again;   /* once the listing under way is through: it may lack something */
	struct gap_jobs jobs;
	unsigned n_jobs;
	unsigned max_in_flight;
};

struct flight;
TAILQ_HEAD(flights, flight);

/* The PENDING messages of the store on their way out. */
struct outbox {
	struct barrier_effect flush;
	struct flights flights; /* handed to the service, not answered yet; oldest first */
	unsigned n_flights;
	struct flights unsure; /* the same in an earlier session: they may have arrived */
	struct flights held;   /* refused for now; again when `resend` fires */
	struct loop_timer *resend;
	struct backoff send_backoff;
	uint32_t resend_floor_ms; /* what the server asked to wait, as far as `resend` honours it */
	bool paused;              /* nothing is sent now */
	bool told_to_wait;        /* until `resend` fires, whatever else is accepted */
	int64_t cursor;           /* messages up to this number were looked at in this session */
	struct loop_timer *ack_timeout;
	struct service_call *naming; /* of a provisional chat */
	char naming_chat[ID_SIZE];
	struct loop_timer *naming_retry;
	struct backoff naming_backoff;
};

struct told;
TAILQ_HEAD(told_list, told);

/* Watermarks to the server: the newest only, at most one a second a chat. */
struct receipts {
	struct barrier_effect flush;
	struct told_list told;     /* sent in this session, not yet taken for known to the server */
	struct loop_timer *again;  /* for those held back */
	bool parting;              /* nothing is held back */
	struct loop_timer *settle; /* writes down what was told */
};

enum policy {
	POLICY_ALWAYS,
	POLICY_FOREGROUND,
	POLICY_PUSH,
};

/* Who wants a session. */
struct presence {
	enum policy policy;
	uint32_t grace_s;
	bool watched; /* a frontend is there */
	struct loop_timer *grace;
};

/* What is fetched of incoming photos without being asked for, beside the previews. */
enum auto_download {
	AUTO_DOWNLOAD_NEVER,
	AUTO_DOWNLOAD_UNMETERED,
	AUTO_DOWNLOAD_ALWAYS,
};

#define TRANSFERS_MAX 16

struct transfer_policy {
	unsigned max_active;
	enum auto_download auto_download;
};

struct transfer_job;
TAILQ_HEAD(transfer_jobs, transfer_job);

/* Kinds of transfers that wait together after a failure. */
enum transfer_class {
	TRANSFER_UPLOADS,
	TRANSFER_DOWNLOADS,
};
struct import;
TAILQ_HEAD(imports, import);

/* Attachment bytes up and down. */
struct transfers {
	struct barrier_effect pump;
	struct transfer_jobs jobs;
	unsigned n_jobs;
	struct {
		struct backoff backoff;
		struct loop_timer *retry;
	} classes[2];
	struct transfer_policy policy;
	bool metered;
	struct imports imports; /* photos being prepared for messages not yet accepted */
};

struct search_wait;
TAILQ_HEAD(search_waits, search_wait);

/* The full-text index on its way. */
struct search {
	struct loop_deferred slice;
	struct loop_timer *calm;   /* runs since the last commit, while there is something to do */
	struct barrier_effect end; /* of the waiting */
	struct search_waits waits; /* for the rest of it */
};

struct retention_policy {
	int64_t media_bytes; /* of all photos and previews; 0: no limit */
	int64_t media_days;  /* since a photo was opened last; 0: no limit */
};

/* What is looked through for what may go. */
struct retention {
	struct retention_policy policy;
	struct loop_timer *slice;
	int64_t used_at, n;           /* looked at up to here in this round */
	repository_count_fn purge_fn; /* all that can go is to go, for this one */
	void *purge_userdata;
	bool again; /* what failed in this turn is tried again in the next */
	int64_t purged;
	int64_t gone; /* of these, before this turn */
};

/* The same for messages. */
struct history_retention {
	int64_t days, per_chat; /* 0: no limit */
	struct loop_timer *slice;
	int64_t chat;      /* looked through up to this one in this round */
	int64_t evicted;   /* in this round */
	uint64_t round_us; /* when it began */
	repository_count_fn purge_fn;
	void *purge_userdata;
	bool again;
	int64_t gone; /* of those evicted, before this turn */
};

struct storage {
	struct loop_timer *give_back;
	struct loop_timer *backup_slice;
	struct store_backup *backup;
	repository_count_fn backup_fn;
	void *backup_userdata;
};

/* At least so long between attempts while there is no network. */
#define SYNC_OFFLINE_MS 300000

/* The machine that the session lives in. */
struct network {
	bool offline;              /* nothing can be reached, as far as is known */
	bool asleep;               /* or about to be */
	uint64_t soon_us;          /* when an attempt was last made for a network's sake */
	repository_slept_fn slept; /* NULL: nobody waits */
	void *slept_userdata;
};

enum notice_detail {
	NOTICES_PREVIEW,
	NOTICES_HIDDEN, /* that something came, and nothing of it */
	NOTICES_OFF,
};

/* What the user is told of. */
struct notices {
	const struct notice_sink *sink; /* NULL: nobody shows it */
	void *userdata;
	enum notice_detail detail;
	bool quiet;       /* the first sync is going on */
	int64_t position; /* changes up to here were looked at */
	struct loop_deferred pass;
	char (*focused)[ID_SIZE]; /* chats on a screen, once for each frontend */
	size_t n_focused;
};

#define PUSHES_REMEMBERED 32
#define PUSH_SALT_SIZE 16

/* The subscription to pushes. */
struct push {
	const struct push_connector *connector; /* NULL: nobody could pass pushes on */
	void *connector_userdata;
	char token[UUID_STRING_SIZE]; /* empty: there is no subscription */
	struct push_keys keys;
	char *distributor, *endpoint; /* NULL: not yet */
	bool told;                    /* the server knows the endpoint */
	bool subscribed;              /* the connector has been asked */
	bool connected;               /* and has found somebody */
	bool sync_due;                /* a push came, and no session since */
	struct barrier_effect stored;
	struct service_call *call;
	struct loop_timer *again;
	struct backoff backoff;
	uint8_t seen[PUSHES_REMEMBERED][PUSH_SALT_SIZE];
	unsigned n_seen;
};

struct history_load;
TAILQ_HEAD(history_loads, history_load);

struct lobby_call;
TAILQ_HEAD(lobby_calls, lobby_call);

struct repository {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	struct service *service;
	char *preview_helper;
	struct account account;
	struct leave leave;
	struct sync sync;
	struct outbox outbox;
	struct receipts receipts;
	struct presence presence;
	struct push push;
	struct transfers transfers;
	struct retention retention;
	struct history_retention history_retention;
	struct storage storage;
	struct search search;
	struct notices notices;
	struct network network;
	struct history_loads history_loads;
	struct hold history_hold;
	struct lobby_calls lobby_calls;
	struct hold lobby_hold;
	struct barrier_effect sweep;   /* of bytes whose messages are gone */
	struct service_call *learning; /* of a user's name */
	struct backoff learn_backoff;
	struct loop_timer *learn_retry;
	char learning_id[ID_SIZE];
	struct {
		const struct repository_observer *observer;
		void *userdata;
	} observers[MAX_OBSERVERS];
	unsigned n_observers;
};

/* Each part's beginning and end; the ends take half-built parts. */
int account_init(struct repository *r);
void account_done(struct repository *r);
int sync_init(struct repository *r, uint64_t seed);
void sync_done(struct repository *r);
int outbox_init(struct repository *r, uint64_t seed);
void outbox_done(struct repository *r);
int receipts_init(struct repository *r);
void receipts_done(struct repository *r);
int presence_init(struct repository *r);
void presence_done(struct repository *r);
int push_init(struct repository *r, uint64_t seed);
void push_done(struct repository *r);
int leave_init(struct repository *r);
void leave_done(struct repository *r);
int transfers_init(struct repository *r, uint64_t seed);
void transfers_done(struct repository *r);
int search_init(struct repository *r);
void search_done(struct repository *r);
int retention_init(struct repository *r);
void retention_done(struct repository *r);
int history_retention_init(struct repository *r);
void history_retention_done(struct repository *r);
int storage_init(struct repository *r);
void storage_done(struct repository *r);
void notices_init(struct repository *r);
void notices_done(struct repository *r);
void room_done(struct repository *r);
int lobby_init(struct repository *r, uint64_t seed);
void lobby_done(struct repository *r);

/* The one place where the session's state changes. `error` (for people) may be NULL. */
void session_set_state(struct repository *r, enum session_state state, const char *error);

/* True while the network takes and answers requests. */
bool session_is_up(const struct repository *r);

/*
 * Opens the session, or sees to it that it will be; no effect while it is open or the account is
 * refused.
 */
void sync_connect(struct repository *r);

/* Closes the session, or gives up opening one, until somebody wants it. */
void sync_suspend(struct repository *r, const char *reason);

/*
 * The next attempt comes in so long, on top of what the server asked for. For the state BACKOFF.
 */
void sync_plan(struct repository *r, uint32_t wait_ms);

/* The goodbye to the server is through. */
void network_on_parted(struct repository *r);

/* True if a session is wanted now, or was a moment ago. */
bool presence_wants_session(struct repository *r);

/* Somebody asks for a session without staying: it goes on for the grace period. */
void presence_wake(struct repository *r);

/* Opens a session that has come to be wanted, or lets one that is not any more come to its end. */
void presence_review(struct repository *r);

/* Subscribes to pushes, or ends that, as the policy wants it. */
void push_review(struct repository *r);

/* The server has been asked to forget where to push to, and has answered. */
void leave_note_push(struct repository *r);

/* True while the server pushes and somebody passes it on: no session is needed to be told. */
bool push_is_ready(const struct repository *r);
enum push_state push_get_state(const struct repository *r);

/* A session has brought what there was. */
void push_note_live(struct repository *r);

/* Tells the user of what a push says, which is not here yet. */
void notices_foretell(struct repository *r, const struct push_content *c);

/* Breaks off all that is under way after a turn that could not be committed, to begin again. */
void transfers_undone(struct repository *r, int error);

/*
 * What removes things fails whoever asked for it, and goes on in a while: at once it would only
 * find the disk as full.
 */
#define REMOVING_RETRY_US 60000000
void retention_undone(struct repository *r, int error);
void history_retention_undone(struct repository *r, int error);
void give_back_undone(struct repository *r);

/* Reads its settings again. */
void presence_load(struct repository *r);
void transfers_load(struct repository *r);
void retention_load(struct repository *r);
void history_retention_load(struct repository *r);
void notices_load(struct repository *r);

/* A setting as it stands, for the parts that it is about. */
int64_t setting_integer(struct repository *r, const char *name);
bool setting_is(struct repository *r, const char *name, const char *value);

/* The session cannot be trusted any more: drop it, wait, catch up. For failures of our own. */
void sync_restart(struct repository *r, const char *why);

/* Forgets a session that was closed on purpose: as if there had been none. */
void session_reset(struct repository *r);

/*
 * After a greeting: asks for the chats that changed, then for their messages. LIVE when all is
 * here.
 */
void catchup_start(struct repository *r);
void catchup_stop(struct repository *r);
void catchup_retry(void *repository);

/* Asks the server for whatever is missing of the chats that have a gap. */
void catchup_fill_gaps(struct repository *r);

/* The credentials were refused: no further attempt before the user signs in. */
void sync_refused(struct repository *r, const struct problem *p);

/* The network's events, one table for all parts. */
extern const struct service_events sync_events;

/* True while a user waits for an answer of the server's: what nobody waits for comes after. */
bool repository_is_asked(const struct repository *r);

/* A session began: nothing of an earlier one is on its way. Ended: the same. */
void outbox_session_began(struct repository *r);
void outbox_session_ended(struct repository *r);

/*
 * Something may be ready to be sent: after the commit, look. `from_start`: at those looked at
 * before, too.
 */
void outbox_schedule(struct repository *r, bool from_start);
void outbox_accepted(struct repository *r, const char *message_id, int64_t seq, int64_t created_at);
void outbox_rejected(struct repository *r, const char *message_id, const struct problem *p);

/* True while a message that is stored now would go at once. */
bool outbox_is_open(struct repository *r);

/* True while nobody knows whether the server has the message. */
bool outbox_is_on_its_way(const struct repository *r, const char *message_id);

/* Messages went: after the commit, their photos' bytes do. */
void unsent_sweep(struct repository *r);

/* The list of chats must be asked again: something came that it alone can explain. */
void catchup_list_again(struct repository *r);

/*
 * The same in a moment: a receipt speaks of a message that is not here, and the chat's own
 * watermarks say what it said.
 */
void catchup_list_soon(struct repository *r);

/* The stored state is void: what is being listed after it, too. */
void catchup_start_over(struct repository *r);

void receipts_session_ended(struct repository *r);
void receipts_schedule(struct repository *r);

/* Before a goodbye: what was held back goes, or the server takes it for not received. */
void receipts_part(struct repository *r);

/* After a commit: much may have come that is not in the index. */
void search_schedule(struct repository *r);

/* After a commit: some of it may be news to the user. */
void notices_review(struct repository *r);

/* The index cannot be written: who waits for it searches what is there. */
void search_give_up(struct repository *r);

void transfers_session_began(struct repository *r);
void transfers_schedule(struct repository *r);

/* Bytes have come: look, in an idle moment, whether others have to go. */
void retention_schedule(struct repository *r);

/* The same for messages, now and then. */
void history_retention_note_commit(struct repository *r);

/* Much has gone: gives free space back, a little a turn. */
void give_back_schedule(struct repository *r);

/*
 * Something is to be removed, and `error` is in the way: true when there is room now to try again.
 */
bool storage_spend_reserve(struct repository *r, int error);

/* Decides, before a message is stored, what is to be fetched of its attachments by itself. */
void transfers_plan(struct repository *r, struct message *m, bool live);

/*
 * Prepares the photos of `m`, which has a message_id, then stores the message and calls `fn`.
 * Copies `m`.
 */
void photos_import(
	struct repository *r, const struct room_send *m, repository_id_fn fn, void *userdata);
void photos_done(struct repository *r);

/* Ends every import after a turn that could not be committed (`error`). */
void photos_undone(struct repository *r, int error);

/* True while photos are prepared for a message of this id. */
bool photos_importing(struct repository *r, const char *message_id);

/*
 * Stores a message ready to go, in its chat or, without one, in that with `user_id`. 0, or a filled
 * failure. Takes over nothing.
 */
int room_store_pending(
	struct repository *r, struct message *m, const char *user_id, struct failure *ret_failure);

/* Asks for the names of users who are known by their id alone, one after another. */
void lobby_learn_users(struct repository *r);
void lobby_session_ended(struct repository *r);

/* Stores what a page of the server's carries besides messages. */
int lobby_put_users(struct repository *r, const struct user *users, size_t n);

/* A failure in the API's terms for a problem of the network's. */
void failure_from_problem(struct failure *f, const struct problem *p);
