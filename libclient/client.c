/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client as a whole: its settings, its life, and its place in the caller's loop. */
#include "client-internal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>

#define DEFAULT_TIMEOUT_MS 30000

int client_fail(struct chat_client *c, int code, const char *format, ...)
{
	char text[sizeof(c->error.detail)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(&c->error, code, "%s", text);
}

static int set_path(struct chat_client *c, const char *path)
{
	char *copy;

	if (c->fd >= 0) {
		client_fail(c, CHAT_CLIENT_ERROR_INVALID, "the client is connected already");
		return -EISCONN;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		client_fail(c, CHAT_CLIENT_ERROR_INVALID, "the socket's path is too long");
		return -ENAMETOOLONG;
	}
	copy = strdup(path);
	if (!copy)
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	free(c->path);
	c->path = copy;
	return 0;
}

int chat_client_set_socket_path(struct chat_client *c, const char *path)
{
	if (!path || !*path)
		return client_fail(c, CHAT_CLIENT_ERROR_INVALID, "the socket's path is empty");
	return set_path(c, path);
}

static bool is_account_name(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	return s && *s && *s != '.' && s[strspn(s, allowed)] == '\0';
}

int chat_client_set_account(struct chat_client *c, const char *account)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	char run_user[32];
	_cleanup_free_ char *path = NULL;

	if (!is_account_name(account))
		return client_fail(c, CHAT_CLIENT_ERROR_INVALID,
			"an account's name is letters, digits, '.', '_' and '-'");
	if (!runtime || !*runtime) {
		snprintf(run_user, sizeof(run_user), "/run/user/%u", (unsigned)getuid());
		runtime = run_user;
	}
	if (asprintf(&path, "%s/" CHAT_SOCKET_DIR "/%s.sock", runtime, account) < 0) {
		path = NULL;
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	}
	return set_path(c, path);
}

const char *chat_client_get_socket_path(const struct chat_client *c)
{
	return c->path;
}

void chat_client_set_timeout(struct chat_client *c, int timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

void chat_client_set_state_callback(
	struct chat_client *c, chat_client_state_fn callback, void *userdata)
{
	c->on_state = callback;
	c->on_state_userdata = userdata;
}

static void client_unref(struct chat_client *c)
{
	if (--c->references > 0)
		return;
	connection_close(c);
	request_free_all(c);
	subscription_clear(c);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c->path);
	free(c->focus);
	free(c);
}

int chat_client_new(struct chat_client **ret)
{
	struct chat_client *c = calloc(1, sizeof(*c));
	int e;

	if (!c)
		return -ENOMEM;
	c->references = 1;
	c->fd = -1;
	c->timeout_ms = DEFAULT_TIMEOUT_MS;
	c->subscription.seq = -1;
	TAILQ_INIT(&c->requests);
	TAILQ_INIT(&c->failed);
	error_clear(&c->error);
	error_clear(&c->down);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e = c->epoll_fd < 0 ? -errno : chat_client_set_account(c, CHAT_DEFAULT_ACCOUNT);
	if (e == -ENAMETOOLONG)
		e = 0; /* a path is still to be set; without, connecting says so */
	if (e < 0) {
		client_unref(c);
		return e;
	}
	*ret = c;
	return 0;
}

struct chat_client *chat_client_free(struct chat_client *c)
{
	if (!c)
		return NULL;
	c->closed = true;
	client_unref(c);
	return NULL;
}

const struct chat_error *chat_client_get_error(const struct chat_client *c)
{
	return &c->error.pub;
}

enum chat_client_state chat_client_get_state(const struct chat_client *c)
{
	return c->state;
}

const struct chat_hello *chat_client_get_hello(const struct chat_client *c)
{
	return c->state == CHAT_CLIENT_CONNECTED ? &c->hello : NULL;
}

int chat_client_get_fd(const struct chat_client *c)
{
	return c->epoll_fd;
}

int chat_client_get_events(const struct chat_client *c)
{
	return POLLIN;
}

uint64_t chat_client_get_timeout(const struct chat_client *c)
{
	uint64_t next = request_next_deadline(c);

	if (lines_pending(c) || !TAILQ_EMPTY(&c->failed))
		return 0;
	if (c->fd < 0 && connection_is_wanted(c) && c->reconnect_us < next)
		next = c->reconnect_us;
	if (c->state == CHAT_CLIENT_GREETING && c->hello_due_us < next)
		next = c->hello_due_us;
	return next;
}

/* Milliseconds from now to a time, rounded up so that it is past when they are; -1: never. */
static int ms_until(uint64_t when_us)
{
	uint64_t now = monotonic_us(), ms;

	if (when_us == UINT64_MAX)
		return -1;
	if (when_us <= now)
		return 0;
	ms = (when_us - now + 999) / 1000;
	return ms > 3600000 ? 3600000 : (int)ms;
}

int chat_client_get_timeout_ms(const struct chat_client *c)
{
	return ms_until(chat_client_get_timeout(c));
}

static bool expire_hello(struct chat_client *c, uint64_t now_us)
{
	struct error_store why;

	if (c->state != CHAT_CLIENT_GREETING || c->hello_due_us > now_us)
		return false;
	error_set(&why, CHAT_CLIENT_ERROR_TIMED_OUT, "the daemon does not greet");
	connection_lost(c, &why);
	return true;
}

int chat_client_dispatch(struct chat_client *c)
{
	uint64_t now = monotonic_us();
	bool any;

	if (c->dispatching)
		return -EDEADLK;
	c->dispatching = true;
	c->references++;

	any = expire_hello(c, now);
	any = (!c->closed && request_expire(c, now)) || any;
	any = (!c->closed && connection_try(c, now)) || any;
	any = (!c->closed && connection_write(c)) || any;
	any = (!c->closed && connection_read(c)) || any;
	any = (!c->closed && lines_process(c)) || any;
	any = (!c->closed && connection_write(c)) || any;
	any = (!c->closed && request_tell_failed(c)) || any;

	c->dispatching = false;
	client_unref(c);
	return any;
}

int chat_client_wait(struct chat_client *c, int timeout_ms)
{
	uint64_t due = deadline_after(monotonic_us(), timeout_ms);
	uint64_t own = chat_client_get_timeout(c);
	struct pollfd p = { .fd = c->epoll_fd, .events = POLLIN };
	int r = poll(&p, 1, ms_until(own < due ? own : due));

	if (r < 0)
		return -errno;
	return r > 0 || own <= monotonic_us();
}

static int run_once(struct chat_client *c)
{
	int r = chat_client_dispatch(c);

	if (r == 0 && !c->closed)
		r = chat_client_wait(c, -1);
	return r == -EINTR ? 0 : r;
}

int client_wait_for(struct chat_client *c, struct waiter *waiter)
{
	int r = 0;

	c->references++;
	while (!waiter->done && r >= 0) {
		r = run_once(c);
		if (c->closed && !waiter->done)
			r = -ECANCELED;
	}
	if (r >= 0 && waiter->error.pub.code != 0) {
		error_copy(&c->error, &waiter->error);
		r = chat_client_error_to_errno(c->error.pub.code);
	}
	client_unref(c);
	return r < 0 ? r : 0;
}

int chat_client_connect(struct chat_client *c)
{
	uint64_t due = deadline_after(monotonic_us(), c->timeout_ms);
	unsigned failures = c->failures;
	int r = 0;

	if (c->dispatching)
		return -EDEADLK;
	c->references++;
	c->reconnect_us = 0;
	c->connect_asked = true;
	while (r == 0 && c->state != CHAT_CLIENT_CONNECTED) {
		if (chat_client_dispatch(c) == 0)
			chat_client_wait(c, ms_until(due));
		if (c->closed) {
			r = -ECANCELED;
		} else if (c->failures != failures) {
			error_copy(&c->error, &c->down);
			r = chat_client_error_to_errno(c->error.pub.code);
		} else if (monotonic_us() >= due) {
			r = client_fail(
				c, CHAT_CLIENT_ERROR_TIMED_OUT, "the daemon does not greet");
		}
	}
	c->connect_asked = false;
	client_unref(c);
	return r;
}
