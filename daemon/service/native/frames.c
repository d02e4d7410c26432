/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The frames of a session. One that is not what the protocol says ends the session; an event type
 * that is not known is passed over.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "service/native/native-private.h"

#define MAX_INTEGER ((int64_t)1 << 53)

struct frame {
	const char *connection_id, *event_type;
	const cJSON *payload;
};

static const struct json_field frame_fields[] = {
	{ "connection_id", JSON_ID, JSON_NULLABLE, offsetof(struct frame, connection_id) },
	{ "event_type", JSON_STRING, JSON_REQUIRED, offsetof(struct frame, event_type), 1, 64 },
	{ "payload", JSON_OBJECT, JSON_REQUIRED, offsetof(struct frame, payload) },
	{ NULL },
};

char *frame_print(const char *connection_id, const char *event_type, cJSON *payload)
{
	_cleanup_(cJSON_Deletep) cJSON *owned = payload;
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

	if (!o)
		return NULL;
	if (connection_id)
		cJSON_AddStringToObject(o, "connection_id", connection_id);
	else
		cJSON_AddNullToObject(o, "connection_id");
	cJSON_AddStringToObject(o, "event_type", event_type);
	if (!cJSON_AddItemToObject(o, "payload", payload))
		return NULL;
	owned = NULL;
	return json_print(o);
}

static const struct service_events *events_of(struct native *n)
{
	static const struct service_events none;

	return n->service.events ? n->service.events : &none;
}

struct hello {
	const char *user_id;
	int64_t heartbeat_s, max_in_flight;
};

static const struct json_field hello_fields[] = {
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct hello, user_id) },
	{ "heartbeat_s", JSON_INTEGER, JSON_REQUIRED, offsetof(struct hello, heartbeat_s), 1,
		86400 },
	{ "max_in_flight", JSON_INTEGER, JSON_REQUIRED, offsetof(struct hello, max_in_flight), 1,
		100000 },
	{ NULL },
};

/* Every handler: 0, or -EINVAL with a text for what makes no sense, -ENOMEM. Callbacks come last.
 */
static int on_hello(struct native *n, const struct frame *f, struct json_error *e)
{
	struct hello h;
	int r = json_fields_decode(hello_fields, f->payload, false, &h, e);

	if (r < 0)
		return r;
	if (!f->connection_id || n->session.state != SESSION_GREETING) {
		snprintf(e->text, sizeof(e->text), "a HELLO out of place");
		return -EINVAL;
	}
	session_greeted(n, f->connection_id, h.user_id, h.heartbeat_s, h.max_in_flight);
	return 0;
}

struct message_frame {
	const cJSON *message, *attachments, *user;
};

static const struct json_field message_frame_fields[] = {
	{ "message", JSON_OBJECT, JSON_REQUIRED, offsetof(struct message_frame, message) },
	{ "attachments", JSON_ARRAY, JSON_NULLABLE, offsetof(struct message_frame, attachments), 0,
		CONVERT_MAX_ELEMENTS },
	{ "user", JSON_OBJECT, JSON_NULLABLE, offsetof(struct message_frame, user) },
	{ NULL },
};

static int on_message(struct native *n, const struct frame *f, bool outgoing, struct json_error *e)
{
	_cleanup_(message_clear) struct message m = { 0 };
	_cleanup_(user_clear) struct user author = { 0 };
	_cleanup_(attachment_set_freep) struct attachment_set *set = NULL;
	struct message_frame d = { 0 };
	int r = json_fields_decode(message_frame_fields, f->payload, false, &d, e);

	if (r == 0)
		r = attachment_set_read(d.attachments, &set, e);
	if (r == 0)
		r = convert_message(d.message, set, n->account.self_id, &m, e);
	if (r == 0 && d.user)
		r = convert_user(d.user, &author, e);
	if (r < 0)
		return r;
	m.outgoing |= outgoing;
	if (events_of(n)->on_message)
		events_of(n)->on_message(n->service.userdata, &m, d.user ? &author : NULL);
	return 0;
}

static int on_msg_in(struct native *n, const struct frame *f, struct json_error *e)
{
	return on_message(n, f, false, e);
}

static int on_msg_out(struct native *n, const struct frame *f, struct json_error *e)
{
	return on_message(n, f, true, e);
}

struct ack {
	const char *message_id, *chat_id;
	int64_t seq, created_at;
	const cJSON *error;
};

static const struct json_field refusal_fields[] = {
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct ack, message_id) },
	{ "error", JSON_OBJECT, JSON_NULLABLE, offsetof(struct ack, error) },
	{ NULL },
};

static const struct json_field acceptance_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct ack, chat_id) },
	{ "seq", JSON_INTEGER, JSON_REQUIRED, offsetof(struct ack, seq), 1, MAX_INTEGER },
	{ "created_at", JSON_INTEGER, JSON_REQUIRED, offsetof(struct ack, created_at), 0,
		MAX_INTEGER },
	{ NULL },
};

static void tell_rejected(struct native *n, const struct ack *a)
{
	struct problem p;

	convert_problem(a->error, &p);
	p.class = p.status && problem_class_of(p.status, NULL) == PROBLEM_TRANSIENT
		? PROBLEM_TRANSIENT
		: PROBLEM_PERMANENT;
	if (!p.title)
		p.title = strdup("the server refused the message");
	if (events_of(n)->on_rejected)
		events_of(n)->on_rejected(n->service.userdata, a->message_id, &p);
	problem_clear(&p);
}

static int on_msg_ack(struct native *n, const struct frame *f, struct json_error *e)
{
	struct ack a = { 0 };
	int r = json_fields_decode(refusal_fields, f->payload, false, &a, e);

	if (r == 0 && a.error) {
		tell_rejected(n, &a);
		return 0;
	}
	if (r == 0)
		r = json_fields_decode(acceptance_fields, f->payload, false, &a, e);
	if (r == 0 && events_of(n)->on_accepted)
		events_of(n)->on_accepted(
			n->service.userdata, a.message_id, a.chat_id, a.seq, a.created_at);
	return r;
}

struct receipt {
	const char *chat_id, *message_id, *user_id;
};

static const struct json_field received_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, chat_id) },
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, message_id) },
	{ NULL },
};

static const struct json_field read_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, chat_id) },
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, message_id) },
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, user_id) },
	{ NULL },
};

static int on_msg_received(struct native *n, const struct frame *f, struct json_error *e)
{
	struct receipt d = { 0 };
	int r = json_fields_decode(received_fields, f->payload, false, &d, e);

	if (r == 0 && events_of(n)->on_received)
		events_of(n)->on_received(n->service.userdata, d.chat_id, d.message_id);
	return r;
}

static int on_msg_read(struct native *n, const struct frame *f, struct json_error *e)
{
	struct receipt d = { 0 };
	int r = json_fields_decode(read_fields, f->payload, false, &d, e);

	if (r == 0 && events_of(n)->on_read)
		events_of(n)->on_read(n->service.userdata, d.chat_id, d.message_id, d.user_id);
	return r;
}

struct bye {
	const char *reason;
	int64_t retry_after_s;
};

static const struct json_field bye_fields[] = {
	{ "reason", JSON_STRING, JSON_NULLABLE, offsetof(struct bye, reason), 0, 1000 },
	{ "retry_after_s", JSON_INTEGER, JSON_NULLABLE, offsetof(struct bye, retry_after_s), 0,
		MAX_INTEGER },
	{ NULL },
};

static int on_bye(struct native *n, const struct frame *f, struct json_error *e)
{
	struct bye b = { 0 };
	struct problem p;
	int r = json_fields_decode(bye_fields, f->payload, false, &b, e);

	if (r < 0)
		return r;
	problem_set(&p, PROBLEM_TRANSIENT, 0, "the server ended the session", b.reason);
	p.retry_after_ms = problem_retry_ms((double)b.retry_after_s);
	session_end(n, &p);
	return 0;
}

static const struct {
	const char *event_type;
	int (*handle)(struct native *n, const struct frame *f, struct json_error *e);
} handlers[] = {
	{ "HELLO", on_hello },
	{ "MSG_IN", on_msg_in },
	{ "MSG_OUT", on_msg_out },
	{ "MSG_ACK", on_msg_ack },
	{ "MSG_RECEIVED", on_msg_received },
	{ "MSG_READ", on_msg_read },
	{ "BYE", on_bye },
};

/* Once there is a connection id, every frame bears it; before, only HELLO and BYE make sense. */
static int check_place(struct native *n, const struct frame *f, struct json_error *e)
{
	const char *id = n->session.connection_id;

	if (id && (!f->connection_id || strcmp(f->connection_id, id) != 0)) {
		snprintf(e->text, sizeof(e->text), "a frame of another connection");
		return -EINVAL;
	}
	if (!id && strcmp(f->event_type, "HELLO") != 0 && strcmp(f->event_type, "BYE") != 0) {
		snprintf(e->text, sizeof(e->text), "a frame before the greeting");
		return -EINVAL;
	}
	return 0;
}

static int dispatch(struct native *n, const cJSON *o, struct json_error *e)
{
	struct frame f = { 0 };
	int r = json_fields_decode(frame_fields, o, false, &f, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (strcmp(f.event_type, handlers[i].event_type) != 0)
			continue;
		r = check_place(n, &f, e);
		return r < 0 ? r : handlers[i].handle(n, &f, e);
	}
	log_debug("an event of an unknown type is passed over");
	return 0;
}

void frame_handle(struct native *n, const char *data, size_t len)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct json_error e = { "not JSON" };
	int r = json_parse(data, len, &o);

	if (r == 0)
		r = dispatch(n, o, &e);
	if (r == -ENOMEM)
		snprintf(e.text, sizeof(e.text), "memory is short");
	if (r < 0)
		session_refuse(n, e.text);
}
