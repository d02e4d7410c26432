/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket: connecting, with backoff; bytes and descriptors in both directions. */
#include "client-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_SIZE 65536u

/* Reads in one dispatch, so that a flood of changes leaves the caller's loop some time. */
#define READS_MAX 4

bool connection_is_wanted(const struct chat_client *c)
{
	return c->connect_asked || c->subscription.wanted || c->focus || !TAILQ_EMPTY(&c->requests);
}

/* The one place where the state changes. The caller may have freed the client when it returns. */
static void set_state(
	struct chat_client *c, enum chat_client_state state, const struct error_store *why)
{
	bool same = c->state == state && !why;

	c->state = state;
	connection_watch(c);
	if (!same && c->on_state && !c->closed)
		c->on_state(c, state, why ? &why->pub : NULL, c->on_state_userdata);
}

void connection_watch(struct chat_client *c)
{
	unsigned events = EPOLLIN;
	struct epoll_event event = { 0 };

	if (c->fd < 0)
		return;
	if (c->state == CHAT_CLIENT_CONNECTED && !c->peer_reads_no_more && request_unsent(c))
		events |= EPOLLOUT;
	if (events == c->watched)
		return;
	event.events = events;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) == 0)
		c->watched = events;
}

void connection_close(struct chat_client *c)
{
	if (c->fd >= 0) {
		epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
		close(c->fd);
	}
	c->fd = -1;
	c->watched = 0;
	c->peer_reads_no_more = false;
	fds_close(c->received_fds, c->n_received_fds);
	c->n_received_fds = 0;
	free(c->input);
	c->input = NULL;
	c->input_start = c->input_end = c->input_allocated = c->input_scanned = 0;
	c->hello_result = result_unref(c->hello_result);
	c->hello = (struct chat_hello){ 0 };
}

/* Full jitter: clients that lost the daemon together do not come back together. */
static void plan_reconnect(struct chat_client *c, uint64_t now_us)
{
	uint64_t limit = (uint64_t)RECONNECT_BASE_MS << (c->attempt < 16 ? c->attempt : 16);

	if (limit > RECONNECT_CAP_MS)
		limit = RECONNECT_CAP_MS;
	c->attempt++;
	c->reconnect_us = now_us + (uint64_t)random_up_to((uint32_t)limit) * 1000u;
}

/* Another connection to the same daemon would end in the same way. */
static bool is_final(int code)
{
	return code == CHAT_CLIENT_ERROR_PROTOCOL || code == CHAT_CLIENT_ERROR_VERSION;
}

static void go_down(struct chat_client *c, const struct error_store *why, bool lost)
{
	uint64_t now = monotonic_us();
	struct error_store copy; /* `why` may be a part of what is cleared here */

	error_copy(&copy, why);
	if (c->connected_us && now - c->connected_us > STABLE_US)
		c->attempt = 0;
	connection_close(c);
	c->connected_us = 0;
	c->failures++;
	error_copy(&c->down, &copy);
	plan_reconnect(c, now);
	subscription_on_lost(c);
	if (lost)
		request_on_lost(c, &copy, is_final(copy.pub.code));
	else
		request_on_unreachable(c);
	set_state(c, CHAT_CLIENT_DISCONNECTED, &copy);
}

void connection_lost(struct chat_client *c, const struct error_store *why)
{
	if (c->fd >= 0)
		go_down(c, why, true);
}

void connection_protocol_error(struct chat_client *c, const char *detail)
{
	struct error_store why;

	error_set(&why, CHAT_CLIENT_ERROR_PROTOCOL, "%s", detail);
	connection_lost(c, &why);
}

static void explain_connect(struct chat_client *c, int error_number, struct error_store *ret)
{
	if (error_number == ENOENT || error_number == ECONNREFUSED)
		error_set(ret, CHAT_CLIENT_ERROR_NOT_RUNNING, "the daemon is not running (%s)",
			c->path);
	else if (error_number == EAGAIN)
		error_set(ret, CHAT_CLIENT_ERROR_BUSY, "the daemon accepts no connection (%s)",
			c->path);
	else
		error_set_errno(ret, error_number, c->path);
}

static int open_socket(struct chat_client *c)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct epoll_event event = { .events = EPOLLIN };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e;

	if (fd < 0)
		return -errno;
	strncpy(address.sun_path, c->path, sizeof(address.sun_path) - 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
		c->watched = EPOLLIN;
		return fd;
	}
	e = -errno;
	close(fd);
	return e;
}

bool connection_try(struct chat_client *c, uint64_t now_us)
{
	struct error_store why;
	int fd;

	if (c->fd >= 0 || !connection_is_wanted(c) || c->reconnect_us > now_us)
		return false;
	fd = open_socket(c);
	if (fd < 0) {
		explain_connect(c, -fd, &why);
		go_down(c, &why, false);
		return true;
	}
	c->fd = fd;
	c->hello_due_us = deadline_after(now_us, HELLO_TIMEOUT_MS);
	set_state(c, CHAT_CLIENT_GREETING, NULL);
	return true;
}

void connection_ready(struct chat_client *c)
{
	c->connected_us = monotonic_us();
	error_clear(&c->down);
	focus_resume(c);
	subscription_resume(c);
	if (c->fd >= 0)
		set_state(c, CHAT_CLIENT_CONNECTED, NULL);
}

/* Descriptors go with a request's first byte. */
static ssize_t send_some(int fd, const struct request *r)
{
	union {
		char bytes[CMSG_SPACE(CHAT_FDS_MAX * sizeof(int))];
		struct cmsghdr first;
	} control = { 0 };
	struct iovec iov = { r->line + r->sent, r->length - r->sent };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[CHAT_FDS_MAX];

	if (r->n_fds > 0 && r->sent == 0) {
		for (size_t i = 0; i < r->n_fds; i++)
			fds[i] = r->fds[i].fd;
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(r->n_fds * sizeof(int));
		control.first = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(r->n_fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.first), fds, r->n_fds * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What the peer said before it went is still to be read, so that reading finds out. */
static bool is_gone(int error_number)
{
	return error_number == EPIPE || error_number == ECONNRESET;
}

bool connection_write(struct chat_client *c)
{
	struct request *r;
	bool any = false;

	if (c->state != CHAT_CLIENT_CONNECTED || c->peer_reads_no_more)
		return false;
	while ((r = request_unsent(c))) {
		ssize_t n = send_some(c->fd, r);
		int e = n < 0 ? errno : 0;

		if (e == EINTR)
			continue;
		c->peer_reads_no_more = is_gone(e);
		if (e == EAGAIN || c->peer_reads_no_more)
			break;
		if (n < 0) {
			struct error_store why;

			error_set_errno(&why, e, "cannot send");
			request_fail(c, r, &why);
			connection_lost(c, &why);
			return true;
		}
		request_sent(c, r, (size_t)n);
		any = true;
	}
	connection_watch(c);
	return any;
}

/* Room for one more read behind what is held; 0 or -ENOMEM. */
static int reserve_input(struct chat_client *c)
{
	size_t held = c->input_end - c->input_start;
	size_t want = c->input_allocated ? c->input_allocated : READ_SIZE;
	char *input;

	if (c->input_start > 0) {
		memmove(c->input, c->input + c->input_start, held);
		c->input_scanned -= c->input_start;
		c->input_start = 0;
		c->input_end = held;
	}
	while (want < held + READ_SIZE)
		want *= 2;
	if (want == c->input_allocated)
		return 0;
	input = realloc(c->input, want);
	if (!input)
		return -ENOMEM;
	c->input = input;
	c->input_allocated = want;
	return 0;
}

/* Keeps the descriptors of a message. False when there are more than can be meant. */
static bool keep_fds(struct chat_client *c, struct msghdr *message)
{
	size_t too_many = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (c->n_received_fds < CHAT_FDS_MAX) {
				c->received_fds[c->n_received_fds++] = fd;
				continue;
			}
			close(fd);
			too_many++;
		}
	}
	return too_many == 0 && !(message->msg_flags & MSG_CTRUNC);
}

/* One read. 1: bytes came; 0: none now; -1: the connection is over. */
static int read_some(struct chat_client *c)
{
	union {
		char bytes[CMSG_SPACE(CHAT_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { c->input + c->input_end, c->input_allocated - c->input_end };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct error_store why;
	ssize_t n;

	do
		n = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && !is_gone(errno)) {
		error_set_errno(&why, errno, "cannot receive");
	} else if (n <= 0) {
		error_set(&why, CHAT_CLIENT_ERROR_DISCONNECTED, "the daemon closed the connection");
	} else if (!keep_fds(c, &message)) {
		error_set(&why, CHAT_CLIENT_ERROR_PROTOCOL, "the daemon sent too many descriptors");
	} else {
		c->input_end += (size_t)n;
		return 1;
	}
	connection_lost(c, &why);
	return -1;
}

bool connection_read(struct chat_client *c)
{
	bool any = false;

	for (int i = 0; i < READS_MAX && c->fd >= 0 && !c->closed; i++) {
		struct error_store why;
		int n;

		if (lines_pending(c))
			return true;
		if (c->input_end - c->input_start >= CHAT_LINE_MAX) {
			connection_protocol_error(c, "the daemon sent an oversized line");
			return true;
		}
		if (reserve_input(c) < 0) {
			error_set(&why, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
			connection_lost(c, &why);
			return true;
		}
		n = read_some(c);
		if (n == 0)
			break;
		any = true;
	}
	return any;
}
