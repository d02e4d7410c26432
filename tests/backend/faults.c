/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const kind_names[FAULT_KIND_COUNT] = {
	[FAULT_DELAY] = "delay",
	[FAULT_LOSE] = "lose",
	[FAULT_DUPLICATE] = "duplicate",
	[FAULT_REORDER] = "reorder",
	[FAULT_CUT] = "cut",
	[FAULT_CORRUPT] = "corrupt",
	[FAULT_REFUSE_MESSAGE] = "refuse_message",
	[FAULT_REFUSE] = "refuse",
	[FAULT_SLOW] = "slow",
	[FAULT_CUT_UPLOAD] = "cut_upload",
	[FAULT_CUT_DOWNLOAD] = "cut_download",
	[FAULT_REDIRECT] = "redirect",
};

static const char *const corruption_names[CORRUPT_COUNT] = {
	[CORRUPT_TRUNCATED] = "truncated",
	[CORRUPT_GARBAGE] = "garbage",
	[CORRUPT_BINARY] = "binary",
	[CORRUPT_OVERSIZED] = "oversized",
	[CORRUPT_STRANGER] = "stranger",
};

static int index_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *fault_kind_name(enum fault_kind kind)
{
	return kind_names[kind];
}

int fault_kind_from_string(const char *name)
{
	return index_of(kind_names, ARRAY_SIZE(kind_names), name);
}

int corruption_from_string(const char *name)
{
	return index_of(corruption_names, ARRAY_SIZE(corruption_names), name);
}

void faults_init(struct faults *faults)
{
	*faults = (struct faults){ 0 };
	TAILQ_INIT(&faults->rules);
}

int faults_add(struct faults *faults, const struct fault *rule)
{
	struct fault *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *rule;
	TAILQ_INSERT_TAIL(&faults->rules, copy, entry);
	return 0;
}

static void drop_rule(struct faults *faults, struct fault *rule)
{
	TAILQ_REMOVE(&faults->rules, rule, entry);
	free(rule);
}

void faults_clear(struct faults *faults)
{
	while (!TAILQ_EMPTY(&faults->rules))
		drop_rule(faults, TAILQ_FIRST(&faults->rules));
}

/* xorshift64*, which is plenty for choosing victims and the same everywhere. */
static bool dice(struct fault *rule)
{
	uint64_t x = rule->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rule->random = x;
	return (int64_t)((x * 0x2545f4914f6cdd1dULL >> 33) % 100) < rule->percent;
}

static bool use(struct faults *faults, struct fault *rule, struct fault *ret, bool *ret_last)
{
	if (rule->skip > 0) {
		rule->skip--;
		return false;
	}
	if (rule->percent < 100 && !dice(rule))
		return false;
	if (rule->count > 0)
		rule->count--;
	*ret = *rule;
	*ret_last = rule->count == 0;
	faults->applied[rule->kind]++;
	if (rule->count == 0)
		drop_rule(faults, rule);
	return true;
}

static bool fits_frame(const struct fault *rule, const char *user, const char *event_type)
{
	if (rule->kind > FAULT_CORRUPT || (*rule->user && strcmp(rule->user, user) != 0))
		return false;
	if (*rule->event_type)
		return strcmp(rule->event_type, event_type) == 0;
	return strcmp(event_type, "HELLO") != 0 && strcmp(event_type, "BYE") != 0;
}

bool faults_on_frame(struct faults *faults, const char *user, const char *event_type,
	struct fault *ret, bool *ret_last)
{
	struct fault *rule, *next;

	for (rule = TAILQ_FIRST(&faults->rules); rule; rule = next) {
		next = TAILQ_NEXT(rule, entry);
		if (fits_frame(rule, user, event_type) && use(faults, rule, ret, ret_last))
			return true;
	}
	return false;
}

bool faults_on_message(struct faults *faults, const char *user, struct fault *ret)
{
	struct fault *rule, *next;
	bool last;

	for (rule = TAILQ_FIRST(&faults->rules); rule; rule = next) {
		next = TAILQ_NEXT(rule, entry);
		if (rule->kind == FAULT_REFUSE_MESSAGE &&
			(!*rule->user || strcmp(rule->user, user) == 0) &&
			use(faults, rule, ret, &last))
			return true;
	}
	return false;
}

bool faults_on_request(struct faults *faults, enum fault_kind kind, const char *method,
	const char *path, struct fault *ret)
{
	struct fault *rule, *next;
	bool last;

	for (rule = TAILQ_FIRST(&faults->rules); rule; rule = next) {
		next = TAILQ_NEXT(rule, entry);
		if (rule->kind == kind && (!*rule->method || strcmp(rule->method, method) == 0) &&
			strncmp(path, rule->path, strlen(rule->path)) == 0 &&
			use(faults, rule, ret, &last))
			return true;
	}
	return false;
}
