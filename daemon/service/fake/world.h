/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the made-up network knows: its people, chats, messages and pictures, in memory. Everything
 * that changes a chat stamps it with the next `revision`, which is what the network's states ("what
 * changed since") are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/json-fields.h"
#include "base/uuid.h"
#include "model/attachment.h"
#include "model/chat.h"
#include "model/message.h"
#include "model/user.h"

#define FAKE_ETAG_SIZE 35

struct world_bytes {
	struct buffer bytes;
	char etag[FAKE_ETAG_SIZE]; /* empty: this variant is not there */
};

struct world_attachment {
	struct attachment info;
	struct world_bytes variants[2]; /* by enum attachment_variant */
};

struct world_chat {
	struct chat info;
	int64_t received_seq; /* this user's device has stored up to and including */
	uint64_t revision;
	struct message *messages; /* messages[n].seq is n + 1 */
	size_t n_messages;
	bool deleted;
};

struct world_reply {
	char *user_id; /* NULL: from whoever was written to */
	char *text;
};

/* How the network behaves. Times in milliseconds. */
struct world_behaviour {
	bool refuse_login;
	char *password; /* NULL: any will do */
	int64_t latency_ms;
	int64_t ack_ms;
	int64_t received_ms; /* after the acceptance; negative: never */
	int64_t read_ms;     /* after the acceptance; negative: never */
	int64_t reply_ms;
	int64_t max_in_flight;
	struct world_reply *replies; /* taken in turn */
	size_t n_replies, next_reply;
};

struct world {
	char instance[UUID_STRING_SIZE]; /* states of another instance are not known here */
	uint64_t revision;
	struct user me;
	struct user *users;
	size_t n_users;
	struct world_chat **chats;
	size_t n_chats;
	struct world_attachment **attachments;
	size_t n_attachments;
	struct world_behaviour behaviour;
};

/*
 * Fills `w` (zeroed) from a file; the format is described in fake.h. Negative errno and a text for
 * people.
 */
int world_load(struct world *w, const char *json_path, struct json_error *ret_error);
void world_clear(struct world *w);

/* These return what the world holds, or NULL. */
const struct user *world_find_user(const struct world *w, const char *id);
struct world_chat *world_find_chat(const struct world *w, const char *id);
struct world_chat *world_find_chat_with(const struct world *w, const char *user_id);
struct world_attachment *world_find_attachment(const struct world *w, const char *id);

/*
 * Adders return NULL when memory is short. A chat without `id` gets one; so does a deleted one its
 * place back.
 */
struct user *world_add_user(
	struct world *w, const char *id, const char *name, const char *picture_url);
struct world_chat *world_add_chat(
	struct world *w, const char *id, const char *user_id, int64_t created_at);
struct world_attachment *world_add_attachment(struct world *w, const char *id);

/* Marks the chat as changed now. */
void world_touch(struct world *w, struct world_chat *c);

/* The message of that id, or NULL. */
struct message *world_find_message(const struct world_chat *c, const char *id);

/*
 * Places `m`, whose content is moved into the chat, after the others; its seq and chat are set.
 * -ENOMEM leaves `m` as it was.
 */
int world_append(struct world *w, struct world_chat *c, struct message *m, struct message **ret);

/* Makes the variant hold a copy of `bytes`, under a new etag. 0 or -ENOMEM. */
int world_set_bytes(struct world_attachment *a, enum attachment_variant variant, const void *bytes,
	size_t size);

/* Both variants are there: sizes, checksum and URLs follow from them. 0 or -ENOMEM. */
int world_complete_attachment(struct world_attachment *a);
bool world_attachment_is_complete(const struct world_attachment *a);

/* "<instance>.<revision>", owned; NULL when memory is short. */
char *world_state(const struct world *w, uint64_t revision);

/* The revision of a state made here, or -EINVAL. */
int world_state_parse(const struct world *w, const char *state, uint64_t *ret);

/* Deep copies; -ENOMEM leaves `ret` untouched. */
int world_copy_user(const struct user *u, struct user *ret);
int world_copy_chat(const struct chat *c, struct chat *ret);
int world_copy_message(const struct message *m, struct message *ret);
