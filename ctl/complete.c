/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "complete.h"

#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "options.h"
#include "text.h"

#define PAGE 200u
#define CHATS_MAX 1000u
#define PATIENCE_MS 2000

struct candidate {
	char *value, *description;
};

/* The command line as far as it is typed. */
struct line {
	struct ctl *ctl;
	const struct verb *verb; /* NULL: not there yet */
	const char *group;       /* the first word of a verb of two, until the second comes */
	bool is_help;            /* "help" stands for a verb */
	bool is_unknown;         /* what stands for a verb is none */
	bool options_end;        /* "--" came */
	unsigned n_arguments;    /* of the verb */
	const struct option_info *option; /* waits for its value */
	const char *word;                 /* to be completed */
	size_t kept;                      /* bytes of the word that stay in front: "--chat=" */
	struct candidate *candidates;
	size_t n, allocated;
};

static void line_clear(struct line *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->candidates[i].value);
		free(l->candidates[i].description);
	}
	free(l->candidates);
}

/* What a line or a shell cannot carry is left out. */
static void add(struct line *l, const char *value, const char *description)
{
	struct candidate *c;

	if (l->n == l->allocated) {
		l->allocated = l->allocated ? 2 * l->allocated : 64;
		l->candidates = must(realloc(l->candidates, l->allocated * sizeof(*c)));
	}
	c = &l->candidates[l->n++];
	c->value = must(malloc(l->kept + strlen(value) + 1));
	memcpy(c->value, l->word, l->kept);
	strcpy(c->value + l->kept, value);
	c->description = text_clean(description, false);
}

static const struct option_info *find_option(const struct verb *verb, const char *name, size_t n)
{
	const struct verb *scopes[] = { NULL, verb };

	for (size_t i = 0; i < (verb ? 2 : 1); i++)
		for (const struct option_info *o = options_next(scopes[i], NULL); o;
			o = options_next(scopes[i], o))
			if (strncmp(o->name, name, n) == 0 && o->name[n] == '\0')
				return o;
	return NULL;
}

static const struct option_info *find_letter(const struct verb *verb, char letter)
{
	for (const struct option_info *o = options_next(verb, NULL); o; o = options_next(verb, o))
		if (o->is_short && o->letter == letter)
			return o;
	return NULL;
}

/* Those that say which daemon is asked. */
static void take_value(struct line *l, const struct option_info *o, const char *value)
{
	if (strcmp(o->name, "socket") == 0)
		l->ctl->options.socket = value;
	else if (strcmp(o->name, "account") == 0)
		l->ctl->options.account = value;
}

static void take_option(struct line *l, const char *word)
{
	bool is_long = word[1] == '-';
	size_t n = is_long ? strcspn(word + 2, "=") : 0;
	const struct option_info *o = is_long ? find_option(l->verb, word + 2, n)
					      : find_letter(l->verb, word[strlen(word) - 1]);

	if (o && is_long && word[2 + n])
		take_value(l, o, word + 3 + n);
	else if (o && o->has_argument == required_argument)
		l->option = o;
}

static void find_group(const struct verb *v, void *userdata)
{
	struct line *l = userdata;
	size_t n = strlen(l->word);

	if (strncmp(v->name, l->word, n) == 0 && v->name[n] == ' ')
		l->group = l->word;
}

static void take_verb(struct line *l, char *word)
{
	char *words[] = { (char *)(uintptr_t)l->group, word };
	int n;

	if (l->group) {
		l->verb = verb_find(2, words, &n);
		l->group = NULL;
		l->is_unknown = !l->verb;
		return;
	}
	if (strcmp(word, "help") == 0 && !l->is_help) {
		l->is_help = true;
		return;
	}
	l->verb = verb_find(1, words + 1, &n);
	l->word = word;
	if (!l->verb)
		verb_each(find_group, l);
	l->is_unknown = !l->verb && !l->group;
}

static void take_word(struct line *l, char *word)
{
	if (l->option) {
		take_value(l, l->option, word);
		l->option = NULL;
	} else if (!l->options_end && strcmp(word, "--") == 0) {
		l->options_end = true;
	} else if (!l->options_end && word[0] == '-' && word[1]) {
		take_option(l, word);
	} else if (!l->verb) {
		take_verb(l, word);
	} else {
		l->n_arguments++;
	}
}

/* Quietly: who presses Tab wants no complaint. */
static bool reach_daemon(struct ctl *ctl)
{
	if (ctl->client)
		return true;
	if (ctl_new_client(ctl) < 0)
		return false;
	chat_client_set_timeout(ctl->client, PATIENCE_MS);
	return chat_client_connect(ctl->client) == 0;
}

struct chats {
	struct chat_info **infos;
	size_t n;
};

static void chats_clear(struct chats *c)
{
	for (size_t i = 0; i < c->n; i++)
		chat_info_free(c->infos[i]);
	free(c->infos);
}

static void chats_fetch(struct ctl *ctl, struct chats *c)
{
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_info_list *list;

		if (chat_client_list_chats(ctl->client, PAGE, cursor, &list) < 0)
			return;
		c->infos = must(realloc(c->infos, (c->n + list->n_chats + 1) * sizeof(*c->infos)));
		for (size_t i = 0; i < list->n_chats; i++)
			c->infos[c->n++] = chat_info_ref(list->chats[i]);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_info_list_free(list);
	} while (cursor && c->n < CHATS_MAX);
}

/* A name leads to its chat if it can be typed, is no option and belongs to nobody else. */
static bool name_is_good(const struct chats *c, const struct chat_info *info)
{
	_cleanup_free_ char *clean = text_clean(info->username, false);
	_cleanup_free_ char *folded = text_fold(clean);

	if (!info->username || !*clean || strcmp(clean, info->username) != 0 ||
		strchr("-@ ", clean[0]))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		const struct chat_info *other = c->infos[i];
		_cleanup_free_ char *name = other->username ? text_fold(other->username) : NULL;

		if (other != info &&
			((name && strcmp(name, folded) == 0) ||
				strcmp(other->chat_id, clean) == 0 ||
				strcmp(other->user_id, clean) == 0))
			return false;
	}
	return true;
}

/* Names; ids of the peers behind @, or where a name would not do. */
static void add_chats(struct line *l)
{
	_cleanup_(chats_clear) struct chats c = { 0 };
	bool wants_ids = l->word[l->kept] == '@';

	if (!reach_daemon(l->ctl))
		return;
	chats_fetch(l->ctl, &c);
	for (size_t i = 0; i < c.n; i++) {
		const struct chat_info *info = c.infos[i];
		char id[100];

		snprintf(id, sizeof(id), "@%s", info->user_id);
		if (!wants_ids && name_is_good(&c, info))
			add(l, info->username, id);
		else
			add(l, id, info->username);
	}
}

static void add_methods(struct line *l)
{
	struct chat_reply *reply;
	const cJSON *method;
	cJSON *json;

	if (!reach_daemon(l->ctl) ||
		chat_client_call(l->ctl->client, "rpc.discover", NULL, NULL, 0, &reply) < 0)
		return;
	json = must(cJSON_Parse(reply->result_json));
	cJSON_ArrayForEach(method, cJSON_GetObjectItem(json, "methods")) {
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(method, "name"));

		if (name)
			add(l, name, cJSON_GetStringValue(cJSON_GetObjectItem(method, "summary")));
	}
	cJSON_Delete(json);
	chat_reply_free(reply);
}

/* Of daemons that listen now. */
static void add_accounts(struct line *l)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char pattern[4096];
	glob_t found;
	int n = snprintf(pattern, sizeof(pattern), "%s/chatd/*.sock", runtime ? runtime : "");

	if (!runtime || n < 0 || (size_t)n >= sizeof(pattern) ||
		glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *name = strrchr(found.gl_pathv[i], '/') + 1;

		name[strlen(name) - strlen(".sock")] = '\0';
		add(l, name, "");
	}
	globfree(&found);
}

static void add_topics(struct line *l)
{
	static const char *const topics[] = { "message.added", "message.updated", "message.removed",
		"chat.updated", "chat.removed", "attachment.updated", "connection",
		"transfer.progress", "chat.open" };
	const char *comma = strrchr(l->word + l->kept, ',');

	if (comma)
		l->kept = (size_t)(comma + 1 - l->word);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		add(l, topics[i], "");
}

static void add_statuses(struct line *l)
{
	add(l, "sent", "accepted by the server");
	add(l, "received", "on the peer's device");
	add(l, "read", "by the peer");
}

static void add_pretty(struct line *l)
{
	add(l, "pretty", "on several lines");
}

static void add_key_sources(struct line *l)
{
	add(l, "credential", "systemd's");
	add(l, "secret_service", "the desktop's keyring");
	add(l, "passphrase", "");
	add(l, "file", "the weakest place");
}

static void add_purgeable(struct line *l)
{
	add(l, "media", "the full bytes of photos");
	add(l, "history", "old messages");
}

static void add_shells(struct line *l)
{
	add(l, "bash", "");
	add(l, "zsh", "");
	add(l, "fish", "");
}

static void ask_for_files(struct line *l)
{
	puts("\tfiles");
}

/* What a word of --help stands for. */
static void add_values(struct line *l, const char *placeholder, size_t length)
{
	static const struct {
		const char *placeholder;
		void (*add)(struct line *l);
	} kinds[] = {
		{ "ACCOUNT", add_accounts },
		{ "CHAT", add_chats },
		{ "FILE", ask_for_files },
		{ "METHOD", add_methods },
		{ "PATH", ask_for_files },
		{ "SHELL", add_shells },
		{ "SOURCE", add_key_sources },
		{ "STATUS", add_statuses },
		{ "TOPIC,...", add_topics },
		{ "WHAT", add_purgeable },
		{ "pretty", add_pretty },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].placeholder) == length &&
			strncmp(kinds[i].placeholder, placeholder, length) == 0)
			kinds[i].add(l);
}

static void add_option_values(struct line *l, const struct option_info *o)
{
	const char *placeholder = o->argument + strspn(o->argument, "[=");

	add_values(l, placeholder, strcspn(placeholder, "]"));
}

static void add_options_of(struct line *l, const struct verb *verb)
{
	for (const struct option_info *o = options_next(verb, NULL); o; o = options_next(verb, o)) {
		char word[64];

		snprintf(word, sizeof(word), "--%s", o->name);
		add(l, word, o->help);
	}
}

/* The first words of all verbs, once each; behind the first of two the second ones. */
static void add_verb(const struct verb *v, void *userdata)
{
	struct line *l = userdata;
	size_t first = strcspn(v->name, " ");
	char word[64];

	snprintf(word, sizeof(word), "%.*s", (int)first, v->name);
	if (l->group && strcmp(word, l->group) == 0 && v->name[first])
		add(l, v->name + first + 1, v->summary);
	else if (!l->group && (l->n == 0 || strcmp(l->candidates[l->n - 1].value, word) != 0))
		add(l, word, v->name[first] ? "" : v->summary);
}

/* The words of "CHAT [TEXT...]" are the arguments in turn. */
static void add_argument(struct line *l)
{
	const char *p = l->verb->arguments;

	for (unsigned i = 0; i < l->n_arguments && *p; i++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	p += strspn(p, "[");
	add_values(l, p, strcspn(p, " ]"));
}

static void add_all(struct line *l)
{
	const char *value = strchr(l->word, '=');

	if (l->option) {
		add_option_values(l, l->option);
	} else if (!l->options_end && strncmp(l->word, "--", 2) == 0 && value) {
		const struct option_info *o =
			find_option(l->verb, l->word + 2, (size_t)(value - l->word) - 2);

		l->kept = (size_t)(value + 1 - l->word);
		if (o)
			add_option_values(l, o);
	} else if (!l->options_end && l->word[0] == '-') {
		add_options_of(l, NULL);
		if (l->verb)
			add_options_of(l, l->verb);
	} else if (l->is_unknown) {
		return;
	} else if (!l->verb) {
		verb_each(add_verb, l);
		if (!l->is_help && !l->group)
			add(l, "help", "what chatctl can do");
	} else if (!l->is_help) {
		add_argument(l);
	}
}

static bool matches(const char *value, const char *word)
{
	return strncmp(value, word, strlen(word)) == 0;
}

static bool matches_folded(const char *value, const char *word)
{
	_cleanup_free_ char *a = text_fold(value), *b = text_fold(word);

	return matches(a, b);
}

static size_t print_matching(
	const struct line *l, bool (*fn)(const char *, const char *), bool show)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (!fn(l->candidates[i].value, l->word))
			continue;
		n++;
		if (show)
			printf("%s\t%s\n", l->candidates[i].value, l->candidates[i].description);
	}
	return n;
}

int complete(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(line_clear) struct line l = { .ctl = ctl };

	for (int i = 0; i + 1 < argc; i++)
		take_word(&l, argv[i]);
	l.word = argc > 0 ? argv[argc - 1] : "";
	add_all(&l);
	/* Another case than what was typed is only taken where it is clear what was meant. */
	if (print_matching(&l, matches, true) == 0 &&
		print_matching(&l, matches_folded, false) == 1)
		print_matching(&l, matches_folded, true);
	return CTL_OK;
}
