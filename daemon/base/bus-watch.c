/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bus-watch.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

struct bus_watch {
	struct event_loop *loop;
	loop_fn fn;
	void *userdata;
	char *directory;
	const char *name; /* of the socket in it; points into `directory` */
	int fd;           /* -1: not active */
	struct loop_io *io;
};

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* "unix:path=/run/user/1/bus,guid=…;…" to the path, owned. */
static char *path_of(const char *address)
{
	const char *from;
	char *path, *to;

	if (strncmp(address, "unix:", 5) != 0)
		return NULL;
	from = strstr(address, "path=");
	if (!from || memchr(address, ';', (size_t)(from - address)) ||
		(from[-1] != ':' && from[-1] != ','))
		return NULL;
	from += 5;
	path = to = strdup(from);
	for (; to && *from && *from != ',' && *from != ';'; from++) {
		if (*from == '%' && isxdigit((unsigned char)from[1]) &&
			isxdigit((unsigned char)from[2])) {
			*to++ = (char)(hex(from[1]) << 4 | hex(from[2]));
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	if (to)
		*to = '\0';
	return path;
}

static bool concerns(const struct bus_watch *w, const struct inotify_event *e)
{
	return (e->mask & (IN_IGNORED | IN_Q_OVERFLOW)) ||
		(e->len > 0 && strcmp(e->name, w->name) == 0);
}

static void on_events(void *userdata, int fd, unsigned ready)
{
	union {
		char bytes[4096];
		struct inotify_event align;
	} buffer;
	struct bus_watch *w = userdata;
	bool concerned = false, ended = false;
	ssize_t n;

	while ((n = read(fd, buffer.bytes, sizeof(buffer.bytes))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buffer.bytes + at);

			concerned |= concerns(w, e);
			ended |= (e->mask & IN_IGNORED) != 0;
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
	if (ended)
		bus_watch_stop(w);
	if (concerned)
		w->fn(w->userdata);
}

int bus_watch_start(struct bus_watch *w)
{
	const char *directory = w->directory[0] ? w->directory : "/";

	if (w->fd >= 0)
		return 0;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	if (inotify_add_watch(w->fd, directory, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		int r = -errno;

		bus_watch_stop(w);
		return r;
	}
	w->io = loop_io_new(w->loop, w->fd, LOOP_READ, on_events, w);
	if (w->io)
		return 0;
	bus_watch_stop(w);
	return -ENOMEM;
}

void bus_watch_stop(struct bus_watch *w)
{
	w->io = loop_io_free(w->io);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

bool bus_watch_is_active(const struct bus_watch *w)
{
	return w->fd >= 0;
}

struct bus_watch *bus_watch_new(
	struct event_loop *loop, const char *address, loop_fn fn, void *userdata)
{
	_cleanup_free_ char *path = path_of(address);
	char *slash = path ? strrchr(path, '/') : NULL;
	struct bus_watch *w = slash ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	w->loop = loop;
	w->fn = fn;
	w->userdata = userdata;
	w->fd = -1;
	*slash = '\0';
	w->name = slash + 1;
	w->directory = TAKE_PTR(path);
	return w;
}

struct bus_watch *bus_watch_free(struct bus_watch *w)
{
	if (!w)
		return NULL;
	bus_watch_stop(w);
	free(w->directory);
	free(w);
	return NULL;
}
