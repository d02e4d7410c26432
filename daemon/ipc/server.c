/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/peer.h"
#include "ipc/rpc.h"
#include "ipc/socket-path.h"

#define MAX_LISTENERS 8

/* Connections taken in one go before others get their turn. */
#define ACCEPT_MAX 64

/* Without free descriptors, accepting is tried again after this. */
#define ACCEPT_PAUSE_US 1000000u

TAILQ_HEAD(peer_list, peer);

struct listener {
	struct server *server;
	int fd;
	unsigned scopes;
	struct loop_io *io;
};

struct server {
	struct api *api;
	struct listener listeners[MAX_LISTENERS];
	unsigned n_listeners;
	struct loop_timer *pause;
	struct socket_path path;
	struct peer_list peers;
	unsigned n_peers, max_peers;
};

static void on_gone(void *userdata, struct peer *p)
{
	struct server *s = userdata;

	TAILQ_REMOVE(&s->peers, p, entry);
	s->n_peers--;
	peer_free(p);
}

/* One line and the end; if it does not fit into the socket's buffer, just the end. */
static void turn_away(int fd, enum chat_error_code code, const char *why)
{
	_cleanup_(chunk_unrefp) struct chunk *line = NULL;
	struct rpc_error e;

	rpc_error_set(&e, code, "%s", why);
	line = rpc_error_line(NULL, &e);
	if (line)
		(void)!send(fd, line->data, line->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* The process behind a connection, or -EPERM when it is another user's. */
static int check_credentials(int fd, pid_t *ret_pid)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	if (credentials.uid != geteuid())
		return -EPERM;
	*ret_pid = credentials.pid;
	return 0;
}

static void admit(struct listener *l, int fd)
{
	struct server *s = l->server;
	struct peer_options o = {
		.api = s->api,
		.fd = fd,
		.scopes = l->scopes,
		.on_gone = on_gone,
		.userdata = s,
	};
	struct peer *p;

	if (check_credentials(fd, &o.pid) < 0) {
		log_warning("A connection by another user is refused.");
		close(fd);
		return;
	}
	if (s->n_peers >= s->max_peers) {
		turn_away(fd, CHAT_ERROR_BUSY, "too many connections");
		return;
	}
	if (peer_new(&o, &p) < 0)
		return;
	TAILQ_INSERT_TAIL(&s->peers, p, entry);
	s->n_peers++;
}

static void set_accepting(struct server *s, bool accepting)
{
	for (unsigned i = 0; i < s->n_listeners; i++)
		loop_io_set_events(s->listeners[i].io, accepting ? LOOP_READ : 0);
}

static void on_pause_over(void *userdata)
{
	set_accepting(userdata, true);
}

static void on_connection(void *userdata, int listening, unsigned ready)
{
	struct listener *l = userdata;
	struct server *s = l->server;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(l, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			errno == ENOBUFS) {
			log_warning("Cannot accept a connection: %s", strerror(errno));
			set_accepting(s, false);
			loop_timer_start_us(s->pause, ACCEPT_PAUSE_US);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

int server_listen_on(struct server *s, int fd, unsigned scopes)
{
	struct listener *l = &s->listeners[s->n_listeners];

	if (s->n_listeners == MAX_LISTENERS) {
		close(fd);
		return -EINVAL;
	}
	*l = (struct listener){ .server = s, .fd = fd, .scopes = scopes };
	l->io = loop_io_new(s->api->loop, fd, LOOP_READ, on_connection, l);
	if (!l->io) {
		close(fd);
		return -ENOMEM;
	}
	s->n_listeners++;
	return 0;
}

int server_listen_at(struct server *s, const char *path)
{
	int fd, r;

	r = socket_path_listen(&s->path, path, &fd);
	return r < 0 ? r : server_listen_on(s, fd, SCOPES_ALL);
}

static unsigned scopes_of(const char *name)
{
	if (name && strcmp(name, "read") == 0)
		return SCOPE_READ;
	if (name && strcmp(name, "send") == 0)
		return SCOPE_SEND;
	return SCOPES_ALL;
}

static int listen_on_passed(struct server *s, int fd, const char *name)
{
	int r = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0);

	if (r <= 0) {
		close(fd);
		return r < 0 ? r : -EINVAL;
	}
	/* Another process may accept first. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return server_listen_on(s, fd, scopes_of(name));
}

static void free_names(char ***names)
{
	for (size_t i = 0; *names && (*names)[i]; i++)
		free((*names)[i]);
	free(*names);
}

int server_listen_systemd(struct server *s)
{
	_cleanup_(free_names) char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = 0;

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (r == 0)
			r = listen_on_passed(s, fd, names ? names[i] : NULL);
		else
			close(fd);
	}
	return r < 0 ? r : n;
}

static void turn_away_all(int listening, const char *why)
{
	int fd;

	if (fcntl(listening, F_SETFL, fcntl(listening, F_GETFL) | O_NONBLOCK) < 0)
		return;
	while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		turn_away(fd, CHAT_ERROR_STORAGE_ERROR, why);
}

void server_turn_away_systemd(const char *why)
{
	int n = sd_listen_fds(1);

	for (int i = 0; i < n; i++) {
		turn_away_all(SD_LISTEN_FDS_START + i, why);
		close(SD_LISTEN_FDS_START + i);
	}
}

/* Polls the peers that have something to be written; false when none has. */
static bool wait_writable(struct server *s, int timeout_ms)
{
	_cleanup_free_ struct pollfd *fds = calloc(s->n_peers + 1, sizeof(fds[0]));
	struct peer *p;
	nfds_t n = 0;

	if (!fds)
		return false;
	TAILQ_FOREACH(p, &s->peers, entry)
		if (!p->dead && p->output.load.bytes > 0)
			fds[n++] = (struct pollfd){ .fd = p->fd, .events = POLLOUT };
	return n > 0 && poll(fds, n, timeout_ms) > 0;
}

unsigned server_count_peers(const struct server *s)
{
	return s->n_peers;
}

void server_stop_accepting(struct server *s)
{
	loop_timer_stop(s->pause);
	set_accepting(s, false);
}

void server_drain(struct server *s, int timeout_ms)
{
	uint64_t end = clock_monotonic_us() + (uint64_t)timeout_ms * 1000, now;
	struct peer *p;

	set_accepting(s, false);
	TAILQ_FOREACH(p, &s->peers, entry) {
		peer_stop_reading(p);
		peer_flush(p);
	}
	while ((now = clock_monotonic_us()) < end) {
		if (!wait_writable(s, (int)((end - now) / 1000)))
			break;
		TAILQ_FOREACH(p, &s->peers, entry)
			peer_flush(p);
	}
}

int server_new(struct api *api, unsigned max_peers, struct server **ret)
{
	_cleanup_(server_freep) struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->api = api;
	s->max_peers = max_peers;
	TAILQ_INIT(&s->peers);
	s->pause = loop_timer_new(api->loop, on_pause_over, s);
	if (!s->pause)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

struct server *server_free(struct server *s)
{
	struct peer *p;

	if (!s)
		return NULL;
	while ((p = TAILQ_FIRST(&s->peers)))
		on_gone(s, p);
	for (unsigned i = 0; i < s->n_listeners; i++) {
		loop_io_free(s->listeners[i].io);
		close(s->listeners[i].fd);
	}
	socket_path_remove(&s->path);
	loop_timer_free(s->pause);
	free(s);
	return NULL;
}
