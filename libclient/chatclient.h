/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libchatclient: talks to chatd, the headless chat client, over its local socket.
 *
 * The library has no thread and no loop. A program with a loop polls chat_client_get_fd() and
 * calls chat_client_dispatch(); a program without one uses the calls that block. It reconnects
 * by itself when the daemon goes away and comes back, repeats the requests that are safe to
 * repeat, and resumes the subscription after the last change it delivered, so that none is
 * missed and none is told twice.
 *
 * Threads: a client belongs to one thread at a time; different clients are independent. Results
 * never change once they are handed out and may be read, referenced and freed on any thread.
 *
 * Errors: functions return a negative errno, and outputs (`ret_`) are untouched then.
 * chat_client_get_error() tells more. The library never prints, never aborts, never raises
 * SIGPIPE.
 *
 * Results: a blocking call hands over a result that the caller frees with the type's _free().
 * What a callback is given is lent for the time of the callback; _ref() keeps it longer and is
 * undone by _free(). An element of a list can be kept alone in the same way. Strings and
 * elements belong to the result that they hang on. Strings are UTF-8; those that other people
 * wrote may hold any character, control characters included. Pointers may be NULL where it says
 * so. Structs are made by the library only and grow at the end. Times are milliseconds since
 * 1970 UTC.
 */
#ifndef CHATCLIENT_H
#define CHATCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct chat_client;

/*
 * Codes from 1 come from the daemon, codes from 1001 from this library; those of JSON-RPC 2.0
 * are negative.
 */
enum chat_client_error_code {
	CHAT_CLIENT_ERROR_NOT_FOUND = 1,
	CHAT_CLIENT_ERROR_INVALID = 2,
	CHAT_CLIENT_ERROR_LOCKED = 3,
	CHAT_CLIENT_ERROR_LOGIN_REQUIRED = 4,
	CHAT_CLIENT_ERROR_OFFLINE = 5,
	CHAT_CLIENT_ERROR_DENIED = 6,
	CHAT_CLIENT_ERROR_TOO_LARGE = 7,
	CHAT_CLIENT_ERROR_CONFLICT = 8,
	CHAT_CLIENT_ERROR_BUSY = 9,
	CHAT_CLIENT_ERROR_STORAGE_FULL = 10,
	CHAT_CLIENT_ERROR_STORAGE_ERROR = 11,
	CHAT_CLIENT_ERROR_UNSUPPORTED = 12,

	CHAT_CLIENT_ERROR_METHOD_NOT_FOUND = -32601,
	CHAT_CLIENT_ERROR_INVALID_PARAMS = -32602,

	CHAT_CLIENT_ERROR_NOT_RUNNING = 1001,  /* nobody listens on the socket */
	CHAT_CLIENT_ERROR_DISCONNECTED = 1002, /* before the answer: done or not */
	CHAT_CLIENT_ERROR_TIMED_OUT = 1003,    /* the deadline passed */
	CHAT_CLIENT_ERROR_PROTOCOL = 1004,     /* what the daemon sent is not understood */
	CHAT_CLIENT_ERROR_VERSION = 1005,      /* the daemon speaks another version of the API */
	CHAT_CLIENT_ERROR_NO_MEMORY = 1006,
	CHAT_CLIENT_ERROR_SYSTEM = 1007, /* a system call failed; the detail says which and why */
};

struct chat_error {
	int code; /* enum chat_client_error_code, or a code that this library does not know */
	const char *kind;       /* its name: "not_found", "not_running", … */
	bool retryable;         /* the same call may succeed later */
	int64_t retry_after_ms; /* do not try earlier than this from now; -1: not said */
	const char *detail;     /* one line for people */
};

/*
 * Why the last function that failed on `client` did. Code 0 and empty strings when none has.
 * Lent until the next call on `client`.
 */
const struct chat_error *chat_client_get_error(const struct chat_client *client);

/*
 * The negative errno that functions return for an error of this code; -EREMOTEIO for an unknown
 * one.
 */
int chat_client_error_to_errno(int code);

enum chat_message_status {
	CHAT_MESSAGE_UNKNOWN, /* a status that this library does not know */
	CHAT_MESSAGE_PENDING, /* stored by the daemon, not yet accepted by the server */
	CHAT_MESSAGE_SENT,
	CHAT_MESSAGE_RECEIVED, /* on the peer's device; of an incoming message: on this one */
	CHAT_MESSAGE_READ,
	CHAT_MESSAGE_FAILED, /* refused; error_title says why */
};

enum chat_attachment_status {
	CHAT_ATTACHMENT_UNKNOWN,
	CHAT_ATTACHMENT_WAITING, /* not fetched until somebody asks */
	CHAT_ATTACHMENT_UPLOADING,
	CHAT_ATTACHMENT_DOWNLOADING,
	CHAT_ATTACHMENT_FAILED,
	CHAT_ATTACHMENT_READY,
};

/* The daemon's session with its server. */
enum chat_connection_state {
	CHAT_CONNECTION_UNKNOWN,
	CHAT_CONNECTION_OFFLINE,
	CHAT_CONNECTION_CONNECTING,
	CHAT_CONNECTION_GREETING,
	CHAT_CONNECTION_CATCHING_UP,
	CHAT_CONNECTION_LIVE,
	CHAT_CONNECTION_BACKOFF,
	CHAT_CONNECTION_LOGIN_REQUIRED,
	CHAT_CONNECTION_LOCKED,
	CHAT_CONNECTION_SUSPENDED,
};

/*
 * The names that the API uses ("PENDING"); "UNKNOWN" for a value outside the enum. Static
 * strings.
 */
const char *chat_message_status_to_string(enum chat_message_status status);
const char *chat_attachment_status_to_string(enum chat_attachment_status status);
const char *chat_connection_state_to_string(enum chat_connection_state state);

struct chat_attachment {
	const char *attachment_id;
	const char *message_id; /* NULL inside a message */
	const char *chat_id;    /* NULL inside a message */
	const char *mime;       /* may be NULL */
	const char *name; /* the sender's file name; may be NULL; not to be trusted as a path */
	int64_t width, height; /* pixels; 0: not known */
	int64_t size;          /* bytes; 0: not known */
	int64_t progress;      /* bytes of `size` that are through */
	enum chat_attachment_status status;
	bool preview_ready;
};

struct chat_message {
	const char *message_id;
	const char *chat_id;
	const char *user_id; /* who wrote it */
	const char *text;    /* never NULL */
	enum chat_message_status status;
	bool outgoing;            /* this account wrote it */
	const char *error_title;  /* when FAILED; may be NULL */
	const char *error_detail; /* when FAILED; may be NULL */
	int64_t created_at_ms;
	int64_t seq; /* its place in the chat by the server's count; 0: it has none yet */
	size_t n_attachments;
	struct chat_attachment *const *attachments;
};

struct chat_message_list {
	size_t n_messages;
	struct chat_message *const *messages; /* oldest first */
	bool more;                            /* there are more in the direction asked for */
	int64_t as_of; /* the change up to which the list is true: subscribe since it */
};

struct chat_info {
	const char *chat_id;
	const char *user_id;               /* the peer */
	const char *username;              /* the peer's display name; may be NULL */
	const char *last_username;         /* who wrote last; may be NULL */
	const char *last_user_profile_url; /* may be NULL */
	const char *last_message_text;     /* may be NULL */
	int64_t last_message_timestamp_ms; /* 0: no message yet */
	enum chat_message_status last_message_status;
	int64_t unread_count;
	const char *last_message_id; /* may be NULL */
	bool provisional; /* the server does not know it yet; its id changes when it does */
};

struct chat_info_list {
	size_t n_chats;
	struct chat_info *const *chats; /* newest first */
	const char *cursor;             /* for the next page; NULL at the end */
	int64_t as_of;
};

/* A piece of a snippet; the pieces one after another are its text. */
struct chat_snippet_piece {
	const char *text;
	bool match; /* it is what was searched for */
};

struct chat_search_result {
	const struct chat_message *message;
	size_t n_pieces; /* a few words around what was found */
	struct chat_snippet_piece *const *pieces;
};

struct chat_search_list {
	size_t n_results;
	struct chat_search_result *const *results; /* newest first */
	const char *cursor;                        /* for the next page; NULL at the end */
};

struct chat_connection {
	enum chat_connection_state state;
	int64_t since_ms;           /* 0: not told */
	int64_t next_attempt_at_ms; /* 0: none is planned */
	const char *last_error;     /* may be NULL */
};

struct chat_status {
	const char *account_name; /* each of the next four may be NULL */
	const char *server;
	const char *user_id;
	const char *user_name;
	bool signed_in;
	const struct chat_connection *connection;
	int64_t unread;
	int64_t outbox_pending, outbox_failed;       /* messages */
	int64_t transfers_active, transfers_waiting; /* attachments */
	const char *storage_state;                   /* "ok", "full", …; may be NULL */
	int64_t storage_bytes;
	const char *key_source;     /* where the database's key comes from; may be NULL */
	const char *daemon_version; /* may be NULL */
	const char *api_version;    /* may be NULL */
	/*
	 * While the account is locked: "passphrase", "asked", "keyring_locked", …, and what is to
	 * be done, for people. NULL when it is open.
	 */
	const char *locked_reason, *locked_detail;
	const char *storage_put_aside; /* the name of the photos' damaged database; NULL: none */
	const char *push_state;        /* "off", "no_distributor", "registering", "ready" or NULL */
	const char *push_distributor;  /* may be NULL */

	/* The name of the other one, if it was damaged, or NULL, and how much was carried over. */
	const char *storage_salvaged;
	int64_t storage_salvaged_messages, storage_salvaged_unsent, storage_unsent_lost;
};

struct chat_account {
	const char *user_id;
	const char *user_name; /* may be NULL */
};

struct chat_user {
	const char *user_id;
	const char *name;        /* may be NULL */
	const char *picture_url; /* of the profile; may be NULL */
};

enum chat_setting_type {
	CHAT_SETTING_UNKNOWN,
	CHAT_SETTING_CHOICE,  /* one of `values` */
	CHAT_SETTING_INTEGER, /* from `minimum` to `maximum`, in decimal digits */
};

struct chat_setting {
	const char *name;
	const char *value; /* as text, whatever the type; so is the default */
	const char *default_value;
	enum chat_setting_type type;
	size_t n_values; /* 0 unless it is a choice */
	const char *const *values;
	int64_t minimum, maximum; /* 0 unless it is an integer */
	const char *doc;          /* what it does, for people; never NULL */
};

struct chat_setting_list {
	size_t n_settings;
	struct chat_setting *const *settings;
};

/* The bytes of an attachment. */
struct chat_file {
	int fd; /* sealed, read-only, at offset 0; closed with the result, see chat_file_take_fd()
		 */
	int64_t size;     /* bytes */
	const char *mime; /* may be NULL */
	const char *name; /* may be NULL; not to be trusted as a path */
};

/* The answer to chat_client_call(). */
struct chat_reply {
	const char *result_json; /* the JSON-RPC result */
	size_t n_fds;
	const int *fds; /* those that came with it, indexed as the result's "fd" says; closed with
			   the result */
};

/* What the daemon said when the connection began. */
struct chat_hello {
	const char *api;         /* "1.0" */
	const char *daemon;      /* its version; this and the next three may be NULL */
	const char *instance_id; /* another one after every start of the daemon */
	const char *account;
	const char *scope;  /* "full", "read" or "send" */
	const char *locked; /* why the account is locked; NULL: it is open */
};

/*
 * One change. At most one of the typed pointers is set; none, when the topic is not one of
 * those named.
 */
struct chat_change {
	int64_t seq;                        /* its place in the order of changes; 0: it has none */
	const char *topic;                  /* "message.added", … */
	const char *chat_id;                /* where it happened; may be NULL */
	const char *message_id;             /* what it is about; may be NULL */
	const struct chat_message *message; /* message.added, message.updated */
	const struct chat_info *chat;       /* chat.updated */
	const struct chat_attachment *attachment; /* attachment.updated, transfer.progress */
	const struct chat_connection *connection; /* connection */
	const char *attachment_id; /* attachment.updated, transfer.progress; else NULL */
	/* chat.open: with this the desktop lets a window be raised; may be NULL */
	const char *activation_token;
};

/* What chat_client_wait_changes() found: ids, and none of the typed pointers. */
struct chat_change_list {
	int64_t seq; /* where to go on: the next call's `since` */
	size_t n_changes;
	struct chat_change *const *changes; /* in order; none when the time was over */
};

/*
 * Another reference to the same result; also to one element of a list, which then outlives the
 * list.
 */
struct chat_attachment *chat_attachment_ref(const struct chat_attachment *attachment);
struct chat_message *chat_message_ref(const struct chat_message *message);
struct chat_message_list *chat_message_list_ref(const struct chat_message_list *list);
struct chat_info *chat_info_ref(const struct chat_info *info);
struct chat_info_list *chat_info_list_ref(const struct chat_info_list *list);
struct chat_search_result *chat_search_result_ref(const struct chat_search_result *result);
struct chat_search_list *chat_search_list_ref(const struct chat_search_list *list);
struct chat_connection *chat_connection_ref(const struct chat_connection *connection);
struct chat_status *chat_status_ref(const struct chat_status *status);
struct chat_account *chat_account_ref(const struct chat_account *account);
struct chat_file *chat_file_ref(const struct chat_file *file);
struct chat_reply *chat_reply_ref(const struct chat_reply *reply);
struct chat_change *chat_change_ref(const struct chat_change *change);
struct chat_change_list *chat_change_list_ref(const struct chat_change_list *list);
struct chat_user *chat_user_ref(const struct chat_user *user);
struct chat_setting *chat_setting_ref(const struct chat_setting *setting);
struct chat_setting_list *chat_setting_list_ref(const struct chat_setting_list *list);

/* Drop one reference; take NULL; return NULL. */
struct chat_attachment *chat_attachment_free(struct chat_attachment *attachment);
struct chat_message *chat_message_free(struct chat_message *message);
struct chat_message_list *chat_message_list_free(struct chat_message_list *list);
struct chat_info *chat_info_free(struct chat_info *info);
struct chat_info_list *chat_info_list_free(struct chat_info_list *list);
struct chat_search_result *chat_search_result_free(struct chat_search_result *result);
struct chat_search_list *chat_search_list_free(struct chat_search_list *list);
struct chat_connection *chat_connection_free(struct chat_connection *connection);
struct chat_status *chat_status_free(struct chat_status *status);
struct chat_account *chat_account_free(struct chat_account *account);
struct chat_file *chat_file_free(struct chat_file *file);
struct chat_reply *chat_reply_free(struct chat_reply *reply);
struct chat_change *chat_change_free(struct chat_change *change);
struct chat_change_list *chat_change_list_free(struct chat_change_list *list);
struct chat_user *chat_user_free(struct chat_user *user);
struct chat_setting *chat_setting_free(struct chat_setting *setting);
struct chat_setting_list *chat_setting_list_free(struct chat_setting_list *list);

/*
 * The JSON object as the daemon sent it, members that this library does not know included. The
 * caller free()s it; NULL when memory is short.
 */
char *chat_attachment_to_json(const struct chat_attachment *attachment);
char *chat_message_to_json(const struct chat_message *message);
char *chat_info_to_json(const struct chat_info *info);
char *chat_search_result_to_json(const struct chat_search_result *result);
char *chat_connection_to_json(const struct chat_connection *connection);
char *chat_status_to_json(const struct chat_status *status);
char *chat_account_to_json(const struct chat_account *account);
char *chat_user_to_json(const struct chat_user *user);
char *chat_setting_to_json(const struct chat_setting *setting);
/* {"seq", "topic", "data"}; of a chat_change_list: "seq", "topic" and the ids */
char *chat_change_to_json(const struct chat_change *change);

/* Hands the descriptor over to the caller, who closes it. -1 when it was taken before. */
int chat_file_take_fd(struct chat_file *file);

/* The connection between this client and the daemon. */
enum chat_client_state {
	CHAT_CLIENT_DISCONNECTED,
	CHAT_CLIENT_GREETING, /* connected, the daemon has not spoken yet (it may be starting) */
	CHAT_CLIENT_CONNECTED,
};

/*
 * The connection changed its state; `why` is set when it ended or could not be made. Runs
 * inside chat_client_dispatch() and inside blocking calls.
 */
typedef void (*chat_client_state_fn)(struct chat_client *client, enum chat_client_state state,
	const struct chat_error *why, void *userdata);

/* A client for the account "default"; nothing is connected yet. 0, -ENOMEM, -EMFILE, -ENFILE. */
int chat_client_new(struct chat_client **ret);

/*
 * Disconnects and frees; takes NULL; returns NULL. Callbacks of what is pending are not called.
 * Allowed inside a callback.
 */
struct chat_client *chat_client_free(struct chat_client *client);

/*
 * Whose daemon: the socket is $XDG_RUNTIME_DIR/chatd/<account>.sock. 0; -EINVAL for a name that
 * is not letters, digits, '.', '_' and '-'; -ENAMETOOLONG; -EISCONN when connected.
 */
int chat_client_set_account(struct chat_client *client, const char *account);

/* The path of the socket, in place of an account. 0, -ENAMETOOLONG, -EISCONN. */
int chat_client_set_socket_path(struct chat_client *client, const char *path);

/*
 * That path, or the account's. NULL: an account's that cannot be told, or is too long. Lent until
 * one of the two is set.
 */
const char *chat_client_get_socket_path(const struct chat_client *client);

/*
 * How long calls made from now on may take, waiting for the connection included: milliseconds,
 * 30000 at first, or -1 for any time.
 */
void chat_client_set_timeout(struct chat_client *client, int timeout_ms);

/* `callback` NULL: none. */
void chat_client_set_state_callback(
	struct chat_client *client, chat_client_state_fn callback, void *userdata);

/*
 * Connects and waits for the daemon's greeting. Other calls connect by themselves; this one
 * says at once whether the daemon is there. Blocks. 0; -ECONNREFUSED: not running;
 * -EPROTONOSUPPORT: another API; -ETIMEDOUT; …
 */
int chat_client_connect(struct chat_client *client);

enum chat_client_state chat_client_get_state(const struct chat_client *client);

/* NULL unless connected. Lent until the next call on `client`. */
const struct chat_hello *chat_client_get_hello(const struct chat_client *client);

/*
 * For the caller's loop: poll the descriptor for the events, at most until the timeout, then
 * call dispatch. The descriptor stays the same for the client's life; do not read, write or
 * close it. The timeout changes with every call on the client: CLOCK_MONOTONIC in microseconds,
 * 0: dispatch now, UINT64_MAX: none.
 */
int chat_client_get_fd(const struct chat_client *client);
int chat_client_get_events(const struct chat_client *client); /* POLLIN and so on, for poll() */
uint64_t chat_client_get_timeout(const struct chat_client *client);

/* The same for poll(): milliseconds from now, -1: none. */
int chat_client_get_timeout_ms(const struct chat_client *client);

/*
 * Does what can be done without blocking, a bounded piece of it; callbacks run inside. 1:
 * something was done, call again; 0: nothing to do now; -EDEADLK inside a callback.
 */
int chat_client_dispatch(struct chat_client *client);

/*
 * Sleeps until dispatch has something to do, at most `timeout_ms` (-1: any time). 1: it has; 0:
 * time passed; -EINTR.
 */
int chat_client_wait(struct chat_client *client, int timeout_ms);

/*
 * Every call has two forms. The first blocks until the answer, the failure or the deadline (see
 * chat_client_set_timeout()), runs other callbacks meanwhile and is refused with -EDEADLK
 * inside a callback. Changes that come after its answer are told once the caller has it. The
 * form _async returns at once with the request's number, above 0, and calls back from
 * chat_client_dispatch(), once: with an error or with a result. Both fail at once for parameters
 * that cannot be sent (-EINVAL, -EMSGSIZE), for too many requests under way (-EBUSY) and for
 * short memory.
 *
 * When the connection is lost, a request that is safe to repeat is sent again after the
 * reconnect, within its deadline; others fail as DISCONNECTED. Safe are all calls here but
 * login, lock, retry_message and cancel_message, and those made through chat_client_call() whose
 * method reads only, or is messages.send with a message_id.
 */
typedef void (*chat_done_fn)(
	struct chat_client *client, const struct chat_error *error, void *userdata);
typedef void (*chat_status_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_status *status, void *userdata);
typedef void (*chat_account_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_account *account, void *userdata);
typedef void (*chat_info_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_info *info, void *userdata);
typedef void (*chat_info_list_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_info_list *list, void *userdata);
typedef void (*chat_message_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_message *message, void *userdata);
typedef void (*chat_message_list_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_message_list *list, void *userdata);
typedef void (*chat_search_list_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_search_list *list, void *userdata);
typedef void (*chat_attachment_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_attachment *attachment, void *userdata);
typedef void (*chat_file_fn)(struct chat_client *client, const struct chat_error *error,
	struct chat_file *file, void *userdata);
typedef void (*chat_user_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_user *user, void *userdata);
typedef void (*chat_setting_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_setting *setting, void *userdata);
typedef void (*chat_setting_list_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_setting_list *list, void *userdata);
typedef void (*chat_change_list_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_change_list *list, void *userdata);
typedef void (*chat_reply_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_reply *reply, void *userdata);

/*
 * Forgets an _async request: its callback is not called. What was sent may still be done. 0, or
 * -ENOENT.
 */
int chat_client_cancel(struct chat_client *client, int request);

/* How the daemon is. */
int chat_client_get_status(struct chat_client *client, struct chat_status **ret);
int chat_client_get_status_async(
	struct chat_client *client, chat_status_fn callback, void *userdata);

/*
 * Signs in and starts the first sync. -EPERM: wrong password; -ENETDOWN: the server is not
 * reachable.
 */
int chat_client_login(struct chat_client *client, const char *server, const char *user_id,
	const char *password, struct chat_account **ret);
int chat_client_login_async(struct chat_client *client, const char *server, const char *user_id,
	const char *password, chat_account_fn callback, void *userdata);

/*
 * Signs out and removes what is stored of the account, unsent messages too. `confirm` false:
 * nothing is changed, and the error -EEXIST says what would be lost.
 */
int chat_client_logout(struct chat_client *client, bool confirm);
int chat_client_logout_async(
	struct chat_client *client, bool confirm, chat_done_fn callback, void *userdata);

/*
 * Opens a locked account: by its passphrase, by its recovery key, or, with both NULL, by asking
 * again where the key comes from (the desktop's keyring may then open a window). No effect when it
 * is open. -EPERM: it is not the right one; -ENOKEY: one is needed.
 */
int chat_client_unlock(
	struct chat_client *client, const char *passphrase, const char *recovery_key);
int chat_client_unlock_async(struct chat_client *client, const char *passphrase,
	const char *recovery_key, chat_done_fn callback, void *userdata);

/* Closes the account's databases and forgets their key. The subscription stays, and goes on. */
int chat_client_lock(struct chat_client *client);
int chat_client_lock_async(struct chat_client *client, chat_done_fn callback, void *userdata);

/* The settings, all or one. -ENOENT: there is no such one. */
int chat_client_list_settings(struct chat_client *client, struct chat_setting_list **ret);
int chat_client_list_settings_async(
	struct chat_client *client, chat_setting_list_fn callback, void *userdata);
int chat_client_get_setting(
	struct chat_client *client, const char *name, struct chat_setting **ret);
int chat_client_get_setting_async(
	struct chat_client *client, const char *name, chat_setting_fn callback, void *userdata);

/*
 * Changes a setting, effective at once; `value` NULL: the default again. -EINVAL: not a value that
 * it may have.
 */
int chat_client_set_setting(
	struct chat_client *client, const char *name, const char *value, struct chat_setting **ret);
int chat_client_set_setting_async(struct chat_client *client, const char *name, const char *value,
	chat_setting_fn callback, void *userdata);

/* A person, asked of the server when not known here yet. -ENOENT: there is none. */
int chat_client_get_user(struct chat_client *client, const char *user_id, struct chat_user **ret);
int chat_client_get_user_async(
	struct chat_client *client, const char *user_id, chat_user_fn callback, void *userdata);

/*
 * A page of chats, newest first: `limit` 1 to 200, 0 for the daemon's choice; `cursor` of the
 * page before, or NULL.
 */
int chat_client_list_chats(struct chat_client *client, unsigned limit, const char *cursor,
	struct chat_info_list **ret);
int chat_client_list_chats_async(struct chat_client *client, unsigned limit, const char *cursor,
	chat_info_list_fn callback, void *userdata);

/* One chat by its own id or by its peer's; the other is NULL. -ENOENT: there is none. */
int chat_client_get_chat(struct chat_client *client, const char *chat_id, const char *user_id,
	struct chat_info **ret);
int chat_client_get_chat_async(struct chat_client *client, const char *chat_id, const char *user_id,
	chat_info_fn callback, void *userdata);

/* The chat with that user, made if need be. */
int chat_client_create_chat(
	struct chat_client *client, const char *user_id, struct chat_info **ret);
int chat_client_create_chat_async(
	struct chat_client *client, const char *user_id, chat_info_fn callback, void *userdata);

/*
 * Takes a chat off the list, on all the user's devices. -EEXIST: messages in it are still to be
 * sent; -ENETDOWN: the server is not reachable.
 */
int chat_client_delete_chat(struct chat_client *client, const char *chat_id);
int chat_client_delete_chat_async(
	struct chat_client *client, const char *chat_id, chat_done_fn callback, void *userdata);

/*
 * That chat is on screen (NULL: none any more): no notification is shown of what comes in it. It
 * counts until the client is freed, across reconnects. -ENOENT: no such chat; then none is.
 */
int chat_client_focus_chat(struct chat_client *client, const char *chat_id);
int chat_client_focus_chat_async(
	struct chat_client *client, const char *chat_id, chat_done_fn callback, void *userdata);

/*
 * Messages of a chat, oldest first: those just before or just after a message (at most one of
 * `before` and `after` is set), or, with both NULL, the newest. `limit` 1 to 200, 0 for the
 * daemon's choice.
 */
int chat_client_list_messages(struct chat_client *client, const char *chat_id, const char *before,
	const char *after, unsigned limit, struct chat_message_list **ret);
int chat_client_list_messages_async(struct chat_client *client, const char *chat_id,
	const char *before, const char *after, unsigned limit, chat_message_list_fn callback,
	void *userdata);

int chat_client_get_message(
	struct chat_client *client, const char *message_id, struct chat_message **ret);
int chat_client_get_message_async(struct chat_client *client, const char *message_id,
	chat_message_fn callback, void *userdata);

/*
 * Messages with all the words of `query`, newest first. A word stands for all that begin so, in any
 * case and with any accents; "words in quotes" must stand there one after another. Looks at what
 * the daemon holds: in one chat, or, with `chat_id` NULL, in all. `limit` 1 to 200, 0 for the
 * daemon's choice; `cursor` of the page before, or NULL. -ENOENT: no such chat.
 */
int chat_client_search_messages(struct chat_client *client, const char *query, const char *chat_id,
	unsigned limit, const char *cursor, struct chat_search_list **ret);
int chat_client_search_messages_async(struct chat_client *client, const char *query,
	const char *chat_id, unsigned limit, const char *cursor, chat_search_list_fn callback,
	void *userdata);

/* A message to send. Set `size`; members that are left out are zero. */
struct chat_outgoing {
	size_t size;            /* sizeof(struct chat_outgoing) */
	const char *chat_id;    /* this or user_id is set */
	const char *user_id;    /* the peer, with whom there may be no chat yet */
	const char *text;       /* NULL: none, only with attachments */
	const char *message_id; /* of the caller's choice, at most 64 characters; NULL: the library
				   makes one */
	size_t n_attachments;   /* at most 16 */
	const int *attachment_fds; /* lent until the function returns; read by the daemon from their
				      offset */
	const char *const *attachment_names; /* for the peer to see; NULL, or entries may be NULL */
};

/*
 * Durable when it answers: the message is PENDING, and is delivered when the server can be
 * reached.
 */
int chat_client_send_message(
	struct chat_client *client, const struct chat_outgoing *message, struct chat_message **ret);
int chat_client_send_message_async(struct chat_client *client, const struct chat_outgoing *message,
	chat_message_fn callback, void *userdata);

/* Everything up to that message is read. */
int chat_client_mark_read(struct chat_client *client, const char *chat_id, const char *message_id);
int chat_client_mark_read_async(struct chat_client *client, const char *chat_id,
	const char *message_id, chat_done_fn callback, void *userdata);

/*
 * What the server has not accepted, PENDING and FAILED, of all chats in order of sending; at most
 * `limit` (0: 50), after the last message of the page before (NULL: from the start). -ENOENT:
 * `after` is not here any more; list from the start.
 */
int chat_client_list_outbox(struct chat_client *client, const char *after, unsigned limit,
	struct chat_message_list **ret);
int chat_client_list_outbox_async(struct chat_client *client, const char *after, unsigned limit,
	chat_message_list_fn callback, void *userdata);

/*
 * Sends a FAILED message again, under its id. -EEXIST: the server has it.
 */
int chat_client_retry_message(
	struct chat_client *client, const char *message_id, struct chat_message **ret);
int chat_client_retry_message_async(struct chat_client *client, const char *message_id,
	chat_message_fn callback, void *userdata);

/*
 * Takes back a message that is PENDING or FAILED. -EEXIST: the server has it, or may have it since
 * it is on its way.
 */
int chat_client_cancel_message(struct chat_client *client, const char *message_id);
int chat_client_cancel_message_async(
	struct chat_client *client, const char *message_id, chat_done_fn callback, void *userdata);

int chat_client_get_attachment(
	struct chat_client *client, const char *attachment_id, struct chat_attachment **ret);
int chat_client_get_attachment_async(struct chat_client *client, const char *attachment_id,
	chat_attachment_fn callback, void *userdata);

/* Asks for the full picture; attachment.updated tells when it is READY. */
int chat_client_download_attachment(
	struct chat_client *client, const char *attachment_id, struct chat_attachment **ret);
int chat_client_download_attachment_async(struct chat_client *client, const char *attachment_id,
	chat_attachment_fn callback, void *userdata);

/*
 * Stops its transfer: a download is WAITING then; an upload takes its message with it, which is
 * FAILED. No effect where nothing moves. -EEXIST: the server has the photo already.
 */
int chat_client_cancel_attachment(
	struct chat_client *client, const char *attachment_id, struct chat_attachment **ret);
int chat_client_cancel_attachment_async(struct chat_client *client, const char *attachment_id,
	chat_attachment_fn callback, void *userdata);

/* The bytes, of the preview or of the full picture. */
int chat_client_open_attachment(struct chat_client *client, const char *attachment_id, bool preview,
	struct chat_file **ret);
int chat_client_open_attachment_async(struct chat_client *client, const char *attachment_id,
	bool preview, chat_file_fn callback, void *userdata);

/*
 * Any method, JSON in and out. `params_json` is an object or NULL; `fds` (lent until the
 * function returns, at most 16) go with it. events.subscribe and events.unsubscribe are
 * refused: chat_client_subscribe() does these.
 */
int chat_client_call(struct chat_client *client, const char *method, const char *params_json,
	const int *fds, size_t n_fds, struct chat_reply **ret);
int chat_client_call_async(struct chat_client *client, const char *method, const char *params_json,
	const int *fds, size_t n_fds, chat_reply_fn callback, void *userdata);

/*
 * A change, or, once, the error that ended the subscription (`change` is NULL then): the daemon
 * refused it. INVALID after a reconnect: the database is not the one that the position was of; list
 * anew. Losing the connection does not end it.
 */
typedef void (*chat_change_fn)(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata);

/*
 * Follows changes, in order, each once, across reconnects. `topics` and `chats` (ids) are
 * arrays that end with NULL, or NULL for all. `since`: changes after that one, as a list's
 * as_of or chat_client_get_seq() named it; -1: from now on. A client has one subscription:
 * -EALREADY when it is there.
 */
int chat_client_subscribe(struct chat_client *client, const char *const *topics,
	const char *const *chats, int64_t since, chat_change_fn callback, void *userdata);

/*
 * The same for a program that must deal with every change, whatever dies meanwhile: the daemon
 * keeps the position of a `consumer` (letters, digits and punctuation, at most 64) for it, and the
 * subscription begins behind what was acknowledged last. `since` says where a name that the daemon
 * does not know yet begins. Within the life of one client each change is told once; what was not
 * acknowledged then is told again to the next.
 */
int chat_client_subscribe_consumer(struct chat_client *client, const char *consumer,
	const char *const *topics, const char *const *chats, int64_t since, chat_change_fn callback,
	void *userdata);

/*
 * Everything up to and including that change has been dealt with. Durable when it answers; the
 * position never goes back. -ENOENT: no such consumer.
 */
int chat_client_ack(struct chat_client *client, const char *consumer, int64_t seq);
int chat_client_ack_async(struct chat_client *client, const char *consumer, int64_t seq,
	chat_done_fn callback, void *userdata);

/*
 * Waits until something changes, without a subscription: at most `timeout_ms` (milliseconds, at
 * most 600000), and for the answer as long as other calls. `topics` and `chats` as above, durable
 * topics only. `since` -1: from now on; else nothing is missed between two calls. -EINVAL: `since`
 * is not of this database.
 */
int chat_client_wait_changes(struct chat_client *client, const char *const *topics,
	const char *const *chats, int64_t since, int timeout_ms, struct chat_change_list **ret);
int chat_client_wait_changes_async(struct chat_client *client, const char *const *topics,
	const char *const *chats, int64_t since, int timeout_ms, chat_change_list_fn callback,
	void *userdata);

/* No effect without one. */
void chat_client_unsubscribe(struct chat_client *client);

/*
 * The last change delivered, or where the subscription began; -1 while that is not known. To be
 * kept for `since`.
 */
int64_t chat_client_get_seq(const struct chat_client *client);

#ifdef __cplusplus
}
#endif

#endif
