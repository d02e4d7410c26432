/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "complete.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "complete-line.h"
#include "options.h"
#include "text.h"

static void line_clear(struct line *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->candidates[i].value);
		free(l->candidates[i].description);
	}
	free(l->candidates);
	free(l->arguments);
}

void line_add(struct line *l, const char *value, const char *description)
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
		l->arguments[l->n_arguments++] = word;
	}
}

static void add_option_values(struct line *l, const struct option_info *o)
{
	const char *placeholder = o->argument + strspn(o->argument, "[=");

	line_add_values(l, placeholder, strcspn(placeholder, "]"));
}

static void add_options_of(struct line *l, const struct verb *verb)
{
	for (const struct option_info *o = options_next(verb, NULL); o; o = options_next(verb, o)) {
		char word[64];

		snprintf(word, sizeof(word), "--%s", o->name);
		line_add(l, word, o->help);
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
		line_add(l, v->name + first + 1, v->summary);
	else if (!l->group && (l->n == 0 || strcmp(l->candidates[l->n - 1].value, word) != 0))
		line_add(l, word, v->name[first] ? "" : v->summary);
}

/*
 * The words of "CHAT [TEXT...]" are the arguments in turn; the one with dots comes any number of
 * times.
 */
static void add_argument(struct line *l)
{
	const char *p = l->verb->arguments;
	size_t n = strcspn(p, " ");

	for (unsigned i = 0; i < l->n_arguments && *p && !memmem(p, n, "...", 3); i++) {
		p += n;
		p += strspn(p, " ");
		n = strcspn(p, " ");
	}
	p += strspn(p, "[");
	line_add_values(l, p, strcspn(p, " ]"));
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
			line_add(l, "help", "what chatctl can do");
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

	ctl->quiet = true;
	l.arguments = must(calloc((size_t)argc + 1, sizeof(*l.arguments)));
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
