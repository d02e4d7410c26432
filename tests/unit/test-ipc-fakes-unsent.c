/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the fakes that is about what is not sent. */
#include <errno.h>
#include <stddef.h>

#include "repository/repository.h"

static int find_unsent(const char *message_id, struct failure *f)
{
	if (message_id[0] != 'm')
		return failure_set(f, FAILURE_NOT_FOUND, "no such message");
	return 0;
}

int room_retry(struct repository *r, const char *message_id, struct failure *ret_failure)
{
	return find_unsent(message_id, ret_failure);
}

int room_cancel(struct repository *r, const char *message_id, struct failure *ret_failure)
{
	return find_unsent(message_id, ret_failure);
}

int store_outbox_page(struct store *s, const char *after, int64_t limit, store_message_fn fn,
	void *userdata, bool *ret_more)
{
	*ret_more = false;
	return 0;
}

static const struct setting settings[] = { { 0 } };

const struct setting *setting_table(void)
{
	return settings;
}

int setting_get(struct repository *r, const char *name, char **ret_value)
{
	return -ENOENT;
}

int setting_set(
	struct repository *r, const char *name, const char *value, struct failure *ret_failure)
{
	return failure_set(ret_failure, FAILURE_NOT_FOUND, "no such setting");
}

void repository_set_watched(struct repository *r, bool watched)
{
}

int repository_focus(struct repository *r, const char *before, const char *now)
{
	return 0;
}

void store_get_stats(struct store *s, struct store_stats *ret)
{
	*ret = (struct store_stats){ .chats = 1, .messages = 2, .chat_bytes = 4096 };
}

int store_check(struct store *s, store_problem_fn fn, void *userdata)
{
	return 0;
}

void storage_backup(struct repository *r, const char *path, repository_count_fn fn, void *userdata)
{
	fn(userdata, NULL, 8192);
}

void storage_discard_backup(const char *path)
{
}

void storage_purge_media(struct repository *r, repository_count_fn fn, void *userdata)
{
	fn(userdata, NULL, 3);
}

void storage_purge_history(struct repository *r, repository_count_fn fn, void *userdata)
{
	fn(userdata, NULL, 2);
}
