/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "net-server.h"
#include "net/http-client.h"

struct fixture {
	struct event_loop *loop;
	struct http_client *client;
	struct net_server *server;
	unsigned port; /* when there is no server */
	char *certificate;
	char request[8192]; /* what the server read last; look after done only */
};

/* What became of one request. */
struct outcome {
	struct fixture *f;
	struct http_request *request;
	unsigned done;
	int status;
	int tls_failed;
	int too_large;
	char error[300];
	struct buffer body;
	char etag[32];
	void (*in_done)(struct outcome *o);
	int (*in_sink)(struct outcome *o);
	struct outcome *other;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = event_loop_new();
	f->client = http_client_new(f->loop, NULL);
	*state = f;
	return f->client ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_client_free(f->client);
	net_server_stop(f->server);
	event_loop_free(f->loop);
	if (f->certificate)
		unlink(f->certificate);
	free(f->certificate);
	free(f);
	return 0;
}

static void on_done(void *userdata, struct http_request *r, const struct http_response *response)
{
	struct outcome *o = userdata;
	const char *etag = http_request_header(r, "etag");

	o->done++;
	o->status = response->status;
	o->tls_failed = response->tls_failed;
	o->too_large = response->too_large;
	snprintf(o->error, sizeof(o->error), "%s", response->error ? response->error : "");
	snprintf(o->etag, sizeof(o->etag), "%s", etag ? etag : "");
	buffer_append(&o->body, response->body, response->body_len + 1);
	if (o->in_done)
		o->in_done(o);
}

static int on_sink(void *userdata, struct http_request *r, const void *data, size_t len)
{
	struct outcome *o = userdata;

	o->status = http_request_status(r);
	buffer_append(&o->body, data, len);
	return o->in_sink ? o->in_sink(o) : 0;
}

static void start_with(
	struct outcome *o, struct http_options options, const char *scheme, const char *path)
{
	unsigned port = o->f->server ? net_server_port(o->f->server) : o->f->port;
	char url[200];

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, port, path);
	options.url = url;
	options.method = options.method ? options.method : "GET";
	options.done = on_done;
	options.userdata = o;
	assert_int_equal(http_client_start(o->f->client, &options, &o->request), 0);
}

static void start(struct outcome *o)
{
	start_with(o, (struct http_options){ 0 }, "http", "/");
}

static void wait_for(struct outcome *o)
{
	while (!o->done)
		event_loop_turn(o->f->loop, true);
	assert_int_equal(o->done, 1);
}

static const char *text(const struct outcome *o)
{
	return (const char *)buffer_bytes(&o->body);
}

static void serve_echo(struct peer *p)
{
	struct fixture *f = p->userdata;
	char request[sizeof(f->request)];

	while (peer_read_request(p, request, sizeof(request))) {
		strcpy(f->request, request);
		peer_print(p, "HTTP/1.1 200 OK\r\nETag: \"e1\"\r\nContent-Length: 5\r\n\r\nhello");
	}
}

static void get(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_echo, f, NULL);
	start(&o);
	wait_for(&o);
	assert_int_equal(o.status, 200);
	assert_string_equal(text(&o), "hello");
	assert_string_equal(o.etag, "\"e1\"");
	assert_string_equal(o.error, "");
	assert_non_null(strstr(f->request, "GET / HTTP/1.1\r\n"));
	buffer_clear(&o.body);
}

static void post_sends_headers_and_body_as_given(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };
	static const char *const headers[] = { "X-One: 1", "Content-Type: application/json", NULL };
	struct http_options options = {
		.method = "POST",
		.headers = headers,
		.user = "me",
		.password = "secret",
		.body = "{\"a\":1}",
		.body_len = 7,
	};

	f->server = net_server_start(serve_echo, f, NULL);
	start_with(&o, options, "http", "/x?y=z");
	wait_for(&o);
	assert_int_equal(o.status, 200);
	assert_non_null(strstr(f->request, "POST /x?y=z HTTP/1.1\r\n"));
	assert_non_null(strstr(f->request, "\r\nX-One: 1\r\n"));
	assert_non_null(strstr(f->request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(f->request, "\r\nAuthorization: Basic bWU6c2VjcmV0\r\n"));
	assert_non_null(strstr(f->request, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(f->request, "Expect:"));
	buffer_clear(&o.body);
}

static void other_methods(void **state)
{
	static const struct {
		const char *method, *line, *length;
	} cases[] = {
		{ "PUT", "PUT / HTTP/1.1", "Content-Length: 0" },
		{ "DELETE", "DELETE / HTTP/1.1", NULL },
		{ "PATCH", "PATCH / HTTP/1.1", "Content-Length: 0" },
		{ "HEAD", "HEAD / HTTP/1.1", NULL },
	};
	struct fixture *f = *state;

	f->server = net_server_start(serve_echo, f, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome o = { .f = f };

		/*
		 * What the server writes as a body of HEAD's answer costs that connection, so HEAD
		 * comes last.
		 */
		start_with(&o, (struct http_options){ .method = cases[i].method }, "http", "/");
		wait_for(&o);
		assert_int_equal(o.status, 200);
		assert_memory_equal(f->request, cases[i].line, strlen(cases[i].line));
		if (cases[i].length)
			assert_non_null(strstr(f->request, cases[i].length));
		else
			assert_null(strstr(f->request, "Content-Length"));
		assert_null(strstr(f->request, "Content-Type"));
		buffer_clear(&o.body);
	}
}

static void connections_are_reused(void **state)
{
	struct fixture *f = *state;

	f->server = net_server_start(serve_echo, f, NULL);
	for (int i = 0; i < 5; i++) {
		struct outcome o = { .f = f };

		start(&o);
		wait_for(&o);
		assert_int_equal(o.status, 200);
		buffer_clear(&o.body);
	}
	assert_int_equal(net_server_connections(f->server), 1);
}

static void find_closed_port(struct fixture *f)
{
	f->server = net_server_start(serve_echo, f, NULL);
	f->port = net_server_port(f->server);
	net_server_stop(f->server);
	f->server = NULL;
}

static void refused(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	find_closed_port(f);
	start(&o);
	assert_int_equal(o.done, 0);
	wait_for(&o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.error, "connection refused");
	assert_int_equal(o.tls_failed, 0);
	buffer_clear(&o.body);
}

static void bad_urls(void **state)
{
	static const char *const urls[] = { "", "nonsense", "ftp://127.0.0.1/",
		"file:///etc/passwd", "ws://127.0.0.1/", "http://user:password@127.0.0.1/",
		"http://", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct http_options options = { .method = "GET", .url = urls[i], .done = on_done };
		struct http_request *r = NULL;

		assert_int_equal(http_client_start(f->client, &options, &r), -EINVAL);
		assert_null(r);
	}
}

static void serve_half(struct peer *p)
{
	struct fixture *f = p->userdata;

	peer_read_request(p, f->request, sizeof(f->request));
	peer_print(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
}

static void closed_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_half, f, NULL);
	start(&o);
	wait_for(&o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.error, "the connection broke");
	buffer_clear(&o.body);
}

static void serve_endless(struct peer *p)
{
	struct fixture *f = p->userdata;
	char chunk[1000];

	memset(chunk, 'x', sizeof(chunk));
	peer_read_request(p, f->request, sizeof(f->request));
	peer_print(p, "HTTP/1.1 200 OK\r\n\r\n");
	while (peer_write(p, chunk, sizeof(chunk)))
		;
}

static void body_is_limited(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_endless, f, NULL);
	start_with(&o, (struct http_options){ .max_body = 5000 }, "http", "/");
	wait_for(&o);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.too_large, 1);
	assert_string_equal(o.error, "the answer is too large");
	buffer_clear(&o.body);
}

static void serve_nothing(struct peer *p)
{
	peer_wait_for_end(p);
}

static void stall(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_nothing, f, NULL);
	start_with(&o, (struct http_options){ .stall_timeout_s = 1 }, "http", "/");
	wait_for(&o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.error, "timed out");
	buffer_clear(&o.body);
}

static void timeout(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_nothing, f, NULL);
	start_with(&o, (struct http_options){ .timeout_s = 1 }, "http", "/");
	wait_for(&o);
	assert_string_equal(o.error, "timed out");
	buffer_clear(&o.body);
}

static void serve_redirect(struct peer *p)
{
	struct fixture *f = p->userdata;

	while (peer_read_request(p, f->request, sizeof(f->request)))
		peer_print(
			p, "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
}

static void redirects_are_not_followed(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_redirect, f, NULL);
	start(&o);
	wait_for(&o);
	assert_int_equal(o.status, 302);
	assert_non_null(strstr(f->request, "GET / "));
	buffer_clear(&o.body);
}

static void the_proxy_of_the_environment_is_not_for_loopback(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	f->server = net_server_start(serve_echo, f, NULL);
	start(&o);
	wait_for(&o);
	unsetenv("http_proxy");
	assert_int_equal(o.status, 200);
	buffer_clear(&o.body);
}

static void sink(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };

	f->server = net_server_start(serve_echo, f, NULL);
	start_with(&o, (struct http_options){ .sink = on_sink }, "http", "/");
	wait_for(&o);
	assert_int_equal(o.status, 200);
	assert_string_equal(text(&o), "hello");
	buffer_clear(&o.body);
}

#define LARGE (4u << 20)

static void serve_large(struct peer *p)
{
	struct fixture *f = p->userdata;
	char *body = calloc(1, LARGE);

	if (peer_read_request(p, f->request, sizeof(f->request)))
		peer_print(p, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", LARGE);
	peer_write(p, body, LARGE);
	free(body);
	peer_wait_for_end(p);
}

static void a_sink_is_not_given_more_than_it_can_store_in_a_turn(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f };
	size_t before, most = 0;

	f->server = net_server_start(serve_large, f, NULL);
	start_with(&o, (struct http_options){ .sink = on_sink }, "http", "/");
	while (!o.done) {
		before = buffer_size(&o.body);
		event_loop_turn(f->loop, true);
		if (buffer_size(&o.body) - before > most)
			most = buffer_size(&o.body) - before;
	}
	assert_int_equal(o.status, 200);
	assert_int_equal(buffer_size(&o.body), LARGE + 1);
	assert_in_range(most, 1, 300 << 10);
	buffer_clear(&o.body);
}

static int refuse_data(struct outcome *o)
{
	return -EIO;
}

static void sink_aborts(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f, .in_sink = refuse_data };

	f->server = net_server_start(serve_endless, f, NULL);
	start_with(&o, (struct http_options){ .sink = on_sink }, "http", "/");
	wait_for(&o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.error, "the answer was not taken");
	buffer_clear(&o.body);
}

static int cancel_all(struct outcome *o)
{
	o->request = http_request_cancel(o->request);
	o->other->request = http_request_cancel(o->other->request);
	o->in_sink = NULL;
	o->status = -1;
	return 0;
}

static void cancel_inside_a_sink(void **state)
{
	struct fixture *f = *state;
	struct outcome other = { .f = f };
	struct outcome o = { .f = f, .in_sink = cancel_all, .other = &other };
	struct outcome last = { .f = f };

	f->server = net_server_start(serve_endless, f, NULL);
	start_with(&o, (struct http_options){ .sink = on_sink }, "http", "/");
	start(&other);
	while (o.status != -1)
		event_loop_turn(f->loop, true);
	start_with(&last, (struct http_options){ .max_body = 10 }, "http", "/");
	wait_for(&last);
	assert_int_equal(o.done, 0);
	assert_int_equal(other.done, 0);
	assert_int_equal(o.status, -1);
	buffer_clear(&o.body);
	buffer_clear(&last.body);
}

static int free_client(struct outcome *o)
{
	o->f->client = http_client_free(o->f->client);
	o->status = -1;
	return 0;
}

static void free_inside_a_sink(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f, .in_sink = free_client };

	f->server = net_server_start(serve_endless, f, NULL);
	start_with(&o, (struct http_options){ .sink = on_sink }, "http", "/");
	while (f->client)
		event_loop_turn(f->loop, true);
	event_loop_turn(f->loop, false);
	assert_int_equal(o.done, 0);
	assert_int_equal(o.status, -1);
	buffer_clear(&o.body);
}

static void start_other_and_cancel(struct outcome *o)
{
	http_request_cancel(o->request);
	o->in_done = NULL;
	start(o->other);
}

static void start_inside_done(void **state)
{
	struct fixture *f = *state;
	struct outcome other = { .f = f };
	struct outcome o = { .f = f, .in_done = start_other_and_cancel, .other = &other };

	f->server = net_server_start(serve_echo, f, NULL);
	start(&o);
	wait_for(&o);
	wait_for(&other);
	assert_int_equal(other.status, 200);
	buffer_clear(&o.body);
	buffer_clear(&other.body);
}

static void cancel_other(struct outcome *o)
{
	o->other->request = http_request_cancel(o->other->request);
	o->other->in_done = NULL;
}

/* Two requests are refused in the same turn; whichever is told first cancels the other. */
static void cancel_a_finished_one_inside_done(void **state)
{
	struct fixture *f = *state;
	struct outcome b = { .f = f, .in_done = cancel_other };
	struct outcome a = { .f = f, .in_done = cancel_other, .other = &b };

	b.other = &a;
	find_closed_port(f);
	start(&a);
	start(&b);
	while (!a.done && !b.done)
		event_loop_turn(f->loop, true);
	for (int i = 0; i < 3; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(a.done + b.done, 1);
	buffer_clear(&a.body);
	buffer_clear(&b.body);
}

static void free_client_in_done(struct outcome *o)
{
	o->f->client = http_client_free(o->f->client);
}

static void free_inside_done(void **state)
{
	struct fixture *f = *state;
	struct outcome other = { .f = f };
	struct outcome o = { .f = f, .in_done = free_client_in_done };

	f->server = net_server_start(serve_echo, f, NULL);
	start(&o);
	start_with(&other, (struct http_options){ 0 }, "http", "/2");
	wait_for(&o);
	event_loop_turn(f->loop, false);
	assert_null(f->client);
	buffer_clear(&o.body);
	buffer_clear(&other.body);
}

static void free_with_requests_under_way(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .f = f }, waiting = { .f = f };

	f->server = net_server_start(serve_nothing, f, NULL);
	start(&o);
	while (net_server_connections(f->server) == 0)
		event_loop_turn(f->loop, true);
	start(&waiting);
	f->client = http_client_free(f->client);
	event_loop_turn(f->loop, false);
	assert_int_equal(o.done + waiting.done, 0);
}

static void try_tls(struct fixture *f, const char *name, long from_s, bool trust, struct outcome *o)
{
	f->certificate = make_certificate(name, from_s, 3600);
	http_client_free(f->client);
	f->client = http_client_new(f->loop, trust ? f->certificate : NULL);
	f->server = net_server_start(serve_echo, f, f->certificate);
	start_with(o, (struct http_options){ 0 }, "https", "/");
	wait_for(o);
}

static void tls(void **state)
{
	struct outcome o = { .f = *state };

	try_tls(*state, "IP:127.0.0.1", -3600, true, &o);
	assert_string_equal(o.error, "");
	assert_int_equal(o.status, 200);
	assert_string_equal(text(&o), "hello");
	buffer_clear(&o.body);
}

static void assert_refused_certificate(const struct outcome *o)
{
	assert_int_equal(o->status, 0);
	assert_int_equal(o->tls_failed, 1);
	assert_memory_equal(o->error, "TLS: ", 5);
}

static void tls_unknown_issuer(void **state)
{
	struct outcome o = { .f = *state };

	try_tls(*state, "IP:127.0.0.1", -3600, false, &o);
	assert_refused_certificate(&o);
	buffer_clear(&o.body);
}

static void tls_wrong_name(void **state)
{
	struct outcome o = { .f = *state };

	try_tls(*state, "DNS:elsewhere.example", -3600, true, &o);
	assert_refused_certificate(&o);
	buffer_clear(&o.body);
}

static void tls_not_yet_valid(void **state)
{
	struct outcome o = { .f = *state };

	try_tls(*state, "IP:127.0.0.1", 1800, true, &o);
	assert_refused_certificate(&o);
	buffer_clear(&o.body);
}

static void dates(void **state)
{
	assert_int_equal(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(http_date_parse("tomorrow or so"), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(get),
		TEST(post_sends_headers_and_body_as_given),
		TEST(other_methods),
		TEST(connections_are_reused),
		TEST(refused),
		TEST(bad_urls),
		TEST(closed_in_the_middle),
		TEST(body_is_limited),
		TEST(stall),
		TEST(timeout),
		TEST(redirects_are_not_followed),
		TEST(the_proxy_of_the_environment_is_not_for_loopback),
		TEST(sink),
		TEST(a_sink_is_not_given_more_than_it_can_store_in_a_turn),
		TEST(sink_aborts),
		TEST(cancel_inside_a_sink),
		TEST(free_inside_a_sink),
		TEST(start_inside_done),
		TEST(cancel_a_finished_one_inside_done),
		TEST(free_inside_done),
		TEST(free_with_requests_under_way),
		TEST(tls),
		TEST(tls_unknown_issuer),
		TEST(tls_wrong_name),
		TEST(tls_not_yet_valid),
		TEST(dates),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	alarm(120); /* a test that waits for what never comes */
	return cmocka_run_group_tests_name("http-client", tests, NULL, NULL);
}
