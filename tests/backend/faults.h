/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The faults that are waiting to happen. Each is a rule: what it does, to whom and to what, how
 * often. Rules are asked in the order they were set and the first that fits is used up; nothing
 * happens by chance unless a percentage was given, and then the seed decides.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum fault_kind {
	/* on frames to clients */
	FAULT_DELAY,
	FAULT_LOSE,
	FAULT_DUPLICATE,
	FAULT_REORDER,
	FAULT_CUT,
	FAULT_CORRUPT,
	/* on messages from clients */
	FAULT_REFUSE_MESSAGE,
	/* on requests */
	FAULT_REFUSE,
	FAULT_SLOW,
	FAULT_CUT_UPLOAD,
	FAULT_CUT_DOWNLOAD,
	FAULT_REDIRECT,
	FAULT_KIND_COUNT,
};

/* What a corrupted frame becomes. */
enum corruption {
	CORRUPT_TRUNCATED, /* JSON that ends in the middle */
	CORRUPT_GARBAGE,   /* text that is no JSON */
	CORRUPT_BINARY,    /* a binary frame of random bytes */
	CORRUPT_OVERSIZED, /* well-formed JSON of more than 256 KiB */
	CORRUPT_STRANGER,  /* another session's connection_id */
	CORRUPT_COUNT,
};

struct fault {
	enum fault_kind kind;
	char user[65];       /* "": anybody */
	char event_type[16]; /* "": any but HELLO and BYE */
	char method[8];      /* "": any */
	char path[128];      /* prefix; "": any */
	int64_t skip;        /* so many are let pass first */
	int64_t count;       /* then so many are hit; -1: all, until the rules are reset */
	int64_t percent;     /* of those that fit, so many are hit */
	uint64_t random;     /* state of the generator, from the seed */
	int64_t ms, bytes, status, retry_after_s;
	enum corruption corruption;
	TAILQ_ENTRY(fault) entry;
};

struct faults {
	TAILQ_HEAD(, fault) rules;
	uint64_t applied[FAULT_KIND_COUNT]; /* how often each kind happened */
	int64_t etag_generation;            /* part of every ETag; changing it changes them all */
};

void faults_init(struct faults *faults);

/* Adds a copy at the end. 0 or -ENOMEM. */
int faults_add(struct faults *faults, const struct fault *rule);

/* Removes every rule; the counters and the ETags stay. */
void faults_clear(struct faults *faults);

/*
 * The rule that hits this frame, in `ret`; false for none. `ret_last` says that the rule is now
 * used up, which is when reordered frames are let go.
 */
bool faults_on_frame(struct faults *faults, const char *user, const char *event_type,
	struct fault *ret, bool *ret_last);

/* The same for a message, or for a request with one kind of fault in mind. */
bool faults_on_message(struct faults *faults, const char *user, struct fault *ret);
bool faults_on_request(struct faults *faults, enum fault_kind kind, const char *method,
	const char *path, struct fault *ret);

/* The names that /_control uses; -EINVAL for an unknown one. */
const char *fault_kind_name(enum fault_kind kind);
int fault_kind_from_string(const char *name);
int corruption_from_string(const char *name);
