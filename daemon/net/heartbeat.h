/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How long a connection may stay silent before it is asked for a sign of life. Each question costs
 * the machine a wakeup and the radio its sleep, so the time between them grows while it proves
 * good; what lies on the way (address translation, mostly) forgets connections that are silent for
 * longer than it likes, and then it is shorter again. Pure.
 */
#pragma once

#include <stdbool.h>

#define HEARTBEAT_CAP_S 600

/* So many answers in a row at one interval prove it. */
#define HEARTBEAT_PROOFS 2

/* And so many at the limit that a loss has set, until more is dared again. */
#define HEARTBEAT_RETRY_PROOFS 100

struct heartbeat {
	unsigned base_s;     /* what the server asks for; 0: none at all */
	unsigned interval_s; /* at present, at least base_s */
	unsigned limit_s;    /* the interval does not grow beyond */
	unsigned proofs;     /* answers at this interval */
};

/* The server's word; what was learnt stays while that is the same. */
void heartbeat_set_base(struct heartbeat *h, unsigned base_s);

/* A ping after `interval_s` of silence was answered. True if the interval is another one now. */
bool heartbeat_answered(struct heartbeat *h);

/*
 * The connection did not outlive a silence of `silent_s`: one that was longer than what the server
 * asks for is not tried again soon.
 */
void heartbeat_lost(struct heartbeat *h, unsigned silent_s);

/* Another network: what was learnt does not hold there. */
void heartbeat_forget(struct heartbeat *h);
