/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Events that no database holds: of each subject the newest, in the order in which they came.
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "ipc/hub.h"

/* Subjects kept while somebody is too slow to take them; the oldest go first. */
#define EPHEMERAL_MAX 64

struct ephemeral_event {
	struct event event;
	cJSON *data;
	char *subject;
	char *chat_id; /* NULL: of no chat */
	uint64_t number;
	TAILQ_ENTRY(ephemeral_event) entry;
};

TAILQ_HEAD(ephemeral_list, ephemeral_event);

struct ephemeral {
	struct ephemeral_list events;
	unsigned n;
	uint64_t last; /* number given out */
};

void ephemeral_init(struct ephemeral *e);

/* Takes `data`; replaces an event of the same topic and subject. -ENOMEM. */
int ephemeral_put(
	struct ephemeral *e, unsigned topic, const char *subject, const char *chat_id, cJSON *data);

/* Drops the events up to and including `number`. */
void ephemeral_forget(struct ephemeral *e, uint64_t number);
