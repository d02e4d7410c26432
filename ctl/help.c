/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "help.h"

#include <stdio.h>
#include <string.h>

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

static void print_exit_codes(void)
{
	puts("\nExit codes:\n"
	     "  0  done\n"
	     "  1  another error\n"
	     "  2  wrong usage\n"
	     "  3  the daemon is not running\n"
	     "  4  locked, or not signed in\n"
	     "  5  offline\n"
	     "  6  not found\n"
	     "  7  the message was refused\n"
	     "  8  timed out");
}

int help_all(int argc, char **argv)
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
	puts("Usage: chatctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
	     "Drives chatd, the headless chat client.\n\nCommands:");
	verb_each(print_verb, NULL);
	puts("\nOptions (before or after the command; see also chatctl COMMAND --help):");
	options_help(NULL);
	puts("\nCHAT is the peer's name or its beginning, @ and the peer's id, or a chat's "
	     "id.");
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
