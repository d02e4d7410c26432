/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "help.h"

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "options.h"
#include "text.h"

#define NAME_MAX_COMPARED 31

static void print_verb(const struct verb *v, void *userdata)
{
	char left[64];

	snprintf(left, sizeof(left), "%s %s", v->name, v->arguments);
	if (strlen(left) <= 24)
		printf("  %-24s %s\n", left, v->summary);
	else
		printf("  %s\n  %-24s %s\n", left, "", v->summary);
}

static const struct {
	enum ctl_exit code;
	const char *meaning;
} exit_codes[] = {
	{ CTL_OK, "done" },
	{ CTL_ERROR, "another error" },
	{ CTL_USAGE, "wrong usage" },
	{ CTL_NOT_RUNNING, "the daemon is not running" },
	{ CTL_LOCKED, "locked, or not signed in" },
	{ CTL_OFFLINE, "offline" },
	{ CTL_NOT_FOUND, "not found" },
	{ CTL_SEND_FAILED, "the message was refused" },
	{ CTL_TIMED_OUT, "timed out" },
};

static void print_exit_codes(void)
{
	puts("\nExit codes:");
	for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
		printf("  %d  %s\n", (int)exit_codes[i].code, exit_codes[i].meaning);
}

static void add_string(cJSON *o, const char *name, const char *value)
{
	must(cJSON_AddStringToObject(o, name, value));
}

static cJSON *add_object(cJSON *array)
{
	cJSON *o = must(cJSON_CreateObject());

	cJSON_AddItemToArray(array, o);
	return o;
}

static void describe_options(cJSON *array, const struct verb *verb)
{
	for (const struct option_info *i = options_next(verb, NULL); i; i = options_next(verb, i)) {
		char letter[] = { (char)i->letter, '\0' };
		cJSON *o, *other;
		bool known = false;

		cJSON_ArrayForEach(other, array)
			known |= strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(other, "name")),
					 i->name) == 0;
		if (known)
			continue;
		o = add_object(array);
		add_string(o, "name", i->name);
		if (i->is_short)
			add_string(o, "short", letter);
		add_string(o, "argument", i->argument);
		add_string(o, "help", i->help);
		cJSON_AddBoolToObject(o, "global", !verb);
	}
}

struct description {
	cJSON *commands, *options;
};

static void describe_verb(const struct verb *v, void *userdata)
{
	struct description *d = userdata;
	cJSON *o = add_object(d->commands), *names;

	add_string(o, "name", v->name);
	add_string(o, "arguments", v->arguments);
	add_string(o, "summary", v->summary);
	add_string(o, "details", v->details ? v->details : "");
	names = must(cJSON_AddArrayToObject(o, "options"));
	for (const struct option_info *i = options_next(v, NULL); i; i = options_next(v, i))
		cJSON_AddItemToArray(names, must(cJSON_CreateString(i->name)));
	describe_options(d->options, v);
}

/* The same for programs: the manual page is made from it. */
static int help_json(const struct ctl *ctl)
{
	cJSON *all = must(cJSON_CreateObject()), *codes;
	struct description d = {
		.commands = must(cJSON_AddArrayToObject(all, "commands")),
		.options = must(cJSON_AddArrayToObject(all, "options")),
	};

	describe_options(d.options, NULL);
	verb_each(describe_verb, &d);
	codes = must(cJSON_AddArrayToObject(all, "exit_codes"));
	for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++) {
		cJSON *o = add_object(codes);

		must(cJSON_AddNumberToObject(o, "code", exit_codes[i].code));
		add_string(o, "meaning", exit_codes[i].meaning);
	}
	ctl_print_json(ctl, cJSON_PrintUnformatted(all));
	cJSON_Delete(all);
	return CTL_OK;
}

int help_all(const struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb;
	int words;

	if (argc > 0) {
		verb = verb_find(argc, argv, &words);
		if (!verb) {
			help_unknown(argc, argv);
			return CTL_USAGE;
		}
		help_verb(verb);
		return CTL_OK;
	}
	if (ctl_is_json(ctl))
		return help_json(ctl);
	puts("Usage: chatctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
	     "Drives chatd, the headless chat client.\n\nCommands:");
	verb_each(print_verb, NULL);
	puts("\nOptions (before or after the command; see also chatctl COMMAND --help):");
	options_help(NULL);
	puts("\nCHAT is the peer's name or its beginning, @ and the peer's id, or a chat's "
	     "id.");
	puts("\nWhere neither --socket nor --account is given, CHATCTL_SOCKET or CHATCTL_ACCOUNT\n"
	     "in the environment stands for it.");
	print_exit_codes();
	return CTL_OK;
}

void help_verb(const struct verb *v)
{
	printf("Usage: chatctl %s%s%s [OPTION...]\n\n%c%s.\n", v->name, *v->arguments ? " " : "",
		v->arguments, v->summary[0] - 'a' + 'A', v->summary + 1);
	if (v->details)
		printf("\n%s\n", v->details);
	puts("\nOptions:");
	options_help(v);
	options_help(NULL);
	print_exit_codes();
}

void help_short(void)
{
	fputs("chatctl: a command is missing; chatctl --help lists them\n", stderr);
}

void help_usage(const struct verb *v)
{
	fprintf(stderr, "Usage: chatctl %s%s%s [OPTION...]   (chatctl %s --help says more)\n",
		v->name, *v->arguments ? " " : "", v->arguments, v->name);
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits that lead from one word to the other: adding, dropping, replacing, swapping two letters. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strnlen(a, NAME_MAX_COMPARED), m = strnlen(b, NAME_MAX_COMPARED);
	unsigned d[NAME_MAX_COMPARED + 1][NAME_MAX_COMPARED + 1];

	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			unsigned replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, replace);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = min3(d[i][j], d[i - 2][j - 2] + 1, replace);
		}
	return d[n][m];
}

struct guess {
	const char *word;
	const char *best;
	unsigned best_distance;
};

static void consider(const struct verb *v, void *userdata)
{
	struct guess *g = userdata;
	size_t n = strlen(g->word);
	unsigned d = distance(g->word, v->name);

	if (n >= 2 && strncmp(v->name, g->word, n) == 0)
		d = 1;
	if (d < g->best_distance) {
		g->best = v->name;
		g->best_distance = d;
	}
}

void help_unknown(int argc, char **argv)
{
	struct guess one = { argv[0], NULL, strlen(argv[0]) <= 4 ? 2 : 3 };
	struct guess two = { NULL, NULL, 3 };
	char words[2 * NAME_MAX_COMPARED];
	_cleanup_free_ char *clean = NULL;

	verb_each(consider, &one);
	if (argc > 1) {
		snprintf(words, sizeof(words), "%.30s %.30s", argv[0], argv[1]);
		two.word = words;
		verb_each(consider, &two);
	}
	clean = text_clean(two.best && strcmp(argv[0], "photo") == 0 ? words : argv[0], false);
	fprintf(stderr, "chatctl: '%s' is not a command", clean);
	if (two.best || one.best)
		fprintf(stderr, "; did you mean '%s'?\n", two.best ? two.best : one.best);
	else
		fputs("; chatctl --help lists them\n", stderr);
}
