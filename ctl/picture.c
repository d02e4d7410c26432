/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/picture.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/terminal.h"

#ifndef PICTURE_HELPER
#error "PICTURE_HELPER is the installed path of chatd-picture"
#endif

#define ROWS_DEFAULT 24
#define PROMPT_ROWS 2 /* left for what comes before and after */

extern char **environ;

/* Where it was built the helper lies beside chatctl, which libtool keeps in a place of its own. */
static const char *find_helper(void)
{
	static char beside[4096];
	ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - sizeof("chatd-picture"));
	char *slash;

	beside[n > 0 ? n : 0] = '\0';
	slash = strrchr(beside, '/');
	if (!slash)
		return PICTURE_HELPER;
	*slash = '\0';
	if (slash - beside > 6 && strcmp(slash - 6, "/.libs") == 0)
		slash -= 6;
	strcpy(slash, "/chatd-picture");
	return access(beside, X_OK) == 0 ? beside : PICTURE_HELPER;
}

static int terminal_rows(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row
									       : ROWS_DEFAULT;
}

static int spawn(const char *helper, int fd, pid_t *ret)
{
	char columns[32], rows[32], name[] = "chatd-picture";
	char *argv[] = { name, columns, rows, NULL };
	posix_spawn_file_actions_t actions;
	int free_rows = terminal_rows() - PROMPT_ROWS, r;

	snprintf(columns, sizeof(columns), "--columns=%zu", terminal_width());
	snprintf(rows, sizeof(rows), "--rows=%d", free_rows > 0 ? free_rows : 1);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn(ret, helper, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int picture_draw(struct ctl *ctl, int fd)
{
	const char *helper = find_helper();
	int status, r;
	pid_t child;

	fflush(stdout);
	r = spawn(helper, fd, &child);
	if (r < 0)
		return ctl_say(ctl, CTL_ERROR, "%s: %s", helper, strerror(-r));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return ctl_say(ctl, CTL_ERROR, "%s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return CTL_OK;
	return ctl_say(ctl, CTL_ERROR, "the photo cannot be shown");
}
