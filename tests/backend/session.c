/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json-fields.h"
#include "base/log.h"
#include "frames.h"
#include "http.h"
#include "json.h"
#include "push.h"
#include "server.h"

#define QUEUE_MAX (4 * 1024 * 1024) /* bytes; a slow reader beyond it catches up over REST */
#define HELLO_WITHIN_US (10 * LWS_USEC_PER_SEC)
#define FRAMES_A_WRITE 128 /* so that one busy session does not keep the turn */

enum treatment {
	TREAT_PLAIN,
	TREAT_CUT,
	TREAT_CORRUPT,
};

struct frame {
	const char *event_type;
	struct payload *payload;
	uint64_t barrier;
	uint64_t due_us; /* 0: at once */
	enum treatment treatment;
	enum corruption corruption;
	TAILQ_ENTRY(frame) entry;
};

struct payload *payload_new(cJSON *value)
{
	_cleanup_(cJSON_Deletep) cJSON *owned = value;
	_cleanup_free_ char *text = owned ? json_print(owned) : NULL;
	size_t length = text ? strlen(text) : 0;
	struct payload *p = text ? malloc(sizeof(*p) + length + 1) : NULL;

	if (!p)
		return NULL;
	p->references = 1;
	p->length = length;
	memcpy(p->text, text, length + 1);
	return p;
}

struct payload *payload_unref(struct payload *p)
{
	if (p && --p->references == 0)
		free(p);
	return NULL;
}

static void frame_drop(struct session *s, struct frame_queue *queue, struct frame *f)
{
	TAILQ_REMOVE(queue, f, entry);
	s->queued_bytes -= f->payload->length;
	payload_unref(f->payload);
	free(f);
}

static void clear(struct session *s, struct frame_queue *queue)
{
	while (!TAILQ_EMPTY(queue))
		frame_drop(s, queue, TAILQ_FIRST(queue));
}

static void wake(struct session *s)
{
	if (s->waking)
		return;
	s->waking = true;
	TAILQ_INSERT_TAIL(&s->server->waking_sessions, s, by_waking);
}

static void append(struct session *s, struct frame_queue *queue, const char *event_type,
	struct payload *payload, const struct fault *fault)
{
	struct frame *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	f->event_type = event_type;
	f->payload = payload;
	payload->references++;
	f->barrier = store_barrier(s->server->store);
	if (fault && fault->kind == FAULT_DELAY)
		f->due_us = clock_monotonic_us() + (uint64_t)fault->ms * 1000;
	if (fault && fault->kind == FAULT_CUT)
		f->treatment = TREAT_CUT;
	if (fault && fault->kind == FAULT_CORRUPT)
		f->treatment = TREAT_CORRUPT;
	f->corruption = fault ? fault->corruption : CORRUPT_TRUNCATED;
	s->queued_bytes += payload->length;
	TAILQ_INSERT_TAIL(queue, f, entry);
	wake(s);
}

void session_release_held(struct session *s)
{
	struct frame *f;

	while ((f = TAILQ_LAST(&s->held, frame_queue))) {
		TAILQ_REMOVE(&s->held, f, entry);
		TAILQ_INSERT_TAIL(&s->queue, f, entry);
		wake(s);
	}
}

static void release_all_held(struct server *server)
{
	struct session *s;

	TAILQ_FOREACH(s, &server->sessions, by_server)
		session_release_held(s);
}

/* Carries a fault out on a frame that is about to be queued. */
static void push_with_fault(struct session *s, const char *event_type, struct payload *payload,
	const struct fault *fault, bool last)
{
	switch (fault->kind) {
	case FAULT_LOSE:
		return;
	case FAULT_DUPLICATE:
		append(s, &s->queue, event_type, payload, NULL);
		append(s, &s->queue, event_type, payload, NULL);
		return;
	case FAULT_REORDER:
		append(s, &s->held, event_type, payload, NULL);
		if (last)
			release_all_held(s->server);
		return;
	case FAULT_DELAY:
	case FAULT_CUT:
	case FAULT_CORRUPT:
	case FAULT_REFUSE_MESSAGE:
	case FAULT_REFUSE:
	case FAULT_SLOW:
	case FAULT_CUT_UPLOAD:
	case FAULT_CUT_DOWNLOAD:
	case FAULT_REDIRECT:
	case FAULT_KIND_COUNT:
		append(s, &s->queue, event_type, payload, fault);
		return;
	}
}

void session_push(struct session *s, const char *event_type, struct payload *payload)
{
	struct fault fault;
	bool last;

	if (s->closing || !payload)
		return;
	if (s->queued_bytes + payload->length > QUEUE_MAX) {
		s->server->stats.sessions_overrun++;
		session_drop(s);
		return;
	}
	if (faults_on_frame(&s->server->faults, s->user->id, event_type, &fault, &last))
		push_with_fault(s, event_type, payload, &fault, last);
	else
		append(s, &s->queue, event_type, payload, NULL);
}

void session_push_to_user(struct user *user, const struct session *except, const char *event_type,
	struct payload *payload)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&user->sessions); s; s = next) {
		next = TAILQ_NEXT(s, by_user);
		if (s != except)
			session_push(s, event_type, payload);
	}
}

static void leave(struct session *s)
{
	if (!s->greeted)
		return;
	TAILQ_REMOVE(&s->user->sessions, s, by_user);
	s->greeted = false;
	if (TAILQ_EMPTY(&s->user->sessions) && !s->server->stopping)
		push_what_is_left(s->server, s->user);
}

void session_bye(struct session *s, const char *reason, int64_t retry_after_s)
{
	_cleanup_(payload_unrefp) struct payload *payload = NULL;
	cJSON *o;

	if (s->closing)
		return;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "reason", reason);
	if (retry_after_s > 0)
		add_integer(o, "retry_after_s", retry_after_s);
	payload = payload_new(o);
	session_push(s, "BYE", payload);
	s->closing = true;
	leave(s);
	wake(s);
}

void session_end(struct session *s)
{
	s->closing = true;
	leave(s);
	wake(s);
}

void session_drop(struct session *s)
{
	s->closing = true;
	leave(s);
	clear(s, &s->queue);
	clear(s, &s->held);
	shutdown(lws_get_socket_fd(s->wsi), SHUT_RDWR);
	lws_set_timeout(s->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

void session_join(struct session *s)
{
	struct session *other, *next;

	for (other = TAILQ_FIRST(&s->user->sessions); other; other = next) {
		next = TAILQ_NEXT(other, by_user);
		if (strcmp(other->device_id, s->device_id) == 0) {
			s->server->stats.sessions_replaced++;
			session_bye(other, "replaced", 0);
		}
	}
	lws_sul_cancel(&s->hello_timer);
	TAILQ_INSERT_TAIL(&s->user->sessions, s, by_user);
	s->greeted = true;
	s->server->stats.sessions_opened++;
}

void session_mute(struct session *s, bool mute)
{
	if (lws_rx_flow_control(s->wsi, mute ? 0 : 1) < 0)
		session_drop(s);
}

/* The frame as text behind LWS_PRE bytes of room; NULL when memory is short. */
static unsigned char *compose(const struct session *s, const struct frame *f,
	const char *connection_id, size_t *ret_length)
{
	size_t room = f->payload->length + 128;
	unsigned char *text = malloc(LWS_PRE + room);

	if (!text)
		return NULL;
	*ret_length = (size_t)snprintf((char *)text + LWS_PRE, room,
		"{\"connection_id\":\"%s\",\"event_type\":\"%s\",\"payload\":", connection_id,
		f->event_type);
	memcpy(text + LWS_PRE + *ret_length, f->payload->text, f->payload->length);
	*ret_length += f->payload->length;
	text[LWS_PRE + (*ret_length)++] = '}';
	return text;
}

static int write_text(
	struct session *s, unsigned char *text, size_t length, enum lws_write_protocol how)
{
	s->server->stats.frames_out++;
	return lws_write(s->wsi, text + LWS_PRE, length, how) < 0 ? -EIO : 0;
}

/*
 * Sends the header of a whole frame and half of its bytes behind libwebsockets' back, then closes.
 */
static int write_cut(struct session *s, const unsigned char *text, size_t length)
{
	int fd = lws_get_socket_fd(s->wsi);
	unsigned char header[4] = { 0x81, 126, (unsigned char)(length >> 8),
		(unsigned char)length };
	size_t n = 4;

	if (length < 126) {
		header[1] = (unsigned char)length;
		n = 2;
	}
	(void)!send(fd, header, n, MSG_NOSIGNAL);
	(void)!send(fd, text + LWS_PRE, length / 2, MSG_NOSIGNAL);
	session_drop(s);
	return -ECONNABORTED;
}

static int write_oversized(struct session *s, const char *connection_id)
{
	size_t length = FRAME_MAX + 1024;
	_cleanup_free_ unsigned char *text = malloc(LWS_PRE + length);
	int head;

	if (!text)
		return -ENOMEM;
	memset(text + LWS_PRE, 'x', length);
	head = sprintf((char *)text + LWS_PRE,
		"{\"connection_id\":\"%s\",\"event_type\":\"MSG_IN\",\"payload\":{\"x\":\"",
		connection_id);
	text[LWS_PRE + head] = 'x';
	memcpy(text + LWS_PRE + length - 3, "\"}}", 3);
	return write_text(s, text, length, LWS_WRITE_TEXT);
}

static int write_corrupt(
	struct session *s, const struct frame *f, unsigned char *text, size_t length)
{
	_cleanup_free_ unsigned char *other = NULL;

	switch (f->corruption) {
	case CORRUPT_TRUNCATED:
		return write_text(s, text, length / 2, LWS_WRITE_TEXT);
	case CORRUPT_GARBAGE:
		memset(text + LWS_PRE, '{', length);
		return write_text(s, text, length, LWS_WRITE_TEXT);
	case CORRUPT_BINARY:
		randombytes_buf(text + LWS_PRE, length);
		return write_text(s, text, length, LWS_WRITE_BINARY);
	case CORRUPT_OVERSIZED:
		return write_oversized(s, s->connection_id);
	case CORRUPT_STRANGER:
		other = compose(s, f, "c-stranger", &length);
		return other ? write_text(s, other, length, LWS_WRITE_TEXT) : -ENOMEM;
	case CORRUPT_COUNT:
		break;
	}
	return -EINVAL;
}

static int write_frame(struct session *s, const struct frame *f)
{
	size_t length;
	_cleanup_free_ unsigned char *text = compose(s, f, s->connection_id, &length);

	if (!text)
		return -ENOMEM;
	if (strcmp(f->event_type, "MSG_ACK") == 0)
		s->in_flight--;
	switch (f->treatment) {
	case TREAT_PLAIN:
		return write_text(s, text, length, LWS_WRITE_TEXT);
	case TREAT_CUT:
		return write_cut(s, text, length);
	case TREAT_CORRUPT:
		return write_corrupt(s, f, text, length);
	}
	return -EINVAL;
}

/*
 * The first frame that may leave now; `ret_wait_us` is when the next delayed one may, if it is not
 * yet.
 */
static struct frame *next_frame(struct session *s, uint64_t now, uint64_t *ret_wait_us)
{
	struct frame *f;

	TAILQ_FOREACH(f, &s->queue, entry) {
		if (!store_committed(s->server->store, f->barrier))
			continue;
		if (f->due_us <= now)
			return f;
		if (*ret_wait_us == 0 || f->due_us - now < *ret_wait_us)
			*ret_wait_us = f->due_us - now;
	}
	return NULL;
}

static void on_due(lws_sorted_usec_list_t *sul)
{
	struct session *s = lws_container_of(sul, struct session, due_timer);

	lws_callback_on_writable(s->wsi);
}

static int on_writable(struct session *s)
{
	uint64_t now = clock_monotonic_us(), wait_us = 0;
	struct frame *f = NULL;

	for (int i = 0; i < FRAMES_A_WRITE; i++) {
		f = lws_partial_buffered(s->wsi) ? NULL : next_frame(s, now, &wait_us);
		if (!f)
			break;
		if (write_frame(s, f) < 0)
			return -1;
		frame_drop(s, &s->queue, f);
	}
	if (f || lws_partial_buffered(s->wsi))
		lws_callback_on_writable(s->wsi);
	else if (wait_us > 0)
		lws_sul_schedule(
			s->server->lws, 0, &s->due_timer, on_due, (lws_usec_t)wait_us + 1000);
	if (s->closing && TAILQ_EMPTY(&s->queue)) {
		lws_close_reason(s->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}
	return 0;
}

static void on_hello_overdue(lws_sorted_usec_list_t *sul)
{
	struct session *s = lws_container_of(sul, struct session, hello_timer);

	session_bye(s, "hello_timeout", 0);
	lws_callback_on_writable(s->wsi);
}

static int on_established(struct lws *wsi, struct session **slot)
{
	struct server *server = lws_context_user(lws_get_context(wsi));
	struct problem ignored;
	struct user *user = http_authenticate(server, wsi, &ignored);
	struct session *s = user ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return -1;
	s->server = server;
	s->wsi = wsi;
	s->user = user;
	snprintf(s->connection_id, sizeof(s->connection_id), "c-%" PRIu64 "-%08" PRIx32,
		++server->connections, randombytes_random());
	TAILQ_INIT(&s->queue);
	TAILQ_INIT(&s->held);
	TAILQ_INSERT_TAIL(&server->sessions, s, by_server);
	lws_sul_schedule(server->lws, 0, &s->hello_timer, on_hello_overdue, HELLO_WITHIN_US);
	*slot = s;
	return 0;
}

static void on_closed(struct session *s)
{
	leave(s);
	lws_sul_cancel(&s->hello_timer);
	lws_sul_cancel(&s->due_timer);
	clear(s, &s->queue);
	clear(s, &s->held);
	buffer_clear(&s->received);
	TAILQ_REMOVE(&s->server->sessions, s, by_server);
	if (s->waking)
		TAILQ_REMOVE(&s->server->waking_sessions, s, by_waking);
	free(s);
}

static void on_receive(struct session *s, const void *data, size_t len)
{
	if (s->closing)
		return;
	if (lws_frame_is_binary(s->wsi)) {
		session_bye(s, "malformed", 0);
		return;
	}
	if (buffer_size(&s->received) + len > FRAME_MAX) {
		session_bye(s, "too_large", 0);
		return;
	}
	/* A frame that came in one piece need not be copied. */
	if (lws_is_first_fragment(s->wsi) && lws_is_final_fragment(s->wsi)) {
		frame_handle(s, data, len);
		return;
	}
	if (buffer_append(&s->received, data, len) < 0) {
		session_drop(s);
		return;
	}
	if (lws_is_final_fragment(s->wsi)) {
		frame_handle(
			s, (const char *)buffer_bytes(&s->received), buffer_size(&s->received));
		buffer_consume(&s->received, buffer_size(&s->received));
	}
}

int session_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct session **slot = user;

	if (reason == LWS_CALLBACK_ESTABLISHED)
		return on_established(wsi, slot);
	if (!slot || !*slot)
		return 0;
	if (reason == LWS_CALLBACK_RECEIVE)
		on_receive(*slot, in, len);
	else if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
		return on_writable(*slot);
	else if (reason == LWS_CALLBACK_CLOSED) {
		on_closed(*slot);
		*slot = NULL;
	}
	return 0;
}
