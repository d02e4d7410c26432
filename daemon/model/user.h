/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/cleanup.h"

/* A person on the account's network. */
struct user {
	char *id;
	char *name;
	char *picture_url; /* NULL when there is none */
};

/* Releases what `u` holds, not `u` itself. */
void user_clear(struct user *u);
