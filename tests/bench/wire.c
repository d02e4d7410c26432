/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The least of a server of the chat protocol: one user, one chat, one session, whose messages come
 * as fast as the client takes them, or one by one. Nothing is stored and nothing is checked. What
 * it does is told on its input: "flood N", "trickle N" (one each 3 ms).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/uuid.h"
#include "tool.h"

#define CLIENTS_MAX 32
#define TRICKLE_MS 3
#define NOW_MS INT64_C(1790000000000)
#define WS_MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct client {
	int fd;
	size_t size;
	char input[1 << 16];
	bool is_session;
};

struct wire {
	struct client *clients[CLIENTS_MAX];
	struct client *session;
	int listener;
	char out[1 << 17];
	size_t out_start, out_end;
	int64_t seq, left, expected_echoes, echoes, heartbeat_s;
	uint64_t bytes_in, bytes_out;
	uint64_t flood_began;
	bool trickles;
};

#define OPCODE_TEXT 1
#define OPCODE_PING 9
#define OPCODE_PONG 10

static void frame(struct wire *w, unsigned opcode, const char *text, size_t size)
{
	unsigned char *head = (unsigned char *)w->out + w->out_end;

	head[0] = (unsigned char)(0x80 | opcode);
	if (size < 126) {
		head[1] = (unsigned char)size;
		w->out_end += 2;
	} else {
		head[1] = 126;
		head[2] = (unsigned char)(size >> 8);
		head[3] = (unsigned char)size;
		w->out_end += 4;
	}
	memcpy(w->out + w->out_end, text, size);
	w->out_end += size;
}

static void put_message(struct wire *w)
{
	char id[UUID_STRING_SIZE], text[1024];
	int n;

	uuid7_generate(id);
	n = snprintf(text, sizeof(text),
		"{\"connection_id\":\"c-1\",\"event_type\":\"MSG_IN\",\"payload\":{\"message\":{"
		"\"id\":\"%s\",\"chat_id\":\"chat-0\",\"user_id\":\"peer-0\",\"text\":\"t=%" PRIu64
		" A message of the length that people write, a hundred bytes or so, or less\","
		"\"status\":\"SENT\",\"created_at\":%" PRId64 ",\"attachments\":\"\","
		"\"seq\":%" PRId64 "},\"attachments\":[],\"user\":{\"id\":\"peer-0\",\"name\":"
		"\"Peer 0 Example\",\"picture_url\":null}}}",
		id, now_ns(), NOW_MS + w->seq, w->seq + 1);
	w->seq++;
	w->left--;
	frame(w, OPCODE_TEXT, text, (size_t)n);
}

/* Writes what the session takes, and makes more while there is more to come. */
static void pump(struct wire *w)
{
	for (;;) {
		ssize_t n;

		if (w->out_start == w->out_end)
			w->out_start = w->out_end = 0;
		while (!w->trickles && w->left > 0 && sizeof(w->out) - w->out_end > 2048)
			put_message(w);
		if (w->out_start == w->out_end)
			return;
		n = send(w->session->fd, w->out + w->out_start, w->out_end - w->out_start,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("the session broke");
		w->out_start += (size_t)n;
		w->bytes_out += (uint64_t)n;
	}
}

static void reply(struct client *c, const char *status, const char *body)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
		"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		status, strlen(body), body);

	write_all(c->fd, text, (size_t)n);
}

static void upgrade(struct wire *w, struct client *c)
{
	const char *key = strcasestr(c->input, "\r\nSec-WebSocket-Key:");
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[512], accept[64];
	unsigned size = 0;
	int n;

	errno = 0;
	if (!key)
		die("an upgrade without a key");
	key += 20 + strspn(key + 20, " ");
	n = snprintf(text, sizeof(text), "%.24s" WS_MAGIC, key);
	EVP_Digest(text, (size_t)n, digest, &size, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)accept, digest, (int)size);
	n = snprintf(text, sizeof(text),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n",
		accept);
	write_all(c->fd, text, (size_t)n);
	c->is_session = true;
	w->session = c;
	w->out_start = w->out_end = 0;
}

static void answer(struct wire *w, struct client *c)
{
	const char *what = c->input;

	if (strncmp(what, "GET /ws", 7) == 0)
		upgrade(w, c);
	else if (strncmp(what, "GET /login", 10) == 0)
		reply(c, "200 OK",
			"{\"token\":\"e30.e30.e30\",\"expires_at\":4000000000000,\"user\":{\"id\":"
			"\"alice\",\"name\":\"Alice Example\",\"picture_url\":null}}");
	else if (strncmp(what, "GET /chats?", 11) == 0 && !strstr(what, "changed_after"))
		reply(c, "200 OK",
			"{\"chats\":[{\"id\":\"chat-0\",\"user_id\":\"peer-0\",\"last_message_id\":"
			"null,\"last_user_id\":null,\"last_seq\":0,\"created_at\":1700000000000,"
			"\"read_seq\":0,\"peer_read_seq\":0,\"peer_received_seq\":0}],\"users\":[{"
			"\"id\":\"peer-0\",\"name\":\"Peer 0 Example\",\"picture_url\":null}],"
			"\"messages\":[],\"attachments\":[],\"more\":false,\"state\":\"1\"}");
	else if (strncmp(what, "GET /chats?", 11) == 0)
		reply(c, "200 OK",
			"{\"chats\":[],\"users\":[],\"messages\":[],\"attachments\":[],"
			"\"removed\":[],\"more\":false,\"state\":\"1\"}");
	else
		reply(c, "404 Not Found",
			"{\"type\":\"urn:chat:not_found\",\"title\":\"Not here\",\"status\":404,"
			"\"detail\":\"\"}");
}

static void take_frame(struct wire *w, char *text, size_t size)
{
	char hello[512];
	int n = snprintf(hello, sizeof(hello),
		"{\"connection_id\":\"c-1\",\"event_type\":\"HELLO\",\"payload\":{\"user_id\":"
		"\"alice\",\"server_time\":%" PRId64 ",\"heartbeat_s\":%" PRId64
		",\"max_in_flight\":32}}",
		NOW_MS, w->heartbeat_s);

	if (memmem(text, size, "\"HELLO\"", 7))
		frame(w, OPCODE_TEXT, hello, (size_t)n);
	w->echoes++;
	if (w->expected_echoes && w->echoes == w->expected_echoes) {
		double seconds = (double)(now_ns() - w->flood_began) / 1e9;

		printf("{\"seconds\": %.6f, \"per_s\": %.1f}\n", seconds,
			(double)w->expected_echoes / seconds);
		fflush(stdout);
		w->expected_echoes = 0;
	}
}

/* One frame off the input; its size, 0 when it is not whole. Clients mask what they send. */
static size_t parse_frame(struct wire *w, unsigned char *in, size_t have)
{
	size_t head = 2, size;
	unsigned char *mask;

	if (have < 6)
		return 0;
	size = in[1] & 0x7f;
	if (size == 126) {
		size = (size_t)in[2] << 8 | in[3];
		head = 4;
	}
	if (have < head + 4 + size)
		return 0;
	mask = in + head;
	for (size_t i = 0; i < size; i++)
		mask[4 + i] ^= mask[i % 4];
	if ((in[0] & 0x0f) == OPCODE_TEXT)
		take_frame(w, (char *)mask + 4, size);
	else if ((in[0] & 0x0f) == OPCODE_PING)
		frame(w, OPCODE_PONG, (char *)mask + 4, size);
	return head + 4 + size;
}

static void take_frames(struct wire *w, struct client *c)
{
	size_t at = 0, n;

	while ((n = parse_frame(w, (unsigned char *)c->input + at, c->size - at)) > 0)
		at += n;
	memmove(c->input, c->input + at, c->size - at);
	c->size -= at;
	pump(w);
}

static void take_requests(struct wire *w, struct client *c)
{
	char *end;

	while (!c->is_session && (end = memmem(c->input, c->size, "\r\n\r\n", 4))) {
		size_t n = (size_t)(end - c->input) + 4;

		*end = '\0';
		answer(w, c);
		memmove(c->input, c->input + n, c->size - n);
		c->size -= n;
	}
}

static void drop(struct wire *w, int i)
{
	if (w->session == w->clients[i])
		w->session = NULL;
	close(w->clients[i]->fd);
	free(w->clients[i]);
	w->clients[i] = NULL;
}

static void take_input(struct wire *w, int i)
{
	struct client *c = w->clients[i];
	ssize_t n = read(c->fd, c->input + c->size, sizeof(c->input) - c->size);

	if (n <= 0) {
		drop(w, i);
		return;
	}
	c->size += (size_t)n;
	w->bytes_in += c->is_session ? (uint64_t)n : 0;
	if (c->is_session)
		take_frames(w, c);
	else
		take_requests(w, c);
}

static void accept_one(struct wire *w)
{
	int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC), one = 1;

	for (int i = 0; i < CLIENTS_MAX; i++)
		if (!w->clients[i]) {
			w->clients[i] = calloc(1, sizeof(struct client));
			w->clients[i]->fd = fd;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			return;
		}
	die("too many connections");
}

/* False when the input has ended. */
static bool take_order(struct wire *w)
{
	char line[64] = { 0 };
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
	const char *number = strchr(line, ' ');

	if (n <= 0)
		return false;
	errno = 0;
	if (!number || !w->session)
		die("no order, or no session: %s", line);
	if (strncmp(line, "bytes", 5) == 0) {
		printf("{\"bytes\": %" PRIu64 "}\n", w->bytes_in + w->bytes_out);
		fflush(stdout);
		return true;
	}
	w->left = strtoll(number, NULL, 10);
	w->trickles = strncmp(line, "trickle", 7) == 0;
	w->echoes = 0;
	w->expected_echoes = w->left;
	w->flood_began = now_ns();
	if (!w->trickles)
		pump(w);
	return true;
}

static void poll_once(struct wire *w, bool *ret_go_on)
{
	struct pollfd fds[CLIENTS_MAX + 2] = { { .fd = w->listener, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN } };

	for (int i = 0; i < CLIENTS_MAX; i++) {
		bool writes = w->clients[i] && w->clients[i] == w->session &&
			(w->out_end > w->out_start || (w->left > 0 && !w->trickles));

		fds[i + 2].fd = w->clients[i] ? w->clients[i]->fd : -1;
		fds[i + 2].events = (short)(POLLIN | (writes ? POLLOUT : 0));
	}
	if (poll(fds, CLIENTS_MAX + 2, w->trickles && w->left > 0 ? TRICKLE_MS : -1) == 0) {
		put_message(w);
		pump(w);
	}
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (w->clients[i] && (fds[i + 2].revents & POLLOUT))
			pump(w);
		if (w->clients[i] && (fds[i + 2].revents & (POLLIN | POLLHUP | POLLERR)))
			take_input(w, i);
	}
	if (fds[0].revents)
		accept_one(w);
	if (fds[1].revents)
		*ret_go_on = take_order(w);
}

int main(int argc, char **argv)
{
	static struct wire w;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	bool go_on = true;

	w.heartbeat_s = argc > 1 ? number_of(argv[1], 1) : 30;
	w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(w.listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(w.listener, 16) < 0 ||
		getsockname(w.listener, (struct sockaddr *)&a, &size) < 0)
		die("socket");
	printf("ready http://127.0.0.1:%d\n", ntohs(a.sin_port));
	fflush(stdout);
	while (go_on)
		poll_once(&w, &go_on);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (w.clients[i])
			drop(&w, i);
	return 0;
}
