/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

#define PASSWORD_MAX 1024

/* A signal handler reaches nothing else. */
static volatile sig_atomic_t interrupted_by;

static void on_signal(int signo)
{
	interrupted_by = signo;
}

static const int watched_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

static void catch_signals(struct sigaction *saved)
{
	struct sigaction action = { .sa_handler = on_signal };

	interrupted_by = 0;
	for (size_t i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaction(watched_signals[i], &action, &saved[i]);
}

static void release_signals(const struct sigaction *saved)
{
	for (size_t i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaction(watched_signals[i], &saved[i], NULL);
	if (interrupted_by)
		raise(interrupted_by);
}

/* One line, without its end. False at the end of input, on errors and when it is too long. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		ssize_t r = read(fd, line + n, 1);

		if (r < 0 && errno == EINTR && !interrupted_by)
			continue;
		if (r < 0 || (r == 0 && n == 0) || n + 1 == size)
			return false;
		if (r == 0 || line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

/* The terminal shows nothing of what is typed, and is itself again whatever ends the typing. */
static bool ask(const char *prompt, char *line, size_t size)
{
	struct sigaction saved[ARRAY_SIZE(watched_signals)];
	_cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios as_was, silent;
	bool ok;

	if (tty < 0 || tcgetattr(tty, &as_was) < 0)
		return false;
	catch_signals(saved);
	silent = as_was;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(tty, TCSAFLUSH, &silent);
	dprintf(tty, "%s", prompt);
	ok = read_line(tty, line, size);
	tcsetattr(tty, TCSAFLUSH, &as_was);
	dprintf(tty, "\n");
	release_signals(saved);
	return ok;
}

static bool get_password(const char *user, char *password, size_t size)
{
	_cleanup_free_ char *clean = text_clean(user, false);
	_cleanup_free_ char *prompt = NULL;

	if (!isatty(STDIN_FILENO))
		return read_line(STDIN_FILENO, password, size);
	if (asprintf(&prompt, "Password of %s: ", clean) < 0)
		prompt = NULL;
	return ask(must(prompt), password, size);
}

static void print_account(const struct chat_account *account, const char *server)
{
	_cleanup_free_ char *name =
		text_clean(account->user_name ? account->user_name : account->user_id, false);
	_cleanup_free_ char *id = text_clean(account->user_id, false);

	printf("Signed in at %s as %s (@%s).\n", server, name, id);
}

int verb_login(struct ctl *ctl, int argc, char **argv)
{
	struct chat_account *account;
	char password[PASSWORD_MAX];
	int r;

	if (!get_password(argv[1], password, sizeof(password))) {
		explicit_bzero(password, sizeof(password));
		return ctl_say(ctl, CTL_ERROR, "no password was given");
	}
	if (ctl->options.timeout_ms >= 0)
		chat_client_set_timeout(ctl->client, (int)ctl->options.timeout_ms);
	r = chat_client_login(ctl->client, argv[0], argv[1], password, &account);
	explicit_bzero(password, sizeof(password));
	if (r < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, chat_account_to_json(account));
	else
		print_account(account, argv[0]);
	chat_account_free(account);
	return CTL_OK;
}
