/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "history.h"
#include "resolve.h"
#include "terminal.h"
#include "text.h"

#define DEFAULT_LIMIT 20u
#define NAME_WIDTH 14u
#define WHEN_WIDTH 15u
#define STATUS_WIDTH 8u

/* What is known of it; the name is somebody else's. */
static char *describe_attachment(const struct chat_attachment *a)
{
	_cleanup_free_ char *name = text_clean(a->name, false);
	_cleanup_free_ char *id = text_clean(a->attachment_id, false);
	char pixels[64] = "", size[TIME_TEXT_SIZE] = "", through[16] = "";
	char *line;

	if (a->width > 0 && a->height > 0)
		snprintf(pixels, sizeof(pixels), " %" PRId64 "x%" PRId64, a->width, a->height);
	if (a->size > 0)
		size_text(a->size, size);
	if (a->size > 0 && a->progress > 0 && a->progress < a->size)
		snprintf(through, sizeof(through), " %d%%",
			(int)(100.0 * (double)a->progress / (double)a->size));
	if (asprintf(&line, "photo %s%s%s%s%s%s %s%s", id, *name ? " " : "", name, pixels,
		    *size ? " " : "", size, chat_attachment_status_to_string(a->status),
		    through) < 0)
		line = NULL;
	return must(line);
}

/* An id that is cut in two cannot be copied. */
static bool attachment_fits(const struct chat_attachment *a, size_t indent)
{
	size_t id_end = strlen("photo ") + strlen(a->attachment_id);

	return !terminal_is_tty() || indent + id_end <= terminal_width();
}

/* From where the cursor is, which is column `indent`. */
static void print_attachment_here(const struct chat_attachment *a, size_t indent)
{
	_cleanup_free_ char *line = describe_attachment(a);

	fputs(colour_on(COLOUR_DIM), stdout);
	print_wrapped(line, indent);
	fputs(colour_off(COLOUR_DIM), stdout);
}

static void print_attachment(const struct chat_attachment *a, size_t indent)
{
	if (!attachment_fits(a, indent))
		indent = WHEN_WIDTH + 2;
	printf("%*s", (int)indent, "");
	print_attachment_here(a, indent);
}

static const char *describe_status(const struct chat_message *m, enum colour *ret_colour)
{
	*ret_colour = COLOUR_DIM;
	if (!m->outgoing) {
		*ret_colour = COLOUR_BOLD;
		return m->status == CHAT_MESSAGE_READ ? "" : "new";
	}
	if (m->status == CHAT_MESSAGE_FAILED)
		*ret_colour = COLOUR_RED;
	else if (m->status == CHAT_MESSAGE_PENDING)
		*ret_colour = COLOUR_YELLOW;
	return chat_message_status_to_string(m->status);
}

static void print_failure(const struct chat_message *m, size_t indent)
{
	_cleanup_free_ char *title = text_clean(m->error_title, false);
	_cleanup_free_ char *detail = text_clean(m->error_detail, false);
	_cleanup_free_ char *line = NULL;

	if (asprintf(&line, "%s%s%s", title, *title && *detail ? ": " : "", detail) < 0)
		line = NULL;
	printf("%*s%s", (int)indent, "", colour_on(COLOUR_RED));
	print_wrapped(must(line), indent);
	fputs(colour_off(COLOUR_RED), stdout);
}

static void print_message_from(const struct chat_message *m, const char *from, bool ids)
{
	_cleanup_free_ char *text = text_clean(m->text, true);
	_cleanup_free_ char *id = text_clean(m->message_id, false);
	size_t indent = WHEN_WIDTH + NAME_WIDTH + STATUS_WIDTH + 6;
	char when[TIME_TEXT_SIZE];
	enum colour colour;
	const char *status = describe_status(m, &colour);
	size_t i = 0;

	if (ids)
		printf("%s%s%s\n", colour_on(COLOUR_DIM), id, colour_off(COLOUR_DIM));
	print_cell(time_text(m->created_at_ms, when), WHEN_WIDTH, false, false);
	fputs("  ", stdout);
	print_cell(from, NAME_WIDTH, false, false);
	printf("  %s", colour_on(colour));
	print_cell(status, STATUS_WIDTH, false, false);
	printf("%s  ", colour_off(colour));
	if (!*text && m->n_attachments > 0 && attachment_fits(m->attachments[0], indent))
		print_attachment_here(m->attachments[i++], indent);
	else
		print_wrapped(text, indent);
	if (m->status == CHAT_MESSAGE_FAILED && (m->error_title || m->error_detail))
		print_failure(m, indent);
	for (; i < m->n_attachments; i++)
		print_attachment(m->attachments[i], indent);
}

void print_message(const struct chat_message *m, const char *peer_name, bool ids)
{
	_cleanup_free_ char *from = text_clean(m->outgoing ? "you" : peer_name, false);

	print_message_from(m, from, ids);
}

char *recipient_text(const char *peer_name)
{
	_cleanup_free_ char *clean = text_clean(peer_name, false);
	char *text;

	if (!*clean)
		return must(strdup("you"));
	if (asprintf(&text, "→ %s", clean) < 0)
		text = NULL;
	return must(text);
}

void print_message_of_any(const struct chat_message *m, const char *peer_name, bool ids)
{
	_cleanup_free_ char *from =
		m->outgoing ? recipient_text(peer_name) : text_clean(peer_name, false);

	print_message_from(m, from, ids);
}

int verb_messages(struct ctl *ctl, int argc, char **argv)
{
	unsigned limit = ctl->options.limit ? ctl->options.limit : DEFAULT_LIMIT;
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_(history_clear) struct history h = { 0 };
	const char *peer;
	int r;

	if (ctl->options.before && ctl->options.after)
		return ctl_say(ctl, CTL_USAGE, "--before and --after exclude each other");
	r = resolve_chat(ctl, argv[0], false, &target);
	if (r == CTL_OK)
		r = history_fetch(ctl, target.info->chat_id, ctl->options.before,
			ctl->options.after, limit, &h);
	if (r != CTL_OK)
		return r;
	peer = target.info->username ? target.info->username : target.info->user_id;
	for (size_t i = 0; i < h.n; i++) {
		if (ctl_is_json(ctl))
			ctl_print_json(ctl, chat_message_to_json(h.messages[i]));
		else
			print_message(h.messages[i], peer, ctl->options.ids);
	}
	if (!ctl_is_json(ctl) && h.n == 0)
		fputs("No messages.\n", stderr);
	return CTL_OK;
}
