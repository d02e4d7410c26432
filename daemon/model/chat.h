/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/message.h"

/* A one-to-one conversation as the network describes it. Strings are owned. */
struct chat {
	char *id;
	char *user_id; /* the other person */
	int64_t last_seq;
	int64_t created_at; /* ms since 1970 UTC */
	int64_t read_seq;   /* this user has read up to and including */
	int64_t peer_read_seq;
	int64_t peer_received_seq;
};

/*
 * A row of the lobby: a chat joined with its last message and the people in it. Strings are owned,
 * may be NULL.
 */
struct chat_info {
	char *id;
	char *user_id;
	char *username;	     /* the other person's display name */
	char *last_username; /* who wrote the last message */
	char *last_user_profile_url;
	char *last_message_id;
	char *last_message_text;
	int64_t last_message_at; /* 0: no message yet */
	enum message_status last_message_status;
	int64_t unread;
	bool provisional; /* not known to the server yet */
};

/* These release what the struct holds, not the struct itself. */
void chat_clear(struct chat *c);
void chat_info_clear(struct chat_info *c);
