/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits: the least that a program can do for what the daemon is measured at. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bare-db.h"
#include "tool.h"

static const char usage[] =
	"Usage: bare serve SOCKET [--reply FILE] [--insert DB] [--query DB KEY SQL] [--fan FILE]\n"
	"       bare batch DB COUNT SIZE TEXT\n"
	"       bare chunks DB BYTES CHUNK BATCH\n"
	"\n"
	"serve answers each line with the reply's bytes, after inserting a row and committing it,\n"
	"or a query; --fan also writes bytes to each connection that has asked for\n"
	"events.subscribe. batch inserts rows, SIZE of them a commit; chunks inserts blobs, BATCH\n"
	"of them a commit, and then reads them again from a database that it has just opened.\n";

struct server {
	struct bare_db db;
	int listener, epoll;
	const char *query, *text;
	char *reply, *fan;
	size_t reply_size, fan_size;
	struct lines *clients[4096];
	int subscribers[4096];
	size_t n_subscribers;
	int inserts;
};

static void accept_one(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || fd >= 4096)
		die("accept");
	s->clients[fd] = calloc(1, sizeof(struct lines));
	s->clients[fd]->fd = fd;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll");
	write_all(fd, "{}\n", 3);
}

static void leave(struct server *s, int fd)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_subscribers; i++)
		if (s->subscribers[i] != fd)
			s->subscribers[kept++] = s->subscribers[i];
	s->n_subscribers = kept;
	free(s->clients[fd]->data);
	free(s->clients[fd]);
	close(fd);
}

static void serve_line(struct server *s, int fd, const char *line, size_t size)
{
	if (memmem(line, size, "events.subscribe", 16)) {
		s->subscribers[s->n_subscribers++] = fd;
		write_all(fd, "{}\n", 3);
		return;
	}
	if (s->inserts) {
		bare_db_begin(&s->db);
		bare_db_insert(&s->db, line, size < 100 ? size : 100);
		bare_db_commit(&s->db);
	}
	if (s->query)
		bare_db_query(&s->db, s->query);
	write_all(fd, s->reply, s->reply_size);
	for (size_t i = 0; i < s->n_subscribers; i++)
		write_all(s->subscribers[i], s->fan, s->fan_size);
}

static void serve_client(struct server *s, int fd)
{
	struct lines *l = s->clients[fd];
	const char *line;
	size_t size;

	if (lines_fill(l) == 0) {
		leave(s, fd);
		return;
	}
	while ((line = lines_have(l, &size)))
		serve_line(s, fd, line, size);
}

static int serve(struct server *s)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = s->listener }, events[64];

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) < 0)
		die("epoll");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(s->epoll, events, 64, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.fd == s->listener)
				accept_one(s);
			else
				serve_client(s, events[i].data.fd);
	}
}

static int run_serve(int argc, char **argv)
{
	static struct server s = { .reply = (char *)"{}\n", .reply_size = 3 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--reply") == 0 && i + 1 < argc) {
			s.reply = file_contents(argv[++i], &s.reply_size);
		} else if (strcmp(argv[i], "--fan") == 0 && i + 1 < argc) {
			s.fan = file_contents(argv[++i], &s.fan_size);
		} else if (strcmp(argv[i], "--insert") == 0 && i + 1 < argc) {
			bare_db_open(&s.db, argv[++i], NULL);
			bare_db_prepare(&s.db);
			s.inserts = 1;
		} else if (strcmp(argv[i], "--query") == 0 && i + 3 < argc) {
			bare_db_open(&s.db, argv[i + 1], argv[i + 2]);
			s.query = argv[i + 3];
			i += 3;
		} else {
			die("what is '%s'?", argv[i]);
		}
	}
	s.listener = unix_listen(argv[0], 512);
	return serve(&s);
}

static void print_rate(int64_t count, uint64_t ns)
{
	printf("{\"n\": %lld, \"seconds\": %.6f, \"per_s\": %.1f}\n", (long long)count,
		(double)ns / 1e9, (double)count * 1e9 / (double)ns);
}

static int run_batch(int argc, char **argv)
{
	int64_t count = number_of(argv[1], 1), size = number_of(argv[2], 1);
	struct bare_db db;
	uint64_t began;

	bare_db_open(&db, argv[0], NULL);
	bare_db_prepare(&db);
	began = now_ns();
	for (int64_t i = 0; i < count; i += size) {
		bare_db_begin(&db);
		for (int64_t k = i; k < i + size && k < count; k++)
			bare_db_insert(&db, argv[3], strlen(argv[3]));
		bare_db_commit(&db);
	}
	print_rate(count, now_ns() - began);
	bare_db_close(&db);
	return 0;
}

static void read_chunks(const char *path)
{
	struct bare_db db;
	uint64_t began;
	int64_t n;

	bare_db_open(&db, path, NULL);
	began = now_ns();
	n = bare_db_query(&db, "SELECT bytes FROM chunk ORDER BY n");
	print_rate(n, now_ns() - began);
	bare_db_close(&db);
}

static int run_chunks(int argc, char **argv)
{
	int64_t bytes = number_of(argv[1], 1), chunk = number_of(argv[2], 1);
	int64_t batch = number_of(argv[3], 1), n = 0;
	char *piece = malloc((size_t)chunk);
	struct bare_db db;
	uint64_t began;

	if (!piece)
		die("memory");
	memset(piece, 0x5a, (size_t)chunk);
	bare_db_open(&db, argv[0], NULL);
	bare_db_prepare(&db);
	began = now_ns();
	while (n * chunk < bytes) {
		bare_db_begin(&db);
		for (int64_t k = 0; k < batch && n * chunk < bytes; k++, n++)
			bare_db_chunk(&db, piece, (size_t)chunk);
		bare_db_commit(&db);
	}
	print_rate(bytes, now_ns() - began);
	bare_db_close(&db);
	free(piece);
	read_chunks(argv[0]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "serve") == 0)
		return run_serve(argc - 2, argv + 2);
	if (argc == 6 && strcmp(argv[1], "batch") == 0)
		return run_batch(argc - 2, argv + 2);
	if (argc == 6 && strcmp(argv[1], "chunks") == 0)
		return run_chunks(argc - 2, argv + 2);
	fputs(usage, stderr);
	return 2;
}
