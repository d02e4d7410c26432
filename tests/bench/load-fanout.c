/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct peer *subscribe(const char *path, int64_t n, const char *request)
{
	struct peer *peers = calloc((size_t)n, sizeof(peers[0]));

	if (!peers)
		die("memory");
	for (int64_t i = 0; i < n; i++) {
		peer_open(&peers[i], path);
		peer_call(&peers[i], request);
	}
	return peers;
}

static int watch(struct peer *peers, int64_t n)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	for (int64_t i = 0; i < n; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &peers[i] };

		if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, peers[i].lines.fd, &e) < 0)
			die("epoll");
	}
	return fd;
}

/* Reads what has come; how many lines that was. */
static int64_t take_lines(struct peer *p)
{
	int64_t n = 0;
	size_t size;

	errno = 0;
	if (lines_fill(&p->lines) == 0)
		die("a subscriber was closed");
	while (lines_have(&p->lines, &size))
		n++;
	return n;
}

static void wait_lines(int epoll, int64_t n)
{
	struct epoll_event events[256];

	while (n > 0) {
		int ready = epoll_wait(epoll, events, 256, 30000);

		errno = 0;
		if (ready <= 0)
			die("%" PRId64 " lines did not come", n);
		for (int i = 0; i < ready; i++)
			n -= take_lines(events[i].data.ptr);
	}
}

static void close_all(struct peer *peers, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		peer_close(&peers[i]);
	free(peers);
}

/* From writing the request to the last subscriber's line; each gets one for each request. */
int load_fanout(int argc, char **argv)
{
	int64_t n = number_of(argv[1], 1), count = number_of(argv[2], 1);
	struct peer *peers = subscribe(argv[0], n, argv[3]), sender;
	struct samples samples = { 0 };
	int epoll = watch(peers, n);

	peer_open(&sender, argv[0]);
	for (int64_t i = -count / 10 - 1; i < count; i++) {
		uint64_t began = now_ns();
		size_t size;

		peer_send(&sender, argv[4]);
		wait_lines(epoll, n);
		if (i >= 0)
			samples_add(&samples, now_ns() - began);
		peer_read(&sender, &size);
	}
	samples_print(&samples);
	peer_close(&sender);
	close_all(peers, n);
	close(epoll);
	return 0;
}

/* The text of each message tells when it was put on the wire: t=NANOSECONDS. */
static uint64_t time_sent(const char *line, size_t size)
{
	const char *t = memmem(line, size, "t=", 2);

	errno = 0;
	if (!t)
		die("a line without its time: %.*s", (int)size, line);
	return strtoull(t + 2, NULL, 10);
}

int load_receive(int argc, char **argv)
{
	int64_t count = number_of(argv[1], 1);
	struct samples samples = { 0 };
	uint64_t first = 0, now = 0;
	struct peer p;

	peer_open(&p, argv[0]);
	peer_call(&p, argv[2]);
	puts("ready");
	fflush(stdout);
	for (int64_t i = 0; i < count; i++) {
		size_t size;
		const char *line = peer_read(&p, &size);
		uint64_t sent = time_sent(line, size);

		now = now_ns();
		first = first ? first : sent;
		samples_add(&samples, now - sent);
	}
	printf("{\"seconds\": %.6f, \"per_s\": %.1f}\n", (double)(now - first) / 1e9,
		(double)count * 1e9 / (double)(now - first));
	samples_print(&samples);
	peer_close(&p);
	return 0;
}

/* Subscribers that are there until this program's input ends. */
int load_hold(int argc, char **argv)
{
	int64_t n = number_of(argv[1], 1);
	struct peer *peers = subscribe(argv[0], n, argv[2]);
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	close_all(peers, n);
	return 0;
}
