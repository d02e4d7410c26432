/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many clients lose their server at one moment and try to come back, each by the same rule. What
 * the server sees, second by second. The daemon's rule is the daemon's own code, base/backoff.
 */
#pragma once

#include <stdint.h>

enum herd_rule {
	HERD_FULL_JITTER,  /* what the daemon does */
	HERD_EXPONENTIAL,  /* the same waits without jitter: 1 s, 2 s, 4 s, ... 300 s */
	HERD_FIXED,        /* every 30 s */
	HERD_FIXED_SPREAD, /* every 30 s, from a first wait that is uniform in [0, 30 s] */
	HERD_RULE_COUNT,
};

struct herd_options {
	enum herd_rule rule;
	uint32_t clients;
	uint32_t outage_s;
	uint32_t horizon_s;     /* the simulation ends so long after the outage did */
	uint32_t capacity;      /* sessions that the server can begin a second; 0: any number */
	uint32_t retry_after_s; /* what it tells those it refuses; 0: nothing */
	uint64_t seed;
};

struct herd_result {
	uint32_t *arrivals;   /* attempts in each second, from the beginning of the outage */
	uint32_t *back;       /* clients that are back at the end of each second */
	uint32_t seconds;     /* entries of both */
	uint64_t in_vain;     /* attempts during the outage */
	uint64_t refused;     /* attempts after it that found no capacity */
	uint32_t peak;        /* most attempts in a second after the outage */
	int64_t all_but_1pct; /* seconds from its end until 99 % are back; -1: never */
};

/* 0 or -ENOMEM. The caller gives `ret` to herd_clear. */
int herd_run(const struct herd_options *o, struct herd_result *ret);
void herd_clear(struct herd_result *r);

/*
 * What would come in a second if all came evenly over five minutes, the daemon's longest wait: no
 * rule that waits so long at most can do better.
 */
double herd_even_share(const struct herd_options *o);

const char *herd_rule_name(enum herd_rule rule);
