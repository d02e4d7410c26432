/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The chat on screen, which the daemon knows for as long as a connection holds. */
#include <errno.h>
#include <string.h>

#include "methods.h"

static struct request_options focus_options(const char *chat_id)
{
	return method_options("chats.focus", RESULT_FOCUSED, "chat_id", chat_id, NULL, NULL);
}

/* A request that is still to be answered says it by itself. */
static bool is_under_way(const struct chat_client *c)
{
	const struct request *r;

	TAILQ_FOREACH(r, &c->requests, entry)
		if (r->kind == RESULT_FOCUSED)
			return true;
	return false;
}

void focus_resume(struct chat_client *c)
{
	struct request_options o;

	if (!c->focus || is_under_way(c))
		return;
	o = focus_options(c->focus);
	o.first = true;
	/* Without it there is a notification too many; the connection is worth more. */
	if (o.params)
		request_new(c, &o);
}

void focus_on_refused(struct chat_client *c)
{
	if (is_under_way(c))
		return;
	free(c->focus);
	c->focus = NULL;
}

static int remember(struct chat_client *c, const char *chat_id)
{
	char *copy = chat_id ? strdup(chat_id) : NULL;

	if (chat_id && !copy)
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	free(c->focus);
	c->focus = copy;
	return 0;
}

int chat_client_focus_chat(struct chat_client *c, const char *chat_id)
{
	int e = remember(c, chat_id);

	return e < 0 ? e : method_call(c, focus_options(chat_id), NULL);
}

int chat_client_focus_chat_async(
	struct chat_client *c, const char *chat_id, chat_done_fn callback, void *userdata)
{
	int e = remember(c, chat_id);

	return e < 0 ? e : START(c, focus_options(chat_id), done, callback, userdata);
}
