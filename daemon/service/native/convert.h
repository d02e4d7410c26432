/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model converter: the server's JSON to the model's structs and back. Decoding is by tables
 * (base/json-fields); what the tables do not name is ignored, what does not fit them is refused
 * with -EINVAL and a text in `ret_error` that names the member, never a value. Every function
 * leaves its `ret` untouched when it fails, and -ENOMEM is possible everywhere.
 */
#pragma once

#include "base/json-fields.h"
#include "service/service.h"

/* More than any page or message has; a hostile server cannot make this side hold more. */
#define CONVERT_MAX_ELEMENTS 2000
#define CONVERT_MAX_ATTACHMENTS 100
#define CONVERT_MAX_TEXT (256 * 1024)

int convert_user(const cJSON *o, struct user *ret, struct json_error *ret_error);
int convert_chat(const cJSON *o, struct chat *ret, struct json_error *ret_error);
int convert_attachment(const cJSON *o, struct attachment *ret, struct json_error *ret_error);

/* The AttachmentData that travel beside messages, found by id; borrows from the tree. `array` may
 * be NULL. */
struct attachment_set;
int attachment_set_read(
	const cJSON *array, struct attachment_set **ret, struct json_error *ret_error);
struct attachment_set *attachment_set_free(struct attachment_set *set);
DEFINE_CLEANUP(struct attachment_set *, attachment_set_free)

/*
 * The message's own list of ids is what counts: its order, without repetitions; an id that the set
 * does not have becomes an attachment that has only its id. A message of `self_id` is outgoing.
 */
int convert_message(const cJSON *o, const struct attachment_set *set, const char *self_id,
	struct message *ret, struct json_error *ret_error);

int convert_chat_page(
	const cJSON *o, const char *self_id, struct chat_page *ret, struct json_error *ret_error);
int convert_message_page(const cJSON *o, const char *self_id, struct message_page *ret,
	struct json_error *ret_error);

/* {token, expires_at, user}. The token is checked to be fit for a header. */
int convert_identity(const cJSON *o, struct service_identity *ret, struct json_error *ret_error);

/* Never fails: what does not fit is left out. The class is left to the caller. */
void convert_problem(const cJSON *o, struct problem *ret);

/* The payload of a MSG_OUT, owned; NULL when memory is short. */
cJSON *convert_outgoing(const struct message *m);
