/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chatd: options, and what must be said to the kernel before there are secrets in memory. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sodium.h>

#include "base/log.h"
#include "ipc/ipc.h"
#include "manager.h"
#include "settings.h"

#define MANY_FILES 4096

#define EXIT_USAGE 2

/* EX_CONFIG and EX_DATAERR of sysexits.h: a restart would not help. */
#define EXIT_CONFIG 78
#define EXIT_DATA 65

static const char usage[] =
	"Usage: chatd [OPTION]...\n"
	"Serves one chat account to local programs. See also chatctl(1).\n"
	"\n"
	"  --account NAME     which account (default: default)\n"
	"  --config FILE      settings (default: $XDG_CONFIG_HOME/chatd/chatd.conf)\n"
	"  --data-dir DIR     where its data is kept (default: $XDG_DATA_HOME/chatd/NAME)\n"
	"  --socket PATH      where it listens (default: $XDG_RUNTIME_DIR/chatd/NAME.sock)\n"
	"  --ca-file FILE     certificates to trust instead of the system's\n"
	"  --dbus yes|no      whether to serve the session's bus too (default: yes)\n"
	"  --log-level LEVEL  debug, info, notice, warning or error (default: info)\n"
	"  --demo[=FILE]      serve a made-up world from memory: no server, nothing on disk\n"
	"  --print-api        print the API's description (OpenRPC) and exit\n"
	"  --version, --help\n";

enum option_key {
	OPT_ACCOUNT = 256,
	OPT_CONFIG,
	OPT_DATA_DIR,
	OPT_SOCKET,
	OPT_CA_FILE,
	OPT_PREVIEW_HELPER,
	OPT_DBUS,
	OPT_LOG_LEVEL,
	OPT_DEMO,
	OPT_PRINT_API,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option options[] = {
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "data-dir", required_argument, NULL, OPT_DATA_DIR },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "ca-file", required_argument, NULL, OPT_CA_FILE },
	{ "preview-helper", required_argument, NULL, OPT_PREVIEW_HELPER },
	{ "dbus", required_argument, NULL, OPT_DBUS },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "demo", optional_argument, NULL, OPT_DEMO },
	{ "print-api", no_argument, NULL, OPT_PRINT_API },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int print_api(void)
{
	_cleanup_free_ char *text = ipc_discover_json();

	if (!text)
		return EXIT_FAILURE;
	puts(text);
	return EXIT_SUCCESS;
}

static void set(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
}

/* -1 to go on, else the exit status. */
static int take_option(struct config *c, int key)
{
	switch (key) {
	case OPT_ACCOUNT:
		set(&c->account, optarg);
		return -1;
	case OPT_CONFIG:
		set(&c->file, optarg);
		c->file_was_named = true;
		return -1;
	case OPT_DATA_DIR:
		set(&c->data_dir, optarg);
		return -1;
	case OPT_SOCKET:
		set(&c->socket, optarg);
		return -1;
	case OPT_CA_FILE:
		set(&c->ca_file, optarg);
		return -1;
	case OPT_PREVIEW_HELPER:
		set(&c->preview_helper, optarg);
		return -1;
	case OPT_DBUS:
		set(&c->dbus, optarg);
		return -1;
	case OPT_LOG_LEVEL:
		set(&c->log_level, optarg);
		return -1;
	case OPT_DEMO:
		set(&c->demo, optarg ? optarg : DEMO_FILE);
		return -1;
	case OPT_PRINT_API:
		return print_api();
	case OPT_VERSION:
		puts("chatd " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	case OPT_HELP:
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	default:
		fputs("Try: chatd --help\n", stderr);
		return EXIT_USAGE;
	}
}

static int parse(struct config *c, int argc, char **argv)
{
	int key, status = -1;

	while (status < 0 && (key = getopt_long(argc, argv, "", options, NULL)) != -1)
		status = take_option(c, key);
	if (status < 0 && optind < argc) {
		fprintf(stderr, "chatd: unexpected argument '%s'\nTry: chatd --help\n",
			argv[optind]);
		status = EXIT_USAGE;
	}
	return status;
}

/* Of a dump that is made all the same, by root or a debugger, none of the memory is part. */
static void leave_memory_out_of_dumps(void)
{
	_cleanup_close_ int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		log_debug("the kernel's filter of core dumps cannot be set");
}

/*
 * No core dump and no debugger's look at the keys; the leak checker of test builds needs the
 * latter.
 */
static void guard_memory(void)
{
	const struct rlimit none = { 0 };

	leave_memory_out_of_dumps();
	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
	umask(077);
	signal(SIGPIPE, SIG_IGN);
}

/* Each frontend takes a descriptor; the usual limit is for programs that select(). */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= MANY_FILES)
		return;
	limit.rlim_cur = limit.rlim_max < MANY_FILES ? limit.rlim_max : MANY_FILES;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int exit_status(int error)
{
	switch (error) {
	case -EINVAL:
		return EXIT_CONFIG;
	case -EKEYREJECTED:
	case -EUCLEAN:
	case -EPROTONOSUPPORT:
	case -EPERM:
		return EXIT_DATA;
	default:
		return EXIT_FAILURE;
	}
}

static int serve(const struct config *given)
{
	_cleanup_(manager_freep) struct manager *m = NULL;
	int r = manager_new(given, &m);

	return r < 0 ? exit_status(r) : manager_run(m);
}

int main(int argc, char **argv)
{
	struct config given = { 0 };
	int status;

	log_init("chatd");
	guard_memory();
	allow_many_files();
	status = parse(&given, argc, argv);
	if (status < 0)
		status = sodium_init() < 0 ? EXIT_FAILURE : serve(&given);
	config_clear(&given);
	return status;
}
