/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client-server.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void server_listen(struct server *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->listener, 8), 0);
}

void server_start(struct server *s)
{
	*s = (struct server){ .listener = -1, .fd = -1 };
	strcpy(s->directory, "/tmp/chat-client-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->path, sizeof(s->path), "%s/s", s->directory);
	server_listen(s);
}

void server_unlisten(struct server *s)
{
	if (s->listener < 0)
		return;
	close(s->listener);
	unlink(s->path);
	s->listener = -1;
}

void server_drop(struct server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->held = 0;
	for (size_t i = 0; i < s->n_fds; i++)
		close(s->fds[i]);
	s->n_fds = 0;
}

void server_stop(struct server *s)
{
	server_unlisten(s);
	server_drop(s);
	rmdir(s->directory);
}

/* Connections that the client has given up meanwhile are passed over. */
static bool try_accept(struct server *s)
{
	char byte;

	do {
		server_drop(s);
		s->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	} while (s->fd >= 0 && recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
	return s->fd >= 0;
}

void server_accept(struct server *s)
{
	struct pollfd p = { .fd = s->listener, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(try_accept(s));
}

void server_send_fds(struct server *s, const char *bytes, const int *fds, size_t n)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, strlen(bytes) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(n * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(s->fd, &message, MSG_NOSIGNAL), strlen(bytes));
}

void server_send(struct server *s, const char *bytes)
{
	server_send_fds(s, bytes, NULL, 0);
}

static void read_more(struct server *s)
{
	union {
		char bytes[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { s->input + s->held, sizeof(s->input) - s->held };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	n = recvmsg(s->fd, &message, MSG_CMSG_CLOEXEC);
	assert_true(n > 0);
	s->held += (size_t)n;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(s->fds + s->n_fds, CMSG_DATA(h), count * sizeof(int));
		s->n_fds += count;
	}
}

cJSON *server_read(struct server *s)
{
	char *end;
	cJSON *json;

	while (!(end = memchr(s->input, '\n', s->held)))
		read_more(s);
	json = cJSON_ParseWithLength(s->input, (size_t)(end - s->input));
	assert_non_null(json);
	s->held -= (size_t)(end + 1 - s->input);
	memmove(s->input, end + 1, s->held);
	return json;
}

static int expect(struct server *s, const char *method, const char *params)
{
	cJSON *request = server_read(s);
	int id = cJSON_GetObjectItem(request, "id")->valueint;

	assert_string_equal(cJSON_GetObjectItem(request, "method")->valuestring, method);
	assert_string_equal(cJSON_GetObjectItem(request, "jsonrpc")->valuestring, "2.0");
	if (params) {
		char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(request, "params"));

		assert_non_null(text);
		assert_string_equal(text, params);
		cJSON_free(text);
	}
	cJSON_Delete(request);
	return id;
}

int server_expect(struct server *s, const char *method)
{
	return expect(s, method, NULL);
}

int server_expect_params(struct server *s, const char *method, const char *params)
{
	return expect(s, method, params);
}

void server_answer(struct server *s, int id, const char *result)
{
	char *line;

	assert_true(
		asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":%s}\n", id, result) > 0);
	server_send(s, line);
	free(line);
}

void server_refuse(struct server *s, int id, int code, const char *kind, const char *detail)
{
	char line[1000];

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"error\":{\"code\":%d,\"message\":\"m\",\"data\":"
		"{\"kind\":\"%s\",\"retryable\":true,\"retry_after_ms\":1500,\"detail\":\"%s\"}}}"
		"\n",
		id, code, kind, detail);
	server_send(s, line);
}

struct chat_client *client_of(struct server *s)
{
	struct chat_client *c = NULL;

	assert_int_equal(chat_client_new(&c), 0);
	assert_int_equal(chat_client_set_socket_path(c, s->path), 0);
	return c;
}

void settle(struct chat_client *c)
{
	int r;

	do
		r = chat_client_dispatch(c);
	while (r > 0);
	assert_int_equal(r, 0);
}

void run_until(struct chat_client *c, const bool *done)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (!*done) {
		assert_true(now_ms() < end);
		if (chat_client_dispatch(c) == 0 && !*done)
			chat_client_wait(c, 1000);
	}
}

void run_until_accepted(struct chat_client *c, struct server *s)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (!try_accept(s)) {
		assert_true(now_ms() < end);
		if (chat_client_dispatch(c) == 0)
			chat_client_wait(c, 10); /* the listener is not what it waits for */
	}
	server_send(s, HELLO);
	settle(c);
}

static void ignore_status(struct chat_client *c, const struct chat_error *error,
	const struct chat_status *status, void *userdata)
{
}

struct chat_client *connected_client(struct server *s)
{
	struct chat_client *c = client_of(s);
	int request = chat_client_get_status_async(c, ignore_status, NULL);

	assert_true(request > 0);
	run_until_accepted(c, s);
	server_expect(s, "daemon.status");
	assert_int_equal(chat_client_cancel(c, request), 0);
	assert_int_equal(chat_client_get_state(c), CHAT_CLIENT_CONNECTED);
	return c;
}

int server_setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	server_start(s);
	*state = s;
	return 0;
}

int server_teardown(void **state)
{
	server_stop(*state);
	free(*state);
	return 0;
}

int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
