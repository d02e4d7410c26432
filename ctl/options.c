/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* What stands in struct verb's letters; the short option where there is one. */
enum {
	ACCOUNT = 'A',
	SOCKET = 'S',
	JSON = 'j',
	HELP = 'h',
	VERSION = 'V',
	LIMIT = 'n',
	BEFORE = 'b',
	AFTER = 'e',
	IDS = 'i',
	ATTACH = 'a',
	WAIT = 'w',
	TIMEOUT = 't',
	TOPICS = 'T',
	CHAT = 'c',
	SINCE = 's',
	FILE_NAME = 'o',
	PREVIEW = 'p',
	FORCE = 'f',
	CONSUMER = 'C',
	EXEC = 'x',
	RECOVERY = 'k',
	YES = 'y',
	DEFAULT = 'd',
};

static const struct option_info option_infos[] = {
	{ ACCOUNT, false, "account", required_argument, "=ACCOUNT", "the account (default)" },
	{ SOCKET, false, "socket", required_argument, "=PATH", "the daemon's socket" },
	{ JSON, false, "json", optional_argument, "[=pretty]", "one JSON object a line" },
	{ HELP, true, "help", no_argument, "", "show this help" },
	{ VERSION, false, "version", no_argument, "", "show the version" },
	{ LIMIT, true, "limit", required_argument, "=N", "at most N of them" },
	{ BEFORE, false, "before", required_argument, "=ID", "those before this message" },
	{ AFTER, false, "after", required_argument, "=ID", "those after this message" },
	{ IDS, true, "ids", no_argument, "", "show their ids too" },
	{ ATTACH, true, "attach", required_argument, "=FILE", "add a photo; up to 16 times" },
	{ WAIT, false, "wait", optional_argument, "[=STATUS]",
		"until it is sent (the default), received or read" },
	{ TIMEOUT, false, "timeout", required_argument, "=SECONDS", "wait no longer than that" },
	{ TOPICS, false, "topics", required_argument, "=TOPIC,...",
		"only changes of these topics" },
	{ CHAT, false, "chat", required_argument, "=CHAT", "only of this chat" },
	{ SINCE, false, "since", required_argument, "=SEQ", "first tell the changes after SEQ" },
	{ CONSUMER, false, "consumer", required_argument, "=NAME",
		"go on behind what this name has dealt with" },
	{ EXEC, false, "exec", required_argument, "=COMMAND", "run it for each change" },
	{ FILE_NAME, true, "output", required_argument, "=FILE",
		"where to; - for standard output" },
	{ PREVIEW, false, "preview", no_argument, "", "the small version" },
	{ FORCE, true, "force", no_argument, "", "replace a file that exists" },
	{ RECOVERY, false, "recovery", no_argument, "", "by the recovery key" },
	{ YES, true, "yes", no_argument, "", "do not ask" },
	{ DEFAULT, false, "default", no_argument, "", "back to the default" },
};

static const char global_letters[] = { ACCOUNT, SOCKET, JSON, HELP, VERSION, '\0' };

static int bad_value(const char *name, const char *value, const char *expected)
{
	fprintf(stderr, "chatctl: --%s: '%s' is not %s\n", name, value, expected);
	return -1;
}

/* A whole number in [min, 2^53]. */
static int parse_number(const char *name, const char *s, int64_t min, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno != 0 || end == s || *end || n < min || n > 1LL << 53)
		return bad_value(name, s, min > 0 ? "a number above 0" : "a number");
	*ret = n;
	return 0;
}

static int parse_seconds(const char *s, int64_t *ret_ms)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(s, &end);
	if (errno != 0 || end == s || *end || !(seconds >= 0 && seconds <= 2e6))
		return bad_value("timeout", s, "a number of seconds");
	*ret_ms = (int64_t)(seconds * 1000);
	return 0;
}

static int parse_wait(const char *s, enum chat_message_status *ret)
{
	if (!s || strcmp(s, "sent") == 0)
		*ret = CHAT_MESSAGE_SENT;
	else if (strcmp(s, "received") == 0)
		*ret = CHAT_MESSAGE_RECEIVED;
	else if (strcmp(s, "read") == 0)
		*ret = CHAT_MESSAGE_READ;
	else
		return bad_value("wait", s, "sent, received or read");
	return 0;
}

static int parse_json(const char *s, enum ctl_output *ret)
{
	if (s && strcmp(s, "pretty") != 0)
		return bad_value("json", s, "pretty");
	*ret = s ? OUTPUT_PRETTY : OUTPUT_JSON;
	return 0;
}

static int parse_limit(const char *s, unsigned *ret)
{
	int64_t n;

	if (parse_number("limit", s, 1, &n) < 0)
		return -1;
	*ret = n > 1000000 ? 1000000 : (unsigned)n;
	return 0;
}

static int add_attachment(struct ctl_options *o, const char *file)
{
	if (o->n_attach == ATTACH_MAX) {
		fprintf(stderr, "chatctl: at most %d photos go with one message\n", ATTACH_MAX);
		return -1;
	}
	o->attach[o->n_attach++] = file;
	return 0;
}

static int take(struct ctl_options *o, int letter, const char *value)
{
	switch (letter) {
	case ACCOUNT:
		o->account = value;
		break;
	case SOCKET:
		o->socket = value;
		break;
	case JSON:
		return parse_json(value, &o->output);
	case HELP:
		o->help = true;
		break;
	case VERSION:
		o->version = true;
		break;
	case LIMIT:
		return parse_limit(value, &o->limit);
	case BEFORE:
		o->before = value;
		break;
	case AFTER:
		o->after = value;
		break;
	case IDS:
		o->ids = true;
		break;
	case ATTACH:
		return add_attachment(o, value);
	case WAIT:
		return parse_wait(value, &o->wait);
	case TIMEOUT:
		return parse_seconds(value, &o->timeout_ms);
	case TOPICS:
		o->topics = value;
		break;
	case CHAT:
		o->chat = value;
		break;
	case SINCE:
		return parse_number("since", value, 0, &o->since);
	case FILE_NAME:
		o->file = value;
		break;
	case PREVIEW:
		o->preview = true;
		break;
	case CONSUMER:
		o->consumer = value;
		break;
	case EXEC:
		o->exec = value;
		break;
	case FORCE:
		o->force = true;
		break;
	case RECOVERY:
		o->recovery = true;
		break;
	case YES:
		o->yes = true;
		break;
	case DEFAULT:
		o->to_default = true;
		break;
	default:
		return -1; /* getopt has complained */
	}
	return 0;
}

static bool is_accepted(const struct option_info *info, const struct verb *verb)
{
	return strchr(global_letters, info->letter) ||
		(verb && strchr(verb->letters, info->letter));
}

int options_parse(struct ctl_options *options, const struct verb *verb, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(option_infos) + 1] = { 0 };
	char shorts[3 * ARRAY_SIZE(option_infos) + 2];
	struct option *l = longs;
	char *s = shorts;
	int letter;

	if (!verb)
		*s++ = '+';
	for (size_t i = 0; i < ARRAY_SIZE(option_infos); i++) {
		const struct option_info *info = &option_infos[i];

		if (!is_accepted(info, verb))
			continue;
		*l++ = (struct option){ info->name, info->has_argument, NULL, info->letter };
		if (!info->is_short)
			continue;
		*s++ = (char)info->letter;
		if (info->has_argument == required_argument)
			*s++ = ':';
	}
	*s = '\0';
	optind = 0;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		if (take(options, letter, optarg) < 0)
			return -1;
	return optind;
}

const struct option_info *options_next(const struct verb *verb, const struct option_info *info)
{
	const struct option_info *end = option_infos + ARRAY_SIZE(option_infos);

	for (info = info ? info + 1 : option_infos; info < end; info++)
		if (verb ? strchr(verb->letters, info->letter)
			 : strchr(global_letters, info->letter))
			return info;
	return NULL;
}

void options_help(const struct verb *verb)
{
	const struct option_info *info = NULL;

	while ((info = options_next(verb, info))) {
		char left[64];

		if (info->is_short)
			snprintf(left, sizeof(left), "-%c, --%s%s", info->letter, info->name,
				info->argument);
		else
			snprintf(left, sizeof(left), "    --%s%s", info->name, info->argument);
		printf("  %-24s %s\n", left, info->help);
	}
}
