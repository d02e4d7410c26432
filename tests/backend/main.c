/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chat-backend: a loopback server of the chat protocol, for trying, testing and measuring.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "base/log.h"
#include "server.h"

static const char usage[] =
	"Usage: chat-backend --users FILE --data DIR [OPTION]...\n"
	"Serves the chat protocol on 127.0.0.1 and prints 'ready http://127.0.0.1:PORT' once it "
	"does.\n"
	"\n"
	"  --users FILE           who may log in, one a line: id:password:Display "
	"Name[:picture_url];\n"
	"                         read again on SIGHUP\n"
	"  --data DIR             where everything is kept; made if need be\n"
	"  --port N               the port (any free one if left out)\n"
	"  --control              lets anybody inject faults at /_control\n"
	"  --cdn                  serves the bytes of attachments on another origin, without "
	"tokens\n"
	"  --origin URL           where clients find it, when another server stands before it\n"
	"  --cdn-port N           the port of that origin (any free one if left out)\n"
	"  --token-ttl SECONDS    how long a token is good for (3600)\n"
	"  --heartbeat SECONDS    what HELLO asks of clients (30)\n"
	"  --max-in-flight N      how many messages of a session may await their answer (32)\n"
	"  --log-level LEVEL      error, warning, notice, info or debug (notice)\n"
	"  --help, --version\n";

enum option_code {
	OPTION_USERS = 256,
	OPTION_DATA,
	OPTION_PORT,
	OPTION_CONTROL,
	OPTION_CDN,
	OPTION_ORIGIN,
	OPTION_CDN_PORT,
	OPTION_TOKEN_TTL,
	OPTION_HEARTBEAT,
	OPTION_MAX_IN_FLIGHT,
	OPTION_LOG_LEVEL,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "users", required_argument, NULL, OPTION_USERS },
	{ "data", required_argument, NULL, OPTION_DATA },
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "control", no_argument, NULL, OPTION_CONTROL },
	{ "cdn", no_argument, NULL, OPTION_CDN },
	{ "origin", required_argument, NULL, OPTION_ORIGIN },
	{ "cdn-port", required_argument, NULL, OPTION_CDN_PORT },
	{ "token-ttl", required_argument, NULL, OPTION_TOKEN_TTL },
	{ "heartbeat", required_argument, NULL, OPTION_HEARTBEAT },
	{ "max-in-flight", required_argument, NULL, OPTION_MAX_IN_FLIGHT },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ 0 },
};

/* A decimal number within bounds; -EINVAL for anything else. */
static int64_t number(const char *text, int64_t min, int64_t max)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && n >= min && n <= max ? n : -EINVAL;
}

static int set_log_level(const char *text)
{
	int priority = log_level_from_string(text);

	if (priority >= 0)
		log_set_level(priority);
	return priority;
}

/* Takes one option; negative when its value is wrong. */
static int64_t take(enum option_code code, struct config *c)
{
	switch (code) {
	case OPTION_USERS:
		c->users_file = optarg;
		return 0;
	case OPTION_DATA:
		c->data_directory = optarg;
		return 0;
	case OPTION_PORT:
		return c->port = (int)number(optarg, 0, 65535);
	case OPTION_CONTROL:
		c->control = true;
		return 0;
	case OPTION_CDN:
		c->cdn = true;
		return 0;
	case OPTION_ORIGIN:
		c->origin = optarg;
		return 0;
	case OPTION_CDN_PORT:
		return c->cdn_port = (int)number(optarg, 0, 65535);
	case OPTION_TOKEN_TTL:
		return c->token_ttl_s = number(optarg, 1, 365 * 86400);
	case OPTION_HEARTBEAT:
		return c->heartbeat_s = number(optarg, 1, 3600);
	case OPTION_MAX_IN_FLIGHT:
		return c->max_in_flight = number(optarg, 1, 10000);
	case OPTION_LOG_LEVEL:
		return set_log_level(optarg);
	case OPTION_HELP:
	case OPTION_VERSION:
		return 0;
	}
	return -EINVAL;
}

/* 0 to go on, 1 when all is said, -EINVAL. */
static int parse(int argc, char **argv, struct config *c)
{
	int code;

	while ((code = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (code == OPTION_HELP || code == OPTION_VERSION) {
			fputs(code == OPTION_HELP ? usage : "chat-backend " PACKAGE_VERSION "\n",
				stdout);
			return 1;
		}
		if (code == '?')
			return -EINVAL;
		if (take((enum option_code)code, c) < 0) {
			fprintf(stderr, "chat-backend: '%s' is not a value for this option\n",
				optarg);
			return -EINVAL;
		}
	}
	if (optind < argc || !c->users_file || !c->data_directory) {
		fputs("chat-backend: --users FILE and --data DIR are needed; see --help\n", stderr);
		return -EINVAL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct config config = { .token_ttl_s = 3600, .heartbeat_s = 30, .max_in_flight = 32 };
	struct server server;
	int r;

	log_init("chat-backend");
	log_set_level(LOG_NOTICE);
	r = parse(argc, argv, &config);
	if (r != 0)
		return r < 0 ? 2 : 0;
	if (sodium_init() < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	r = server_open(&server, &config);
	if (r == 0) {
		printf("ready %s\n", server.origin);
		fflush(stdout);
		r = server_run(&server);
	} else {
		log_error("cannot start: %s", strerror(-r));
	}
	server_close(&server);
	return r < 0 ? 1 : 0;
}
