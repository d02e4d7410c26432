/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the user should be told of, wherever that is shown, and what the user answers there. An
 * interface: the repository decides what is worth telling, a sink shows it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The chat of news whose chat is not known yet; it looks like no id. */
#define NOTICE_NO_CHAT " "

/* The news of one chat. Strings are borrowed. */
struct notice {
	const char *chat_id;
	const char *message_id; /* the newest unread one; NULL with the last two */
	const char *sender;     /* NULL: not to be shown, nor the text */
	const char *text;       /* NULL: not to be shown */
	unsigned n_photos;
	int64_t unread;
	bool failed; /* what the user answered was not taken: `text` says why */
	bool foretold; /* the message is not here yet, so that nothing can be done with it */
};

struct notice_sink {
	/* Comes again for each newer message; takes the place of what was shown of the chat. */
	void (*show)(void *userdata, const struct notice *n);
	/* There is nothing new in the chat any more; NULL: in none. */
	void (*withdraw)(void *userdata, const char *chat_id);
};

/* What the user did with what was shown. */
struct notice_actions {
	/* `token` lets a window be raised, and may be NULL. */
	void (*open)(
		void *userdata, const char *chat_id, const char *message_id, const char *token);
	void (*mark_read)(void *userdata, const char *chat_id, const char *message_id);
	void (*reply)(
		void *userdata, const char *chat_id, const char *message_id, const char *text);
};
