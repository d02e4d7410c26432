/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "frames.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/json-fields.h"
#include "base/log.h"
#include "json.h"
#include "messages.h"
#include "push.h"
#include "server.h"
#include "session.h"
#include "views.h"

struct envelope {
	const char *connection_id, *event_type;
	const cJSON *payload;
};

static const struct json_field envelope_fields[] = {
	{ "connection_id", JSON_ID, JSON_NULLABLE, offsetof(struct envelope, connection_id) },
	{ "event_type", JSON_STRING, JSON_REQUIRED, offsetof(struct envelope, event_type), 1, 64 },
	{ "payload", JSON_OBJECT, JSON_REQUIRED, offsetof(struct envelope, payload) },
	{ NULL },
};

struct hello {
	const char *device_id;
};

static const struct json_field hello_fields[] = {
	{ "device_id", JSON_ID, JSON_REQUIRED, offsetof(struct hello, device_id) },
	{ NULL },
};

struct msg_out {
	const cJSON *message;
};

static const struct json_field msg_out_fields[] = {
	{ "message", JSON_OBJECT, JSON_REQUIRED, offsetof(struct msg_out, message) },
	{ NULL },
};

struct message_data {
	const char *id, *chat_id, *user_id, *text, *attachments;
};

static const struct json_field id_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, id) },
	{ NULL },
};

static const struct json_field message_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, id) },
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct message_data, chat_id) },
	{ "user_id", JSON_ID, JSON_NULLABLE, offsetof(struct message_data, user_id) },
	{ "text", JSON_STRING, JSON_REQUIRED, offsetof(struct message_data, text) },
	{ "attachments", JSON_STRING, JSON_NULLABLE, offsetof(struct message_data, attachments) },
	{ NULL },
};

struct receipt {
	const char *chat_id, *message_id;
};

static const struct json_field receipt_fields[] = {
	{ "chat_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, chat_id) },
	{ "message_id", JSON_ID, JSON_REQUIRED, offsetof(struct receipt, message_id) },
	{ NULL },
};

static void on_hello(struct session *s, const cJSON *o)
{
	_cleanup_(payload_unrefp) struct payload *payload = NULL;
	struct hello hello;
	struct json_error e;
	cJSON *answer;

	if (json_fields_decode(hello_fields, o, false, &hello, &e) < 0) {
		session_bye(s, "malformed", 0);
		return;
	}
	snprintf(s->device_id, sizeof(s->device_id), "%s", hello.device_id);
	answer = cJSON_CreateObject();
	cJSON_AddStringToObject(answer, "user_id", s->user->id);
	add_integer(answer, "server_time", clock_wall_ms());
	add_integer(answer, "heartbeat_s", s->server->config.heartbeat_s);
	add_integer(answer, "max_in_flight", s->server->config.max_in_flight);
	payload = payload_new(answer);
	session_push(s, "HELLO", payload);
	session_join(s);
}

static void push_refusal(struct session *s, const char *message_id, const struct problem *problem)
{
	_cleanup_(payload_unrefp) struct payload *payload = NULL;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "message_id", message_id);
	cJSON_AddItemToObject(o, "error", problem_to_json(problem));
	payload = payload_new(o);
	s->server->stats.messages_refused++;
	session_push(s, "MSG_ACK", payload);
}

static void push_ack(struct session *s, const struct message *m)
{
	_cleanup_(payload_unrefp) struct payload *payload = NULL;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "message_id", m->id);
	cJSON_AddStringToObject(o, "chat_id", m->chat->id);
	add_integer(o, "seq", m->seq);
	add_integer(o, "created_at", m->created_at);
	payload = payload_new(o);
	session_push(s, "MSG_ACK", payload);
}

static struct payload *message_payload(
	struct server *server, const struct message *m, const struct user *sender)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *attachments = cJSON_CreateArray();

	cJSON_AddItemToObject(o, "message", view_message(m));
	view_attachments_of(server, m->attachments, attachments);
	cJSON_AddItemToObject(o, "attachments", attachments);
	if (sender)
		cJSON_AddItemToObject(o, "user", view_user(sender));
	return payload_new(o);
}

/* Tells the peer, with a session or not, and the sender's other devices of a new message. */
static void spread(struct session *s, const struct message *m)
{
	struct user *peer = chat_peer(m->chat, s->user)->user;
	_cleanup_(payload_unrefp) struct payload *in = NULL, *out = NULL;

	if (!TAILQ_EMPTY(&peer->sessions)) {
		in = message_payload(s->server, m, s->user);
		session_push_to_user(peer, NULL, "MSG_IN", in);
	} else {
		push_tell(s->server, peer, s->user, m);
	}
	if (TAILQ_FIRST(&s->user->sessions) != s || TAILQ_NEXT(s, by_user)) {
		out = message_payload(s->server, m, NULL);
		session_push_to_user(s->user, s, "MSG_OUT", out);
	}
}

/* 0, or -EINVAL with the reason why this message is none that `s` may send. */
static int to_message(
	struct session *s, const struct message_data *d, struct message *ret, struct problem *p)
{
	struct chat *chat = chats_find(s->server->chats, d->chat_id);

	if (d->user_id && strcmp(d->user_id, s->user->id) != 0) {
		problem_set(p, PROBLEM_FORBIDDEN, "'user_id' is not the session's user");
		return -EINVAL;
	}
	if (!chat || !chat_member(chat, s->user)) {
		problem_set(p, PROBLEM_NOT_FOUND, "There is no such chat of this user");
		return -EINVAL;
	}
	*ret = (struct message){
		.id = d->id,
		.text = d->text,
		.attachments = d->attachments ? d->attachments : "",
		.chat = chat,
	};
	return 0;
}

static bool refused_by_fault(struct session *s, struct problem *p)
{
	struct fault fault;

	if (!faults_on_message(&s->server->faults, s->user->id, &fault))
		return false;
	problem_set(p, PROBLEM_REFUSED, "Refused by an injected fault");
	p->status = (int)fault.status;
	p->retry_after_s = (int)fault.retry_after_s;
	return true;
}

static void accept_message(struct session *s, const struct message_data *d)
{
	struct message m;
	struct problem p;
	int r;

	if (refused_by_fault(s, &p) || to_message(s, d, &m, &p) < 0) {
		push_refusal(s, d->id, &p);
		return;
	}
	r = message_accept(s->server, s->user, &m, &p);
	if (r < 0) {
		session_bye(s, "internal", 0);
		return;
	}
	if (r == MESSAGE_REFUSED) {
		push_refusal(s, d->id, &p);
		return;
	}
	push_ack(s, &m);
	if (r == MESSAGE_REPEATED) {
		s->server->stats.messages_repeated++;
		return;
	}
	s->server->stats.messages++;
	spread(s, &m);
}

static void on_msg_out(struct session *s, const cJSON *o)
{
	struct msg_out out;
	struct message_data d = { 0 };
	struct json_error e;
	struct problem p;

	if (json_fields_decode(msg_out_fields, o, false, &out, &e) < 0 ||
		json_fields_decode(id_fields, out.message, false, &d, &e) < 0) {
		session_bye(s, "malformed", 0);
		return;
	}
	if (++s->in_flight > s->server->config.max_in_flight) {
		session_bye(s, "too_many_in_flight", 0);
		return;
	}
	if (json_fields_decode(message_fields, out.message, false, &d, &e) < 0) {
		problem_set(&p, PROBLEM_MALFORMED, "%s", e.text);
		push_refusal(s, d.id, &p);
		return;
	}
	accept_message(s, &d);
}

static void push_receipt(
	struct session *s, const struct receipt *receipt, bool read, struct user *to)
{
	_cleanup_(payload_unrefp) struct payload *payload = NULL;
	cJSON *o;

	if (TAILQ_EMPTY(&to->sessions))
		return;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "chat_id", receipt->chat_id);
	cJSON_AddStringToObject(o, "message_id", receipt->message_id);
	cJSON_AddStringToObject(o, "user_id", s->user->id);
	payload = payload_new(o);
	session_push_to_user(to, s, read ? "MSG_READ" : "MSG_RECEIVED", payload);
}

/* A receipt for what this user cannot see has no effect: the chat may just have gone. */
static void on_receipt(struct session *s, const cJSON *o, bool read)
{
	struct receipt receipt;
	struct json_error e;
	struct chat *chat;
	int64_t seq;
	int r;

	if (json_fields_decode(receipt_fields, o, false, &receipt, &e) < 0) {
		session_bye(s, "malformed", 0);
		return;
	}
	chat = chats_find(s->server->chats, receipt.chat_id);
	if (!chat || !chat_member(chat, s->user) ||
		message_place(s->server, chat, receipt.message_id, &seq) < 0)
		return;
	r = chat_advance(s->server->chats, chat_member(chat, s->user), seq, read);
	if (r < 0) {
		session_bye(s, "internal", 0);
		return;
	}
	if (r == 0)
		return;
	push_receipt(s, &receipt, read, chat_peer(chat, s->user)->user);
	if (read)
		push_receipt(s, &receipt, read, s->user);
}

static void on_bye(struct session *s)
{
	s->server->stats.sessions_left++;
	session_end(s);
}

static void dispatch(struct session *s, const struct envelope *e)
{
	if (strcmp(e->event_type, "MSG_OUT") == 0)
		on_msg_out(s, e->payload);
	else if (strcmp(e->event_type, "MSG_RECEIVED") == 0)
		on_receipt(s, e->payload, false);
	else if (strcmp(e->event_type, "MSG_READ") == 0)
		on_receipt(s, e->payload, true);
	else if (strcmp(e->event_type, "BYE") == 0)
		on_bye(s);
	else if (strcmp(e->event_type, "HELLO") == 0)
		session_bye(s, "malformed", 0);
}

void frame_handle(struct session *s, const char *text, size_t length)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct envelope e = { 0 };
	struct json_error error;

	s->server->arrivals++;
	s->server->stats.frames_in++;
	if (json_parse(text, length, &o) < 0 ||
		json_fields_decode(envelope_fields, o, false, &e, &error) < 0) {
		session_bye(s, "malformed", 0);
		return;
	}
	if (s->greeted) {
		if (!e.connection_id || strcmp(e.connection_id, s->connection_id) != 0)
			session_bye(s, "wrong_connection_id", 0);
		else
			dispatch(s, &e);
		return;
	}
	if (strcmp(e.event_type, "HELLO") != 0 || e.connection_id)
		session_bye(s, "hello_expected", 0);
	else
		on_hello(s, e.payload);
}
