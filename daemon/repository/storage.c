/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Upkeep of the databases while the daemon runs: free space given back, and copies. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "repository/parts.h"

static void on_give_back(void *userdata)
{
	struct repository *r = userdata;

	if (store_give_back(r->store) > 0)
		loop_timer_start_us(r->storage.give_back, 0);
}

bool storage_spend_reserve(struct repository *r, int error)
{
	if (error != -ENOSPC || store_reserve_spend(r->store) < 0)
		return false;
	log_notice("the disk is full: what was kept back for removing is used");
	return true;
}

void give_back_schedule(struct repository *r)
{
	if (!loop_timer_is_running(r->storage.give_back))
		loop_timer_start_us(r->storage.give_back, 0);
}

void give_back_undone(struct repository *r)
{
	if (loop_timer_is_running(r->storage.give_back))
		loop_timer_start_us(r->storage.give_back, REMOVING_RETRY_US);
}

static void end_backup(struct repository *r, int error)
{
	struct storage *s = &r->storage;
	repository_count_fn fn = s->backup_fn;
	struct failure f;
	int64_t bytes = error < 0 ? 0 : store_backup_size(s->backup);

	s->backup = store_backup_free(s->backup, error < 0);
	s->backup_fn = NULL;
	if (error < 0)
		failure_from_errno(&f, error);
	if (error == -EROFS)
		failure_set(&f, FAILURE_DENIED,
			"nothing can be written there; a service may write to other places than "
			"its own when a drop-in names them with ReadWritePaths=");
	fn(s->backup_userdata, error < 0 ? &f : NULL, bytes);
}

static void on_backup(void *userdata)
{
	struct repository *r = userdata;
	int n = store_backup_step(r->storage.backup);

	if (n > 0)
		loop_timer_start_us(r->storage.backup_slice, 0);
	else
		end_backup(r, n);
}

void storage_backup(struct repository *r, const char *path, repository_count_fn fn, void *userdata)
{
	struct storage *s = &r->storage;
	struct failure f;
	int e;

	if (s->backup_fn) {
		failure_set(&f, FAILURE_BUSY, "a copy is being made already");
		fn(userdata, &f, 0);
		return;
	}
	s->backup_fn = fn;
	s->backup_userdata = userdata;
	e = store_backup_new(r->store, path, &s->backup);
	if (e < 0)
		end_backup(r, e);
	else
		loop_timer_start_us(s->backup_slice, 0);
}

void storage_discard_backup(const char *path)
{
	store_backup_discard(path);
}

int storage_init(struct repository *r)
{
	r->storage.give_back = loop_timer_new(r->loop, on_give_back, r);
	r->storage.backup_slice = loop_timer_new(r->loop, on_backup, r);
	return r->storage.give_back && r->storage.backup_slice ? 0 : -ENOMEM;
}

void storage_done(struct repository *r)
{
	r->storage.give_back = loop_timer_free(r->storage.give_back);
	r->storage.backup_slice = loop_timer_free(r->storage.backup_slice);
	r->storage.backup = store_backup_free(r->storage.backup, true);
}
