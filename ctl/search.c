/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/resolve.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/wait.h"

#define DEFAULT_LIMIT 20u
#define PAGE 200u
#define WHEN_WIDTH 15u
#define NAME_WIDTH 20u
#define OWN "you: "

struct search {
	struct ctl *ctl;
	const char *query, *chat_id;
	unsigned left;            /* results still wanted */
	bool more;                /* there are more than these */
	size_t n_found;           /* shown so far */
	struct chat_info **chats; /* for the names */
	size_t n_chats;
};

/* A snippet as one clean text, and where in it the matches are. */
struct snippet {
	char *text;
	struct stretch *marks;
	size_t n_marks;
};

static void search_clear(struct search *s)
{
	for (size_t i = 0; i < s->n_chats; i++)
		chat_info_free(s->chats[i]);
	free(s->chats);
}

static void snippet_clear(struct snippet *s)
{
	free(s->text);
	free(s->marks);
}

static void snippet_append(struct snippet *s, const char *clean, bool match)
{
	size_t length = strlen(s->text), added = strlen(clean);

	s->text = must(realloc(s->text, length + added + 1));
	memcpy(s->text + length, clean, added + 1);
	if (match)
		s->marks[s->n_marks++] = (struct stretch){ length, length + added };
}

static void snippet_init(struct snippet *s, const struct chat_search_result *result)
{
	s->text = must(strdup(result->message->outgoing ? OWN : ""));
	s->marks = must(calloc(result->n_pieces + 1, sizeof(*s->marks)));
	s->n_marks = 0;
	for (size_t i = 0; i < result->n_pieces; i++) {
		_cleanup_free_ char *clean = text_clean(result->pieces[i]->text, false);

		snippet_append(s, clean, result->pieces[i]->match);
	}
}

/* The name of a chat; its id when the daemon does not tell. */
static const char *name_of(struct search *s, const char *chat_id)
{
	struct chat_info *info;

	for (size_t i = 0; i < s->n_chats; i++)
		if (strcmp(s->chats[i]->chat_id, chat_id) == 0)
			return s->chats[i]->username ? s->chats[i]->username : s->chats[i]->user_id;
	if (chat_client_get_chat(s->ctl->client, chat_id, NULL, &info) < 0)
		return chat_id;
	s->chats = must(realloc(s->chats, (s->n_chats + 1) * sizeof(*s->chats)));
	s->chats[s->n_chats++] = info;
	return info->username ? info->username : info->user_id;
}

static void print_result(struct search *s, const struct chat_search_result *result)
{
	const struct chat_message *m = result->message;
	_cleanup_free_ char *name = text_clean(name_of(s, m->chat_id), false);
	_cleanup_free_ char *id = text_clean(m->message_id, false);
	_cleanup_(snippet_clear) struct snippet snippet = { 0 };
	char when[TIME_TEXT_SIZE];

	snippet_init(&snippet, result);
	if (s->ctl->options.ids)
		printf("%s%s%s\n", colour_on(COLOUR_DIM), id, colour_off(COLOUR_DIM));
	print_cell(time_text(m->created_at_ms, when), WHEN_WIDTH, false, false);
	fputs("  ", stdout);
	print_cell(name, NAME_WIDTH, false, false);
	fputs("  ", stdout);
	print_wrapped_marked(
		snippet.text, WHEN_WIDTH + NAME_WIDTH + 4, snippet.marks, snippet.n_marks);
}

static void show_page(struct search *s, const struct chat_search_list *list)
{
	for (size_t i = 0; i < list->n_results && s->left > 0; i++, s->left--, s->n_found++) {
		if (ctl_is_json(s->ctl))
			ctl_print_json(s->ctl, chat_search_result_to_json(list->results[i]));
		else
			print_result(s, list->results[i]);
	}
}

/* An exit code. */
static int show_results(struct search *s)
{
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_search_list *list;

		if (chat_client_search_messages(s->ctl->client, s->query, s->chat_id,
			    s->left < PAGE ? s->left : PAGE, cursor, &list) < 0)
			return ctl_fail(s->ctl);
		show_page(s, list);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_search_list_free(list);
	} while (cursor && s->left > 0);
	s->more = cursor != NULL;
	return CTL_OK;
}

int verb_search(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(search_clear) struct search s = { .ctl = ctl };
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *query = ctl_join_words(ctl, argc, argv);
	int r = query ? CTL_OK : CTL_USAGE;

	if (r == CTL_OK && ctl->options.chat)
		r = resolve_chat(ctl, ctl->options.chat, false, &target);
	if (r != CTL_OK)
		return r;
	s.query = query;
	s.chat_id = target.info ? target.info->chat_id : NULL;
	s.left = ctl->options.limit ? ctl->options.limit : DEFAULT_LIMIT;
	r = show_results(&s);
	if (r != CTL_OK || ctl_is_json(ctl))
		return r;
	fflush(stdout);
	if (s.n_found == 0)
		fputs("Nothing found.\n", stderr);
	else if (s.more)
		fputs("There are more; --limit=N shows them.\n", stderr);
	return CTL_OK;
}
