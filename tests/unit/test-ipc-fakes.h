/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands below the API in its unit tests: a barrier whose commit can fail, a store whose rows
 * are an array, a repository whose answers the test decides on. They replace the real functions at
 * link time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/event-loop.h"
#include "ipc/api.h"
#include "ipc/peer.h"
#include "ipc/schema.h"
#include "repository/repository.h"
#include "store/store.h"

#define FAKE_ROWS_MAX 20000
#define FAKE_PENDING_MAX 320

/* A change: a message of that chat, or another topic's row. */
struct fake_row {
	int64_t seq, added;
	enum change_topic topic; /* ADDED stands for both of the message's */
	char chat_id[16], id[16];
};

/* An answer of the repository that has not come yet. */
struct fake_pending {
	repository_done_fn done;
	repository_id_fn with_id;
	void *userdata;
	char id[65];
};

struct fake {
	struct event_loop *loop;

	/* The barrier. */
	bool wrote;        /* in this turn */
	int commit_error;  /* of the next commit that has something to commit; then 0 again */
	bool disk_is_full; /* every commit that has something to commit fails */
	unsigned commits;

	/* The store. */
	struct fake_row rows[FAKE_ROWS_MAX]; /* by seq */
	size_t n_rows;
	bool repeated; /* a row has changed */
	int64_t last_change, committed_change;
	unsigned change_queries;
	unsigned encoded; /* rows handed out by these */
	int change_error;
	const char *text;    /* of every message; NULL: short */
	const char *snippet; /* of every message found; NULL: short */
	const char *renamed; /* the present id of the chat "old" */
	int64_t page_size;   /* messages of every chat */
	bool more;           /* what pages say */
	bool stored;         /* of the attachment's variants */
	int64_t media_size;  /* bytes of what attachments.open hands out; 0: ten */

	int64_t consumer_seq; /* of the only consumer; -1: there is none */

	/* The repository. */
	bool asynchronous;       /* answers come with fake_answer */
	struct failure *failure; /* what it answers instead of success */
	struct fake_pending pending[FAKE_PENDING_MAX];
	size_t n_pending;
	bool older_history;
	bool notes_use; /* reading an attachment writes */
	unsigned sends;
	char sent[8][65]; /* message ids, in order */
	char photo[64];   /* what the last photo's descriptor held */
	char secret[64];  /* the last password */
	const struct repository_observer *observer;
	void *observer_data;
};

extern struct fake fake;

/* Starts afresh, with a loop of its own. */
void fake_start(void);
void fake_stop(void);

/* A row changes, in this turn's transaction: a new message, or a known id again. */
void fake_change(enum change_topic topic, const char *chat_id, const char *id);

/* Answers the oldest call that waits; `f` NULL: success. */
void fake_answer(const struct failure *f);

/* Turns of the loop until nothing is ready any more. */
void fake_settle(void);

/* What a client of the tests is: one end of a socket pair whose other end is a peer. */
struct test_client {
	struct peer *peer; /* NULL once it is gone */
	int fd;
	struct buffer input;
	int fds[64]; /* received */
	unsigned n_fds;
	bool eof;
};

/* The API over the fakes. */
struct api *test_api_new(void);
struct api *test_api_free(struct api *api);

void test_client_open(struct test_client *c, struct api *api, unsigned scopes);
void test_client_close(struct test_client *c);
void test_client_send(
	struct test_client *c, const char *data, size_t n, const int *fds, unsigned n_fds);

/* Sends a line. */
void test_client_line(struct test_client *c, const char *line);

/*
 * The next line that the daemon sends, owned; NULL when none comes. `read` runs the loop, `peek`
 * does not.
 */
cJSON *test_client_read(struct test_client *c);
char *test_client_read_text(struct test_client *c);

/* Reads a line and checks that it is this, as text. */
void test_expect(struct test_client *c, const char *text);

/* Sends a request, reads the answer; returns result or error's code. Owned. */
cJSON *test_call(struct test_client *c, const char *method, const char *params, int *ret_code);

/* Fails the test unless `value` is as `schema` says, with no member that it does not know. */
void test_conforms(const struct schema *schema, const cJSON *value);

unsigned test_count_fds(void);
