/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/rows.h"

int64_t next_changes(struct store *s, int64_t n)
{
	int64_t first = s->last_change + 1;

	s->last_change += n;
	return first;
}

int64_t next_change(struct store *s)
{
	return next_changes(s, 1);
}

int stamp_if_written(struct store *s, int r)
{
	if (r > 0)
		next_change(s);
	return r;
}

int64_t store_last_change(const struct store *s)
{
	return s->last_change;
}

int64_t store_committed_change(const struct store *s)
{
	return s->committed_change;
}

const char *store_library_version(const struct store *s)
{
	return db_version(s->chat);
}

void store_read_library_version(char *ret, size_t size)
{
	_cleanup_(db_closep) struct db *db = NULL;
	int r = db_open(&(struct db_options){ .path = ":memory:" }, &db);

	snprintf(ret, size, "%s", r < 0 ? "" : db_version(db));
}

int64_t store_size(struct store *s)
{
	return db_size(s->chat) + db_size(s->media);
}

int store_write_state(const struct store *s)
{
	return s->write_state;
}

bool store_is_committed(const struct store *s)
{
	return !db_in_transaction(s->chat) && !db_in_transaction(s->media);
}

int store_probe(struct store *s)
{
	int r = db_probe(s->chat);

	return r < 0 ? r : db_probe(s->media);
}

int store_try_write(struct store *s)
{
	int r = db_touch(s->media);

	return r < 0 ? r : db_touch(s->chat);
}

void store_checkpoint(struct store *s)
{
	db_checkpoint(s->media);
	db_checkpoint(s->chat);
	/* Files have become shorter only now. */
	store_reserve_keep(s);
}

int store_begin(struct store *s)
{
	int r;

	if (s->begun == STORE_NESTING)
		return -EBUSY;
	r = db_savepoint(s->chat);
	if (r < 0)
		return r;
	s->begun_changes[s->begun++] = s->last_change;
	return 0;
}

void store_end(struct store *s, bool failed)
{
	s->begun--;
	if (failed) {
		db_rollback_to(s->chat);
		s->last_change = s->begun_changes[s->begun];
	} else {
		db_release(s->chat);
	}
}
