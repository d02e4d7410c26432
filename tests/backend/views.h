/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The JSON of the protocol's objects. Everything returned is owned by the caller; a NULL (memory
 * short) may be put into another tree, which then lacks it.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/json-fields.h"
#include "chats.h"
#include "messages.h"
#include "uploads.h"

struct server;

cJSON *view_user(const struct user *user);

/* ChatData as the member sees it. */
cJSON *view_chat(struct member *member);

cJSON *view_message(const struct message *message);

/* AttachmentData, or NULL when it is not complete. */
cJSON *view_attachment(struct server *server, const char *id);

/* Appends the message's attachments to an array. */
void view_attachments_of(struct server *server, const char *ids, cJSON *array);
