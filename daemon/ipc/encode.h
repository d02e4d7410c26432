/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model as the API shows it; the only place that writes these types. Results are owned, and
 * text (json-text.h): to be printed as part of a tree; json_unfold() makes a tree of it. NULL when
 * memory is short.
 */
#pragma once

#include "ipc/json-text.h"
#include "model/attachment.h"
#include "model/chat.h"
#include "model/lock.h"
#include "model/message.h"
#include "model/user.h"
#include "repository/repository.h"
#include "store/store.h"

/* Bytes of a last message that ChatInfo shows. */
#define ENCODE_SNIPPET_MAX 256

cJSON *encode_user(const struct user *u);
cJSON *encode_attachment(const struct attachment *a);
cJSON *encode_message(const struct message *m);
cJSON *encode_chat_info(const struct chat_info *c);
cJSON *encode_connection(const struct session_status *s);
cJSON *encode_chat_open(const char *chat_id, const char *message_id, const char *token);
cJSON *encode_account(const char *name, const struct repository_status *s);

/* The same as a member of what is being written, or an element where `member` is NULL. */
void write_connection(struct json_text *t, const char *member, const struct session_status *s);
void write_account(struct json_text *t, const char *member, const char *name,
	const struct repository_status *s);

/* How the connection stands while the account is locked; borrows from `lock`. */
void session_status_from_lock(struct session_status *ret, const struct lock_state *lock);

/* The `data` of a change notification. */
cJSON *encode_change(const struct change *c);

/* About how many bytes encode_message's result takes as text, at least as many. */
size_t encode_message_size(const struct message *m);
