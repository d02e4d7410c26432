/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "repository/parts.h"

#define CONSUMERS_MAX 256

static int make(struct repository *r, const char *name, int64_t since, struct failure *f)
{
	int e;

	if (store_consumer_count(r->store) >= CONSUMERS_MAX)
		return failure_set(f, FAILURE_CONFLICT,
			"there are %d consumers already; forget one first", CONSUMERS_MAX);
	e = store_consumer_put(r->store, name, since);
	return e < 0 ? failure_from_errno(f, e) : 0;
}

int consumer_open(
	struct repository *r, const char *name, int64_t since, int64_t *ret_seq, struct failure *f)
{
	int64_t last = store_last_change(r->store), seq;
	int e = store_consumer_get(r->store, name, &seq);

	if (e == -ENOENT) {
		seq = since < 0 ? last : since;
		e = make(r, name, seq, f);
	} else if (e < 0) {
		e = failure_from_errno(f, e);
	}
	if (e < 0)
		return e;
	if (seq > last)
		return failure_set(f, FAILURE_INVALID,
			"the consumer has seen changes that are not in this database; forget it");
	*ret_seq = seq;
	return 0;
}

int consumer_ack(
	struct repository *r, const char *name, int64_t seq, int64_t *ret_seq, struct failure *f)
{
	int64_t old;
	int e = store_consumer_get(r->store, name, &old);

	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no such consumer");
	if (e == 0 && seq > store_last_change(r->store))
		return failure_set(f, FAILURE_INVALID, "'seq' is ahead of the newest change");
	e = e < 0 ? e : store_consumer_put(r->store, name, seq);
	if (e < 0)
		return failure_from_errno(f, e);
	*ret_seq = seq > old ? seq : old;
	return 0;
}

int consumer_forget(struct repository *r, const char *name, struct failure *f)
{
	int e = store_consumer_remove(r->store, name);

	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no such consumer");
	return e < 0 ? failure_from_errno(f, e) : 0;
}
