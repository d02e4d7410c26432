/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's insides, in five parts that call each other only as declared here: the connection
 * (bytes and descriptors), the requests (what waits for an answer), the lines (what an incoming
 * line means), the subscription and the focus.
 */
#pragma once

#include <sys/queue.h>
#include <sys/types.h>

#include "chatclient.h"
#include "error.h"
#include "protocol.h"
#include "result.h"

/* Room for what waits: requests, and the bytes of their lines together. */
#define REQUESTS_MAX 256u
#define REQUEST_BYTES_MAX (4u * CHAT_LINE_MAX)

/* How often one request is put on a connection, so that one that kills the daemon ends. */
#define SENDS_MAX 4u

/* How long a daemon that accepted the connection may take to greet; it may have to start first. */
#define HELLO_TIMEOUT_MS 30000

#define RECONNECT_BASE_MS 100u
#define RECONNECT_CAP_MS 5000u

/* A connection that held this long was a good one: the next wait is short again. */
#define STABLE_US 5000000u

enum result_kind {
	RESULT_DONE,
	RESULT_STATUS,
	RESULT_ACCOUNT,
	RESULT_INFO,
	RESULT_INFO_LIST,
	RESULT_MESSAGE,
	RESULT_MESSAGE_LIST,
	RESULT_SEARCH_LIST,
	RESULT_ATTACHMENT,
	RESULT_FILE,
	RESULT_USER,
	RESULT_SETTING,
	RESULT_SETTING_LIST,
	RESULT_CHANGE_LIST,
	RESULT_FOCUSED,
	RESULT_REPLY,
	RESULT_SUBSCRIBED, /* internal */
};

/* A blocking call that waits on its stack. */
struct waiter {
	bool done;
	struct error_store error;
	void *value; /* owned by the waiter once done without error */
};

union reply_fn {
	chat_done_fn done;
	chat_status_fn status;
	chat_account_fn account;
	chat_info_fn info;
	chat_info_list_fn info_list;
	chat_message_fn message;
	chat_message_list_fn message_list;
	chat_search_list_fn search_list;
	chat_attachment_fn attachment;
	chat_file_fn file;
	chat_user_fn user;
	chat_setting_fn setting;
	chat_setting_list_fn setting_list;
	chat_change_list_fn change_list;
	chat_reply_fn reply;
};

struct request_fd {
	int fd;
	off_t offset; /* where the daemon starts to read; -1: cannot be wound back */
};

struct request {
	TAILQ_ENTRY(request) entry;
	int id;
	enum result_kind kind;
	bool repeatable;
	bool outlived;  /* was under way when a connection was lost: waits for the next one */
	bool abandoned; /* nobody waits; only the rest of its line must still go out */
	unsigned sends; /* connections that its first byte was put on */
	uint64_t deadline_us;
	char *line; /* newline included */
	size_t length, sent;
	size_t n_fds;
	struct request_fd fds[CHAT_FDS_MAX];
	struct waiter *waiter; /* this or the callback */
	union reply_fn callback;
	void *userdata;
	struct error_store error; /* on the list of those that failed */
};

TAILQ_HEAD(request_list, request);

struct subscription {
	bool wanted;
	bool established;     /* the daemon has answered on this connection */
	uintptr_t generation; /* tells the answers to an earlier subscription from those to this one
			       */
	cJSON *topics, *chats; /* NULL: all */
	char *consumer;        /* NULL: the position is the client's own */
	int64_t since;         /* where it was asked to begin; -1: from now on */
	int64_t seq;           /* the last one delivered; -1: not known yet */
	chat_change_fn callback;
	void *userdata;
};

struct chat_client {
	unsigned references;
	bool closed; /* freed by the caller; lives only until dispatch returns */
	bool dispatching;
	char *path;
	int timeout_ms;
	int epoll_fd;
	struct error_store error;

	enum chat_client_state state;
	chat_client_state_fn on_state;
	void *on_state_userdata;
	int fd;
	unsigned watched;      /* epoll events asked for */
	uint64_t connected_us; /* when the greeting came */
	uint64_t hello_due_us;
	uint64_t reconnect_us; /* not before */
	unsigned attempt;      /* waits since the last good connection */
	unsigned failures;     /* connections lost or not made, ever */
	bool connect_asked;    /* chat_client_connect() waits */
	bool peer_reads_no_more;
	struct error_store down; /* why there is no connection */
	struct result *hello_result;
	struct chat_hello hello;

	char *input;
	size_t input_start, input_end, input_allocated, input_scanned;
	int received_fds[CHAT_FDS_MAX];
	size_t n_received_fds;
	bool caller_is_due; /* a blocking call returns before the lines after its answer are told */

	int last_id;
	size_t n_requests, request_bytes;
	struct request_list requests; /* in the order they were made and are sent */
	struct request_list failed;   /* to be told in dispatch */
	struct subscription subscription;
	char *focus; /* the chat on screen; NULL: none */
};

/* client.c */

/* Sets the client's error; returns the negative errno. */
int client_fail(struct chat_client *c, int code, const char *format, ...) _printf_(3, 4);

/* Runs dispatch until `waiter` is done or the client is freed. 0, or what it failed with. */
int client_wait_for(struct chat_client *c, struct waiter *waiter);

/* connection.c */

bool connection_is_wanted(const struct chat_client *c);

/* Tries to connect when that is wanted and due. True if it did something. */
bool connection_try(struct chat_client *c, uint64_t now_us);
bool connection_write(struct chat_client *c);
bool connection_read(struct chat_client *c);

/* Asks epoll for what the connection waits for now. */
void connection_watch(struct chat_client *c);

/* Ends the connection for the reason in `why`; requests are kept or fail, see request_on_lost(). */
void connection_lost(struct chat_client *c, const struct error_store *why);

/* Ends the connection because what the daemon sent is not understood. */
void connection_protocol_error(struct chat_client *c, const char *detail);

/* The greeting has come. */
void connection_ready(struct chat_client *c);

/* Closes and frees, calling nobody. */
void connection_close(struct chat_client *c);

/* request.c */

struct request_options {
	const char *method;
	cJSON *params; /* taken, also on failure; NULL: none */
	const int *fds;
	size_t n_fds;
	enum result_kind kind;
	bool repeatable;
	int extra_ms; /* what the deadline is later by */
	bool first;   /* ahead of the others; only on a connection that nothing was sent on */
	struct waiter *waiter;
	union reply_fn callback;
	void *userdata;
};

/* Queues a request. Its id, above 0, or a negative errno with the client's error set. */
int request_new(struct chat_client *c, const struct request_options *options);

/* Queues the request and waits for it. `ret` gets an owned struct of the kind; NULL: not wanted. */
int request_call(struct chat_client *c, struct request_options *options, void *ret);

struct request *request_find(struct chat_client *c, int id);

/* The first that has bytes to be sent, or NULL. */
struct request *request_unsent(struct chat_client *c);

/* Says that `n` more bytes of it were sent. */
void request_sent(struct chat_client *c, struct request *r, size_t n);

/* An answer: takes `result` (NULL: an error, which is in `error`) and tells who waits. */
void request_answered(struct chat_client *c, struct request *r, struct result *result,
	const struct error_store *error);

/* Puts a request on the list of those that failed. */
void request_fail(struct chat_client *c, struct request *r, const struct error_store *error);

/* No connection: those made since the last one, which nobody promised to keep, fail. */
void request_on_unreachable(struct chat_client *c);

/* The connection is gone: keeps what can be sent again, unless `all` fail. */
void request_on_lost(struct chat_client *c, const struct error_store *why, bool all);

uint64_t request_next_deadline(const struct chat_client *c);
bool request_expire(struct chat_client *c, uint64_t now_us);

/* Tells those that failed. */
bool request_tell_failed(struct chat_client *c);

/* Frees all, telling nobody. */
void request_free_all(struct chat_client *c);

/* lines.c */

/* Acts on the complete lines that have come, a bounded number of them. True if there was one. */
bool lines_process(struct chat_client *c);

/* A complete line is there. */
bool lines_pending(const struct chat_client *c);

/* focus.c */

/* Tells a fresh connection which chat is on screen. */
void focus_resume(struct chat_client *c);

/* The daemon knows no such chat: it is forgotten, unless another one has been named since. */
void focus_on_refused(struct chat_client *c);

/* subscription.c */

/* Asks for the changes on a fresh connection, before anything else is sent on it. */
void subscription_resume(struct chat_client *c);
void subscription_on_lost(struct chat_client *c);

/* `generation` as it was given to the request; `result` NULL: an error. */
void subscription_on_answer(struct chat_client *c, const void *generation, const cJSON *result,
	const struct error_store *error);

/* Takes `params`. */
void subscription_on_change(struct chat_client *c, cJSON *params);
void subscription_clear(struct chat_client *c);
