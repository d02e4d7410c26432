/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the fakes that is about what is not sent. */
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
