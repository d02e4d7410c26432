/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "net-server.h"
#include "net/ws-client.h"

#define MAX_MESSAGE 10000

struct fixture {
	struct event_loop *loop;
	struct ws_client *client;
	struct net_server *server;
	char *certificate;
	/* What the client told. */
	unsigned opened, messages, closed;
	enum ws_failure failure;
	int http_status;
	char retry_after[32];
	char detail[200];
	struct buffer last; /* the last message, as a string */
	void (*in_open)(struct fixture *f);
	void (*in_message)(struct fixture *f);
	void (*in_closed)(struct fixture *f);
	size_t sum;
	/* What the server saw; its thread's until it says so. */
	char request[4096];
	char frame[MAX_MESSAGE + 1];
	int opcodes[8];
	unsigned n_opcodes;
	uint64_t pinged_at[3];
	atomic_bool served; /* the serving function is through */
	atomic_size_t sent;
	atomic_bool blocked;
	bool cut_when_blocked;
};

static void on_open(void *userdata)
{
	struct fixture *f = userdata;

	f->opened++;
	if (f->in_open)
		f->in_open(f);
}

static void on_message(void *userdata, const char *data, size_t len)
{
	struct fixture *f = userdata;

	f->messages++;
	f->sum += len;
	buffer_clear(&f->last);
	buffer_append(&f->last, data, len);
	buffer_append(&f->last, "", 1);
	if (f->in_message)
		f->in_message(f);
}

static void on_closed(void *userdata, const struct ws_end *end)
{
	struct fixture *f = userdata;

	f->closed++;
	f->failure = end->failure;
	f->http_status = end->http_status;
	snprintf(f->retry_after, sizeof(f->retry_after), "%s",
		end->retry_after ? end->retry_after : "");
	snprintf(f->detail, sizeof(f->detail), "%s", end->detail ? end->detail : "");
	if (f->in_closed)
		f->in_closed(f);
}

static const struct ws_client_events events = { on_open, on_message, on_closed };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = event_loop_new();
	f->client = ws_client_new(f->loop, &events, f);
	*state = f;
	return f->client ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ws_client_free(f->client);
	net_server_stop(f->server);
	event_loop_free(f->loop);
	if (f->certificate)
		unlink(f->certificate);
	free(f->certificate);
	buffer_clear(&f->last);
	free(f);
	return 0;
}

static int try_connect(struct fixture *f, const char *scheme, const char *ca_file)
{
	char url[100];
	struct ws_client_options o = {
		.url = url,
		.subprotocol = "chat.v1",
		.authorization = "Bearer t0ken",
		.ca_file = ca_file,
		.max_message = MAX_MESSAGE,
		.max_queued = 10 * MAX_MESSAGE,
	};

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u/ws?a=b", scheme, net_server_port(f->server));
	return ws_client_connect(f->client, &o);
}

static void connect_to(struct fixture *f, serve_fn serve)
{
	if (!f->server)
		f->server = net_server_start(serve, f, NULL);
	assert_int_equal(try_connect(f, "ws", NULL), 0);
}

#define WAIT_FOR(f, condition) \
	while (!(condition))   \
	event_loop_turn((f)->loop, true)

static const char *last(const struct fixture *f)
{
	return (const char *)buffer_bytes(&f->last);
}

/* Lets the loop sleep until the server is through, which by itself is no event for the loop. */
static void wait_until_served(struct fixture *f)
{
	while (!f->served) {
		event_loop_turn(f->loop, false);
		usleep(1000);
	}
}

static bool accept_websocket(struct peer *p)
{
	struct fixture *f = p->userdata;

	return peer_accept_websocket(p, f->request, sizeof(f->request));
}

/* Echoes text, records what opcodes came. */
static void serve_echo(struct peer *p)
{
	struct fixture *f = p->userdata;

	if (accept_websocket(p)) {
		int op;

		while ((op = peer_read_frame(p, f->frame, sizeof(f->frame))) >= 0) {
			f->opcodes[f->n_opcodes++ % ARRAY_SIZE(f->opcodes)] = op;
			if (op == WS_OP_TEXT)
				peer_send_frame(p, true, op, f->frame, strlen(f->frame));
			if (op == WS_OP_CLOSE) {
				peer_send_frame(p, true, op, "\x03\xe8", 2);
				break;
			}
		}
	}
	f->served = true;
}

static void send_text(struct fixture *f, const char *text)
{
	assert_int_equal(ws_client_send(f->client, text, strlen(text)), 0);
}

static void echo(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_echo);
	assert_int_equal(f->opened, 0);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	send_text(f, "hello");
	WAIT_FOR(f, f->messages);
	assert_string_equal(last(f), "hello");
	assert_memory_equal(f->request, "GET /ws?a=b HTTP/1.1\r\n", 22);
	assert_non_null(strcasestr(f->request, "\r\nauthorization: Bearer t0ken\r\n"));
	assert_non_null(strcasestr(f->request, "\r\nSec-WebSocket-Protocol: chat.v1\r\n"));
	assert_non_null(strcasestr(f->request, "\r\nHost: 127.0.0.1:"));
	assert_null(strcasestr(f->request, "Origin:"));
	assert_null(strcasestr(f->request, "Sec-WebSocket-Extensions:"));
	assert_int_equal(f->closed, 0);
}

static void large_and_empty_messages(void **state)
{
	struct fixture *f = *state;
	char large[MAX_MESSAGE + 1];

	memset(large, 'x', MAX_MESSAGE);
	large[MAX_MESSAGE] = '\0';
	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	send_text(f, large);
	WAIT_FOR(f, f->messages == 1);
	assert_string_equal(last(f), large);
	send_text(f, "");
	WAIT_FOR(f, f->messages == 2);
	assert_string_equal(last(f), "");
}

static void a_long_token_fits(void **state)
{
	struct fixture *f = *state;
	char token[3001], url[100];
	struct ws_client_options o = {
		.url = url, .subprotocol = "chat.v1", .authorization = token, .max_message = 100
	};

	memset(token, 't', 3000);
	token[3000] = '\0';
	f->server = net_server_start(serve_echo, f, NULL);
	snprintf(url, sizeof(url), "ws://localhost:%u/ws", net_server_port(f->server));
	assert_int_equal(ws_client_connect(f->client, &o), 0);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	assert_non_null(strstr(f->request, token));
}

static void many_messages_keep_their_order(void **state)
{
	struct fixture *f = *state;
	unsigned sent = 0;
	char text[32];

	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	while (f->messages < 5000) {
		unsigned before = f->messages;

		for (; sent < 5000 && sent - f->messages < 500; sent++) {
			snprintf(text, sizeof(text), "%u", sent);
			send_text(f, text);
		}
		WAIT_FOR(f, f->messages > before);
		snprintf(text, sizeof(text), "%u", f->messages - 1);
		assert_string_equal(last(f), text);
	}
	assert_int_equal(f->messages, 5000);
}

static void limits_of_sending(void **state)
{
	struct fixture *f = *state;
	char large[MAX_MESSAGE + 1] = { 0 };
	int r = 0;

	assert_int_equal(ws_client_send(f->client, "x", 1), -ENOTCONN);
	connect_to(f, serve_echo);
	assert_int_equal(ws_client_send(f->client, "x", 1), -ENOTCONN);
	assert_int_equal(try_connect(f, "ws", NULL), -EALREADY);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	assert_int_equal(ws_client_send(f->client, large, sizeof(large)), -EMSGSIZE);
	/* The server reads slower than memory is copied; at some point the queue is full. */
	for (int i = 0; r == 0 && i < 1000000; i++)
		r = ws_client_send(f->client, large, MAX_MESSAGE);
	assert_int_equal(r, -ENOBUFS);
}

static void bad_urls(void **state)
{
	static const char *const urls[] = { "", "http://127.0.0.1/", "ws://",
		"ws://u:p@127.0.0.1/" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct ws_client_options o = { .url = urls[i], .max_message = 100 };

		assert_int_equal(ws_client_connect(f->client, &o), -EINVAL);
	}
}

static void refused(void **state)
{
	struct fixture *f = *state;
	char url[64];
	struct ws_client_options o = { .url = url, .max_message = 100 };

	f->server = net_server_start(serve_echo, f, NULL);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", net_server_port(f->server));
	net_server_stop(f->server);
	f->server = NULL;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(ws_client_connect(f->client, &o), 0);
		WAIT_FOR(f, f->closed == i);
		assert_int_equal(f->failure, WS_UNREACHABLE);
		assert_string_equal(f->detail, "could not connect");
	}
	assert_int_equal(f->opened, 0);
}

static void serve_http(struct peer *p)
{
	struct fixture *f = p->userdata;
	static const char *const answers[] = {
		"401 Unauthorized\r\n",
		"503 Service Unavailable\r\nRetry-After: 17\r\n",
		"302 Found\r\nLocation: /elsewhere\r\n",
		"200 OK\r\n",
	};

	peer_read_request(p, f->request, sizeof(f->request));
	peer_print(p, "HTTP/1.1 %sContent-Length: 0\r\n\r\n", answers[p->number]);
	peer_wait_for_end(p);
}

static void upgrade_answered_by_http(void **state)
{
	static const struct {
		int status;
		const char *retry_after;
	} expected[] = { { 401, "" }, { 503, "17" }, { 302, "" }, { 200, "" } };
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		connect_to(f, serve_http);
		WAIT_FOR(f, f->closed == i + 1);
		assert_int_equal(f->failure, WS_HTTP);
		assert_int_equal(f->http_status, expected[i].status);
		assert_string_equal(f->retry_after, expected[i].retry_after);
	}
	assert_int_equal(f->opened, 0);
	assert_int_equal(net_server_connections(f->server), ARRAY_SIZE(expected));
}

static void serve_nonsense(struct peer *p)
{
	struct fixture *f = p->userdata;
	static const char *const answers[] = {
		"",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: bm9wZQ==\r\n\r\n"),
	};

	peer_read_request(p, f->request, sizeof(f->request));
	peer_print(p, "%s", answers[p->number]);
}

static void upgrade_answered_by_nonsense(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 4; i++) {
		connect_to(f, serve_nonsense);
		WAIT_FOR(f, f->closed == i);
		assert_int_equal(f->failure, WS_UNREACHABLE);
	}
	assert_int_equal(f->opened, 0);
}

static void serve_fragments(struct peer *p)
{
	struct fixture *f = p->userdata;

	if (!accept_websocket(p))
		return;
	peer_send_frame(p, false, WS_OP_TEXT, "one ", 4);
	peer_send_frame(p, true, WS_OP_PING, "p", 1);
	peer_send_frame(p, false, WS_OP_CONTINUATION, "", 0);
	peer_send_frame(p, false, WS_OP_CONTINUATION, "two ", 4);
	peer_send_frame(p, true, WS_OP_PONG, "", 0);
	peer_send_frame(p, true, WS_OP_CONTINUATION, "three", 5);
	peer_send_frame(p, true, WS_OP_TEXT, "four", 4);
	f->opcodes[0] = peer_read_frame(p, f->frame, sizeof(f->frame));
	f->served = true;
	peer_wait_for_end(p);
}

static void keep_first(struct fixture *f)
{
	if (f->messages == 1)
		assert_string_equal(last(f), "one two three");
}

static void fragments(void **state)
{
	struct fixture *f = *state;

	f->in_message = keep_first;
	connect_to(f, serve_fragments);
	WAIT_FOR(f, f->messages == 2);
	assert_string_equal(last(f), "four");
	wait_until_served(f);
	assert_int_equal(f->opcodes[0], WS_OP_PONG);
	assert_string_equal(f->frame, "p");
}

static void serve_byte_by_byte(struct peer *p)
{
	static const char bytes[] = "\x01\x03one\x80\x03two\x81\x05three";

	if (!accept_websocket(p))
		return;
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		peer_write(p, bytes + i, 1);
	peer_wait_for_end(p);
}

static void bytes_one_at_a_time(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_byte_by_byte);
	WAIT_FOR(f, f->messages == 2);
	assert_string_equal(last(f), "three");
	assert_int_equal(f->sum, 11);
}

static void serve_half_a_message(struct peer *p)
{
	if (!accept_websocket(p))
		return;
	peer_send_frame(p, true, WS_OP_TEXT, "whole", 5);
	peer_send_frame(p, false, WS_OP_TEXT, "begun", 5);
	peer_send_frame_head(p, true, WS_OP_CONTINUATION, 100);
	peer_write(p, "cut", 3);
}

static void cut_in_the_middle(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_half_a_message);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_CLOSED);
	assert_int_equal(f->messages, 1);
	assert_string_equal(last(f), "whole");
}

static void serve_broken_frames(struct peer *p)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "\x83\x01x", 3 },          /* an opcode that is not defined */
		{ "\xf1\x01x", 3 },          /* reserved bits */
		{ "\x80\x01x", 3 },          /* a continuation of nothing */
		{ "\x09\x01x", 3 },          /* a ping in fragments */
		{ "\x01\x01x\x81\x01y", 6 }, /* a message inside a message */
	};

	if (!accept_websocket(p))
		return;
	peer_write(p, cases[p->number].bytes, cases[p->number].len);
	peer_wait_for_end(p);
}

static void broken_frames(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 5; i++) {
		connect_to(f, serve_broken_frames);
		WAIT_FOR(f, f->closed == i);
		assert_int_equal(f->failure, WS_CLOSED);
	}
	assert_int_equal(f->messages, 0);
}

/* Reads the client's last word and its close. */
static void read_farewell(struct peer *p)
{
	struct fixture *f = p->userdata;
	char buf[200];

	f->opcodes[0] = peer_read_frame(p, f->frame, sizeof(f->frame));
	f->opcodes[1] = peer_read_frame(p, buf, sizeof(buf));
	f->opcodes[2] = (unsigned char)buf[0] << 8 | (unsigned char)buf[1];
	peer_send_frame(p, true, WS_OP_CLOSE, buf, 2);
	f->served = true;
}

static void serve_oversized(struct peer *p)
{
	char bytes[4000];

	memset(bytes, 'x', sizeof(bytes));
	if (!accept_websocket(p))
		return;
	switch (p->number) {
	case 0: /* claims a terabyte */
		peer_send_frame_head(p, true, WS_OP_TEXT, 1ull << 40);
		for (int i = 0; i < 5; i++)
			peer_write(p, bytes, sizeof(bytes));
		break;
	case 1: /* grows by and by */
		peer_send_frame(p, false, WS_OP_TEXT, bytes, sizeof(bytes));
		for (int i = 0; i < 2; i++)
			peer_send_frame(p, false, WS_OP_CONTINUATION, bytes, sizeof(bytes));
		break;
	default:
		peer_send_frame(p, true, WS_OP_BINARY, "\0\1", 2);
		break;
	}
	read_farewell(p);
}

static void say_goodbye(struct fixture *f)
{
	send_text(f, "goodbye");
}

static void what_is_not_accepted(void **state)
{
	static const struct {
		enum ws_failure failure;
		int close_code;
	} expected[] = { { WS_TOO_LARGE, 1009 }, { WS_TOO_LARGE, 1009 }, { WS_NOT_TEXT, 1003 } };
	struct fixture *f = *state;

	f->in_closed = say_goodbye;
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		f->served = false;
		connect_to(f, serve_oversized);
		WAIT_FOR(f, f->closed == i + 1);
		assert_int_equal(f->failure, expected[i].failure);
		wait_until_served(f);
		assert_int_equal(f->opcodes[0], WS_OP_TEXT);
		assert_string_equal(f->frame, "goodbye");
		assert_int_equal(f->opcodes[1], WS_OP_CLOSE);
		assert_int_equal(f->opcodes[2], expected[i].close_code);
		assert_int_equal(ws_client_send(f->client, "x", 1), -ENOTCONN);
	}
	assert_int_equal(f->messages, 0);
}

static void serve_close(struct peer *p)
{
	if (!accept_websocket(p))
		return;
	peer_send_frame(p, true, WS_OP_TEXT, "last", 4);
	peer_send_frame(p, true, WS_OP_CLOSE, "\x03\xe9going", 7);
	peer_wait_for_end(p);
}

static void closed_by_the_peer(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_close);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->failure, WS_CLOSED);
	assert_string_equal(f->detail, "closed by the server (1001)");
}

static void serve_pings(struct peer *p)
{
	struct fixture *f = p->userdata;
	int op = 0;

	if (!accept_websocket(p))
		return;
	/* Two pings are answered, the third is not. */
	while (op >= 0) {
		op = peer_read_frame(p, f->frame, sizeof(f->frame));
		if (op == WS_OP_PING && f->n_opcodes < 3)
			f->pinged_at[f->n_opcodes] = clock_monotonic_us();
		if (op == WS_OP_PING && f->n_opcodes++ < 2)
			peer_send_frame(p, true, WS_OP_PONG, f->frame, strlen(f->frame));
	}
	f->served = true;
}

static void heartbeat(void **state)
{
	struct fixture *f = *state;

	ws_client_set_heartbeat(f->client, 1, 1);
	connect_to(f, serve_pings);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_NO_PONG);
	wait_until_served(f);
	assert_int_equal(f->n_opcodes, 3);
}

/* Two answers prove an interval of a second; the next is of two. */
static void heartbeat_grows_slower(void **state)
{
	struct fixture *f = *state;

	ws_client_set_heartbeat(f->client, 1, 1);
	connect_to(f, serve_pings);
	WAIT_FOR(f, f->closed);
	wait_until_served(f);
	assert_int_equal(f->n_opcodes, 3);
	assert_true(f->pinged_at[2] - f->pinged_at[1] >= 1900000);
}

static void probe_at_once(struct fixture *f)
{
	ws_client_set_heartbeat(f->client, 3600, 3600);
	ws_client_probe(f->client);
}

static void serve_no_pings(struct peer *p)
{
	struct fixture *f = p->userdata;

	if (!accept_websocket(p))
		return;
	f->n_opcodes = peer_read_frame(p, f->frame, sizeof(f->frame)) == WS_OP_PING;
	peer_wait_for_end(p);
	f->served = true;
}

/* Long before the heartbeat would, and with less patience. */
static void a_probe_without_answer_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	f->in_open = probe_at_once;
	connect_to(f, serve_no_pings);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_NO_PONG);
	wait_until_served(f);
	assert_int_equal(f->n_opcodes, 1);
}

static void change_heartbeat(struct fixture *f)
{
	ws_client_set_heartbeat(f->client, 1, 1);
}

static void heartbeat_set_while_open(void **state)
{
	struct fixture *f = *state;

	f->in_open = change_heartbeat;
	connect_to(f, serve_pings);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_NO_PONG);
}

#define FLOOD_MESSAGES 12000
#define FLOOD_SIZE 4000

static void serve_flood(struct peer *p)
{
	struct fixture *f = p->userdata;
	struct timeval patience = { .tv_sec = 1 };
	char bytes[4 + FLOOD_SIZE] = { (char)0x81, 126, FLOOD_SIZE >> 8,
		(char)(FLOOD_SIZE & 0xff) };
	size_t at = 0;

	memset(bytes + 4, 'x', FLOOD_SIZE);
	if (!accept_websocket(p))
		return;
	setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (f->sent < FLOOD_MESSAGES * sizeof(bytes)) {
		ssize_t n = peer_try_write(p, bytes + at, sizeof(bytes) - at);

		if (n == -EAGAIN)
			f->blocked = true;
		if (n == -EPIPE || (n == -EAGAIN && f->cut_when_blocked))
			return;
		if (n == -EAGAIN)
			continue;
		at = (at + (size_t)n) % sizeof(bytes);
		f->sent += (size_t)n;
	}
	f->served = true;
	peer_wait_for_end(p);
}

/* A loop that does not come round stops the server by and by; nothing is lost once it does. */
static void be_slow(struct fixture *f)
{
	while (!f->blocked)
		usleep(10000);
	assert_true(f->sent < FLOOD_MESSAGES * (size_t)FLOOD_SIZE / 2);
	assert_int_equal(f->messages, 0);
	WAIT_FOR(f, f->messages == FLOOD_MESSAGES);
	assert_int_equal(f->sum, FLOOD_MESSAGES * (size_t)FLOOD_SIZE);
	assert_int_equal(f->closed, 0);
}

static void reading_stops_when_the_loop_is_busy(void **state)
{
	struct fixture *f = *state;

	ws_client_set_heartbeat(f->client, 1, 1);
	connect_to(f, serve_flood);
	be_slow(f);
}

static void reading_stops_over_tls_too(void **state)
{
	struct fixture *f = *state;

	f->certificate = make_certificate("IP:127.0.0.1", -3600, 3600);
	f->server = net_server_start(serve_flood, f, f->certificate);
	assert_int_equal(try_connect(f, "wss", f->certificate), 0);
	be_slow(f);
}

/* What was handed over before the end is delivered, and then the end. */
static void the_peer_goes_while_nobody_reads(void **state)
{
	struct fixture *f = *state;

	f->cut_when_blocked = true;
	connect_to(f, serve_flood);
	while (!f->blocked)
		usleep(10000);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_CLOSED);
	assert_true(f->messages > 500 && f->messages < FLOOD_MESSAGES);
	assert_int_equal(f->sum, f->messages * (size_t)FLOOD_SIZE);
}

static void a_turn_delivers_a_bounded_number(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_flood);
	while (!f->blocked)
		usleep(10000);
	while (f->messages < 1000) {
		unsigned before = f->messages;

		event_loop_turn(f->loop, true);
		assert_true(f->messages - before <= 300);
	}
}

static void close_sends_what_is_queued(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	for (int i = 0; i < 5; i++)
		send_text(f, "x");
	ws_client_close(f->client);
	assert_int_equal(ws_client_send(f->client, "x", 1), -ENOTCONN);
	wait_until_served(f);
	event_loop_turn(f->loop, false);
	assert_int_equal(f->n_opcodes, 6);
	assert_int_equal(f->opcodes[4], WS_OP_TEXT);
	assert_int_equal(f->opcodes[5], WS_OP_CLOSE);
	assert_int_equal(f->messages, 0);
	assert_int_equal(f->closed, 0);
}

static void connect_after_close_waits_for_it(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	send_text(f, "old");
	ws_client_close(f->client);
	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened == 2);
	assert_int_equal(f->opcodes[0], WS_OP_TEXT);
	assert_int_equal(f->opcodes[1], WS_OP_CLOSE);
	send_text(f, "new");
	WAIT_FOR(f, f->messages);
	assert_string_equal(last(f), "new");
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->closed, 0);
}

static void serve_deaf(struct peer *p)
{
	struct fixture *f = p->userdata;

	if (p->number == 1) {
		serve_echo(p);
		return;
	}
	/* Reads nothing and ignores the close; ends when the client gives up. */
	if (accept_websocket(p))
		while (recv(p->fd, f->frame, 1, MSG_PEEK) > 0 &&
			send(p->fd, "\x89\0", 2, MSG_NOSIGNAL) > 0)
			usleep(10000);
}

static void close_gives_up_on_a_deaf_peer(void **state)
{
	struct fixture *f = *state;
	char large[MAX_MESSAGE] = { 0 };

	connect_to(f, serve_deaf);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	while (ws_client_send(f->client, large, sizeof(large)) == 0)
		;
	ws_client_close(f->client);
	connect_to(f, NULL);
	WAIT_FOR(f, f->opened == 2);
	assert_int_equal(f->closed, 0);
}

static void free_gives_up_on_a_deaf_peer(void **state)
{
	struct fixture *f = *state;
	char large[MAX_MESSAGE] = { 0 };

	connect_to(f, serve_deaf);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	while (ws_client_send(f->client, large, sizeof(large)) == 0)
		;
	f->client = ws_client_free(f->client);
}

static void free_sends_what_is_queued(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->closed, 0);
	send_text(f, "bye");
	f->client = ws_client_free(f->client);
	wait_until_served(f);
	assert_int_equal(f->opcodes[0], WS_OP_TEXT);
	assert_int_equal(f->opcodes[1], WS_OP_CLOSE);
}

static void serve_silence(struct peer *p)
{
	struct fixture *f = p->userdata;

	peer_read_request(p, f->request, sizeof(f->request));
	f->served = true;
	peer_wait_for_end(p);
}

static void close_while_opening(void **state)
{
	struct fixture *f = *state;

	connect_to(f, serve_silence);
	wait_until_served(f);
	ws_client_close(f->client);
	connect_to(f, NULL);
	ws_client_close(f->client);
	connect_to(f, NULL);
	f->client = ws_client_free(f->client);
	event_loop_turn(f->loop, false);
	assert_int_equal(f->opened + f->closed, 0);
}

static void free_client(struct fixture *f)
{
	f->client = ws_client_free(f->client);
}

static void close_client(struct fixture *f)
{
	ws_client_close(f->client);
}

static void free_inside_open(void **state)
{
	struct fixture *f = *state;

	f->in_open = free_client;
	connect_to(f, serve_close);
	WAIT_FOR(f, !f->client);
	event_loop_turn(f->loop, false);
	assert_int_equal(f->messages + f->closed, 0);
}

static void free_inside_message(void **state)
{
	struct fixture *f = *state;

	f->in_message = free_client;
	connect_to(f, serve_fragments);
	WAIT_FOR(f, !f->client);
	event_loop_turn(f->loop, false);
	assert_int_equal(f->messages, 1);
}

static void free_inside_closed(void **state)
{
	struct fixture *f = *state;

	f->in_closed = free_client;
	connect_to(f, serve_close);
	WAIT_FOR(f, !f->client);
	assert_int_equal(f->closed, 1);
}

static void part_and_free(struct fixture *f)
{
	say_goodbye(f);
	free_client(f);
}

static void free_inside_a_refusal(void **state)
{
	struct fixture *f = *state;

	f->in_closed = part_and_free;
	connect_to(f, serve_oversized);
	WAIT_FOR(f, !f->client);
	wait_until_served(f);
	assert_string_equal(f->frame, "goodbye");
}

static void close_inside_message(void **state)
{
	struct fixture *f = *state;

	f->in_message = close_client;
	connect_to(f, serve_fragments);
	WAIT_FOR(f, f->messages);
	f->in_message = NULL;
	for (int i = 0; i < 10; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(f->messages, 1);
	assert_int_equal(f->closed, 0);
}

static void connect_again(struct fixture *f)
{
	if (f->closed < 3)
		connect_to(f, NULL);
}

static void connect_inside_closed(void **state)
{
	struct fixture *f = *state;

	f->in_closed = connect_again;
	connect_to(f, serve_close);
	WAIT_FOR(f, f->closed == 3);
	assert_int_equal(f->opened, 3);
	assert_int_equal(f->messages, 3);
}

static void try_tls(struct fixture *f, const char *name, long from_s, bool trust)
{
	f->certificate = make_certificate(name, from_s, 3600);
	f->server = net_server_start(serve_echo, f, f->certificate);
	assert_int_equal(try_connect(f, "wss", trust ? f->certificate : NULL), 0);
	WAIT_FOR(f, f->opened || f->closed);
}

static void tls(void **state)
{
	struct fixture *f = *state;

	try_tls(f, "IP:127.0.0.1", -3600, true);
	assert_string_equal(f->detail, "");
	assert_int_equal(f->opened, 1);
	send_text(f, "hello");
	WAIT_FOR(f, f->messages);
	assert_string_equal(last(f), "hello");
}

static void assert_refused_certificate(const struct fixture *f)
{
	assert_int_equal(f->opened, 0);
	assert_int_equal(f->failure, WS_TLS);
	assert_memory_equal(f->detail, "TLS: ", 5);
}

static void tls_by_name(void **state)
{
	struct fixture *f = *state;
	struct ws_client_options o = { .subprotocol = "chat.v1", .max_message = 100 };
	char url[64];

	f->certificate = make_certificate("DNS:localhost", -3600, 3600);
	f->server = net_server_start(serve_echo, f, f->certificate);
	snprintf(url, sizeof(url), "wss://localhost:%u/", net_server_port(f->server));
	o.url = url;
	o.ca_file = f->certificate;
	assert_int_equal(ws_client_connect(f->client, &o), 0);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->opened, 1);
}

static void tls_unknown_issuer(void **state)
{
	try_tls(*state, "IP:127.0.0.1", -3600, false);
	assert_refused_certificate(*state);
}

static void tls_wrong_name(void **state)
{
	try_tls(*state, "DNS:elsewhere.example", -3600, true);
	assert_refused_certificate(*state);
}

static void tls_wrong_address(void **state)
{
	try_tls(*state, "IP:127.0.0.2", -3600, true);
	assert_refused_certificate(*state);
}

static void tls_not_yet_valid(void **state)
{
	try_tls(*state, "IP:127.0.0.1", 1800, true);
	assert_refused_certificate(*state);
}

static void tls_where_none_is_spoken(void **state)
{
	struct fixture *f = *state;

	f->server = net_server_start(serve_nonsense, f, NULL);
	assert_int_equal(try_connect(f, "wss", NULL), 0);
	net_server_stop(f->server);
	f->server = NULL;
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_UNREACHABLE);
}

static void tls_without_ca_file(void **state)
{
	struct fixture *f = *state;

	f->server = net_server_start(serve_nonsense, f, NULL);
	assert_int_equal(try_connect(f, "wss", "/nonexistent/ca.pem"), 0);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_TLS);
	assert_string_equal(f->detail, "TLS: the CA file cannot be read");
}

static void the_proxy_of_the_environment_is_not_for_loopback(void **state)
{
	struct fixture *f = *state;

	setenv("http_proxy", "127.0.0.1:1", 1);
	connect_to(f, serve_echo);
	WAIT_FOR(f, f->opened || f->closed);
	unsetenv("http_proxy");
	assert_int_equal(f->opened, 1);
}

static void serve_as_proxy(struct peer *p)
{
	struct fixture *f = p->userdata;

	if (!peer_read_request(p, f->request, sizeof(f->request)) ||
		strncmp(f->request, "CONNECT chat.invalid:80 ", 24) != 0)
		return;
	peer_print(p, "HTTP/1.0 200 OK\r\n\r\n");
	serve_echo(p);
}

static int connect_by_name(struct fixture *f)
{
	struct ws_client_options o = {
		.url = "ws://chat.invalid/ws",
		.subprotocol = "chat.v1",
		.max_message = MAX_MESSAGE,
		.max_queued = MAX_MESSAGE,
	};

	return ws_client_connect(f->client, &o);
}

static void the_proxy_of_the_environment_is_used_but_for_no_proxy(void **state)
{
	struct fixture *f = *state;
	char proxy[64];

	f->server = net_server_start(serve_as_proxy, f, NULL);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u/", net_server_port(f->server));
	setenv("http_proxy", proxy, 1);
	assert_int_equal(connect_by_name(f), 0);
	WAIT_FOR(f, f->opened || f->closed);
	assert_int_equal(f->opened, 1);
	ws_client_close(f->client);
	setenv("no_proxy", ".invalid", 1);
	assert_int_equal(connect_by_name(f), 0);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->failure, WS_UNREACHABLE);
	assert_int_equal(net_server_connections(f->server), 1);
	unsetenv("no_proxy");
	setenv("http_proxy", "socks5://127.0.0.1:1", 1);
	assert_int_equal(connect_by_name(f), 0);
	WAIT_FOR(f, f->closed == 2);
	assert_string_equal(f->detail, "a proxy of that kind is not supported");
	unsetenv("http_proxy");
}

static void free_without_a_connection(void **state)
{
	struct fixture *f = *state;

	f->client = ws_client_free(f->client);
	assert_null(ws_client_free(NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(echo),
		TEST(large_and_empty_messages),
		TEST(a_long_token_fits),
		TEST(many_messages_keep_their_order),
		TEST(limits_of_sending),
		TEST(bad_urls),
		TEST(refused),
		TEST(upgrade_answered_by_http),
		TEST(upgrade_answered_by_nonsense),
		TEST(fragments),
		TEST(bytes_one_at_a_time),
		TEST(cut_in_the_middle),
		TEST(broken_frames),
		TEST(what_is_not_accepted),
		TEST(closed_by_the_peer),
		TEST(heartbeat),
		TEST(heartbeat_grows_slower),
		TEST(heartbeat_set_while_open),
		TEST(a_probe_without_answer_ends_the_connection),
		TEST(reading_stops_when_the_loop_is_busy),
		TEST(reading_stops_over_tls_too),
		TEST(the_peer_goes_while_nobody_reads),
		TEST(a_turn_delivers_a_bounded_number),
		TEST(close_sends_what_is_queued),
		TEST(connect_after_close_waits_for_it),
		TEST(close_gives_up_on_a_deaf_peer),
		TEST(free_gives_up_on_a_deaf_peer),
		TEST(free_sends_what_is_queued),
		TEST(close_while_opening),
		TEST(free_inside_open),
		TEST(free_inside_message),
		TEST(free_inside_closed),
		TEST(free_inside_a_refusal),
		TEST(close_inside_message),
		TEST(connect_inside_closed),
		TEST(tls),
		TEST(tls_by_name),
		TEST(tls_unknown_issuer),
		TEST(tls_wrong_name),
		TEST(tls_wrong_address),
		TEST(tls_not_yet_valid),
		TEST(tls_where_none_is_spoken),
		TEST(tls_without_ca_file),
		TEST(the_proxy_of_the_environment_is_not_for_loopback),
		TEST(the_proxy_of_the_environment_is_used_but_for_no_proxy),
		TEST(free_without_a_connection),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	alarm(240); /* a test that waits for what never comes */
	return cmocka_run_group_tests_name("ws-client", tests, NULL, NULL);
}
