/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Hands the socket over as systemd does: descriptor 3, meant for this process. */
static _Noreturn void run_with_socket(int listener, char **argv)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	unsetenv("LISTEN_FDNAMES");
	if (listener == 3)
		fcntl(3, F_SETFD, 0);
	else
		dup2(listener, 3);
	execv(argv[0], argv);
	die("%s", argv[0]);
}

static pid_t spawn(int listener, char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		run_with_socket(listener, argv);
	return pid;
}

static void end(pid_t pid)
{
	int status = 0;

	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	errno = 0;
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGTERM : WEXITSTATUS(status) != 0)
		die("the program ended with %d", status);
}

/* From before the fork to the first answer, the request having waited in the socket. */
int load_start(int argc, char **argv)
{
	int64_t count = number_of(argv[0], 1);
	struct samples samples = { 0 };
	int listener = unix_listen(argv[1], 16);

	for (int64_t i = -1; i < count; i++) {
		struct peer p = { .lines.fd = unix_connect(argv[1]) };
		uint64_t began;
		size_t size;
		pid_t pid;

		peer_send(&p, argv[2]);
		began = now_ns();
		pid = spawn(listener, argv + 3);
		if (!lines_next(&p.lines, &size))
			die("no greeting");
		peer_read(&p, &size);
		if (i >= 0)
			samples_add(&samples, now_ns() - began);
		peer_close(&p);
		end(pid);
	}
	samples_print(&samples);
	unlink(argv[1]);
	return 0;
}

/* A whole process, from before the fork to its end; it must succeed. */
int load_run(int argc, char **argv)
{
	int64_t count = number_of(argv[0], 1);
	struct samples samples = { 0 };

	for (int64_t i = -3; i < count; i++) {
		uint64_t began = now_ns();
		pid_t pid = vfork();
		int status = 0;

		if (pid == 0) {
			int null = open("/dev/null", O_RDWR);

			dup2(null, STDOUT_FILENO);
			execv(argv[1], argv + 1);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			die("%s", argv[1]);
		errno = 0;
		if (status != 0)
			die("%s ended with %d", argv[1], status);
		if (i >= 0)
			samples_add(&samples, now_ns() - began);
	}
	samples_print(&samples);
	return 0;
}
