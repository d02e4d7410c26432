/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "ctl/text.h"

#define LABEL_WIDTH 13u

static void print_label(const char *label)
{
	printf("%s%-*s%s", colour_on(COLOUR_DIM), (int)LABEL_WIDTH, label, colour_off(COLOUR_DIM));
}

static void print_line(const char *label, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void print_line(const char *label, const char *format, ...)
{
	_cleanup_free_ char *clean = NULL;
	char text[500];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clean = text_clean(text, false);
	print_label(label);
	print_wrapped(clean, LABEL_WIDTH);
}

static void print_account(const struct chat_status *s)
{
	const char *name = s->user_name ? s->user_name : s->user_id;

	if (s->signed_in && name && s->user_id && strcmp(name, s->user_id) != 0)
		print_line(
			"Account", "%s (@%s) at %s", name, s->user_id, s->server ? s->server : "?");
	else if (s->signed_in)
		print_line("Account", "@%s at %s", s->user_id ? s->user_id : "?",
			s->server ? s->server : "?");
	else
		print_line("Account", "not signed in; use 'chatctl login SERVER USER'");
}

static enum colour state_colour(enum chat_connection_state state)
{
	switch (state) {
	case CHAT_CONNECTION_LIVE:
		return COLOUR_GREEN;
	case CHAT_CONNECTION_CONNECTING:
	case CHAT_CONNECTION_GREETING:
	case CHAT_CONNECTION_CATCHING_UP:
	case CHAT_CONNECTION_SUSPENDED:
		return COLOUR_YELLOW;
	case CHAT_CONNECTION_UNKNOWN:
	case CHAT_CONNECTION_OFFLINE:
	case CHAT_CONNECTION_BACKOFF:
	case CHAT_CONNECTION_LOGIN_REQUIRED:
	case CHAT_CONNECTION_LOCKED:
		return COLOUR_RED;
	}
	return COLOUR_NONE;
}

static void print_connection(const struct chat_connection *c)
{
	_cleanup_free_ char *error = text_clean(c->last_error, false);
	_cleanup_free_ char *line = NULL;
	const char *state = chat_connection_state_to_string(c->state);
	char since[TIME_TEXT_SIZE], next[TIME_TEXT_SIZE];
	enum colour colour = state_colour(c->state);
	bool has_next = c->next_attempt_at_ms > 0;

	time_text(c->since_ms, since);
	duration_text(c->next_attempt_at_ms - now_ms(), next);
	if (asprintf(&line, "%s%s%s%s%s%s%s", state, c->since_ms > 0 ? " since " : "",
		    c->since_ms > 0 ? since : "", has_next ? ", next attempt in " : "",
		    has_next ? next : "", *error ? "; " : "", error) < 0)
		line = NULL;
	print_label("Connection");
	printf("%s%s%s", colour_on(colour), state, colour_off(colour));
	print_wrapped_behind(must(line), strlen(state), LABEL_WIDTH);
}

/* The key in a file protects against less than the other places for it do. */
static const char *key_remark(const char *source)
{
	return source && strcmp(source, "file") == 0 ? " (the weakest place)" : "";
}

/* Nothing where pushes are not wanted. */
static void print_push(const struct chat_status *s)
{
	if (!s->push_state || strcmp(s->push_state, "off") == 0)
		return;
	if (strcmp(s->push_state, "no_distributor") == 0)
		print_line("Push", "nothing here passes pushes on (UnifiedPush)");
	else
		print_line("Push", "%s%s%s", s->push_state, s->push_distributor ? ", by " : "",
			s->push_distributor ? s->push_distributor : "");
}

/* What means nothing while the databases are closed. */
static void print_data(const struct chat_status *s)
{
	char size[TIME_TEXT_SIZE];

	print_line("Unread", "%" PRId64, s->unread);
	print_line("Outbox", "%" PRId64 " pending, %" PRId64 " failed", s->outbox_pending,
		s->outbox_failed);
	print_line("Transfers", "%" PRId64 " active, %" PRId64 " waiting", s->transfers_active,
		s->transfers_waiting);
	print_push(s);
	print_line("Storage", "%s, %s", s->storage_state ? s->storage_state : "unknown",
		size_text(s->storage_bytes, size));
	if (s->storage_put_aside)
		print_line("", "photos were damaged; what is left of them is in %s",
			s->storage_put_aside);
	if (s->storage_salvaged)
		print_line("",
			"the database was damaged; %" PRId64 " messages were carried over, %" PRId64
			" of them not sent, and %" PRId64
			" to be sent are lost; what is left of it "
			"is in %s",
			s->storage_salvaged_messages, s->storage_salvaged_unsent,
			s->storage_unsent_lost, s->storage_salvaged);
}

static void print_status(const struct chat_status *s)
{
	if (!s->locked_reason)
		print_account(s);
	print_connection(s->connection);
	if (s->locked_reason)
		print_line("Locked", "%s", s->locked_detail ? s->locked_detail : s->locked_reason);
	else
		print_data(s);
	if (s->key_source)
		print_line("Key", "%s%s", s->key_source, key_remark(s->key_source));
	print_line("Daemon", "chatd %s, API %s", s->daemon_version ? s->daemon_version : "?",
		s->api_version ? s->api_version : "?");
}

int verb_status(struct ctl *ctl, int argc, char **argv)
{
	struct chat_status *status;

	if (chat_client_get_status(ctl->client, &status) < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, chat_status_to_json(status));
	else
		print_status(status);
	chat_status_free(status);
	return CTL_OK;
}
