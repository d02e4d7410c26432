/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
	int e = errno;
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, e ? ": %s\n" : "\n", strerror(e));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t number_of(const char *text, int64_t min)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	errno = 0;
	if (end == text || *end || n < min)
		die("'%s' is no number from %lld on", text, (long long)min);
	return n;
}

void samples_add(struct samples *s, uint64_t ns)
{
	if (s->n == s->capacity) {
		s->capacity = s->capacity ? 2 * s->capacity : 1024;
		s->ns = realloc(s->ns, s->capacity * sizeof(s->ns[0]));
		if (!s->ns)
			die("memory");
	}
	s->ns[s->n++] = ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void samples_print(struct samples *s)
{
	double sum = 0;

	errno = 0;
	if (s->n == 0)
		die("nothing was measured");
	qsort(s->ns, s->n, sizeof(s->ns[0]), compare);
	for (size_t i = 0; i < s->n; i++)
		sum += (double)s->ns[i];
	printf("{\"n\": %zu, \"min_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
	       "\"mean_us\": %.2f}\n",
		s->n, (double)s->ns[0] / 1e3, (double)s->ns[s->n / 2] / 1e3,
		(double)s->ns[s->n * 99 / 100] / 1e3, sum / (double)s->n / 1e3);
	fflush(stdout);
	free(s->ns);
	*s = (struct samples){ 0 };
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	errno = 0;
	if (strlen(path) >= sizeof(a.sun_path))
		die("%s: too long a path for a socket", path);
	strcpy(a.sun_path, path);
	return a;
}

int unix_connect(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("%s", path);
	return fd;
}

int unix_listen(const char *path, int backlog)
{
	struct sockaddr_un a = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, backlog) < 0)
		die("%s", path);
	return fd;
}

void write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("write");
		p += n;
		size -= (size_t)n;
	}
}

const char *lines_have(struct lines *l, size_t *ret_size)
{
	char *line = l->data + l->start, *newline;

	if (l->start == l->end)
		return NULL;
	newline = memchr(line, '\n', l->end - l->start);
	if (!newline)
		return NULL;
	*ret_size = (size_t)(newline - line) + 1;
	l->start += *ret_size;
	return line;
}

size_t lines_fill(struct lines *l)
{
	ssize_t n;

	if (l->start > 0) {
		memmove(l->data, l->data + l->start, l->end - l->start);
		l->end -= l->start;
		l->start = 0;
	}
	if (l->capacity - l->end < 4096) {
		l->capacity = l->capacity ? 2 * l->capacity : 1 << 14;
		l->data = realloc(l->data, l->capacity);
		if (!l->data)
			die("memory");
	}
	do
		n = read(l->fd, l->data + l->end, l->capacity - l->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		die("read");
	l->end += (size_t)n;
	return (size_t)n;
}

const char *lines_next(struct lines *l, size_t *ret_size)
{
	const char *line;

	while (!(line = lines_have(l, ret_size)))
		if (lines_fill(l) == 0)
			return NULL;
	return line;
}

char *file_contents(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "r");
	struct lines l = { 0 };

	if (!f)
		die("%s", path);
	l.fd = fileno(f);
	while (lines_fill(&l) > 0)
		;
	fclose(f);
	*ret_size = l.end;
	return l.data;
}
