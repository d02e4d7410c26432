/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/hello.h"
#include "ipc/limits.h"

#define READ_SIZE (32u * 1024u)

static void on_taken(void *userdata, int fd, unsigned ready);

static size_t high_water(const struct peer *p)
{
	size_t share = ALL_PEERS_HIGH_WATER / (hub_count(p->api->hub) + 1);

	if (share < PEER_HIGH_WATER_MIN)
		return PEER_HIGH_WATER_MIN;
	return share < PEER_HIGH_WATER ? share : PEER_HIGH_WATER;
}

/* Whether what waits for the peer reaches that part of what may wait. */
static bool has_waiting(const struct peer *p, unsigned part)
{
	size_t bytes = p->output.load.bytes + line_queue_waiting_bytes(&p->lines);
	unsigned fds = p->output.load.fds + p->lines.finished.fds;
	uint64_t fd_bytes = p->output.load.fd_bytes + p->lines.finished.fd_bytes;

	return bytes >= high_water(p) / part || fds >= CLIENT_GIVEN_FDS_MAX / part ||
		fd_bytes >= CLIENT_GIVEN_BYTES_MAX / part;
}

static void update_choked(struct peer *p)
{
	output_check_taken(&p->output, p->fd);
	if (has_waiting(p, 1))
		p->choked = true;
	if (!p->choked || has_waiting(p, 2))
		return;
	p->choked = false;
	hub_schedule(p->api->hub);
	peer_proceed_later(p);
}

static bool may_start(struct peer *p)
{
	update_choked(p);
	return !p->dead && !p->choked && p->lines.calls.n < CLIENT_REQUESTS_MAX &&
		p->lines.request_bytes < CLIENT_REQUEST_BYTES_MAX;
}

/* Nothing is to be written, and nothing goes on before the peer has read what it was given. */
static bool waits_for_taking(const struct peer *p)
{
	return p->choked && p->output.load.bytes == 0 && p->output.given.fds > 0;
}

static void stop_watching_taking(struct peer *p)
{
	p->taken_io = loop_io_free(p->taken_io);
	closep(&p->taken_fd);
	p->taken_fd = -1;
}

/*
 * That a peer reads shows in the socket's becoming writable anew, which it is all the time. The
 * loop watches a descriptor in one way only, so that takes a second one.
 */
static void watch_taking(struct peer *p)
{
	if (!waits_for_taking(p)) {
		stop_watching_taking(p);
		return;
	}
	if (p->taken_io)
		return;
	p->taken_fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
	if (p->taken_fd >= 0)
		p->taken_io =
			loop_io_new(p->api->loop, p->taken_fd, LOOP_WRITE | LOOP_EDGE, on_taken, p);
	if (!p->taken_io) {
		log_warning("Cannot watch a frontend; it is disconnected.");
		peer_close(p);
	}
}

static void update_events(struct peer *p)
{
	unsigned events = 0;

	if (p->dead)
		return;
	if (!p->eof && may_start(p) && !p->lines.starting)
		events |= LOOP_READ;
	if (p->output.load.bytes > 0)
		events |= LOOP_WRITE;
	loop_io_set_events(p->io, events);
	watch_taking(p);
}

/* Nothing more comes and nothing is left to answer. */
static bool is_finished(const struct peer *p)
{
	return p->eof && p->lines.calls.n == 0 && !p->lines.starting && p->output.load.bytes == 0;
}

static bool start_one(struct peer *p)
{
	struct line line;

	if (p->lines.starting) {
		line_queue_next_of_batch(&p->lines);
		return true;
	}
	switch (line_reader_next(&p->reader, &line)) {
	case LINE_NONE:
		return false;
	case LINE_READY:
		line_queue_add(&p->lines, &line);
		line_reader_done(&p->reader);
		return true;
	case LINE_TOO_LONG:
		line_queue_too_long(&p->lines);
		return true;
	}
	return false;
}

static void proceed(void *userdata)
{
	struct peer *p = userdata;
	uint64_t end = clock_monotonic_us() + CLIENT_TURN_US;

	while (may_start(p) && start_one(p)) {
		if (clock_monotonic_us() < end)
			continue;
		peer_proceed_later(p);
		break;
	}
	update_events(p);
	if (is_finished(p))
		peer_close(p);
}

static void on_taken(void *userdata, int fd, unsigned ready)
{
	struct peer *p = userdata;

	loop_timer_start_us(p->stall_timer, p->api->stall_us);
	update_choked(p);
	if (!waits_for_taking(p))
		loop_timer_stop(p->stall_timer);
	update_events(p);
}

void peer_proceed_later(struct peer *p)
{
	if (!p->dead)
		event_loop_defer(p->api->loop, &p->proceed);
}

/* The descriptors that came with a message; NULL when none did. */
static struct fd_list *receive_fds(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	bool truncated = m->msg_flags & MSG_CTRUNC;
	struct fd_list *l;
	unsigned n = 0;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	if (n == 0 && !truncated)
		return NULL;
	l = fd_list_new();
	for (unsigned i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (l)
			l->fds[l->n++] = fd;
		else
			close(fd);
	}
	if (l && truncated) {
		/* Without room for more than are allowed, or without free descriptors here. */
		l->too_many = n == CHAT_FDS_MAX;
		l->lost = n < CHAT_FDS_MAX;
	}
	return l;
}

static ssize_t receive(struct peer *p)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * CHAT_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buffer_reserve(&p->reader.buffer, READ_SIZE), READ_SIZE };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	if (!iov.iov_base)
		return -ENOMEM;
	do
		n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	line_reader_commit(&p->reader, (size_t)n, receive_fds(&m));
	return n;
}

static void on_io(void *userdata, int fd, unsigned ready)
{
	struct peer *p = userdata;

	if (ready & LOOP_WRITE) {
		peer_flush(p);
		if (p->dead)
			return;
	}
	if ((ready & LOOP_READ) && !p->eof) {
		ssize_t n = receive(p);

		if (n == 0)
			p->eof = true;
		else if (n < 0 && n != -EAGAIN) {
			peer_close(p);
			return;
		}
	}
	proceed(p);
}

void peer_send(struct peer *p, struct chunk *line)
{
	if (!p->dead && (!line || output_append(&p->output, line) < 0)) {
		log_warning("Out of memory for the output of a frontend; it is disconnected.");
		peer_close(p);
	}
}

void peer_flush(struct peer *p)
{
	bool progress;
	int r;

	if (p->dead)
		return;
	r = output_write(&p->output, p->fd, &progress);
	if (r < 0 && r != -EAGAIN) {
		peer_close(p);
		return;
	}
	update_choked(p);
	if (r == 0 && !waits_for_taking(p))
		loop_timer_stop(p->stall_timer);
	else if (progress || !loop_timer_is_running(p->stall_timer))
		loop_timer_start_us(p->stall_timer, p->api->stall_us);
	update_events(p);
}

static void on_stall(void *userdata)
{
	struct peer *p = userdata;

	log_info(
		"A frontend (process %d) does not read any more; it is disconnected.", (int)p->pid);
	peer_close(p);
}

static bool is_full(void *userdata)
{
	struct peer *p = userdata;

	update_choked(p);
	return p->dead || p->choked || line_queue_withholds(&p->lines);
}

static void take_event(void *userdata, struct event *e)
{
	peer_send(userdata, event_line(e));
}

static void flush_events(void *userdata)
{
	peer_flush(userdata);
}

static const struct subscriber_ops subscriber_ops = {
	.is_full = is_full,
	.take = take_event,
	.flush = flush_events,
};

static void bury(void *userdata)
{
	struct peer *p = userdata;

	p->on_gone(p->userdata, p);
}

void peer_stop_reading(struct peer *p)
{
	p->eof = true;
	update_events(p);
}

void peer_close(struct peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	loop_io_set_events(p->io, 0);
	stop_watching_taking(p);
	loop_timer_stop(p->stall_timer);
	event_loop_undefer(p->api->loop, &p->proceed);
	event_loop_defer(p->api->loop, &p->bury);
}

static void greet(struct peer *p)
{
	_cleanup_(chunk_unrefp) struct chunk *line = hello_line(p->api, p->client.scopes);

	peer_send(p, line);
	peer_flush(p);
}

int peer_new(const struct peer_options *o, struct peer **ret)
{
	_cleanup_(peer_freep) struct peer *p = calloc(1, sizeof(*p));

	if (!p) {
		close(o->fd);
		return -ENOMEM;
	}
	p->api = o->api;
	p->fd = o->fd;
	p->taken_fd = -1;
	p->pid = o->pid;
	p->on_gone = o->on_gone;
	p->userdata = o->userdata;
	p->proceed = (struct loop_deferred){ .fn = proceed, .userdata = p };
	p->bury = (struct loop_deferred){ .fn = bury, .userdata = p };
	line_reader_init(&p->reader);
	line_queue_init(&p->lines, p);
	client_init(&p->client, p->api, o->scopes, &subscriber_ops, p);
	p->stall_timer = loop_timer_new(p->api->loop, on_stall, p);
	p->io = loop_io_new(p->api->loop, p->fd, LOOP_READ, on_io, p);
	if (!p->stall_timer || !p->io)
		return -ENOMEM;
	greet(p);
	*ret = TAKE_PTR(p);
	return 0;
}

struct peer *peer_free(struct peer *p)
{
	if (!p)
		return NULL;
	event_loop_undefer(p->api->loop, &p->proceed);
	event_loop_undefer(p->api->loop, &p->bury);
	line_queue_clear(&p->lines);
	client_clear(&p->client);
	stop_watching_taking(p);
	p->io = loop_io_free(p->io);
	p->stall_timer = loop_timer_free(p->stall_timer);
	line_reader_clear(&p->reader);
	output_clear(&p->output);
	close(p->fd);
	free(p);
	return NULL;
}
