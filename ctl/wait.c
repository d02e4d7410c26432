/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "text.h"

int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool ctl_wait(struct ctl *ctl, const bool *done, int64_t timeout_ms)
{
	int64_t end = monotonic_ms() + timeout_ms;

	while (!*done) {
		int64_t left = timeout_ms < 0 ? -1 : end - monotonic_ms();

		if (timeout_ms >= 0 && left <= 0)
			return false;
		if (chat_client_dispatch(ctl->client) == 0 && !*done)
			chat_client_wait(ctl->client, left > 3600000 ? 3600000 : (int)left);
	}
	return true;
}

int ctl_split_topics(const struct ctl *ctl, char **list, const char *topics[TOPICS_MAX + 1])
{
	char *rest, *topic;
	size_t n = 0;

	topics[0] = NULL;
	if (!ctl->options.topics)
		return CTL_OK;
	rest = *list = must(strdup(ctl->options.topics));
	while ((topic = strsep(&rest, ","))) {
		if (n == TOPICS_MAX || !*topic)
			return ctl_say(ctl, CTL_USAGE, "--topics: '%s' is not a list of topics",
				ctl->options.topics);
		topics[n++] = topic;
	}
	topics[n] = NULL;
	return CTL_OK;
}

char *ctl_join_words(const struct ctl *ctl, int argc, char **argv)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 1;

	for (int i = 0; i < argc; i++)
		length += strlen(argv[i]) + 1;
	text = must(calloc(1, length));
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, argv[i]);
	}
	if (text_is_valid(text, strlen(text)))
		return TAKE_PTR(text);
	ctl_say(ctl, CTL_USAGE, "the text is not UTF-8");
	return NULL;
}

char *ctl_read_stdin(const struct ctl *ctl, size_t max)
{
	_cleanup_free_ char *text = must(malloc(max + 2));
	size_t n = fread(text, 1, max + 1, stdin);

	if (ferror(stdin)) {
		ctl_say(ctl, CTL_ERROR, "cannot read standard input");
		return NULL;
	}
	if (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	if (n > max) {
		ctl_say(ctl, CTL_ERROR, "standard input holds more than %zu bytes", max);
		return NULL;
	}
	if (!text_is_valid(text, n)) {
		ctl_say(ctl, CTL_ERROR, "standard input is not UTF-8 text");
		return NULL;
	}
	return TAKE_PTR(text);
}
