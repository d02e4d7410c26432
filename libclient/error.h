/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A struct chat_error with its strings in place, so that telling of an error needs no memory.
 */
#pragma once

#include "chatclient.h"
#include "util.h"

struct error_store {
	struct chat_error pub; /* its pointers lead into this struct or to static strings */
	char kind[32];
	char detail[400]; /* cut at a character when longer */
};

void error_clear(struct error_store *e);

/* An error of the library's or one of the API's codes. Returns chat_client_error_to_errno(code). */
int error_set(struct error_store *e, int code, const char *format, ...) _printf_(3, 4);

/* A system call failed with `error_number` (positive). */
int error_set_errno(struct error_store *e, int error_number, const char *what);

/* From the error member of a JSON-RPC answer, whatever it holds. */
int error_set_rpc(struct error_store *e, const cJSON *error);

void error_copy(struct error_store *to, const struct error_store *from);
