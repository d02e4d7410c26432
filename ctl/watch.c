/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/exec.h"
#include "ctl/messages.h"
#include "ctl/resolve.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/wait.h"

#define PAGE 200u
#define WHEN_WIDTH 15u
#define NAME_WIDTH 14u

/* Peers whose names are asked for at the start; those of older chats come with their changes. */
#define NAMES_ASKED 1000u

struct watch {
	struct ctl *ctl;
	const char **topics, **only_chats; /* NULL: all */
	bool has_reconnected;
	bool done;
	int code;
	bool was_lost;
	struct chat_info **chats; /* for the names */
	size_t n_chats, allocated;
};

static struct chat_info **find_chat(const struct watch *w, const char *chat_id)
{
	for (size_t i = 0; i < w->n_chats; i++)
		if (strcmp(w->chats[i]->chat_id, chat_id) == 0)
			return &w->chats[i];
	return NULL;
}

static void remember(struct watch *w, const struct chat_info *info)
{
	struct chat_info **known = find_chat(w, info->chat_id);

	if (known) {
		chat_info_free(*known);
		*known = chat_info_ref(info);
		return;
	}
	if (w->n_chats == w->allocated) {
		w->allocated = w->allocated ? 2 * w->allocated : 64;
		w->chats = must(realloc(w->chats, w->allocated * sizeof(*w->chats)));
	}
	w->chats[w->n_chats++] = chat_info_ref(info);
}

/* Every message changes its chat too; only what the message does not tell is worth a line. */
static bool is_as_known(const struct watch *w, const struct chat_info *info)
{
	struct chat_info **known = find_chat(w, info->chat_id);

	return known && (*known)->unread_count == info->unread_count &&
		strcmp((*known)->username ? (*known)->username : "",
			info->username ? info->username : "") == 0;
}

static void watch_clear(struct watch *w)
{
	for (size_t i = 0; i < w->n_chats; i++)
		chat_info_free(w->chats[i]);
	free(w->chats);
}

static const char *name_of(struct watch *w, const char *chat_id, const char *otherwise)
{
	struct chat_info **known = chat_id ? find_chat(w, chat_id) : NULL;

	return known && (*known)->username ? (*known)->username : otherwise;
}

static int learn_names(struct watch *w)
{
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_info_list *list;

		if (chat_client_list_chats(w->ctl->client, PAGE, cursor, &list) < 0)
			return ctl_fail(w->ctl);
		for (size_t i = 0; i < list->n_chats; i++)
			remember(w, list->chats[i]);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_info_list_free(list);
	} while (cursor && w->n_chats < NAMES_ASKED);
	return CTL_OK;
}

/* A line about something that is not a message: the time, who, and what. */
static void print_event(const char *who, enum colour colour, const char *what)
{
	_cleanup_free_ char *clean_who = text_clean(who, false);
	_cleanup_free_ char *clean = text_clean(what, false);
	char when[TIME_TEXT_SIZE];

	print_cell(time_text(now_ms(), when), WHEN_WIDTH, false, false);
	fputs("  ", stdout);
	print_cell(clean_who, NAME_WIDTH, false, false);
	printf("  %s", colour_on(colour));
	print_wrapped(clean, WHEN_WIDTH + NAME_WIDTH + 4);
	fputs(colour_off(colour), stdout);
}

static void print_updated(struct watch *w, const struct chat_message *m)
{
	char what[600];
	bool failed = m->status == CHAT_MESSAGE_FAILED;
	_cleanup_free_ char *recipient = NULL;

	snprintf(what, sizeof(what), "%s %s%s%s", chat_message_status_to_string(m->status),
		m->message_id, failed && m->error_title ? ": " : "",
		failed && m->error_title ? m->error_title : "");
	if (m->outgoing)
		recipient = recipient_text(w->only_chats ? NULL : name_of(w, m->chat_id, NULL));
	print_event(recipient ? recipient : name_of(w, m->chat_id, m->user_id),
		failed ? COLOUR_RED : COLOUR_DIM, what);
}

static void print_added(struct watch *w, const struct chat_message *m)
{
	const char *name = name_of(w, m->chat_id, m->outgoing ? NULL : m->user_id);

	if (w->only_chats)
		print_message(m, name, w->ctl->options.ids);
	else
		print_message_of_any(m, name, w->ctl->options.ids);
}

static void print_photo(struct watch *w, const struct chat_change *c)
{
	const struct chat_attachment *a = c->attachment;
	char what[600], size[TIME_TEXT_SIZE];

	snprintf(what, sizeof(what), "photo %s %s, %d%% of %s", a->attachment_id,
		chat_attachment_status_to_string(a->status),
		a->size > 0 ? (int)(100.0 * (double)a->progress / (double)a->size) : 0,
		size_text(a->size, size));
	print_event(name_of(w, c->chat_id, "photo"), COLOUR_DIM, what);
}

static void print_change(struct watch *w, const struct chat_change *c)
{
	char what[600];

	if (c->message && strcmp(c->topic, "message.added") == 0) {
		print_added(w, c->message);
	} else if (c->message) {
		print_updated(w, c->message);
	} else if (c->attachment) {
		print_photo(w, c);
	} else if (c->chat) {
		snprintf(what, sizeof(what), "%" PRId64 " unread", c->chat->unread_count);
		print_event(name_of(w, c->chat_id, c->chat->user_id), COLOUR_DIM, what);
	} else if (c->connection) {
		print_event("connection", COLOUR_DIM,
			chat_connection_state_to_string(c->connection->state));
	} else {
		snprintf(what, sizeof(what), "%s %s", c->topic,
			c->message_id        ? c->message_id
				: c->chat_id ? c->chat_id
					     : "");
		print_event(name_of(w, c->chat_id, ""), COLOUR_DIM, what);
	}
}

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata);

static int subscribe(struct watch *w, int64_t since)
{
	const char *consumer = w->ctl->options.consumer;

	if (consumer)
		return chat_client_subscribe_consumer(
			w->ctl->client, consumer, w->topics, w->only_chats, since, on_change, w);
	return chat_client_subscribe(w->ctl->client, w->topics, w->only_chats, since, on_change, w);
}

/* A daemon that came back with another database does not know the position in the old one. */
static bool begin_anew(struct watch *w, const struct chat_error *error)
{
	if (error->code != CHAT_CLIENT_ERROR_INVALID || !w->has_reconnected ||
		w->ctl->options.consumer)
		return false;
	fputs("chatctl: chatd has other data now; following from here on\n", stderr);
	return subscribe(w, -1) == 0;
}

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct watch *w = userdata;

	if (error && begin_anew(w, error))
		return;
	if (error) {
		w->code = ctl_fail_with(w->ctl, error);
		w->done = true;
		return;
	}
	if (ctl_is_json(w->ctl)) {
		ctl_print_json(w->ctl, chat_change_to_json(change));
	} else {
		bool same = change->chat && is_as_known(w, change->chat);

		if (change->chat)
			remember(w, change->chat);
		if (!same)
			print_change(w, change);
	}
	if (fflush(stdout) != 0) {
		w->code = CTL_ERROR;
		w->done = true;
	} else if (w->ctl->options.consumer && change->seq > 0) {
		chat_client_ack_async(client, w->ctl->options.consumer, change->seq, NULL, NULL);
	}
}

static void on_state(struct chat_client *client, enum chat_client_state state,
	const struct chat_error *why, void *userdata)
{
	struct watch *w = userdata;

	if (state == CHAT_CLIENT_DISCONNECTED && !w->was_lost)
		fputs("chatctl: the connection to chatd was lost; waiting for it\n", stderr);
	else if (state == CHAT_CLIENT_CONNECTED && w->was_lost)
		fputs("chatctl: chatd is back\n", stderr);
	w->has_reconnected |= w->was_lost;
	if (state != CHAT_CLIENT_GREETING)
		w->was_lost = state == CHAT_CLIENT_DISCONNECTED;
}

int verb_watch(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(watch_clear) struct watch w = { .ctl = ctl };
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *list = NULL;
	const char *topics[TOPICS_MAX + 1], *chats[2] = { NULL, NULL };
	int r;

	r = ctl_split_topics(ctl, &list, topics);
	if (r == CTL_OK && ctl->options.chat)
		r = resolve_chat(ctl, ctl->options.chat, false, &target);
	if (r == CTL_OK && !ctl_is_json(ctl) && !ctl->options.exec)
		r = learn_names(&w);
	if (r != CTL_OK)
		return r;
	if (target.info)
		chats[0] = target.info->chat_id;
	w.topics = list ? topics : NULL;
	w.only_chats = chats[0] ? chats : NULL;
	chat_client_set_state_callback(ctl->client, on_state, &w);
	if (ctl->options.exec)
		return exec_changes(ctl, w.topics, w.only_chats);
	if (subscribe(&w, ctl->options.since) < 0)
		return ctl_fail(ctl);
	ctl_wait(ctl, &w.done, -1);
	return w.code;
}
