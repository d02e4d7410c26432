/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The people this backend knows. They come from a file, one a line: `id:password:Display
 * Name[:picture_url]`. A user who left the file stays known, since chats speak of them, but cannot
 * log in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/cleanup.h"

struct member;
struct session;
struct users;

TAILQ_HEAD(member_list, member);
TAILQ_HEAD(session_list, session);

struct user {
	char *id, *name, *picture_url; /* picture_url may be NULL */
	char *password;                /* NULL: no login */
	int64_t change; /* counts what happened to this user's chats; the number of the newest */
	struct member_list by_activity; /* shown chats, newest first */
	struct member_list by_change;   /* all chats, oldest change first */
	struct session_list sessions;   /* greeted ones */
	bool listed;
};

struct users *users_new(void);
struct users *users_free(struct users *users); /* takes NULL */
DEFINE_CLEANUP(struct users *, users_free)

/*
 * Reads the file over what is known. On failure (-errno; -EBADMSG for a malformed line) nothing
 * changed.
 */
int users_load(struct users *users, const char *path);

/* NULL when unknown. */
struct user *users_find(const struct users *users, const char *id);

/* The user, made without name or login if need be; NULL when memory is short. */
struct user *users_find_or_add(struct users *users, const char *id);

/* The user if the password is right. Takes as long for an unknown user as for a known one. */
struct user *users_check_password(const struct users *users, const char *id, const char *password);
