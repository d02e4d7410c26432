/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bus-link.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/bus-watch.h"
#include "base/clock.h"
#include "base/paths.h"

#define BACKOFF_BASE_MS 200
#define BACKOFF_CAP_MS 300000

/* A connection that lasted as long as this was a good one. */
#define STABLE_US 60000000u

/* With a watch, tries after each of its reports; between bind and listen a bus refuses too. */
#define WATCHED_TRIES 8

/* Messages handled before others get their turn. */
#define MESSAGES_PER_TURN 64

struct bus_link {
	struct event_loop *loop;
	const struct bus_link_ops *ops;
	void *userdata;
	char *address;
	sd_bus *bus; /* NULL: none at present */
	bool is_up;
	bool queued; /* something waited to be written */
	int error;   /* for which the connection is given up; 0: it is not */
	uint64_t up_since;
	struct loop_io *io;
	int fd; /* that `io` watches */
	struct loop_timer *timeout;
	struct loop_timer *retry;
	struct loop_deferred proceed;
	struct backoff backoff;
	struct bus_watch *watch; /* NULL: nothing can be watched */
};

static char *address_of_path(const char *path)
{
	static const char prefix[] = "unix:path=";
	char *address = malloc(sizeof(prefix) + 3 * strlen(path)), *to;

	if (!address)
		return NULL;
	to = stpcpy(address, prefix);
	for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
		if (isalnum(*c) || strchr("-_/.\\*", *c))
			*to++ = (char)*c;
		else
			to += sprintf(to, "%%%02x", *c);
	}
	*to = '\0';
	return address;
}

char *bus_address_session(void)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
	_cleanup_free_ char *path = NULL;

	if (address)
		return address[0] ? strdup(address) : NULL;
	path = path_xdg("XDG_RUNTIME_DIR", NULL, "bus");
	return path ? address_of_path(path) : NULL;
}

char *bus_address_system(void)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");

	if (address)
		return address[0] ? strdup(address) : NULL;
	return strdup("unix:path=/run/dbus/system_bus_socket");
}

int bus_match_owner(sd_bus *bus, sd_bus_slot **slot, const char *name, sd_bus_message_handler_t fn,
	void *userdata)
{
	char rule[512];
	int n = snprintf(rule, sizeof(rule),
		"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
		"member='NameOwnerChanged',arg0='%s'",
		name);

	if (n < 0 || (size_t)n >= sizeof(rule))
		return -ENAMETOOLONG;
	return sd_bus_add_match_async(bus, slot, rule, fn, NULL, userdata);
}

static void proceed_later(struct bus_link *l)
{
	event_loop_defer(l->loop, &l->proceed);
}

static void on_io(void *userdata, int fd, unsigned ready)
{
	proceed_later(userdata);
}

static void on_timeout(void *userdata)
{
	proceed_later(userdata);
}

static int open_bus(struct bus_link *l)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	r = r < 0 ? r : sd_bus_set_address(bus, l->address);
	r = r < 0 ? r : sd_bus_set_bus_client(bus, true);
	r = r < 0 ? r : sd_bus_start(bus);
	if (r < 0)
		return r;
	l->bus = TAKE_PTR(bus);
	return 0;
}

static void close_bus(struct bus_link *l)
{
	l->io = loop_io_free(l->io);
	l->fd = -1;
	loop_timer_stop(l->timeout);
	l->bus = sd_bus_close_unref(l->bus);
	l->queued = false;
	l->error = 0;
}

static void retry_later(struct bus_link *l, int error)
{
	bool watched = l->watch && bus_watch_is_active(l->watch);

	if (error == -EINVAL || error == -EOPNOTSUPP)
		return; /* an address that no later try can make sense of */
	if (watched && (error == -ENOENT || l->backoff.attempt >= WATCHED_TRIES))
		return;
	loop_timer_start_us(l->retry, (uint64_t)backoff_next(&l->backoff, 0) * 1000);
}

static void try(struct bus_link *l)
{
	int r = open_bus(l);

	/* It may have come between the try and the watch. */
	if (r < 0 && l->watch && !bus_watch_is_active(l->watch) && bus_watch_start(l->watch) == 0)
		r = open_bus(l);
	if (r < 0)
		retry_later(l, r);
	else
		proceed_later(l);
}

static void on_retry(void *userdata)
{
	try(userdata);
}

static void on_watch(void *userdata)
{
	struct bus_link *l = userdata;

	if (l->bus)
		return;
	backoff_reset(&l->backoff);
	loop_timer_stop(l->retry);
	try(l);
}

static void lose(struct bus_link *l, int error)
{
	bool was_up = l->is_up;

	l->is_up = false;
	if (was_up)
		l->ops->down(l->userdata, error);
	close_bus(l);
	if (was_up && clock_monotonic_us() - l->up_since >= STABLE_US)
		backoff_reset(&l->backoff);
	retry_later(l, error == -ENOENT ? -ECONNRESET : error);
}

static void greet(struct bus_link *l)
{
	if (l->is_up || sd_bus_is_ready(l->bus) <= 0)
		return;
	l->is_up = true;
	l->up_since = clock_monotonic_us();
	if (l->watch)
		bus_watch_stop(l->watch);
	l->ops->up(l->userdata, l->bus);
}

/* Handles what has arrived. 1: there may be more; 0: not at present. */
static int process(struct bus_link *l)
{
	int r = 1;

	for (int i = 0; r > 0 && i < MESSAGES_PER_TURN; i++) {
		r = sd_bus_process(l->bus, NULL);
		if (r >= 0)
			greet(l);
		if (l->error < 0)
			return l->error;
	}
	return r;
}

static int update_io(struct bus_link *l)
{
	int fd = sd_bus_get_fd(l->bus), events = sd_bus_get_events(l->bus);

	if (fd < 0 || events < 0)
		return fd < 0 ? fd : events;
	if (fd != l->fd) {
		l->io = loop_io_free(l->io);
		l->io = loop_io_new(l->loop, fd, 0, on_io, l);
		if (!l->io)
			return -ENOMEM;
		l->fd = fd;
	}
	loop_io_set_events(
		l->io, (events & POLLIN ? LOOP_READ : 0u) | (events & POLLOUT ? LOOP_WRITE : 0u));
	return 0;
}

static void update_queued(struct bus_link *l)
{
	uint64_t n = 0;
	bool was_queued = l->queued;

	sd_bus_get_n_queued_write(l->bus, &n);
	l->queued = n > 0;
	if (was_queued && n == 0 && l->is_up && l->ops->written)
		l->ops->written(l->userdata);
}

static int update_timeout(struct bus_link *l)
{
	uint64_t until, now = clock_monotonic_us();
	int r = sd_bus_get_timeout(l->bus, &until);

	if (r < 0)
		return r;
	if (until == UINT64_MAX)
		loop_timer_stop(l->timeout);
	else
		loop_timer_start_us(l->timeout, until > now ? until - now : 0);
	return 0;
}

static void proceed(void *userdata)
{
	struct bus_link *l = userdata;
	int r, more;

	if (!l->bus)
		return;
	r = more = l->error < 0 ? l->error : process(l);
	r = r < 0 ? r : update_io(l);
	r = r < 0 ? r : update_timeout(l);
	if (r < 0) {
		lose(l, r);
		return;
	}
	update_queued(l);
	if (more > 0)
		proceed_later(l);
}

void bus_link_touch(struct bus_link *l)
{
	if (l->bus)
		proceed_later(l);
}

void bus_link_fail(struct bus_link *l, int error)
{
	if (!l->bus)
		return;
	l->error = error;
	proceed_later(l);
}

void bus_link_drain(struct bus_link *l, int timeout_ms)
{
	uint64_t end = clock_monotonic_us() + (uint64_t)timeout_ms * 1000, now, queued;

	while (l->is_up && sd_bus_get_n_queued_write(l->bus, &queued) >= 0 && queued > 0) {
		struct pollfd p = { .fd = sd_bus_get_fd(l->bus), .events = POLLOUT };

		now = clock_monotonic_us();
		if (now >= end || poll(&p, 1, (int)((end - now) / 1000)) <= 0 ||
			sd_bus_process(l->bus, NULL) < 0)
			break;
	}
}

int bus_link_new(struct event_loop *loop, const char *address, uint64_t seed,
	const struct bus_link_ops *ops, void *userdata, struct bus_link **ret)
{
	_cleanup_(bus_link_freep) struct bus_link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->ops = ops;
	l->userdata = userdata;
	l->fd = -1;
	l->proceed = (struct loop_deferred){ .fn = proceed, .userdata = l };
	backoff_init(&l->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, seed);
	l->address = strdup(address);
	l->timeout = loop_timer_new(loop, on_timeout, l);
	l->retry = loop_timer_new(loop, on_retry, l);
	if (!l->address || !l->timeout || !l->retry)
		return -ENOMEM;
	l->watch = bus_watch_new(loop, address, on_watch, l);
	loop_timer_start_us(l->retry, 0);
	*ret = TAKE_PTR(l);
	return 0;
}

struct bus_link *bus_link_free(struct bus_link *l)
{
	if (!l)
		return NULL;
	if (l->is_up)
		l->ops->down(l->userdata, 0);
	event_loop_undefer(l->loop, &l->proceed);
	if (l->bus)
		close_bus(l);
	bus_watch_free(l->watch);
	loop_timer_free(l->timeout);
	loop_timer_free(l->retry);
	free(l->address);
	free(l);
	return NULL;
}
