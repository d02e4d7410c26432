/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "text.h"

#define PAGE 200u
#define CANDIDATES_SHOWN 5

struct search {
	char *wanted; /* folded */
	bool exact;   /* matches so far are whole names, not beginnings */
	size_t n;     /* how many */
	struct chat_info *matches[CANDIDATES_SHOWN];
};

void target_clear(struct target *target)
{
	target->info = chat_info_free(target->info);
	target->user_id = NULL;
}

static void search_reset(struct search *s)
{
	for (size_t i = 0; i < s->n && i < CANDIDATES_SHOWN; i++)
		chat_info_free(s->matches[i]);
	s->n = 0;
}

static void search_clear(struct search *s)
{
	search_reset(s);
	free(s->wanted);
}

static void search_consider(struct search *s, const struct chat_info *info)
{
	_cleanup_free_ char *name = NULL;
	bool exact;

	if (!info->username)
		return;
	name = text_fold(info->username);
	exact = strcmp(name, s->wanted) == 0;
	if (strncmp(name, s->wanted, strlen(s->wanted)) != 0 || (s->exact && !exact))
		return;
	if (exact && !s->exact) {
		search_reset(s);
		s->exact = true;
	}
	if (s->n < CANDIDATES_SHOWN)
		s->matches[s->n] = chat_info_ref(info);
	s->n++;
}

static int search_chats(struct ctl *ctl, struct search *s)
{
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_info_list *list;
		int r = chat_client_list_chats(ctl->client, PAGE, cursor, &list);

		if (r < 0)
			return ctl_fail(ctl);
		for (size_t i = 0; i < list->n_chats; i++)
			search_consider(s, list->chats[i]);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_info_list_free(list);
	} while (cursor);
	return CTL_OK;
}

static int say_ambiguous(struct ctl *ctl, const char *name, const struct search *s)
{
	char names[300] = "";
	size_t used = 0;

	for (size_t i = 0; i < s->n && i < CANDIDATES_SHOWN; i++) {
		int n = snprintf(names + used, sizeof(names) - used, "%s%s (@%s)",
			i > 0 ? ", " : "", s->matches[i]->username, s->matches[i]->user_id);

		if (n < 0 || (size_t)n >= sizeof(names) - used)
			break;
		used += (size_t)n;
	}
	names[used] = '\0';
	return ctl_say(ctl, CTL_USAGE, "'%s' may be any of %s%s", name, names,
		s->n > CANDIDATES_SHOWN ? ", …" : "");
}

/* 1: found; 0: no such chat; negative: an exit code, negated, complained about. */
static int get_chat(struct ctl *ctl, const char *chat_id, const char *user_id, struct target *ret)
{
	int r = chat_client_get_chat(ctl->client, chat_id, user_id, &ret->info);

	if (r == 0)
		return 1;
	return r == -ENOENT || r == -EINVAL ? 0 : -ctl_fail(ctl);
}

static bool is_id(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n >= 1 && n <= 64;
}

/* As get_chat(). */
static int get_by_id(struct ctl *ctl, const char *name, struct target *ret)
{
	int r;

	if (name[0] == '@')
		return is_id(name + 1) ? get_chat(ctl, NULL, name + 1, ret) : 0;
	if (!is_id(name))
		return 0;
	r = get_chat(ctl, name, NULL, ret);
	return r == 0 ? get_chat(ctl, NULL, name, ret) : r;
}

static int get_by_name(struct ctl *ctl, const char *name, struct target *ret)
{
	struct search s = { .wanted = text_fold(name) };
	int r = search_chats(ctl, &s);

	if (r != CTL_OK)
		r = -r;
	else if (s.n > 1)
		r = -say_ambiguous(ctl, name, &s);
	else if (s.n == 1)
		ret->info = chat_info_ref(s.matches[0]);
	if (r == CTL_OK && s.n == 1)
		r = 1;
	search_clear(&s);
	return r;
}

int resolve_chat(struct ctl *ctl, const char *name, bool may_be_user, struct target *ret)
{
	const char *user_id = name[0] == '@' ? name + 1 : name;
	int r = get_by_id(ctl, name, ret);

	if (r == 0 && name[0] != '@' && *name)
		r = get_by_name(ctl, name, ret);
	if (r < 0)
		return -r;
	if (r > 0)
		return CTL_OK;
	if (!may_be_user || !is_id(user_id))
		return ctl_say(ctl, CTL_NOT_FOUND, "there is no chat with '%s'", name);
	ret->user_id = user_id;
	return CTL_OK;
}
