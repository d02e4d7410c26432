/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A signal handler reaches nothing else. */
static volatile sig_atomic_t interrupted_by;

static void on_signal(int signo)
{
	interrupted_by = signo;
}

static const int watched_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

struct saved_signals {
	struct sigaction actions[ARRAY_SIZE(watched_signals)];
	sigset_t mask;
};

/* They come only while wait_readable() waits: one just before it would otherwise be slept over. */
static void catch_signals(struct saved_signals *saved)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t watched;

	interrupted_by = 0;
	sigemptyset(&watched);
	for (size_t i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaddset(&watched, watched_signals[i]);
	sigprocmask(SIG_BLOCK, &watched, &saved->mask);
	for (size_t i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaction(watched_signals[i], &action, &saved->actions[i]);
}

static void release_signals(const struct saved_signals *saved)
{
	for (size_t i = 0; i < ARRAY_SIZE(watched_signals); i++)
		sigaction(watched_signals[i], &saved->actions[i], NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
	if (interrupted_by)
		raise(interrupted_by);
}

/* False when a watched signal came first. @during: the signals held back while it waits. */
static bool wait_readable(int fd, const sigset_t *during)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	while (!interrupted_by)
		if (ppoll(&pollfd, 1, NULL, during) > 0 || errno != EINTR)
			return true;
	return false;
}

/*
 * One line, without its end. False at the end of input, on errors, when it is too long and, with
 * @during, when a watched signal came.
 */
static bool read_line(int fd, const sigset_t *during, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		ssize_t r;

		if (during && !wait_readable(fd, during))
			return false;
		r = read(fd, line + n, 1);
		if (r < 0 && errno == EINTR)
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
	struct saved_signals saved;
	_cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios as_was, silent;
	bool ok;

	if (tty < 0 || tcgetattr(tty, &as_was) < 0)
		return false;
	catch_signals(&saved);
	silent = as_was;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(tty, TCSAFLUSH, &silent);
	dprintf(tty, "%s", prompt);
	ok = read_line(tty, &saved.mask, line, size);
	tcsetattr(tty, TCSAFLUSH, &as_was);
	dprintf(tty, "\n");
	release_signals(&saved);
	return ok;
}

bool secret_is_asked(void)
{
	return isatty(STDIN_FILENO);
}

bool secret_read(const char *prompt, char *ret, size_t size)
{
	if (!secret_is_asked())
		return read_line(STDIN_FILENO, NULL, ret, size);
	return ask(prompt, ret, size);
}
