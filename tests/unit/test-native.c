/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The native service against a server that follows a script: what a real one says seldom or never.
 */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "net-server.h"
#include "service/native/native.h"
#include "tests/backend/web-push.h"

#define MAX_STEPS 12

/* What the server does with one connection. */
struct step {
	const char *status; /* of an HTTP answer: "200 OK"; NULL: a WebSocket */
	const char *headers;
	const char *body;
	const char *const *frames; /* after the greeting; NULL ends them */
	bool no_greeting;
	bool close; /* after the frames */
	int opcode; /* of the frames; 0: text */
};

struct fixture {
	struct event_loop *loop;
	struct service *service;
	struct net_server *server, *other;
	const struct step *steps;
	size_t n_steps;
	char requests[MAX_STEPS][8192]; /* of each connection, with its body */
	char frames[MAX_STEPS][4096];   /* that came on a WebSocket, one a line */
	atomic_uint served;             /* connections the server is through with */
	char *server_url;
	/* What the service told. */
	unsigned connected, greeted, closed, messages, accepted, rejected, received, read, tokens,
		done;
	unsigned max_in_flight;
	struct problem problem;
	struct message message;
	char author[65], text[200], ids[3][65];
	int64_t numbers[2];
	char token[100];
	enum problem_class classes[4]; /* of rejections */
	void (*in_event)(struct fixture *f);
	void (*in_connected)(struct fixture *f);
	void (*in_done)(struct fixture *f);
	struct service_call *call;
	struct buffer bytes;
	int64_t offsets[8];
	unsigned n_offsets;
	int source_errno;
};

static void tell(struct fixture *f)
{
	if (f->in_event)
		f->in_event(f);
}

static void keep(struct fixture *f, const struct problem *p)
{
	problem_clear(&f->problem);
	if (p)
		problem_copy(p, &f->problem);
}

static void on_connected(void *userdata)
{
	struct fixture *f = userdata;

	f->connected++;
	if (f->in_connected)
		f->in_connected(f);
}

static void on_greeted(void *userdata, const char *user_id, unsigned max_in_flight)
{
	struct fixture *f = userdata;

	f->greeted++;
	f->max_in_flight = max_in_flight;
	snprintf(f->author, sizeof(f->author), "%s", user_id);
	tell(f);
}

static void on_closed(void *userdata, const struct problem *p)
{
	struct fixture *f = userdata;

	f->closed++;
	keep(f, p);
	tell(f);
}

static void on_message(void *userdata, struct message *m, const struct user *author)
{
	struct fixture *f = userdata;

	f->messages++;
	message_clear(&f->message);
	f->message = *m;
	*m = (struct message){ 0 };
	snprintf(f->author, sizeof(f->author), "%s", author ? author->name : "");
	tell(f);
}

static void on_accepted(void *userdata, const char *message_id, const char *chat_id, int64_t seq,
	int64_t created_at)
{
	struct fixture *f = userdata;

	f->accepted++;
	snprintf(f->ids[0], sizeof(f->ids[0]), "%s", message_id);
	snprintf(f->ids[1], sizeof(f->ids[1]), "%s", chat_id);
	f->numbers[0] = seq;
	f->numbers[1] = created_at;
	tell(f);
}

static void on_rejected(void *userdata, const char *message_id, const struct problem *p)
{
	struct fixture *f = userdata;

	f->rejected++;
	f->classes[f->rejected % ARRAY_SIZE(f->classes)] = p->class;
	snprintf(f->ids[0], sizeof(f->ids[0]), "%s", message_id);
	keep(f, p);
	tell(f);
}

static void on_received(void *userdata, const char *chat_id, const char *message_id)
{
	struct fixture *f = userdata;

	f->received++;
	snprintf(f->ids[0], sizeof(f->ids[0]), "%s", message_id);
	snprintf(f->ids[1], sizeof(f->ids[1]), "%s", chat_id);
	tell(f);
}

static void on_read(
	void *userdata, const char *chat_id, const char *message_id, const char *user_id)
{
	struct fixture *f = userdata;

	f->read++;
	snprintf(f->ids[0], sizeof(f->ids[0]), "%s", message_id);
	snprintf(f->ids[1], sizeof(f->ids[1]), "%s", chat_id);
	snprintf(f->ids[2], sizeof(f->ids[2]), "%s", user_id);
	tell(f);
}

static void on_token(void *userdata, const char *token, int64_t expires_at)
{
	struct fixture *f = userdata;

	f->tokens++;
	snprintf(f->token, sizeof(f->token), "%s", token);
	tell(f);
}

static const struct service_events events = {
	.on_connected = on_connected,
	.on_greeted = on_greeted,
	.on_closed = on_closed,
	.on_message = on_message,
	.on_accepted = on_accepted,
	.on_rejected = on_rejected,
	.on_received = on_received,
	.on_read = on_read,
	.on_token = on_token,
};

#define GREETING                                                                               \
	"{\"connection_id\":\"k-1\",\"event_type\":\"HELLO\",\"payload\":{\"user_id\":\"u1\"," \
	"\"server_time\":1,\"heartbeat_s\":30,\"max_in_flight\":8}}"

static void serve_websocket(struct peer *p, const struct step *s, char *request, char *frames)
{
	char buf[3000];
	int op;

	if (!peer_accept_websocket(p, request, sizeof(((struct fixture *)NULL)->requests[0])))
		return;
	if (!s->no_greeting) {
		if (peer_read_frame(p, buf, sizeof(buf)) != WS_OP_TEXT)
			return;
		strcat(strcat(frames, buf), "\n");
		peer_send_frame(p, true, WS_OP_TEXT, GREETING, strlen(GREETING));
	}
	for (const char *const *f = s->frames; f && *f; f++)
		peer_send_frame(p, true, s->opcode ? s->opcode : WS_OP_TEXT, *f, strlen(*f));
	if (s->close)
		return;
	while ((op = peer_read_frame(p, buf, sizeof(buf))) >= 0) {
		if (op == WS_OP_TEXT)
			strcat(strcat(frames, buf), "\n");
		if (op == WS_OP_CLOSE) {
			peer_send_frame(p, true, op, "\x03\xe8", 2);
			return;
		}
	}
}

static void serve(struct peer *p)
{
	struct fixture *f = p->userdata;
	const struct step *s = &f->steps[p->number];
	char *request = f->requests[p->number];

	if (p->number >= f->n_steps)
		return;
	if (!s->status) {
		serve_websocket(p, s, request, f->frames[p->number]);
	} else if (peer_read_request(p, request, sizeof(f->requests[0]))) {
		peer_print(p, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			s->status, s->headers ? s->headers : "", s->body ? strlen(s->body) : 0,
			s->body && memcmp(request, "HEAD", 4) != 0 ? s->body : "");
	}
	f->served++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct native_options o = { .client = "test/1" };

	f->loop = event_loop_new();
	f->service = native_service_new(f->loop, &o);
	if (!f->service)
		return -1;
	service_set_events(f->service, &events, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	service_free(f->service);
	net_server_stop(f->server);
	net_server_stop(f->other);
	event_loop_free(f->loop);
	problem_clear(&f->problem);
	message_clear(&f->message);
	buffer_clear(&f->bytes);
	free(f->server_url);
	free(f);
	return 0;
}

static void sign_in(struct fixture *f, const char *server, const char *token)
{
	struct service_credentials c = {
		.server = server,
		.user_id = "u1",
		.password = "secret",
		.device_id = "d1",
		.token = token,
	};

	assert_int_equal(f->service->session->set_credentials(f->service, &c), 0);
}

static void start_n(struct fixture *f, const struct step *steps, size_t n, const char *token)
{
	f->steps = steps;
	f->n_steps = n;
	f->server = net_server_start(serve, f, NULL);
	assert_true(
		asprintf(&f->server_url, "http://127.0.0.1:%u", net_server_port(f->server)) > 0);
	sign_in(f, f->server_url, token);
}

/* One step for each connection; what comes after them is hung up on. */
#define start(f, steps, token) start_n(f, steps, ARRAY_SIZE(steps), token)

static void connect_session(struct fixture *f)
{
	assert_int_equal(f->service->session->connect(f->service), 0);
}

#define WAIT_FOR(f, condition) \
	while (!(condition))   \
	event_loop_turn((f)->loop, true)

static void wait_until_served(struct fixture *f, unsigned n)
{
	while (f->served < n) {
		event_loop_turn(f->loop, false);
		usleep(1000);
	}
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		event_loop_turn(f->loop, false);
}

/* -- the session -- */

static void greeting(void **state)
{
	static const struct step steps[] = { { 0 } };
	struct fixture *f = *state;
	struct message m = { .id = strdup("m1"), .chat_id = strdup("c1"), .text = strdup("hello") };

	start(f, steps, "t0k");
	assert_int_equal(f->service->room->send(f->service, &m), -ENOTCONN);
	connect_session(f);
	assert_int_equal(f->service->session->connect(f->service), -EALREADY);
	assert_int_equal(f->greeted, 0);
	WAIT_FOR(f, f->greeted);
	assert_int_equal(f->connected, 1);
	assert_int_equal(f->max_in_flight, 8);
	assert_string_equal(f->author, "u1");
	assert_int_equal(f->service->room->send(f->service, &m), 0);
	assert_int_equal(f->service->room->send_received(f->service, "c1", "m0"), 0);
	assert_int_equal(f->service->room->send_read(f->service, "c1", "m0"), 0);
	f->service->session->disconnect(f->service, "enough");
	assert_int_equal(f->service->room->send(f->service, &m), -ENOTCONN);
	wait_until_served(f, 1);
	settle(f);
	assert_string_equal(f->frames[0],
		"{\"connection_id\":null,\"event_type\":\"HELLO\",\"payload\":{\"device_id\":"
		"\"d1\","
		"\"client\":\"test/1\"}}\n"
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_OUT\",\"payload\":{\"message\":{"
		"\"id\":\"m1\","
		"\"chat_id\":\"c1\",\"text\":\"hello\",\"status\":\"PENDING\",\"created_at\":0,"
		"\"attachments\":\"\"},\"attachments\":[]}}\n"
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_RECEIVED\",\"payload\":{\"chat_"
		"id\":\"c1\","
		"\"message_id\":\"m0\"}}\n"
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_READ\",\"payload\":{\"chat_id\":"
		"\"c1\","
		"\"message_id\":\"m0\"}}\n"
		"{\"connection_id\":\"k-1\",\"event_type\":\"BYE\",\"payload\":{\"reason\":"
		"\"enough\"}}\n");
	assert_non_null(strcasestr(f->requests[0], "GET /ws HTTP/1.1\r\n"));
	assert_non_null(strcasestr(f->requests[0], "\r\nAuthorization: Bearer t0k\r\n"));
	assert_non_null(strcasestr(f->requests[0], "\r\nSec-WebSocket-Protocol: chat.v1\r\n"));
	assert_int_equal(f->closed, 0);
	message_clear(&m);
}

static void a_message_too_large_for_a_frame(void **state)
{
	static const struct step steps[] = { { 0 } };
	struct fixture *f = *state;
	char *text = malloc(300000);
	struct message m = { .id = strdup("m1"), .chat_id = strdup("c1"), .text = text };

	memset(text, 'x', 299999);
	text[299999] = '\0';
	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->greeted);
	assert_int_equal(f->service->room->send(f->service, &m), -EMSGSIZE);
	message_clear(&m);
}

#define FRAME(type, payload) \
	"{\"connection_id\":\"k-1\",\"event_type\":\"" type "\",\"payload\":{" payload "}}"
#define DATA(id, user)                                                                            \
	"\"message\":{\"id\":\"" id "\",\"chat_id\":\"c1\",\"user_id\":\"" user                   \
	"\",\"text\":\"hi\",\"status\":\"SENT\",\"created_at\":5,\"attachments\":\"a1\",\"seq\":" \
	"2},"                                                                                     \
	"\"attachments\":[{\"id\":\"a1\",\"mime\":\"image/png\",\"size\":3,\"url\":\"/b\"}]"

static void what_the_server_tells(void **state)
{
	static const char *const frames[] = {
		"{\"connection_id\":null,\"event_type\":\"WEATHER\",\"payload\":{}}",
		FRAME("TYPING", "\"chat_id\":\"c1\""),
		FRAME("MSG_IN", DATA("m1", "u2") ",\"user\":{\"id\":\"u2\",\"name\":\"Bob\"}"),
		FRAME("MSG_OUT", DATA("m2", "u1")),
		FRAME("MSG_ACK",
			"\"message_id\":\"m3\",\"chat_id\":\"c1\",\"seq\":9,\"created_at\":77"),
		FRAME("MSG_ACK",
			"\"message_id\":\"m4\",\"error\":{\"title\":\"No\",\"status\":503}"),
		FRAME("MSG_ACK",
			"\"message_id\":\"m4\",\"error\":{\"title\":\"No\",\"status\":409}"),
		FRAME("MSG_ACK", "\"message_id\":\"m4\",\"error\":{}"),
		FRAME("MSG_RECEIVED", "\"chat_id\":\"c1\",\"message_id\":\"m5\""),
		FRAME("MSG_READ", "\"chat_id\":\"c1\",\"message_id\":\"m6\",\"user_id\":\"u2\""),
		FRAME("BYE", "\"reason\":\"maintenance\",\"retry_after_s\":12"),
		NULL,
	};
	static const struct step steps[] = { { .frames = frames } };
	struct fixture *f = *state;

	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->messages, 2);
	assert_string_equal(f->message.id, "m2");
	assert_true(f->message.outgoing);
	assert_int_equal(f->message.seq, 2);
	assert_int_equal(f->message.n_attachments, 1);
	assert_string_equal(f->message.attachments[0].url, "/b");
	assert_int_equal(f->accepted, 1);
	assert_int_equal(f->numbers[0], 9);
	assert_int_equal(f->numbers[1], 77);
	assert_int_equal(f->rejected, 3);
	assert_int_equal(f->classes[1], PROBLEM_TRANSIENT);
	assert_int_equal(f->classes[2], PROBLEM_PERMANENT);
	assert_int_equal(f->classes[3], PROBLEM_PERMANENT);
	assert_int_equal(f->received, 1);
	assert_int_equal(f->read, 1);
	assert_string_equal(f->ids[0], "m6");
	assert_string_equal(f->ids[2], "u2");
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(f->problem.retry_after_ms, 12000);
	assert_string_equal(f->problem.detail, "maintenance");
}

static void author_of_an_incoming_message(void **state)
{
	static const char *const frames[] = {
		FRAME("MSG_IN", DATA("m1", "u2") ",\"user\":{\"id\":\"u2\",\"name\":\"Bob\"}"),
		NULL,
	};
	static const struct step steps[] = { { .frames = frames } };
	struct fixture *f = *state;

	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->messages);
	assert_string_equal(f->author, "Bob");
	assert_false(f->message.outgoing);
}

static void frames_that_make_no_sense(void **state)
{
	static const char *const cases[] = {
		"",
		"nonsense",
		"[]",
		"{}",
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_IN\"}",
		"{\"connection_id\":\"k-1\",\"event_type\":7,\"payload\":{}}",
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_IN\",\"payload\":[]}",
		"{\"connection_id\":7,\"event_type\":\"MSG_IN\",\"payload\":{}}",
		"{\"connection_id\":null,\"event_type\":\"MSG_READ\",\"payload\":{\"chat_id\":"
		"\"c\","
		"\"message_id\":\"m\",\"user_id\":\"u\"}}",
		"{\"connection_id\":\"k-2\",\"event_type\":\"MSG_READ\",\"payload\":{\"chat_id\":"
		"\"c\","
		"\"message_id\":\"m\",\"user_id\":\"u\"}}",
		FRAME("MSG_IN", ""),
		FRAME("MSG_IN", "\"message\":{}"),
		FRAME("MSG_IN", "\"message\":7"),
		FRAME("MSG_IN", DATA("m1", "u2") ",\"user\":{}"),
		FRAME("MSG_OUT", DATA("", "u1")),
		FRAME("MSG_ACK", "\"message_id\":\"m1\""),
		FRAME("MSG_ACK",
			"\"message_id\":\"m1\",\"chat_id\":\"c\",\"seq\":0,\"created_at\":1"),
		FRAME("MSG_ACK", "\"message_id\":\"m1\",\"error\":\"no\""),
		FRAME("MSG_RECEIVED", "\"chat_id\":\"c1\""),
		FRAME("MSG_READ", "\"chat_id\":\"c1\",\"message_id\":\"m1\""),
		FRAME("BYE", "\"retry_after_s\":\"soon\""),
		FRAME("HELLO", "\"user_id\":\"u1\",\"heartbeat_s\":1,\"max_in_flight\":1"),
		FRAME("MSG_IN", DATA("m1", "u2")) "x",
		"{\"connection_id\":\"k-1\",\"event_type\":\"MSG_IN\",\"payload\":{\"\xff\":1}}",
	};
	struct fixture *f = *state;
	const char *frames[] = { NULL, NULL };
	struct step steps[] = { { .frames = frames } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (i > 0)
			setup(state);
		f = *state;
		frames[0] = cases[i];
		start(f, steps, "t");
		connect_session(f);
		WAIT_FOR(f, f->closed);
		assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
		assert_int_equal(
			f->messages + f->accepted + f->rejected + f->read + f->received, 0);
		wait_until_served(f, 1);
		if (!strstr(f->frames[0],
			    "\"event_type\":\"BYE\",\"payload\":{\"reason\":\"malformed\"}"))
			fail_msg("no BYE after %s: %s", cases[i], f->frames[0]);
		assert_int_equal(f->closed, 1);
		if (i + 1 < ARRAY_SIZE(cases))
			teardown(state);
	}
}

static void oversized_and_binary_frames(void **state)
{
	_cleanup_free_ char *large = malloc(300000);
	const char *frames[] = { large, NULL };
	struct step steps[] = { { .frames = frames },
		{ .frames = frames, .opcode = WS_OP_BINARY } };
	struct fixture *f = *state;

	memset(large, 'x', 299999);
	large[299999] = '\0';
	start(f, steps, "t");
	for (unsigned i = 0; i < 2; i++) {
		connect_session(f);
		WAIT_FOR(f, f->closed == i + 1);
		assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
		wait_until_served(f, i + 1);
		assert_non_null(strstr(f->frames[i], "\"event_type\":\"BYE\""));
		large[2] = '\0';
	}
}

static void frames_before_the_greeting(void **state)
{
	static const char *const early[] = { FRAME("MSG_IN", DATA("m1", "u2")), NULL };
	static const char *const bad[] = {
		"{\"connection_id\":null,\"event_type\":\"HELLO\",\"payload\":{\"user_id\":\"u1\","
		"\"heartbeat_s\":1,\"max_in_flight\":1}}",
		NULL,
	};
	static const char *const bye[] = {
		"{\"connection_id\":null,\"event_type\":\"BYE\",\"payload\":{\"retry_after_s\":3}}",
		NULL,
	};
	static const struct step steps[] = {
		{ .frames = early, .no_greeting = true },
		{ .frames = bad, .no_greeting = true },
		{ .frames = bye, .no_greeting = true },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		connect_session(f);
		WAIT_FOR(f, f->closed == i + 1);
		assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	}
	assert_int_equal(f->problem.retry_after_ms, 3000);
	assert_int_equal(f->greeted + f->messages, 0);
}

#define LOGIN(token) \
	"{\"token\":\"" token "\",\"expires_at\":0,\"user\":{\"id\":\"u1\",\"name\":\"Ann\"}}"
#define JSON "Content-Type: application/json\r\n"

static void a_token_is_fetched_first(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, LOGIN("new") }, { 0 } };
	struct fixture *f = *state;

	start(f, steps, NULL);
	connect_session(f);
	WAIT_FOR(f, f->greeted);
	assert_int_equal(f->tokens, 1);
	assert_string_equal(f->token, "new");
	assert_non_null(strstr(f->requests[0], "GET /login HTTP/1.1\r\n"));
	assert_non_null(strstr(f->requests[0], "\r\nAuthorization: Basic dTE6c2VjcmV0\r\n"));
	assert_non_null(strcasestr(f->requests[1], "\r\nAuthorization: Bearer new\r\n"));
}

static void a_token_refused_at_the_door(void **state)
{
	static const struct step steps[] = {
		{ "401 Unauthorized" },
		{ "200 OK", JSON, LOGIN("new") },
		{ 0 },
	};
	struct fixture *f = *state;

	start(f, steps, "old");
	connect_session(f);
	WAIT_FOR(f, f->greeted);
	assert_int_equal(f->closed, 0);
	assert_non_null(strcasestr(f->requests[0], "\r\nAuthorization: Bearer old\r\n"));
	assert_non_null(strcasestr(f->requests[2], "\r\nAuthorization: Bearer new\r\n"));
}

static void the_door_stays_closed(void **state)
{
	static const struct step steps[] = {
		{ "401 Unauthorized" },
		{ "200 OK", JSON, LOGIN("new") },
		{ "401 Unauthorized" },
	};
	struct fixture *f = *state;

	start(f, steps, "old");
	connect_session(f);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	assert_int_equal(net_server_connections(f->server), 3);
}

static void a_refused_login_is_not_tried_again(void **state)
{
	static const struct step steps[] = {
		{ "401 Unauthorized", JSON, "{\"title\":\"Wrong password\"}" },
		{ "401 Unauthorized" },
	};
	struct fixture *f = *state;

	start(f, steps, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		connect_session(f);
		assert_int_equal(f->closed, i - 1);
		WAIT_FOR(f, f->closed == i);
		assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	}
	assert_int_equal(net_server_connections(f->server), 1);
	/* The user signs in anew: that is another matter. */
	sign_in(f, f->server_url, NULL);
	connect_session(f);
	WAIT_FOR(f, f->closed == 4);
	assert_int_equal(net_server_connections(f->server), 2);
}

static void get_user(struct fixture *f);

static void a_login_that_fails_for_now(void **state)
{
	static const struct step steps[] = {
		{ "200 OK", JSON, "{\"token\":7}" },
		{ "200 OK", JSON, "<html>" },
		{ "503 Service Unavailable", "Retry-After: 9\r\n" },
		{ "200 OK", JSON, LOGIN("new") },
		{ 0 },
	};
	struct fixture *f = *state;

	start(f, steps, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		connect_session(f);
		WAIT_FOR(f, f->closed == i);
		assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
		assert_int_equal(f->problem.retry_after_ms, i == 3 ? 9000 : 0);
	}
	connect_session(f);
	WAIT_FOR(f, f->closed == 4);
	assert_in_range(f->problem.retry_after_ms, 1, 9000);
	get_user(f);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(net_server_connections(f->server), 3);
	sign_in(f, f->server_url, NULL);
	connect_session(f);
	WAIT_FOR(f, f->greeted);
}

static void an_upgrade_refused_for_now(void **state)
{
	static const struct step steps[] = { { "429 Too Many Requests", "Retry-After: 4\r\n" } };
	struct fixture *f = *state;

	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(f->problem.status, 429);
	assert_int_equal(f->problem.retry_after_ms, 4000);
}

static void nobody_listens(void **state)
{
	static const struct step steps[] = { { 0 } };
	struct fixture *f = *state;

	start(f, steps, "t");
	net_server_stop(f->server);
	f->server = NULL;
	connect_session(f);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(f->problem.status, 0);
}

static void the_connection_drops(void **state)
{
	static const char *const none[] = { NULL };
	static const struct step steps[] = { { .frames = none, .close = true } };
	struct fixture *f = *state;

	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->greeted, 1);
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
}

static void disconnect_session(struct fixture *f)
{
	f->service->session->disconnect(f->service, "now");
}

static void disconnecting_at_any_moment(void **state)
{
	static const struct step steps[] = {
		{ "200 OK", JSON, LOGIN("new") },
		{ 0 },
		{ 0 },
		{ 0 },
		{ 0 },
		{ 0 },
	};
	struct fixture *f = *state;

	start(f, steps, NULL);
	disconnect_session(f);
	connect_session(f); /* waits for a token */
	disconnect_session(f);
	WAIT_FOR(f, f->tokens);
	connect_session(f); /* opens */
	disconnect_session(f);
	connect_session(f);
	WAIT_FOR(f, f->greeted);
	disconnect_session(f);
	disconnect_session(f);
	f->in_event = disconnect_session;
	connect_session(f);
	WAIT_FOR(f, f->greeted == 2);
	settle(f);
	assert_int_equal(f->closed, 0);
	assert_int_equal(f->service->session->connect(f->service), 0);
}

static void free_service(struct fixture *f)
{
	f->service = service_free(f->service);
}

/* At the second event: the first is the greeting. */
static void free_service_later(struct fixture *f)
{
	f->in_event = free_service;
}

static void reconnect(struct fixture *f)
{
	f->in_event = NULL;
	if (f->closed)
		connect_session(f);
}

static void reconnecting_when_it_closes(void **state)
{
	static const char *const bye[] = { FRAME("BYE", ""), NULL };
	static const struct step steps[] = { { .frames = bye, .no_greeting = true }, { 0 } };
	struct fixture *f = *state;

	f->in_event = reconnect;
	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->greeted);
	assert_int_equal(f->closed, 1);
}

static void freeing_inside_each_event(void **state)
{
	static const char *const frames[] = {
		FRAME("MSG_IN", DATA("m1", "u2")),
		FRAME("MSG_ACK",
			"\"message_id\":\"m3\",\"chat_id\":\"c1\",\"seq\":9,\"created_at\":77"),
		FRAME("MSG_ACK", "\"message_id\":\"m4\",\"error\":{}"),
		FRAME("MSG_RECEIVED", "\"chat_id\":\"c1\",\"message_id\":\"m5\""),
		FRAME("MSG_READ", "\"chat_id\":\"c1\",\"message_id\":\"m6\",\"user_id\":\"u2\""),
		FRAME("BYE", ""),
		"nonsense",
	};
	const char *some[2] = { NULL, NULL };
	struct step steps[] = { { .frames = some } };
	struct fixture *f;

	for (size_t i = 0; i <= ARRAY_SIZE(frames); i++) {
		if (i > 0) {
			teardown(state);
			setup(state);
		}
		f = *state;
		some[0] = i < ARRAY_SIZE(frames) ? frames[i] : NULL;
		start(f, steps, "t");
		connect_session(f);
		f->in_event = some[0] ? free_service_later : free_service;
		WAIT_FOR(f, !f->service);
		settle(f);
		assert_int_equal(f->greeted + f->messages + f->accepted + f->rejected +
				f->received + f->read + f->closed,
			some[0] ? 2 : 1);
	}
}

static void ending_while_it_greets(void **state)
{
	static const struct step steps[] = { { 0 }, { 0 } };
	struct fixture *f = *state;

	f->in_connected = disconnect_session;
	start(f, steps, "t");
	connect_session(f);
	WAIT_FOR(f, f->connected);
	f->in_connected = free_service;
	connect_session(f);
	WAIT_FOR(f, !f->service);
	settle(f);
	assert_int_equal(f->connected, 2);
	assert_int_equal(f->greeted + f->closed, 0);
}

static void freeing_when_the_token_comes(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, LOGIN("new") }, { 0 } };
	struct fixture *f = *state;

	f->in_event = free_service;
	start(f, steps, NULL);
	connect_session(f);
	WAIT_FOR(f, !f->service);
	settle(f);
	assert_int_equal(f->tokens, 1);
	assert_int_equal(f->greeted, 0);
}

static void servers_that_are_refused(void **state)
{
	static const char *const bad[] = { "", "chat.example", "ftp://x/", "ws://127.0.0.1/",
		"http://u:p@127.0.0.1", "https://x/?a=b" };
	struct fixture *f = *state;
	struct service_credentials c = { .user_id = "u1", .password = "p", .device_id = "d1" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		c.server = bad[i];
		assert_int_equal(f->service->session->set_credentials(f->service, &c), -EINVAL);
		assert_int_equal(
			f->service->session->login(f->service, &c, NULL, NULL, NULL), -EINVAL);
	}
	assert_int_equal(f->service->session->connect(f->service), -EINVAL);
	sign_in(f, "http://192.0.2.1", "t");
	connect_session(f);
	assert_int_equal(f->closed, 0);
	WAIT_FOR(f, f->closed);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_non_null(strstr(f->problem.title, "https"));
}

/* -- requests -- */

static void on_user(void *userdata, const struct problem *p, const struct user *u)
{
	struct fixture *f = userdata;

	f->done++;
	keep(f, p);
	snprintf(f->text, sizeof(f->text), "%s", u ? u->name : "");
	f->call = NULL;
	if (f->in_done)
		f->in_done(f);
}

static void get_user(struct fixture *f)
{
	assert_int_equal(f->service->lobby->get_user(f->service, "u/2", on_user, f, &f->call), 0);
}

#define BOB "{\"id\":\"u/2\",\"name\":\"Bob\"}"

static void a_request(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, BOB } };
	struct fixture *f = *state;

	start(f, steps, "t0k");
	get_user(f);
	assert_int_equal(f->done, 0);
	WAIT_FOR(f, f->done);
	assert_string_equal(f->text, "Bob");
	assert_null(f->problem.title);
	assert_non_null(strstr(f->requests[0], "GET /users/u%2F2 HTTP/1.1\r\n"));
	assert_non_null(strstr(f->requests[0], "\r\nAuthorization: Bearer t0k\r\n"));
	assert_non_null(strstr(f->requests[0], "\r\nUser-Agent: test/1\r\n"));
}

static void a_server_below_a_path(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, BOB } };
	struct fixture *f = *state;
	_cleanup_free_ char *url = NULL;

	start(f, steps, NULL);
	assert_true(asprintf(&url, "%s/chat/api//", f->server_url) > 0);
	sign_in(f, url, "t");
	get_user(f);
	WAIT_FOR(f, f->done);
	assert_non_null(strstr(f->requests[0], "GET /chat/api/users/u%2F2 HTTP/1.1\r\n"));
}

static void a_request_is_replayed_with_a_new_token(void **state)
{
	static const struct step steps[] = {
		{ "401 Unauthorized" },
		{ "200 OK", JSON, LOGIN("new") },
		{ "200 OK", JSON, BOB },
	};
	struct fixture *f = *state;

	start(f, steps, "old");
	get_user(f);
	WAIT_FOR(f, f->done);
	assert_string_equal(f->text, "Bob");
	assert_int_equal(f->tokens, 1);
	assert_non_null(strstr(f->requests[0], "Bearer old\r\n"));
	assert_non_null(strstr(f->requests[2], "Bearer new\r\n"));
	assert_null(strstr(f->requests[2], "Bearer old\r\n"));
}

static void a_request_is_replayed_only_once(void **state)
{
	static const struct step steps[] = {
		{ "401 Unauthorized" },
		{ "200 OK", JSON, LOGIN("new") },
		{ "401 Unauthorized" },
	};
	struct fixture *f = *state;

	start(f, steps, "old");
	get_user(f);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	assert_int_equal(net_server_connections(f->server), 3);
}

static void one_refused_login_is_for_all(void **state)
{
	static const struct step steps[] = { { "403 Forbidden" }, { "500 No" } };
	struct fixture *f = *state;

	start(f, steps, NULL);
	for (int i = 0; i < 10; i++)
		get_user(f);
	connect_session(f);
	WAIT_FOR(f, f->done == 10 && f->closed);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	get_user(f);
	WAIT_FOR(f, f->done == 11);
	assert_int_equal(net_server_connections(f->server), 1);
}

static void without_a_password_there_is_no_login(void **state)
{
	static const struct step steps[] = { { "401 Unauthorized" } };
	struct fixture *f = *state;
	struct service_credentials c = { .user_id = "u1", .device_id = "d1", .token = "old" };

	start(f, steps, NULL);
	c.server = f->server_url;
	assert_int_equal(f->service->session->set_credentials(f->service, &c), 0);
	get_user(f);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	assert_int_equal(net_server_connections(f->server), 1);
}

static void nobody_is_signed_in(void **state)
{
	struct fixture *f = *state;

	get_user(f);
	assert_int_equal(f->done, 0);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	sign_in(f, "http://192.0.2.1", "t");
	get_user(f);
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_non_null(strstr(f->problem.title, "https"));
}

static void answers_that_are_problems(void **state)
{
	static const struct step steps[] = {
		{ "404 Not Found", JSON,
			"{\"type\":\"urn:chat:not_found\",\"title\":\"T\",\"detail\":\"D\"}" },
		{ "429 Slow", "Retry-After: 3\r\n" },
		{ "302 Found", "Location: https://elsewhere.example/\r\n" },
		{ "200 OK", JSON, "{\"id\":\"u2\"}" },
		{ "200 OK", JSON, "" },
	};
	static const struct {
		enum problem_class class;
		int status;
		uint32_t retry_after_ms;
	} expected[] = {
		{ PROBLEM_PERMANENT, 404, 0 },
		{ PROBLEM_TRANSIENT, 429, 3000 },
		{ PROBLEM_PERMANENT, 302, 0 },
		{ PROBLEM_TRANSIENT, 0, 0 },
		{ PROBLEM_TRANSIENT, 0, 0 },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		get_user(f);
		WAIT_FOR(f, f->done == i + 1);
		assert_int_equal(f->problem.class, expected[i].class);
		assert_int_equal(f->problem.status, expected[i].status);
		assert_int_equal(f->problem.retry_after_ms, expected[i].retry_after_ms);
		if (i == 0) {
			assert_string_equal(f->problem.type, "not_found");
			assert_string_equal(f->problem.title, "T");
			assert_string_equal(f->problem.detail, "D");
		}
	}
}

static void on_messages(void *userdata, const struct problem *p, struct message_page *page)
{
	struct fixture *f = userdata;

	f->done++;
	keep(f, p);
	f->messages = page ? (unsigned)page->n_messages : 0;
}

static void a_page_too_large_is_asked_for_in_parts(void **state)
{
	_cleanup_free_ char *huge = malloc((5 << 20) + 1);
	struct step steps[] = {
		{ "200 OK", JSON, huge },
		{ "200 OK", JSON, huge },
		{ "200 OK", JSON, "{\"messages\":[],\"more\":true}" },
	};
	struct message_page_query q = { .chat_id = "c1", .after_id = "m1", .limit = 500 };
	struct fixture *f = *state;

	memset(huge, ' ', 5 << 20);
	huge[5 << 20] = '\0';
	start(f, steps, "t");
	assert_int_equal(f->service->room->list_messages(f->service, &q, on_messages, f, NULL), 0);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_non_null(strstr(f->requests[0], "GET /chats/c1/messages?after_id=m1&limit=200 "));
	assert_non_null(strstr(f->requests[1], "GET /chats/c1/messages?after_id=m1&limit=50 "));
	assert_non_null(strstr(f->requests[2], "GET /chats/c1/messages?after_id=m1&limit=12 "));
}

static void cancel_call(struct fixture *f)
{
	f->call = service_call_cancel(f->service, f->call);
}

static void calls_are_cancelled(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, BOB } };
	struct fixture *f = *state;
	struct service_call *first;

	start(f, steps, NULL);
	get_user(f); /* waits for a token */
	cancel_call(f);
	sign_in(f, f->server_url, "t");
	get_user(f); /* under way */
	cancel_call(f);
	sign_in(f, "http://192.0.2.1", "t");
	get_user(f); /* failed already, and about to be told */
	cancel_call(f);
	settle(f);
	assert_int_equal(f->done, 0);
	get_user(f);
	first = f->call;
	get_user(f);
	cancel_call(f);
	f->call = first;
	WAIT_FOR(f, f->done);
	settle(f);
	assert_int_equal(f->done, 1);
}

static void a_callback_frees_the_service(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, BOB } };
	struct fixture *f = *state;

	f->in_done = free_service;
	start(f, steps, "t");
	get_user(f);
	get_user(f);
	WAIT_FOR(f, !f->service);
	settle(f);
	assert_int_equal(f->done, 1);
}

static void sign_out(struct fixture *f)
{
	f->service->session->set_credentials(f->service, NULL);
}

static void another_account_inherits_nothing(void **state)
{
	static const struct step steps[] = { { "401 Unauthorized" },
		{ "200 OK", JSON, LOGIN("x") } };
	struct fixture *f = *state;

	start(f, steps, NULL);
	get_user(f); /* waits for a token */
	sign_out(f);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	sign_in(f, f->server_url, "old");
	get_user(f);
	WAIT_FOR(f, net_server_connections(f->server) > 0);
	sign_in(f, f->server_url, "other");
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
}

static void on_login(void *userdata, const struct problem *p, struct service_identity *i)
{
	struct fixture *f = userdata;

	f->done++;
	keep(f, p);
	snprintf(f->text, sizeof(f->text), "%s %s", i ? i->token : "", i ? i->user.name : "");
}

static void credentials_are_checked(void **state)
{
	static const struct step steps[] = { { "200 OK", JSON, LOGIN("tok") }, { "401 No" },
		{ "500 No" } };
	struct fixture *f = *state;
	struct service_credentials c = { .user_id = "u1", .password = "secret", .device_id = "d1" };

	start(f, steps, NULL);
	sign_out(f);
	c.server = f->server_url;
	assert_int_equal(f->service->session->login(f->service, &c, on_login, f, NULL), 0);
	WAIT_FOR(f, f->done == 1);
	assert_string_equal(f->text, "tok Ann");
	assert_int_equal(f->service->session->login(f->service, &c, on_login, f, NULL), 0);
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	assert_int_equal(f->service->session->login(f->service, &c, on_login, f, NULL), 0);
	WAIT_FOR(f, f->done == 3);
	assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	c.server = "http://192.0.2.1";
	assert_int_equal(f->service->session->login(f->service, &c, on_login, f, NULL), 0);
	WAIT_FOR(f, f->done == 4);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_int_equal(f->tokens, 0);
}

/* -- attachments -- */

static void on_done(void *userdata, const struct problem *p)
{
	struct fixture *f = userdata;

	f->done++;
	f->call = NULL;
	keep(f, p);
	if (f->in_done)
		f->in_done(f);
}

static int sink(void *userdata, int64_t offset, const void *data, size_t len)
{
	struct fixture *f = userdata;

	if (f->n_offsets < ARRAY_SIZE(f->offsets))
		f->offsets[f->n_offsets++] = offset;
	buffer_append(&f->bytes, data, len);
	tell(f);
	return f->source_errno;
}

static void on_etag(void *userdata, const char *etag, int64_t total)
{
	struct fixture *f = userdata;

	snprintf(f->text, sizeof(f->text), "%s", etag);
	f->numbers[0] = total;
}

static void download(
	struct fixture *f, const char *url, int64_t size, int64_t offset, const char *etag)
{
	struct attachment a = { .id = (char *)"a1", .url = (char *)url, .size = size };
	struct download_request r = {
		.attachment = &a,
		.variant = VARIANT_FULL,
		.offset = offset,
		.etag = etag,
		.sink = sink,
		.on_etag = on_etag,
		.done = on_done,
		.userdata = f,
	};

	assert_int_equal(f->service->attachments->download(f->service, &r, &f->call), 0);
}

static void assert_bytes(struct fixture *f, const char *expected)
{
	assert_int_equal(buffer_size(&f->bytes), strlen(expected));
	assert_memory_equal(buffer_bytes(&f->bytes), expected, strlen(expected));
}

static void a_download(void **state)
{
	static const struct step steps[] = { { "200 OK", "ETag: \"e1\"\r\n", "abcdefghij" } };
	struct fixture *f = *state;

	start(f, steps, "t0k");
	download(f, "/bytes/a1", 10, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_bytes(f, "abcdefghij");
	assert_string_equal(f->text, "\"e1\"");
	assert_int_equal(f->numbers[0], 10);
	assert_int_equal(f->offsets[0], 0);
	assert_non_null(strstr(f->requests[0], "GET /bytes/a1 HTTP/1.1\r\n"));
	assert_non_null(strstr(f->requests[0], "Bearer t0k\r\n"));
	assert_null(strstr(f->requests[0], "Range:"));
}

static void a_download_goes_on(void **state)
{
	static const struct step steps[] = {
		{ "206 Partial Content", "ETag: \"e1\"\r\nContent-Range: bytes 4-9/10\r\n",
			"efghij" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	download(f, "/bytes/a1", 10, 4, "\"e1\"");
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_bytes(f, "efghij");
	assert_int_equal(f->offsets[0], 4);
	assert_int_equal(f->numbers[0], 10);
	assert_non_null(strstr(f->requests[0], "\r\nRange: bytes=4-\r\n"));
	assert_non_null(strstr(f->requests[0], "\r\nIf-Range: \"e1\"\r\n"));
}

static void a_changed_copy_starts_over(void **state)
{
	static const struct step steps[] = { { "200 OK", "ETag: \"e2\"\r\n", "ABCDEFGHIJ" } };
	struct fixture *f = *state;

	start(f, steps, "t");
	download(f, "/bytes/a1", 10, 4, "\"e1\"");
	WAIT_FOR(f, f->done);
	assert_bytes(f, "ABCDEFGHIJ");
	assert_int_equal(f->offsets[0], 0);
	assert_string_equal(f->text, "\"e2\"");
}

static void nothing_lies_beyond(void **state)
{
	static const struct step steps[] = {
		{ "416 Range Not Satisfiable", "Content-Range: bytes */10\r\n", "{}" },
		{ "416 Range Not Satisfiable", "Content-Range: bytes */3\r\n", "{}" },
		{ "200 OK", "ETag: \"e2\"\r\n", "ABC" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	download(f, "/bytes/a1", 10, 10, "\"e1\"");
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_int_equal(buffer_size(&f->bytes), 0);
	download(f, "/bytes/a1", 10, 10, "\"e1\"");
	WAIT_FOR(f, f->done == 2);
	assert_null(f->problem.title);
	assert_bytes(f, "ABC");
	assert_null(strstr(f->requests[2], "Range:"));
}

static void weak_etags_are_not_gone_on_from(void **state)
{
	static const struct step steps[] = {
		{ "200 OK", "ETag: W/\"e1\"\r\n", "abc" },
		{ "200 OK", NULL, "abc" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	download(f, "/bytes/a1", 3, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_string_equal(f->text, "");
	download(f, "/bytes/a1", 3, 2, "");
	WAIT_FOR(f, f->done == 2);
	assert_null(strstr(f->requests[1], "Range:"));
	assert_int_equal(f->offsets[1], 0);
}

static void downloads_that_lie(void **state)
{
	static const struct step steps[] = {
		{ "206 Partial Content", "ETag: \"e1\"\r\nContent-Range: bytes 5-10/11\r\n",
			"efghij" },
		{ "206 Partial Content", "ETag: \"e1\"\r\n", "efghij" },
		{ "206 Partial Content", "ETag: \"e2\"\r\nContent-Range: bytes 4-9/10\r\n",
			"efghij" },
		{ "206 Partial Content", "ETag: \"e1\"\r\nContent-Range: bytes 4-9/12\r\n",
			"efghij" },
		{ "200 OK", NULL, "abcdefghijk" },
		{ "404 Not Found", NULL, "{\"title\":\"Gone\"}" },
		{ "302 Found" },
	};
	static const enum problem_class classes[] = { PROBLEM_TRANSIENT, PROBLEM_TRANSIENT,
		PROBLEM_TRANSIENT, PROBLEM_PERMANENT, PROBLEM_PERMANENT, PROBLEM_PERMANENT,
		PROBLEM_PERMANENT };
	struct fixture *f = *state;

	start(f, steps, "t");
	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
		download(f, "/bytes/a1", 10, 4, "\"e1\"");
		WAIT_FOR(f, f->done == i + 1);
		if (!f->problem.title || f->problem.class != classes[i])
			fail_msg("case %u: %s", i, f->problem.title);
	}
	assert_int_equal(buffer_size(&f->bytes), 0);
}

static void the_token_stays_with_the_api(void **state)
{
	static const struct step steps[] = { { "200 OK", NULL, "abc" },
		{ "401 Unauthorized", NULL, "abc" } };
	struct fixture *f = *state;
	_cleanup_free_ char *url = NULL;

	start(f, steps, "t0k");
	f->other = net_server_start(serve, f, NULL);
	assert_true(asprintf(&url, "http://127.0.0.1:%u/bytes", net_server_port(f->other)) > 0);
	download(f, url, 3, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_bytes(f, "abc");
	assert_null(strstr(f->requests[0], "Authorization"));
	download(f, url, 3, 0, NULL);
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_int_equal(f->tokens, 0);
	assert_int_equal(net_server_connections(f->server), 0);
}

static void a_download_is_followed_without_the_token(void **state)
{
	static const struct step steps[] = {
		{ "307 Temporary Redirect", "Location: /elsewhere?k=1\r\n" },
		{ "206 Partial Content", "ETag: \"e1\"\r\nContent-Range: bytes 1-2/3\r\n", "bc" },
	};
	struct fixture *f = *state;

	start(f, steps, "t0k");
	download(f, "/b", 3, 1, "\"e1\"");
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_bytes(f, "bc");
	assert_non_null(strstr(f->requests[0], "Bearer t0k\r\n"));
	assert_non_null(strstr(f->requests[1], "GET /elsewhere?k=1 "));
	assert_non_null(strstr(f->requests[1], "\r\nRange: bytes=1-\r\n"));
	assert_null(strstr(f->requests[1], "t0k"));
}

static void a_download_is_not_followed_for_ever(void **state)
{
	static const struct step steps[] = {
		{ "302 Found", "Location: /b\r\n" },
		{ "302 Found", "Location: /b\r\n" },
		{ "302 Found", "Location: /b\r\n" },
		{ "302 Found", "Location: /b\r\n" },
		{ "302 Found", "Location: http://192.0.2.1/\r\n" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	download(f, "/b", 3, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_int_equal(net_server_connections(f->server), 4);
	download(f, "/b", 3, 0, NULL);
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_non_null(strstr(f->problem.title, "https"));
}

static void places_not_to_download_from(void **state)
{
	static const struct step steps[] = { { 0 } };
	static const char *const urls[] = { "http://a b/", "http://192.0.2.1/bytes",
		"file:///etc/passwd", "ftp://127.0.0.1/" };
	struct fixture *f = *state;

	start(f, steps, "t");
	for (unsigned i = 0; i < ARRAY_SIZE(urls); i++) {
		download(f, urls[i], 3, 0, NULL);
		WAIT_FOR(f, f->done == i + 1);
		assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	}
	/* A server elsewhere cannot send this side to services on its own machine. */
	sign_in(f, "https://chat.example", "t");
	download(f, "http://127.0.0.1:9/", 3, 0, NULL);
	WAIT_FOR(f, f->done == ARRAY_SIZE(urls) + 1);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_int_equal(net_server_connections(f->server), 0);
}

static void a_sink_that_fails(void **state)
{
	static const struct step steps[] = { { "200 OK", NULL, "abc" } };
	struct fixture *f = *state;

	f->source_errno = -ENOSPC;
	start(f, steps, "t");
	download(f, "/b", 3, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
}

static void a_sink_that_cancels(void **state)
{
	static const struct step steps[] = { { "200 OK", NULL, "abc" }, { "200 OK", NULL, "abc" } };
	struct fixture *f = *state;

	f->in_event = cancel_call;
	start(f, steps, "t");
	download(f, "/b", 3, 0, NULL);
	WAIT_FOR(f, !f->call);
	settle(f);
	f->in_event = free_service;
	download(f, "/b", 3, 0, NULL);
	WAIT_FOR(f, !f->service);
	settle(f);
	assert_int_equal(f->done, 0);
}

static ssize_t source(void *userdata, int64_t offset, void *buf, size_t len)
{
	static const char bytes[] = "abcdefghij";
	struct fixture *f = userdata;
	size_t left = strlen(bytes) - (size_t)offset;

	if (f->source_errno)
		return f->source_errno;
	len = len < left ? len : left;
	len = len < 4 ? len : 4; /* less than is asked for */
	memcpy(buf, bytes + offset, len);
	return (ssize_t)len;
}

static void on_progress(void *userdata, int64_t done, int64_t total)
{
	struct fixture *f = userdata;

	f->numbers[0] = done;
	f->numbers[1] = total;
	tell(f);
}

static void on_slot(void *userdata, const char *slot)
{
	struct fixture *f = userdata;

	snprintf(f->text, sizeof(f->text), "%s", slot);
}

static void upload(struct fixture *f, int64_t size, const char *slot)
{
	struct attachment a = {
		.id = (char *)"a1",
		.name = (char *)"x.jpg",
		.width = 4,
		.height = 3,
	};
	struct upload_request r = {
		.attachment = &a,
		.variant = VARIANT_PREVIEW,
		.mime = "image/jpeg",
		.size = size,
		.slot = slot,
		.source = source,
		.progress = on_progress,
		.on_slot = on_slot,
		.done = on_done,
		.userdata = f,
	};

	assert_int_equal(f->service->attachments->upload(f->service, &r, &f->call), 0);
}

#define CREATED                                            \
	{                                                  \
		"201 Created", "Location: /uploads/s1\r\n" \
	}

static void an_upload(void **state)
{
	static const struct step steps[] = { CREATED,
		{ "204 No Content", "Upload-Offset: 10\r\n" } };
	struct fixture *f = *state;
	_cleanup_free_ char *slot = NULL;

	start(f, steps, "t0k");
	assert_true(asprintf(&slot, "%s/uploads/s1", f->server_url) > 0);
	upload(f, 10, NULL);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_string_equal(f->text, slot);
	assert_int_equal(f->numbers[0], 10);
	assert_int_equal(f->numbers[1], 10);
	assert_memory_equal(f->requests[0], "POST /uploads HTTP/1.1\r\n", 24);
	assert_non_null(strstr(f->requests[0], "\r\nTus-Resumable: 1.0.0\r\n"));
	assert_non_null(strstr(f->requests[0], "\r\nUpload-Length: 10\r\n"));
	assert_non_null(strstr(f->requests[0],
		"\r\nUpload-Metadata: attachment_id YTE=,variant cHJldmlldw==,mime "
		"aW1hZ2UvanBlZw==,"
		"name eC5qcGc=,width NA==,height Mw==\r\n"));
	assert_memory_equal(f->requests[1], "PATCH /uploads/s1 HTTP/1.1\r\n", 28);
	assert_non_null(strstr(f->requests[1], "\r\nUpload-Offset: 0\r\n"));
	assert_non_null(
		strstr(f->requests[1], "\r\nContent-Type: application/offset+octet-stream\r\n"));
	assert_non_null(strstr(f->requests[1],
		"\r\nUpload-Checksum: sha256 cjmTYdpqd1T+yYbcpbfLrxyBCije1KuvVrIQbQbLeLA=\r\n"));
	assert_non_null(strstr(f->requests[1], "Bearer t0k\r\n"));
	assert_non_null(strstr(f->requests[1], "\r\n\r\nabcdefghij"));
}

static void an_empty_upload(void **state)
{
	static const struct step steps[] = { CREATED };
	struct fixture *f = *state;

	start(f, steps, "t");
	upload(f, 0, NULL);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
}

static void an_upload_is_resumed(void **state)
{
	static const struct step steps[] = {
		{ "200 OK", "Upload-Offset: 6\r\nUpload-Length: 10\r\n" },
		{ "204 No Content", "Upload-Offset: 10\r\n" },
	};
	struct fixture *f = *state;
	_cleanup_free_ char *slot = NULL;

	start(f, steps, "t");
	assert_true(asprintf(&slot, "%s/uploads/s1", f->server_url) > 0);
	upload(f, 10, slot);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_memory_equal(f->requests[0], "HEAD /uploads/s1 ", 17);
	assert_non_null(strstr(f->requests[1], "\r\nUpload-Offset: 6\r\n"));
	assert_non_null(strstr(f->requests[1], "\r\n\r\nghij"));
	assert_string_equal(f->text, "");
}

static void a_slot_that_is_gone(void **state)
{
	static const struct step steps[] = {
		{ "410 Gone" },
		CREATED,
		{ "404 Not Found" },
		CREATED,
		{ "204 No Content", "Upload-Offset: 10\r\n" },
		CREATED,
		{ "204 No Content", "Upload-Offset: 10\r\n" },
	};
	struct fixture *f = *state;
	_cleanup_free_ char *slot = NULL;

	start(f, steps, "t");
	assert_true(asprintf(&slot, "%s/uploads/old", f->server_url) > 0);
	upload(f, 10, slot);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	/* The token is for nobody else, whatever was kept as a slot. */
	upload(f, 10, "http://127.0.0.1:9/uploads/s1");
	WAIT_FOR(f, f->done == 2);
	assert_null(f->problem.title);
}

static void the_two_sides_disagree(void **state)
{
	static const struct step steps[] = {
		CREATED,
		{ "409 Conflict" },
		{ "200 OK", "Upload-Offset: 3\r\n" },
		{ "460 Checksum Mismatch" },
		{ "200 OK", "Upload-Offset: 3\r\n" },
		{ "204 No Content", "Upload-Offset: 10\r\n" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	upload(f, 10, NULL);
	WAIT_FOR(f, f->done);
	assert_null(f->problem.title);
	assert_non_null(strstr(f->requests[5], "\r\nUpload-Offset: 3\r\n"));
	assert_non_null(strstr(f->requests[5], "\r\n\r\ndefghij"));
}

static void disagreement_without_end(void **state)
{
	static const struct step steps[] = {
		CREATED,
		{ "409 Conflict" },
		{ "200 OK", "Upload-Offset: 3\r\n" },
		{ "409 Conflict" },
		{ "200 OK", "Upload-Offset: 3\r\n" },
		{ "409 Conflict" },
		{ "200 OK", "Upload-Offset: 3\r\n" },
		{ "409 Conflict" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	upload(f, 10, NULL);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_CONFLICT);
}

static void uploads_that_make_no_sense(void **state)
{
	static const struct step steps[] = {
		{ "201 Created" },
		{ "201 Created", "Location: http://127.0.0.1:9/uploads/s1\r\n" },
		CREATED,
		{ "204 No Content" },
		CREATED,
		{ "204 No Content", "Upload-Offset: 0\r\n" },
		CREATED,
		{ "204 No Content", "Upload-Offset: 11\r\n" },
		{ "413 Too Large", JSON, "{\"detail\":\"at most 5 bytes\"}" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	for (unsigned i = 0; i < 5; i++) {
		upload(f, 10, NULL);
		WAIT_FOR(f, f->done == i + 1);
		assert_int_equal(f->problem.class, PROBLEM_TRANSIENT);
	}
	upload(f, 10, NULL);
	WAIT_FOR(f, f->done == 6);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	assert_string_equal(f->problem.detail, "at most 5 bytes");
}

static void a_source_that_fails(void **state)
{
	static const struct step steps[] = {
		CREATED,
		CREATED,
		{ "204 No Content", "Upload-Offset: 10\r\n" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	f->source_errno = -EIO;
	upload(f, 10, NULL);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
	f->source_errno = 0;
	upload(f, 20, NULL);
	WAIT_FOR(f, f->done == 2);
	assert_int_equal(f->problem.class, PROBLEM_PERMANENT);
}

static void progress_that_cancels(void **state)
{
	static const struct step steps[] = {
		CREATED,
		{ "204 No Content", "Upload-Offset: 4\r\n" },
		CREATED,
		{ "204 No Content", "Upload-Offset: 4\r\n" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	f->in_event = cancel_call;
	upload(f, 10, NULL);
	WAIT_FOR(f, !f->call);
	settle(f);
	f->in_event = free_service;
	upload(f, 10, NULL);
	WAIT_FOR(f, !f->service);
	settle(f);
	assert_int_equal(f->done, 0);
}

static void on_attachment(void *userdata, const struct problem *p, struct attachment *a)
{
	struct fixture *f = userdata;

	f->done++;
	keep(f, p);
	snprintf(f->text, sizeof(f->text), "%s", a && a->url ? a->url : "");
}

static void an_attachment_is_described(void **state)
{
	static const struct step steps[] = {
		{ "200 OK", JSON,
			"{\"id\":\"a1\",\"mime\":\"image/png\",\"size\":3,\"url\":\"/b\"}" },
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	assert_int_equal(
		f->service->attachments->describe(f->service, "a1", on_attachment, f, NULL), 0);
	WAIT_FOR(f, f->done);
	assert_string_equal(f->text, "/b");
	assert_non_null(strstr(f->requests[0], "GET /attachments/a1 "));
}

/* What comes of `text`, sealed for new keys. */
static int open_push(struct fixture *f, const char *text, struct push_content *ret)
{
	const struct push_service *push = f->service->push;
	uint8_t point[WEB_PUSH_POINT], auth[16], message[8192], plain[4096];
	size_t n = strlen(text);
	struct push_keys keys;

	assert_int_equal(push->make_keys(&keys), 0);
	assert_int_equal(sodium_base642bin(point, sizeof(point), keys.p256dh, strlen(keys.p256dh),
				 NULL, NULL, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	assert_int_equal(sodium_base642bin(auth, sizeof(auth), keys.auth, strlen(keys.auth), NULL,
				 NULL, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	memcpy(plain, text, n);
	plain[n] = 2;
	assert_int_equal(web_push_seal(point, auth, NULL, plain, n + 1, message), 0);
	return push->open(&keys, message, WEB_PUSH_HEADER + n + 1 + 16, ret);
}

static void push_says_what_the_backend_sent(void **state)
{
	struct fixture *f = *state;
	struct push_content c;

	assert_int_equal(open_push(f,
				 "{\"user_id\":\"bob\",\"more\":1,\"messages\":["
				 "{\"user_name\":\"Alice\",\"text\":\"hi\",\"created_at\":17},"
				 "{\"user_name\":\"Carol\",\"text\":\"\",\"created_at\":18}]}",
				 &c),
		0);
	assert_string_equal(c.user_id, "bob");
	assert_int_equal(c.n_messages, 2);
	assert_string_equal(c.messages[0].user_name, "Alice");
	assert_string_equal(c.messages[0].text, "hi");
	assert_int_equal(c.messages[0].created_at, 17);
	assert_string_equal(c.messages[1].user_name, "Carol");
	push_content_clear(&c);
}

static void push_of_another_shape_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"user_id\":\"bob\"}",
		"{\"user_id\":1,\"messages\":[]}",
		"{\"user_id\":\"bob\",\"messages\":{}}",
		"{\"user_id\":\"bob\",\"messages\":[1]}",
		"{\"user_id\":\"bob\",\"messages\":[{\"user_name\":\"A\",\"text\":\"x\"}]}",
		"{\"user_id\":\"bob\",\"messages\":["
		"{\"user_name\":\"A\",\"text\":\"x\",\"created_at\":1},"
		"{\"user_name\":\"A\",\"text\":1,\"created_at\":1}]}",
		"{\"user_id\":\"bob\",\"messages\":[]}x",
		"{\"user_id\":\"b\xff\",\"messages\":[]}",
	};
	struct fixture *f = *state;
	struct push_content c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(open_push(f, bad[i], &c), -EBADMSG);
}

static void push_is_registered(void **state)
{
	static const struct step steps[] = { { "204 No Content" }, { "204 No Content" } };
	struct push_registration p = {
		.endpoint = "https://push.example/x", .p256dh = "k", .auth = "a"
	};
	struct fixture *f = *state;

	start(f, steps, "t");
	assert_int_equal(f->service->push->set_push(f->service, &p, on_done, f, NULL), 0);
	WAIT_FOR(f, f->done);
	assert_int_equal(f->service->push->set_push(f->service, NULL, on_done, f, NULL), 0);
	WAIT_FOR(f, f->done == 2);
	assert_null(f->problem.title);
	assert_memory_equal(f->requests[0], "PUT /push ", 10);
	assert_non_null(strstr(f->requests[0],
		"\r\n\r\n{\"endpoint\":\"https://push.example/x\",\"p256dh\":\"k\",\"auth\":\"a\","
		"\"device_id\":\"d1\"}"));
	assert_memory_equal(f->requests[1], "DELETE /push?device_id=d1 ", 26);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(greeting),
		TEST(a_message_too_large_for_a_frame),
		TEST(what_the_server_tells),
		TEST(author_of_an_incoming_message),
		TEST(frames_that_make_no_sense),
		TEST(oversized_and_binary_frames),
		TEST(frames_before_the_greeting),
		TEST(a_token_is_fetched_first),
		TEST(a_token_refused_at_the_door),
		TEST(the_door_stays_closed),
		TEST(a_refused_login_is_not_tried_again),
		TEST(a_login_that_fails_for_now),
		TEST(an_upgrade_refused_for_now),
		TEST(nobody_listens),
		TEST(the_connection_drops),
		TEST(disconnecting_at_any_moment),
		TEST(reconnecting_when_it_closes),
		TEST(freeing_inside_each_event),
		TEST(ending_while_it_greets),
		TEST(freeing_when_the_token_comes),
		TEST(servers_that_are_refused),
		TEST(a_request),
		TEST(a_server_below_a_path),
		TEST(a_request_is_replayed_with_a_new_token),
		TEST(a_request_is_replayed_only_once),
		TEST(one_refused_login_is_for_all),
		TEST(without_a_password_there_is_no_login),
		TEST(nobody_is_signed_in),
		TEST(answers_that_are_problems),
		TEST(a_page_too_large_is_asked_for_in_parts),
		TEST(calls_are_cancelled),
		TEST(a_callback_frees_the_service),
		TEST(another_account_inherits_nothing),
		TEST(credentials_are_checked),
		TEST(a_download),
		TEST(a_download_goes_on),
		TEST(a_changed_copy_starts_over),
		TEST(nothing_lies_beyond),
		TEST(weak_etags_are_not_gone_on_from),
		TEST(downloads_that_lie),
		TEST(the_token_stays_with_the_api),
		TEST(a_download_is_followed_without_the_token),
		TEST(a_download_is_not_followed_for_ever),
		TEST(places_not_to_download_from),
		TEST(a_sink_that_fails),
		TEST(a_sink_that_cancels),
		TEST(an_upload),
		TEST(an_empty_upload),
		TEST(an_upload_is_resumed),
		TEST(a_slot_that_is_gone),
		TEST(the_two_sides_disagree),
		TEST(disagreement_without_end),
		TEST(uploads_that_make_no_sense),
		TEST(a_source_that_fails),
		TEST(progress_that_cancels),
		TEST(an_attachment_is_described),
		TEST(push_is_registered),
		TEST(push_says_what_the_backend_sent),
		TEST(push_of_another_shape_is_none),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	alarm(240); /* a test that waits for what never comes */
	return cmocka_run_group_tests_name("native", tests, NULL, NULL);
}
