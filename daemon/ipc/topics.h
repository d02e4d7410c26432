/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a frontend can be told of: the durable changes of store.h, numbered as there, and behind
 * them the ephemeral topics, which carry no seq and are never replayed.
 */
#pragma once

#include <stdbool.h>

#include "ipc/schema.h"
#include "store/store.h"

enum {
	TOPIC_CONNECTION = CHANGE_ATTACHMENT_UPDATED + 1,
	TOPIC_TRANSFER_PROGRESS,
	TOPIC_CHAT_OPEN,
	N_TOPICS,
};

#define TOPICS_DURABLE ((1u << TOPIC_CONNECTION) - 1)
#define TOPICS_DEFAULT (TOPICS_DURABLE | 1u << TOPIC_CONNECTION)

struct topic {
	const struct schema *data;
	const char *doc;
};

extern const struct topic topics[N_TOPICS];
extern const char *const topic_names[N_TOPICS + 1]; /* NULL-terminated */
extern const char *const topic_durable_names[TOPIC_CONNECTION + 1];

static inline bool topic_is_durable(unsigned topic)
{
	return topic < TOPIC_CONNECTION;
}

/* The topic of that name, or -EINVAL. */
int topic_from_string(const char *name);
