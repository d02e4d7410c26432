/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libcurl forbids most calls inside its own callbacks, and a sink runs inside one. So a request is
 * handed to curl, and taken from it, in pump(), at the end of the turn; until then it waits in the
 * list that says what it is due.
 */
#include "net/http-client.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "base/buffer.h"
#include "base/log.h"
#include "net/url.h"

#define CONNECT_TIMEOUT_S 20L
#define STALL_TIMEOUT_S 30u
#define MAX_BODY (4u << 20)
#define TURN_BYTES (256u << 10) /* that a sink is given in a turn of the loop */
/* More than there ever are in the background, so that a user's request need not wait for these. */
#define MAX_CONNECTIONS_PER_HOST 12L
#define MAX_IDLE_CONNECTIONS 8L

TAILQ_HEAD(request_list, http_request);

struct http_client {
	struct event_loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct loop_timer *next_turn; /* sinks are given bytes again */
	char *ca_file;
	struct loop_deferred pump;
	struct request_list starting; /* not yet handed to curl */
	struct request_list running;
	struct request_list finished; /* curl is through with them, done is still to be called */
	struct request_list dropped;  /* to be taken from curl and freed */
	unsigned depth;               /* of calls on the stack that still need the client */
	bool in_curl;
	bool freed; /* by its owner; goes when depth is 0 */
};

struct http_request {
	struct http_client *client;
	struct request_list *list; /* the one it is in; NULL while done runs */
	TAILQ_ENTRY(http_request) entry;
	CURL *easy;
	struct curl_slist *headers;
	char *upload;
	struct buffer body;
	size_t max_body;
	bool too_large;
	bool attached; /* to the multi handle */
	size_t taken;  /* bytes that the sink was given in this turn */
	bool paused;   /* until the next */
	CURLcode result;
	http_sink_fn sink;
	http_done_fn done;
	void *userdata;
	char error[CURL_ERROR_SIZE];
};

static void move(struct http_request *r, struct request_list *to)
{
	if (r->list)
		TAILQ_REMOVE(r->list, r, entry);
	r->list = to;
	if (to)
		TAILQ_INSERT_TAIL(to, r, entry);
}

static struct http_request *request_free(struct http_request *r)
{
	if (!r)
		return NULL;
	move(r, NULL);
	if (r->attached)
		curl_multi_remove_handle(r->client->multi, r->easy);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	free(r->upload);
	buffer_clear(&r->body);
	free(r);
	return NULL;
}
DEFINE_CLEANUP(struct http_request *, request_free)

static void free_list(struct request_list *list)
{
	struct http_request *r;

	while ((r = TAILQ_FIRST(list)))
		request_free(r);
}

static void destroy(struct http_client *c)
{
	free_list(&c->starting);
	free_list(&c->running);
	free_list(&c->finished);
	free_list(&c->dropped);
	event_loop_undefer(c->loop, &c->pump);
	if (c->multi)
		curl_multi_cleanup(c->multi);
	loop_timer_free(c->timer);
	loop_timer_free(c->next_turn);
	free(c->ca_file);
	free(c);
	curl_global_cleanup();
}

static void enter(struct http_client *c)
{
	c->depth++;
}

static void leave(struct http_client *c)
{
	if (--c->depth == 0 && c->freed)
		destroy(c);
}

/*
 * curl takes more than a megabyte from a fast server at once. What a sink stores is on the disk
 * when the turn is over, so turns are kept short.
 */
static size_t feed_sink(struct http_request *r, const char *data, size_t n)
{
	struct http_client *c = r->client;
	int ret;

	if (!loop_timer_is_running(c->next_turn))
		loop_timer_start_us(c->next_turn, 0);
	if (r->taken >= TURN_BYTES) {
		r->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	r->taken += n;
	ret = r->sink(r->userdata, r, data, n);
	return ret < 0 || c->freed || r->list == &c->dropped ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct http_request *r = userdata;
	struct http_client *c = r->client;

	n *= size;
	if (c->freed || r->list == &c->dropped)
		return CURL_WRITEFUNC_ERROR;
	if (r->sink)
		return feed_sink(r, data, n);
	if (n > r->max_body - buffer_size(&r->body)) {
		r->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	return buffer_append(&r->body, data, n) < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static const char *connect_error(const struct http_request *r)
{
	long os_error = 0;

	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_error);
	switch (os_error) {
	case ECONNREFUSED:
		return "connection refused";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "no route to the server";
	default:
		return "could not connect";
	}
}

/* Why there is no answer, in words; `r->error` serves as the place for composed ones. */
static const char *describe(struct http_request *r)
{
	char detail[CURL_ERROR_SIZE];

	switch (r->result) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "no such host";
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "no such proxy host";
	case CURLE_COULDNT_CONNECT:
		return connect_error(r);
	case CURLE_OPERATION_TIMEDOUT:
		return "timed out";
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return "the connection broke";
	case CURLE_WRITE_ERROR:
		return r->too_large ? "the answer is too large" : "the answer was not taken";
	case CURLE_OUT_OF_MEMORY:
		return "out of memory";
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
		memcpy(detail, r->error, sizeof(detail));
		snprintf(r->error, sizeof(r->error), "TLS: %.200s",
			detail[0] ? detail : curl_easy_strerror(r->result));
		return r->error;
	default:
		return curl_easy_strerror(r->result);
	}
}

static bool is_certificate_failure(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
		code == CURLE_SSL_ISSUER_ERROR;
}

static void call_done(struct http_request *r)
{
	struct http_response response = { .body = "" };

	if (r->result == CURLE_OK) {
		response.status = http_request_status(r);
		if (buffer_append(&r->body, "", 1) == 0) {
			response.body = (const char *)buffer_bytes(&r->body);
			response.body_len = buffer_size(&r->body) - 1;
		} else {
			r->result = CURLE_OUT_OF_MEMORY;
			response.status = 0;
		}
	}
	if (r->result != CURLE_OK) {
		response.error = describe(r);
		response.tls_failed = is_certificate_failure(r->result);
		response.too_large = r->too_large;
	}
	r->done(r->userdata, r, &response);
}

static void take_results(struct http_client *c)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left))) {
		struct http_request *r = NULL;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		if (r->list != &c->running)
			continue;
		r->result = message->data.result;
		move(r, &c->finished);
	}
	if (!TAILQ_EMPTY(&c->finished) || !TAILQ_EMPTY(&c->dropped))
		event_loop_defer(c->loop, &c->pump);
}

static void start_waiting(struct http_client *c)
{
	struct http_request *r;

	while ((r = TAILQ_FIRST(&c->starting))) {
		if (curl_multi_add_handle(c->multi, r->easy) == CURLM_OK) {
			r->attached = true;
			move(r, &c->running);
			continue;
		}
		r->result = CURLE_OUT_OF_MEMORY;
		move(r, &c->finished);
	}
}

static void pump(void *userdata)
{
	struct http_client *c = userdata;
	struct http_request *r;

	enter(c);
	free_list(&c->dropped);
	while (!c->freed && (r = TAILQ_FIRST(&c->finished))) {
		move(r, NULL);
		call_done(r);
		request_free(r);
	}
	if (!c->freed)
		start_waiting(c);
	leave(c);
}

static void socket_action(struct http_client *c, curl_socket_t fd, int what)
{
	int running;

	enter(c);
	c->in_curl = true;
	curl_multi_socket_action(c->multi, fd, what, &running);
	c->in_curl = false;
	if (!c->freed)
		take_results(c);
	leave(c);
}

static void on_io(void *userdata, int fd, unsigned ready)
{
	int what = (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
		(ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0);

	socket_action(userdata, fd, what);
}

static void on_timer(void *userdata)
{
	socket_action(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static struct http_request *find_paused(struct http_client *c)
{
	struct http_request *r;

	TAILQ_FOREACH(r, &c->running, entry)
		if (r->paused && r->taken == 0)
			return r;
	return NULL;
}

/* What goes on may end, or end others, from inside. */
static void on_next_turn(void *userdata)
{
	struct http_client *c = userdata;
	struct http_request *r;

	TAILQ_FOREACH(r, &c->running, entry)
		r->taken = 0;
	enter(c);
	while (!c->freed && (r = find_paused(c))) {
		r->paused = false;
		c->in_curl = true;
		curl_easy_pause(r->easy, CURLPAUSE_CONT);
		c->in_curl = false;
	}
	if (!c->freed)
		socket_action(c, CURL_SOCKET_TIMEOUT, 0);
	leave(c);
}

static int on_timeout_change(CURLM *multi, long timeout_ms, void *userdata)
{
	struct http_client *c = userdata;

	if (timeout_ms < 0)
		loop_timer_stop(c->timer);
	else
		loop_timer_start_us(c->timer, (uint64_t)timeout_ms * 1000);
	return 0;
}

static int on_socket_change(
	CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	struct http_client *c = userdata;
	struct loop_io *io = socket_data;
	unsigned events =
		(what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);

	if (what == CURL_POLL_REMOVE) {
		loop_io_free(io);
		curl_multi_assign(c->multi, fd, NULL);
		return 0;
	}
	if (io) {
		loop_io_set_events(io, events);
		return 0;
	}
	io = loop_io_new(c->loop, fd, events, on_io, c);
	if (!io)
		return -1;
	curl_multi_assign(c->multi, fd, io);
	return 0;
}

static int add_header(struct http_request *r, const char *header)
{
	struct curl_slist *list = curl_slist_append(r->headers, header);

	if (!list)
		return -ENOMEM;
	r->headers = list;
	return 0;
}

static int set_headers(struct http_request *r, const struct http_options *o)
{
	bool has_type = false;
	int ret = 0;

	for (const char *const *h = o->headers; h && *h && ret == 0; h++) {
		has_type |= strncasecmp(*h, "Content-Type:", 13) == 0;
		ret = add_header(r, *h);
	}
	/*
	 * curl would call any body a form, and hold back a large one until the server says "100
	 * Continue".
	 */
	if (ret == 0 && !has_type)
		ret = add_header(r, "Content-Type:");
	if (ret == 0)
		ret = add_header(r, "Expect:");
	if (ret == 0)
		curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	return ret;
}

static int set_body(struct http_request *r, const struct http_options *o)
{
	bool takes_body = strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0 ||
		strcmp(o->method, "PATCH") == 0;

	if (strcmp(o->method, "HEAD") == 0)
		curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, o->method);
	if (o->body_len == 0 && !takes_body)
		return 0;
	r->upload = malloc(o->body_len + 1);
	if (!r->upload)
		return -ENOMEM;
	if (o->body_len)
		memcpy(r->upload, o->body, o->body_len);
	curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
	curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->upload);
	return 0;
}

static void set_limits(struct http_request *r, const struct http_options *o)
{
	unsigned stall = o->stall_timeout_s ? o->stall_timeout_s : STALL_TIMEOUT_S;

	r->max_body = o->max_body ? o->max_body : MAX_BODY;
	curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT, (long)o->timeout_s);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(r->easy, CURLOPT_LOW_SPEED_TIME, (long)stall);
}

static int set_target(struct http_request *r, const struct http_options *o)
{
	_cleanup_url_ struct url url = { 0 };
	int ret = url_parse(o->url, &url);

	if (ret < 0)
		return ret;
	if (strncmp(url.scheme, "http", 4) != 0)
		return -EINVAL;
	if (url_is_loopback(&url))
		curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(r->easy, CURLOPT_URL, o->url);
	curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(r->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	/* Cancelling must not wait for a name lookup; its thread cleans up after itself. */
	curl_easy_setopt(r->easy, CURLOPT_QUICK_EXIT, 1L);
	if (r->client->ca_file) {
		curl_easy_setopt(r->easy, CURLOPT_CAINFO, r->client->ca_file);
		curl_easy_setopt(r->easy, CURLOPT_CAPATH, NULL);
	}
	if (o->user && o->password) {
		curl_easy_setopt(r->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(r->easy, CURLOPT_USERNAME, o->user);
		curl_easy_setopt(r->easy, CURLOPT_PASSWORD, o->password);
	}
	return 0;
}

static int set_up(struct http_request *r, const struct http_options *o)
{
	int ret;

	r->easy = curl_easy_init();
	if (!r->easy)
		return -ENOMEM;
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	ret = set_target(r, o);
	if (ret == 0)
		ret = set_body(r, o);
	if (ret == 0)
		ret = set_headers(r, o);
	if (ret == 0)
		set_limits(r, o);
	return ret;
}

int http_client_start(
	struct http_client *c, const struct http_options *o, struct http_request **ret)
{
	_cleanup_(request_freep) struct http_request *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->client = c;
	r->sink = o->sink;
	r->done = o->done;
	r->userdata = o->userdata;
	error = set_up(r, o);
	if (error < 0)
		return error;
	move(r, &c->starting);
	event_loop_defer(c->loop, &c->pump);
	*ret = TAKE_PTR(r);
	return 0;
}

struct http_request *http_request_cancel(struct http_request *r)
{
	if (!r || !r->list)
		return NULL;
	if (!r->client->in_curl)
		return request_free(r);
	move(r, &r->client->dropped);
	event_loop_defer(r->client->loop, &r->client->pump);
	return NULL;
}

int http_request_status(const struct http_request *r)
{
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

const char *http_request_header(struct http_request *r, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(r->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

int64_t http_date_parse(const char *text)
{
	return curl_getdate(text, NULL);
}

const char *http_client_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

int http_client_set_ca_file(struct http_client *c, const char *ca_file)
{
	char *copy = ca_file ? strdup(ca_file) : NULL;

	if (ca_file && !copy)
		return -ENOMEM;
	free(c->ca_file);
	c->ca_file = copy;
	return 0;
}

struct http_client *http_client_new(struct event_loop *loop, const char *ca_file)
{
	struct http_client *c;

	/*
	 * curl counts these calls itself: the last client's curl_global_cleanup is the one that
	 * acts.
	 */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		curl_global_cleanup();
		return NULL;
	}
	c->loop = loop;
	c->pump = (struct loop_deferred){ .fn = pump, .userdata = c };
	TAILQ_INIT(&c->starting);
	TAILQ_INIT(&c->running);
	TAILQ_INIT(&c->finished);
	TAILQ_INIT(&c->dropped);
	c->multi = curl_multi_init();
	c->timer = loop_timer_new(loop, on_timer, c);
	c->next_turn = loop_timer_new(loop, on_next_turn, c);
	c->ca_file = ca_file ? strdup(ca_file) : NULL;
	if (!c->multi || !c->timer || !c->next_turn || (ca_file && !c->ca_file)) {
		destroy(c);
		return NULL;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, MAX_CONNECTIONS_PER_HOST);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
	return c;
}

struct http_client *http_client_free(struct http_client *c)
{
	if (!c)
		return NULL;
	c->freed = true;
	event_loop_undefer(c->loop, &c->pump);
	if (c->depth == 0)
		destroy(c);
	return NULL;
}
