/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What has not come by then never does: the program under test is gone. */
#define STUCK_S 400

static const char usage[] =
	"Usage: load calls SOCKET COUNT REQUEST\n"
	"       load pipeline SOCKET COUNT WINDOW REQUEST\n"
	"       load fanout SOCKET SUBSCRIBERS COUNT SUBSCRIBE REQUEST\n"
	"       load receive SOCKET COUNT SUBSCRIBE\n"
	"       load hold SOCKET SUBSCRIBERS SUBSCRIBE\n"
	"       load start COUNT SOCKET REQUEST PROGRAM [ARGUMENT]...\n"
	"       load run COUNT PROGRAM [ARGUMENT]...\n"
	"Times requests (lines; @n@ becomes a number), connections and programs.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	int least;
} commands[] = {
	{ "calls", load_calls, 3 },
	{ "pipeline", load_pipeline, 4 },
	{ "fanout", load_fanout, 5 },
	{ "receive", load_receive, 3 },
	{ "hold", load_hold, 3 },
	{ "start", load_start, 4 },
	{ "run", load_run, 2 },
};

void peer_open(struct peer *p, const char *path)
{
	size_t size;

	*p = (struct peer){ .lines.fd = unix_connect(path) };
	if (!lines_next(&p->lines, &size))
		die("%s: no greeting", path);
}

void peer_close(struct peer *p)
{
	close(p->lines.fd);
	free(p->lines.data);
	*p = (struct peer){ 0 };
}

const char *request_text(const char *template, size_t *ret_size)
{
	static uint64_t n;
	static char text[65536];
	const char *at;
	size_t size = 0;

	n++;
	while ((at = strstr(template, "@n@"))) {
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s%llu",
			(int)(at - template), template, (unsigned long long)n);
		template = at + 3;
	}
	size += (size_t)snprintf(text + size, sizeof(text) - size, "%s\n", template);
	*ret_size = size;
	return text;
}

void peer_send(struct peer *p, const char *template)
{
	size_t size;
	const char *text = request_text(template, &size);

	write_all(p->lines.fd, text, size);
}

const char *peer_read(struct peer *p, size_t *ret_size)
{
	const char *line = lines_next(&p->lines, ret_size);

	errno = 0;
	if (!line)
		die("the server closed the connection");
	if (memmem(line, *ret_size < 64 ? *ret_size : 64, "\"error\":", 8))
		die("the answer is an error: %.*s", (int)*ret_size, line);
	return line;
}

void peer_call(struct peer *p, const char *template)
{
	size_t size;

	peer_send(p, template);
	peer_read(p, &size);
}

int main(int argc, char **argv)
{
	alarm(STUCK_S);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].least)
			return commands[i].run(argc - 2, argv + 2);
	fputs(usage, stderr);
	return 2;
}
