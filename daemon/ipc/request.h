/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A method being carried out for somebody. Handlers see this and not the face that it came through.
 */
#pragma once

#include <stdbool.h>

#include "base/json-fields.h"
#include "ipc/api.h"
#include "ipc/line-reader.h"
#include "ipc/method.h"
#include "ipc/rpc-error.h"
#include "ipc/hub.h"

/* Who asks, and what hangs on that one until it leaves. Embedded in the face's own. */
struct client {
	struct api *api;
	unsigned scopes;
	struct subscriber subscriber;
	char focus[65]; /* the chat that it has on screen; empty: none */
};

/* `ops` and `userdata` are the subscriber's. */
void client_init(struct client *c, struct api *api, unsigned scopes,
	const struct subscriber_ops *ops, void *userdata);

/* No effect on one that is zeroed. */
void client_clear(struct client *c);

struct request;

/* What a face does with answers. */
struct request_ops {
	/*
	 * Called once at the end; the request is the face's again. One of `result` (taken) and
	 * `error` is NULL. `fd`: taken, travels with the result; -1: none.
	 */
	void (*done)(struct request *rq, cJSON *result, const struct rpc_error *error, int fd);
};

struct request {
	const struct request_ops *ops;
	struct api *api;
	const struct method *method;
	struct client *client; /* NULL when it has gone: check it after any wait */
	cJSON *tree;           /* owned; what the strings of params are borrowed from */
	void *params;          /* owned; the method's struct */
	struct fd_list *fds;   /* owned; NULL: none came */
	/* Set by the handler: the answer brings the staged subscription into force. */
	bool stages_subscription;
	/*
	 * Set by a handler that waits for what may never come: called when the client has gone,
	 * must end the request. `handler_data` is the handler's.
	 */
	void (*on_client_gone)(struct request *rq);
	void *handler_data;
};

/*
 * Checks what asks for the method and how, decodes the parameters (taken) and calls the handler,
 * which may end the request at once. Errors end it too.
 */
void request_run(struct request *rq, cJSON *params);

/* Begins anew one that has been answered, with what it was given; it has taken no descriptors. */
void request_run_again(struct request *rq);

/* Releases what a request holds, not the request. */
void request_clear(struct request *rq);

/*
 * The endings. The request must not be touched afterwards. `result` and `fd` are taken; a NULL
 * result is an internal error.
 */
void request_reply(struct request *rq, cJSON *result);
void request_reply_fd(struct request *rq, cJSON *result, int fd);
void request_fail(struct request *rq, const struct failure *f);
void request_fail_errno(struct request *rq, int r);
void request_fail_with(struct request *rq, enum failure_kind kind, const char *format, ...)
	_printf_(3, 4);

/* The parameters do not go together. */
void request_fail_params(struct request *rq, const char *format, ...) _printf_(2, 3);
