/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread's side of a ws-client: libwebsockets, with a context of its own for each connection,
 * so that a connection takes everything it held with it. A run is one connection; its fields are
 * the thread's alone.
 */
#include <string.h>

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/heartbeat.h"
#include "net/ws-client.h"
#include "net/ws-worker.h"

#define CONNECT_TIMEOUT_S 20
#define PROBE_TIMEOUT_S 5
#define CLOSE_TIMEOUT_MS 2000
#define QUIT_TIMEOUT_MS 500
#define FRAMES_PER_TURN 64
#define RECEIVE_CHUNK 16384
#define HANDSHAKE_SIZE 16384
#define MAX_TARGET 1024

_Static_assert(WS_HEADROOM >= LWS_PRE, "libwebsockets wants more room in front of a payload");

struct run {
	struct ws_link *link;
	struct lws_context *context;
	struct lws *wsi;
	SSL_CTX *tls;
	lws_sorted_usec_list_t deadline; /* of closing */
	lws_sorted_usec_list_t heartbeat;
	struct buffer message; /* what has come of a fragmented one */
	char host_header[120]; /* as long as libwebsockets sends it whole */
	const char *certificate_error;
	char retry_after[48];
	int http_status;
	int close_code;
	bool established;
	bool reading;
	bool refused; /* what the peer sends is ignored from now on */
	bool closing;
	bool close_sent;
	bool done;
	bool ping_due;
	bool probing; /* the ping that is unanswered came of an order, not of silence */
	unsigned base_s, timeout_s; /* as ordered last */
	struct heartbeat *beat;     /* the worker's: it outlives the connection */
	uint64_t received_at;       /* last time, in us; of anything */
	uint64_t pinged_at;         /* 0: no ping is unanswered */
};

static void end(struct run *r)
{
	r->done = true;
	lws_cancel_service(r->context);
}

/* The first reason is the one that counts. */
static void report(struct run *r, enum ws_failure failure, const char *detail)
{
	struct ws_event *e = TAKE_PTR(r->link->end);

	if (!e)
		return;
	e->failure = failure;
	if (failure == WS_HTTP) {
		e->http_status = r->http_status;
		memcpy(e->retry_after, r->retry_after, sizeof(e->retry_after));
	}
	e->len = (size_t)snprintf(e->data, WS_DETAIL_SIZE, "%s", detail ? detail : "");
	ws_link_post(r->link, e);
}

static void on_deadline(lws_sorted_usec_list_t *sul)
{
	end(lws_container_of(sul, struct run, deadline));
}

static void on_heartbeat(lws_sorted_usec_list_t *sul);

static void schedule(struct run *r, lws_sorted_usec_list_t *sul, sul_cb_t fn, uint64_t us)
{
	lws_sul_schedule(r->context, 0, sul, fn, (lws_usec_t)(us ? us : 1));
}

static uint64_t patience_us(const struct run *r)
{
	return (uint64_t)(r->probing ? PROBE_TIMEOUT_S : r->timeout_s) * 1000000;
}

static unsigned silent_s(const struct run *r)
{
	return (unsigned)((clock_monotonic_us() - r->received_at) / 1000000);
}

static void give_up(struct run *r)
{
	if (!r->probing)
		heartbeat_lost(r->beat, r->beat->interval_s);
	report(r, WS_NO_PONG, "the server does not answer");
	end(r);
}

static void ping(struct run *r, bool probing)
{
	r->probing = probing;
	r->ping_due = true;
	r->pinged_at = clock_monotonic_us();
	lws_callback_on_writable(r->wsi);
	lws_sul_cancel(&r->heartbeat);
	schedule(r, &r->heartbeat, on_heartbeat, patience_us(r));
}

static void on_heartbeat(lws_sorted_usec_list_t *sul)
{
	struct run *r = lws_container_of(sul, struct run, heartbeat);
	uint64_t now = clock_monotonic_us(), interval;

	/* What came in the microsecond of the ping is not its answer. */
	if (r->pinged_at && r->received_at <= r->pinged_at) {
		if (now - r->pinged_at >= patience_us(r))
			give_up(r);
		else
			schedule(r, sul, on_heartbeat, r->pinged_at + patience_us(r) - now);
		return;
	}
	r->pinged_at = 0;
	interval = (uint64_t)r->beat->interval_s * 1000000;
	if (now - r->received_at < interval)
		schedule(r, sul, on_heartbeat, r->received_at + interval - now);
	else
		ping(r, false);
}

/* While this side does not read, silence says nothing of the peer. */
static void restart_heartbeat(struct run *r)
{
	lws_sul_cancel(&r->heartbeat);
	r->received_at = clock_monotonic_us();
	r->pinged_at = 0;
	if (r->base_s && r->reading && !r->closing)
		schedule(r, &r->heartbeat, on_heartbeat, (uint64_t)r->beat->interval_s * 1000000);
}

/* An answered ping needs no timer to look after it: the next is of the next silence. */
static void on_pong(struct run *r)
{
	bool answered = r->pinged_at && !r->ping_due;

	r->received_at = clock_monotonic_us();
	if (!answered)
		return;
	if (!r->probing)
		heartbeat_answered(r->beat);
	restart_heartbeat(r);
}

static void set_reading(struct run *r, bool reading)
{
	r->reading = reading;
	lws_rx_flow_control(r->wsi, reading);
	restart_heartbeat(r);
}

static void begin_close(struct run *r, bool quit)
{
	if (!r->established || !r->wsi) {
		end(r);
		return;
	}
	if (!r->closing || quit)
		schedule(r, &r->deadline, on_deadline,
			(uint64_t)(quit ? QUIT_TIMEOUT_MS : CLOSE_TIMEOUT_MS) * 1000);
	if (!r->closing) {
		r->closing = true;
		set_reading(r, true);
	}
	lws_callback_on_writable(r->wsi);
}

/* Asked for since the network is another one. */
static void probe(struct run *r)
{
	heartbeat_forget(r->beat);
	if (r->base_s && r->reading && !r->pinged_at)
		ping(r, true);
}

static void follow_orders(struct run *r)
{
	struct ws_orders o = ws_link_get_orders(r->link);
	bool over = !r->link->end;

	if (over && !r->refused && (o.hurry || o.quit))
		end(r);
	if (o.close)
		begin_close(r, o.quit);
	if (!r->established || !r->wsi || r->closing)
		return;
	if (o.interval_s != r->base_s || o.timeout_s != r->timeout_s) {
		r->base_s = o.interval_s;
		r->timeout_s = o.timeout_s;
		if (o.interval_s)
			heartbeat_set_base(r->beat, o.interval_s);
		restart_heartbeat(r);
	}
	if (o.probe)
		probe(r);
	if (o.may_read && !r->reading && !r->refused)
		set_reading(r, true);
	if (o.has_frames)
		lws_callback_on_writable(r->wsi);
}

static int on_established(struct run *r)
{
	struct ws_event *e = ws_event_new(WS_EVENT_OPEN, NULL, 0);

	if (!e)
		return -1;
	r->established = true;
	r->reading = true;
	ws_link_post(r->link, e);
	restart_heartbeat(r);
	follow_orders(r);
	return 0;
}

static int append_authorization(struct run *r, struct lws *wsi, unsigned char **at, size_t room)
{
	const char *value = r->link->authorization;

	if (!value)
		return 0;
	return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
		(const unsigned char *)value, (int)strlen(value), at, *at + room);
}

static void note_http_status(struct run *r, struct lws *wsi)
{
	r->http_status = (int)lws_http_client_http_response(wsi);
	if (lws_hdr_copy(wsi, r->retry_after, sizeof(r->retry_after), WSI_TOKEN_HTTP_RETRY_AFTER) <
		0)
		r->retry_after[0] = '\0';
}

/*
 * Stops listening, but leaves the connection open: the loop's side may have a last word before it
 * closes.
 */
static int refuse(struct run *r, enum ws_failure failure, int close_code, const char *detail)
{
	r->refused = true;
	r->close_code = close_code;
	buffer_clear(&r->message);
	set_reading(r, false);
	report(r, failure, detail);
	return 0;
}

static int post_message(struct run *r, const void *data, size_t len)
{
	struct ws_event *e = ws_event_new(WS_EVENT_MESSAGE, data, len);

	if (!e)
		return -1;
	if (!ws_link_post(r->link, e))
		set_reading(r, false);
	return 0;
}

static int on_receive(struct run *r, const char *data, size_t len)
{
	size_t max = r->link->max_message;
	size_t have = buffer_size(&r->message);
	size_t to_come = lws_remaining_packet_payload(r->wsi);
	int ret;

	r->received_at = clock_monotonic_us();
	if (r->refused || r->closing || !r->link->end)
		return 0;
	if (lws_frame_is_binary(r->wsi))
		return refuse(
			r, WS_NOT_TEXT, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "a binary message");
	if (to_come > max || len > max - to_come || have > max - to_come - len)
		return refuse(r, WS_TOO_LARGE, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
			"a message is too large");
	if (have == 0 && lws_is_final_fragment(r->wsi))
		return post_message(r, data, len);
	if (buffer_append(&r->message, data, len) < 0)
		return -1;
	if (!lws_is_final_fragment(r->wsi))
		return 0;
	ret = post_message(r, buffer_bytes(&r->message), buffer_size(&r->message));
	buffer_clear(&r->message);
	return ret;
}

static int send_ping(struct run *r)
{
	unsigned char empty[WS_HEADROOM];

	r->ping_due = false;
	return lws_write(r->wsi, empty + WS_HEADROOM, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
}

static int send_frame(struct run *r, struct ws_frame *f)
{
	int n = lws_write(r->wsi, f->data + WS_HEADROOM, f->len, LWS_WRITE_TEXT);

	free(f);
	return n < 0 ? -1 : 0;
}

static int on_writable(struct run *r)
{
	/*
	 * libwebsockets asks on while it waits for the peer's close, and would take another -1 as
	 * giving up on that.
	 */
	if (r->close_sent)
		return 0;
	if (r->ping_due && send_ping(r) < 0)
		return -1;
	for (int i = 0; i < FRAMES_PER_TURN && !lws_send_pipe_choked(r->wsi); i++) {
		struct ws_frame *f = ws_link_take_frame(r->link);

		if (f && send_frame(r, f) < 0)
			return -1;
		if (f)
			continue;
		if (!r->closing)
			return 0;
		r->close_sent = true;
		lws_close_reason(r->wsi, (enum lws_close_status)r->close_code, NULL, 0);
		return -1;
	}
	lws_callback_on_writable(r->wsi);
	return 0;
}

static void on_peer_close(struct run *r, const unsigned char *data, size_t len)
{
	char detail[64];

	if (len < 2) {
		report(r, WS_CLOSED, "closed by the server");
		return;
	}
	snprintf(detail, sizeof(detail), "closed by the server (%d)", data[0] << 8 | data[1]);
	report(r, WS_CLOSED, detail);
}

/* `why` is libwebsockets' text, or NULL. */
static void on_failure(struct run *r, const char *why, size_t len)
{
	static const struct {
		const char *part, *text;
	} texts[] = {
		{ "getaddrinfo", "no such host" },
		{ "Unable to connect", "could not connect" },
		{ "imed out", "timed out" },
		{ "SSL", "TLS: the handshake failed" },
		{ "SYSCALL", "TLS: the handshake failed" },
		{ "HS:", "no WebSocket is spoken there" },
	};
	char reason[120] = "";
	char detail[160];

	if (why)
		snprintf(reason, sizeof(reason), "%.*s", (int)len, why);
	log_debug("WebSocket connection failed: %s", reason);
	if (r->certificate_error) {
		snprintf(detail, sizeof(detail), "TLS: %s", r->certificate_error);
		report(r, WS_TLS, detail);
	} else if (r->http_status && r->http_status != 101) {
		snprintf(detail, sizeof(detail), "the server answered %d", r->http_status);
		report(r, WS_HTTP, detail);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strstr(reason, texts[i].part))
			report(r, WS_UNREACHABLE, texts[i].text);
	report(r, WS_UNREACHABLE, "could not connect");
}

static void on_gone(struct run *r)
{
	r->wsi = NULL;
	if (r->base_s && !r->closing && silent_s(r) >= r->base_s)
		heartbeat_lost(r->beat, silent_s(r));
	if (r->established)
		report(r, WS_CLOSED, "the connection broke");
	else
		on_failure(r, NULL, 0);
	end(r);
}

static int callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct run *r = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;

	if (!r)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		follow_orders(r);
		return 0;
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_authorization(r, wsi, in, len);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		note_http_status(r, wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		r->wsi = wsi;
		return on_established(r);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(r, in, len);
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		on_pong(r);
		return 0;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writable(r);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		on_peer_close(r, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		r->wsi = NULL;
		on_failure(r, in, len);
		end(r);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		on_gone(r);
		return 0;
	default:
		return 0;
	}
}

/*
 * libwebsockets names the peer to OpenSSL by a host cut at its first colon, and takes a certificate
 * that is not yet valid for a wrong clock. So this side asks for its own checks, and theirs only
 * come after.
 */
static int verify_certificate(X509_STORE_CTX *store, void *userdata)
{
	struct run *r = userdata;
	const char *host = r->link->url.host;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	unsigned char address[16];
	int ok;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		ok = X509_VERIFY_PARAM_set1_host(param, NULL, 0) &&
			X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		ok = X509_VERIFY_PARAM_set1_host(param, host, 0);
	if (ok && X509_verify_cert(store) == 1)
		return 1;
	r->certificate_error = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
	return 0;
}

/*
 * libwebsockets' own TLS context would trust a directory relative to where the process happens to
 * stand.
 */
static bool set_up_tls(struct run *r)
{
	const char *ca_file = r->link->ca_file;

	if (!url_is_secure(&r->link->url))
		return true;
	r->tls = SSL_CTX_new(TLS_client_method());
	if (!r->tls)
		return false;
	SSL_CTX_set_min_proto_version(r->tls, TLS1_2_VERSION);
	SSL_CTX_set_mode(r->tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(r->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(r->tls, verify_certificate, r);
	if (ca_file && SSL_CTX_load_verify_file(r->tls, ca_file) != 1) {
		report(r, WS_TLS, "TLS: the CA file cannot be read");
		return false;
	}
	return ca_file || SSL_CTX_set_default_verify_paths(r->tls) == 1;
}

/*
 * libwebsockets looks every 30 s after a parent process and listening sockets, of which there are
 * none here; the thread would wake up for that alone. That timer is found beside one of this
 * file's, as the one whose time is that.
 */
static void stop_idle_timer(struct run *r)
{
	lws_usec_t now = lws_now_usecs();
	struct lws_dll2 *d, *next;

	schedule(r, &r->deadline, on_deadline, 3600 * (uint64_t)LWS_US_PER_SEC);
	for (d = r->deadline.list.owner->head; d; d = next) {
		lws_sorted_usec_list_t *sul = lws_container_of(d, lws_sorted_usec_list_t, list);

		next = d->next;
		if (sul != &r->deadline && sul->us > now + 29 * LWS_US_PER_SEC &&
			sul->us <= now + 30 * LWS_US_PER_SEC)
			lws_sul_cancel(sul);
	}
	lws_sul_cancel(&r->deadline);
}

static bool create_context(struct run *r)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "ws-client", .callback = callback, .rx_buffer_size = RECEIVE_CHUNK },
		{ .name = NULL },
	};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.user = r,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.fd_limit_per_thread = 16,
		.pt_serv_buf_size = HANDSHAKE_SIZE,
		.timeout_secs = CONNECT_TIMEOUT_S,
		.connect_timeout_secs = CONNECT_TIMEOUT_S,
	};

	if (r->tls) {
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.provided_client_ssl_ctx = r->tls;
	}
	/* Given here, it is not looked for in the environment. */
	info.http_proxy_address = r->link->proxy;
	r->context = lws_create_context(&info);
	if (r->context)
		stop_idle_timer(r);
	return r->context;
}

static bool compose_host_header(struct run *r)
{
	const struct url *u = &r->link->url;
	bool v6 = strchr(u->host, ':');
	int n = snprintf(r->host_header, sizeof(r->host_header), "%s%s%s:%u", v6 ? "[" : "",
		u->host, v6 ? "]" : "", u->port);

	return n < (int)sizeof(r->host_header) && strlen(u->target) < MAX_TARGET;
}

static void start_connecting(struct run *r)
{
	/*
	 * Its zeroes turn off libwebsockets' own pings, which would come beside those of this file.
	 */
	static const lws_retry_bo_t no_pings;
	const struct ws_link *l = r->link;
	struct lws_client_connect_info info = {
		.context = r->context,
		.address = l->url.host,
		.port = (int)l->url.port,
		.path = l->url.target,
		.host = r->host_header,
		.protocol = l->subprotocol,
		.local_protocol_name = "ws-client",
		.alpn = "http/1.1",
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.ietf_version_or_minus_one = -1,
		.retry_and_idle_policy = &no_pings,
		.pwsi = &r->wsi,
	};

	if (r->tls)
		info.ssl_connection |= LCCSCF_USE_SSL;
	if (!ws_worker_begin_resolving(l->worker)) {
		end(r);
		return;
	}
	if (!lws_client_connect_via_info(&info)) {
		r->wsi = NULL;
		on_failure(r, NULL, 0);
		end(r);
	}
	ws_worker_end_resolving(l->worker);
}

static void serve(struct run *r)
{
	ws_worker_set_context(r->link->worker, r->context);
	follow_orders(r);
	if (!r->done)
		start_connecting(r);
	while (!r->done && lws_service(r->context, 0) >= 0)
		;
	report(r, WS_CLOSED, "the connection broke");
	ws_worker_set_context(r->link->worker, NULL);
	lws_sul_cancel(&r->deadline);
	lws_sul_cancel(&r->heartbeat);
	lws_context_destroy(r->context);
}

static void run_link(struct ws_link *l)
{
	struct run r = {
		.link = l,
		.close_code = LWS_CLOSE_STATUS_NORMAL,
		.beat = &l->worker->beat,
	};

	if (ws_link_get_orders(l).close)
		return;
	if (!compose_host_header(&r))
		report(&r, WS_UNREACHABLE, "the URL is too long");
	else if (!l->proxy)
		report(&r, WS_UNREACHABLE, "a proxy of that kind is not supported");
	else if (set_up_tls(&r) && create_context(&r))
		serve(&r);
	report(&r, WS_UNREACHABLE, "the connection could not be set up");
	SSL_CTX_free(r.tls);
	buffer_clear(&r.message);
}

static void log_line(int level, const char *line)
{
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static void set_up_log(void)
{
	lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
}

void *ws_thread_main(void *userdata)
{
	/* The log of libwebsockets is the process's. */
	static pthread_once_t log_once = PTHREAD_ONCE_INIT;
	struct ws_worker *w = userdata;
	struct ws_link *l;

	pthread_once(&log_once, set_up_log);
	while ((l = ws_worker_next_link(w))) {
		run_link(l);
		ws_link_unref(l);
	}
	ws_worker_unref(w);
	return NULL;
}

void ws_thread_wake(void *context)
{
	lws_cancel_service(context);
}

const char *ws_client_version(void)
{
	return lws_get_library_version();
}
