/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The native service against the loopback backend: what the two make of the protocol together.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json-fields.h"
#include "base/uuid.h"
#include "net/http-client.h"
#include "service/native/native.h"

#define BACKEND "tests/backend/chat-backend"
#define PHOTO_SIZE ((3 << 20) + 12345)

/* One device of one user, and what it was told. */
struct device {
	struct service *service;
	unsigned greeted, closed, messages, accepted, rejected, received, read, tokens, done;
	unsigned max_in_flight;
	struct message message; /* the last one */
	int64_t last_seq;       /* of messages, to see their order */
	unsigned out_of_order;
	struct problem problem;
	char id[65], reader[65], chat_id[65], token[4096];
	struct chat_page chats;
	struct message_page page;
	struct attachment attachment;
	struct buffer bytes;
	char slot[300], etag[200];
	unsigned restarts; /* of a download, at 0 after bytes were taken */
	int64_t progress;
	struct service_call *call;
};

static struct {
	struct event_loop *loop;
	struct http_client *http;
	pid_t pid;
	char directory[64];
	char *url;
	uint8_t *photo;
} world;

/* Two devices of one user and one of another, as far as a test opens them. */
static struct device a, a2, b;

#define WAIT_FOR(condition)  \
	while (!(condition)) \
	event_loop_turn(world.loop, true)

static void keep(struct device *d, const struct problem *p)
{
	problem_clear(&d->problem);
	if (p)
		problem_copy(p, &d->problem);
}

static void on_greeted(void *userdata, const char *user_id, unsigned max_in_flight)
{
	struct device *d = userdata;

	d->greeted++;
	d->max_in_flight = max_in_flight;
}

static void on_closed(void *userdata, const struct problem *p)
{
	struct device *d = userdata;

	d->closed++;
	keep(d, p);
}

static void on_message(void *userdata, struct message *m, const struct user *author)
{
	struct device *d = userdata;

	d->messages++;
	d->out_of_order += m->seq != d->last_seq + 1;
	d->last_seq = m->seq;
	message_clear(&d->message);
	d->message = *m;
	*m = (struct message){ 0 };
}

static void on_accepted(void *userdata, const char *message_id, const char *chat_id, int64_t seq,
	int64_t created_at)
{
	struct device *d = userdata;

	d->accepted++;
	snprintf(d->id, sizeof(d->id), "%s", message_id);
}

static void on_rejected(void *userdata, const char *message_id, const struct problem *p)
{
	struct device *d = userdata;

	d->rejected++;
	snprintf(d->id, sizeof(d->id), "%s", message_id);
	keep(d, p);
}

static void on_received(void *userdata, const char *chat_id, const char *message_id)
{
	struct device *d = userdata;

	d->received++;
	snprintf(d->id, sizeof(d->id), "%s", message_id);
}

static void on_read(
	void *userdata, const char *chat_id, const char *message_id, const char *user_id)
{
	struct device *d = userdata;

	d->read++;
	snprintf(d->id, sizeof(d->id), "%s", message_id);
	snprintf(d->reader, sizeof(d->reader), "%s", user_id);
}

static void on_token(void *userdata, const char *token, int64_t expires_at)
{
	struct device *d = userdata;

	d->tokens++;
	snprintf(d->token, sizeof(d->token), "%s", token);
}

static const struct service_events events = {
	.on_greeted = on_greeted,
	.on_closed = on_closed,
	.on_message = on_message,
	.on_accepted = on_accepted,
	.on_rejected = on_rejected,
	.on_received = on_received,
	.on_read = on_read,
	.on_token = on_token,
};

static void device_open(struct device *d, const char *user, const char *device_id)
{
	char password[32];
	struct service_credentials c = {
		.server = world.url,
		.user_id = user,
		.password = password,
		.device_id = device_id,
	};
	struct native_options o = { .client = "test/1" };

	snprintf(password, sizeof(password), "%s-pw", user);
	d->service = native_service_new(world.loop, &o);
	assert_non_null(d->service);
	service_set_events(d->service, &events, d);
	assert_int_equal(d->service->session->set_credentials(d->service, &c), 0);
}

static void device_connect(struct device *d)
{
	unsigned before = d->greeted;

	assert_int_equal(d->service->session->connect(d->service), 0);
	WAIT_FOR(d->greeted > before || d->closed);
	assert_int_equal(d->greeted, before + 1);
}

static void device_close(struct device *d)
{
	service_free(d->service);
	message_clear(&d->message);
	problem_clear(&d->problem);
	chat_page_clear(&d->chats);
	message_page_clear(&d->page);
	attachment_clear(&d->attachment);
	buffer_clear(&d->bytes);
	*d = (struct device){ 0 };
}

static void on_chat(
	void *userdata, const struct problem *p, const struct chat *chat, const struct user *peer)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	if (chat)
		snprintf(d->chat_id, sizeof(d->chat_id), "%s", chat->id);
}

static void create_chat(struct device *d, const char *user)
{
	unsigned before = d->done;

	assert_int_equal(d->service->lobby->create_chat(d->service, user, on_chat, d, NULL), 0);
	WAIT_FOR(d->done > before);
}

static void send_text(
	struct device *d, const char *chat_id, const char *text, char id[UUID_STRING_SIZE])
{
	struct message m = {
		.chat_id = (char *)chat_id,
		.text = (char *)text,
		.created_at = clock_wall_ms(),
		.id = id,
	};

	uuid7_generate(id);
	assert_int_equal(d->service->room->send(d->service, &m), 0);
}

static void on_controlled(
	void *userdata, struct http_request *r, const struct http_response *response)
{
	char *answer = userdata;

	assert_int_equal(response->status, 200);
	snprintf(answer, 4096, "%s", response->body);
}

/* Asks the backend for a fault, or with NULL for its counters; the answer is borrowed until the
 * next call. */
static const char *control(const char *order)
{
	static char answer[4096];
	struct http_options o = {
		.method = order ? "POST" : "GET",
		.body = order,
		.body_len = order ? strlen(order) : 0,
		.done = on_controlled,
		.userdata = answer,
	};
	struct http_request *r;
	char url[200];

	snprintf(url, sizeof(url), "%s/_control%s", world.url, order ? "" : "/stats");
	o.url = url;
	answer[0] = '\0';
	assert_int_equal(http_client_start(world.http, &o, &r), 0);
	WAIT_FOR(answer[0]);
	return answer;
}

static int count(const char *name)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	const char *text = control(NULL);

	assert_int_equal(json_parse(text, strlen(text), &o), 0);
	assert_true(cJSON_IsNumber(cJSON_GetObjectItem(o, name)));
	return (int)cJSON_GetObjectItem(o, name)->valuedouble;
}

static void on_login(void *userdata, const struct problem *p, struct service_identity *i)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	snprintf(d->reader, sizeof(d->reader), "%s", i ? i->user.name : "");
}

static int close_devices(void **state)
{
	device_close(&a);
	device_close(&a2);
	device_close(&b);
	control("{\"do\":\"reset\"}");
	return 0;
}

static void signing_in(void **state)
{
	struct service_credentials c = {
		.server = world.url,
		.user_id = "alice",
		.password = "alice-pw",
		.device_id = "a1",
	};

	device_open(&a, "alice", "a1");
	assert_int_equal(a.service->session->login(a.service, &c, on_login, &a, NULL), 0);
	WAIT_FOR(a.done == 1);
	assert_string_equal(a.reader, "Alice Example");
	c.password = "wrong";
	assert_int_equal(a.service->session->login(a.service, &c, on_login, &a, NULL), 0);
	WAIT_FOR(a.done == 2);
	assert_int_equal(a.problem.class, PROBLEM_UNAUTHORISED);
}

static void messages_and_receipts(void **state)
{
	char id[UUID_STRING_SIZE];

	device_open(&a, "alice", "a1");
	device_open(&a2, "alice", "a2");
	device_open(&b, "bob", "b1");
	device_connect(&a);
	device_connect(&a2);
	device_connect(&b);
	assert_int_equal(a.max_in_flight, 32);
	create_chat(&a, "bob");
	send_text(&a, a.chat_id, "hello \xf0\x9f\x8c\x8d", id);
	WAIT_FOR(a.accepted && b.messages && a2.messages);
	assert_string_equal(a.id, id);
	assert_string_equal(b.message.id, id);
	assert_string_equal(b.message.text, "hello \xf0\x9f\x8c\x8d");
	assert_string_equal(b.message.user_id, "alice");
	assert_false(b.message.outgoing);
	assert_string_equal(a2.message.id, id);
	assert_true(a2.message.outgoing);
	assert_int_equal(a.messages, 0);
	assert_int_equal(b.service->room->send_received(b.service, a.chat_id, id), 0);
	WAIT_FOR(a.received && a2.received);
	assert_int_equal(b.service->room->send_read(b.service, a.chat_id, id), 0);
	WAIT_FOR(a.read && a2.read);
	assert_string_equal(a.reader, "bob");
	assert_string_equal(a.id, id);
}

static void a_message_that_is_refused(void **state)
{
	char id[UUID_STRING_SIZE];

	device_open(&a, "alice", "a1");
	device_connect(&a);
	send_text(&a, "no-such-chat", "hello", id);
	WAIT_FOR(a.rejected);
	assert_string_equal(a.id, id);
	assert_int_equal(a.problem.class, PROBLEM_PERMANENT);
	assert_int_equal(a.problem.status, 404);
	assert_non_null(a.problem.title);
}

#define FLOOD 3000

static void a_flood_arrives_in_order(void **state)
{
	char id[UUID_STRING_SIZE];
	unsigned sent = 0;

	device_open(&a, "alice", "a1");
	device_open(&b, "carol", "c1");
	device_connect(&a);
	device_connect(&b);
	create_chat(&a, "carol");
	while (a.accepted < FLOOD || b.messages < FLOOD) {
		for (; sent < FLOOD && sent - a.accepted < a.max_in_flight; sent++)
			send_text(&a, a.chat_id, "flood", id);
		event_loop_turn(world.loop, true);
	}
	assert_int_equal(b.messages, FLOOD);
	assert_int_equal(b.out_of_order, 0);
	assert_int_equal(a.closed + b.closed, 0);
}

static void on_chats(void *userdata, const struct problem *p, struct chat_page *page)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	chat_page_clear(&d->chats);
	if (page) {
		d->chats = *page;
		*page = (struct chat_page){ 0 };
	}
}

static void list_chats(
	struct device *d, const char *changed_after, const char *after_id, int64_t limit)
{
	struct chat_page_query q = {
		.changed_after = changed_after,
		.after_id = after_id,
		.limit = limit,
	};
	unsigned before = d->done;

	assert_int_equal(d->service->lobby->list_chats(d->service, &q, on_chats, d, NULL), 0);
	WAIT_FOR(d->done > before);
}

static void on_messages(void *userdata, const struct problem *p, struct message_page *page)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	message_page_clear(&d->page);
	if (page) {
		d->page = *page;
		*page = (struct message_page){ 0 };
	}
}

static void list_messages(
	struct device *d, const char *after_id, const char *before_id, int64_t limit)
{
	struct message_page_query q = {
		.chat_id = d->chat_id,
		.after_id = after_id,
		.before_id = before_id,
		.limit = limit,
	};
	unsigned before = d->done;

	assert_int_equal(d->service->room->list_messages(d->service, &q, on_messages, d, NULL), 0);
	WAIT_FOR(d->done > before);
}

static void pages(void **state)
{
	_cleanup_free_ char *state_before = NULL, *first = NULL;
	char id[UUID_STRING_SIZE];

	device_open(&a, "dave", "d1");
	device_connect(&a);
	create_chat(&a, "alice");
	create_chat(&a, "bob");
	for (int i = 0; i < 7; i++)
		send_text(&a, a.chat_id, "page", id);
	WAIT_FOR(a.accepted == 7);

	list_chats(&a, NULL, NULL, 1);
	assert_int_equal(a.chats.n_chats, 1);
	assert_true(a.chats.more);
	assert_string_equal(a.chats.chats[0].id, a.chat_id);
	assert_string_equal(a.chats.chats[0].user_id, "bob");
	assert_int_equal(a.chats.chats[0].last_seq, 7);
	assert_int_equal(a.chats.n_messages, 1);
	assert_true(a.chats.messages[0].outgoing);
	state_before = strdup(a.chats.state);
	list_chats(&a, NULL, a.chat_id, 10);
	assert_int_equal(a.chats.n_chats, 1);
	assert_false(a.chats.more);
	assert_string_equal(a.chats.chats[0].user_id, "alice");
	list_chats(&a, state_before, NULL, 10);
	assert_int_equal(a.chats.n_chats, 0);
	list_chats(&a, "no-such-state", NULL, 10);
	assert_int_equal(a.problem.class, PROBLEM_CONFLICT);

	list_messages(&a, NULL, NULL, 3);
	assert_int_equal(a.page.n_messages, 3);
	assert_int_equal(a.page.messages[0].seq, 5);
	assert_true(a.page.more);
	first = strdup(a.page.messages[0].id);
	list_messages(&a, NULL, first, 10);
	assert_int_equal(a.page.n_messages, 4);
	assert_false(a.page.more);
	list_messages(&a, first, NULL, 10);
	assert_int_equal(a.page.n_messages, 2);
	assert_int_equal(a.page.messages[0].seq, 6);
	assert_true(a.page.messages[0].outgoing);
	list_messages(&a, "no-such-message", NULL, 10);
	assert_int_equal(a.problem.class, PROBLEM_CONFLICT);
	assert_string_equal(a.problem.type, "unknown_cursor");
}

static void on_done(void *userdata, const struct problem *p)
{
	struct device *d = userdata;

	d->done++;
	d->call = NULL;
	keep(d, p);
}

static ssize_t read_photo(void *userdata, int64_t offset, void *buf, size_t len)
{
	size_t left = PHOTO_SIZE - (size_t)offset;

	len = len < left ? len : left;
	memcpy(buf, world.photo + offset, len);
	return (ssize_t)len;
}

static void on_progress(void *userdata, int64_t done, int64_t total)
{
	struct device *d = userdata;

	assert_true(done >= d->progress);
	assert_true(done <= total);
	d->progress = done;
}

static void on_slot(void *userdata, const char *slot)
{
	struct device *d = userdata;

	snprintf(d->slot, sizeof(d->slot), "%s", slot);
}

static void upload(struct device *d, const char *id, enum attachment_variant variant, int64_t size,
	const char *slot)
{
	struct attachment photo = {
		.id = (char *)id,
		.name = (char *)"M\xc3\xbcll.jpg",
		.width = 400,
		.height = 300,
	};
	struct upload_request r = {
		.attachment = &photo,
		.variant = variant,
		.mime = "image/jpeg",
		.size = size,
		.slot = slot,
		.source = read_photo,
		.progress = on_progress,
		.on_slot = on_slot,
		.done = on_done,
		.userdata = d,
	};
	unsigned before = d->done;

	d->progress = 0;
	assert_int_equal(d->service->attachments->upload(d->service, &r, NULL), 0);
	WAIT_FOR(d->done > before);
}

static void on_attachment(void *userdata, const struct problem *p, struct attachment *described)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	attachment_clear(&d->attachment);
	if (described) {
		d->attachment = *described;
		*described = (struct attachment){ 0 };
	}
}

static int take_bytes(void *userdata, int64_t offset, const void *data, size_t len)
{
	struct device *d = userdata;

	if (offset == 0 && buffer_size(&d->bytes)) {
		buffer_clear(&d->bytes);
		d->restarts++;
	}
	assert_int_equal(buffer_size(&d->bytes), offset);
	buffer_append(&d->bytes, data, len);
	return 0;
}

static void on_etag(void *userdata, const char *etag, int64_t total)
{
	struct device *d = userdata;

	snprintf(d->etag, sizeof(d->etag), "%s", etag);
}

static void download(struct device *d, const struct attachment *photo)
{
	struct download_request r = {
		.attachment = photo,
		.variant = VARIANT_FULL,
		.offset = (int64_t)buffer_size(&d->bytes),
		.etag = d->etag,
		.sink = take_bytes,
		.on_etag = on_etag,
		.done = on_done,
		.userdata = d,
	};
	unsigned before = d->done;

	assert_int_equal(d->service->attachments->download(d->service, &r, NULL), 0);
	WAIT_FOR(d->done > before);
}

static void assert_photo(const struct device *d)
{
	assert_null(d->problem.title);
	assert_int_equal(buffer_size(&d->bytes), PHOTO_SIZE);
	assert_memory_equal(buffer_bytes(&d->bytes), world.photo, PHOTO_SIZE);
}

static void send_photo(struct device *d, const char *attachment_id)
{
	char id[UUID_STRING_SIZE];
	struct message m = {
		.id = id,
		.chat_id = d->chat_id,
		.text = (char *)"look",
		.attachments = &d->attachment,
		.n_attachments = 1,
	};
	unsigned before = d->done;

	assert_int_equal(d->service->attachments->describe(
				 d->service, attachment_id, on_attachment, d, NULL),
		0);
	WAIT_FOR(d->done > before);
	assert_null(d->problem.title);
	assert_string_equal(d->attachment.id, attachment_id);
	assert_int_equal(d->attachment.size, PHOTO_SIZE);
	assert_int_equal(d->attachment.preview_size, 5000);
	assert_int_equal(d->attachment.width, 400);
	assert_string_equal(d->attachment.name, "M\xc3\xbcll.jpg");
	uuid7_generate(id);
	assert_int_equal(d->service->room->send(d->service, &m), 0);
	WAIT_FOR(d->accepted || d->rejected);
	assert_int_equal(d->accepted, 1);
}

static void a_photo_through_broken_connections(void **state)
{
	char photo_id[UUID_STRING_SIZE], slot[300];

	device_open(&a, "alice", "a1");
	device_open(&b, "bob", "b1");
	device_connect(&a);
	device_connect(&b);
	create_chat(&a, "bob");
	uuid7_generate(photo_id);

	control("{\"do\":\"cut_upload\",\"method\":\"PATCH\",\"path\":\"/"
		"uploads\",\"bytes\":300000,\"skip\":1,\"count\":2}");
	upload(&a, photo_id, VARIANT_FULL, PHOTO_SIZE, NULL);
	control("{\"do\":\"reset\"}");
	assert_non_null(a.problem.title);
	assert_int_equal(a.problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(a.progress, 1 << 20);
	snprintf(slot, sizeof(slot), "%s", a.slot);
	a.slot[0] = '\0';
	upload(&a, photo_id, VARIANT_FULL, PHOTO_SIZE, slot);
	assert_null(a.problem.title);
	assert_int_equal(a.progress, PHOTO_SIZE);
	assert_string_equal(a.slot, "");
	upload(&a, photo_id, VARIANT_PREVIEW, 5000, NULL);
	assert_null(a.problem.title);

	send_photo(&a, photo_id);
	WAIT_FOR(b.messages);
	assert_int_equal(b.message.n_attachments, 1);
	assert_string_equal(b.message.attachments[0].id, photo_id);

	control("{\"do\":\"cut_download\",\"bytes\":1000000}");
	download(&b, &b.message.attachments[0]);
	assert_int_equal(b.problem.class, PROBLEM_TRANSIENT);
	assert_true(buffer_size(&b.bytes) > 0 && buffer_size(&b.bytes) <= 1000000);
	download(&b, &b.message.attachments[0]);
	assert_photo(&b);
	assert_int_equal(b.restarts, 0);
	/* All is here already: nothing is sent again. */
	download(&b, &b.message.attachments[0]);
	assert_photo(&b);

	b.bytes.end = b.bytes.start + 500000;
	control("{\"do\":\"change_etag\"}");
	download(&b, &b.message.attachments[0]);
	assert_photo(&b);
	assert_int_equal(b.restarts, 1);
}

static void an_upload_survives_an_expired_token(void **state)
{
	char id[UUID_STRING_SIZE];
	int logins;

	device_open(&a, "alice", "a1");
	uuid7_generate(id);
	upload(&a, id, VARIANT_PREVIEW, 100, NULL);
	logins = count("logins");
	control("{\"do\":\"expire\"}");
	upload(&a, id, VARIANT_FULL, PHOTO_SIZE, NULL);
	assert_null(a.problem.title);
	assert_int_equal(count("logins"), logins + 1);
	assert_int_equal(a.tokens, 2);
}

static void on_user(void *userdata, const struct problem *p, const struct user *u)
{
	struct device *d = userdata;

	d->done++;
	keep(d, p);
	if (!p && strcmp(u->name, "Bob Example") == 0)
		d->received++;
}

static void one_login_serves_all(void **state)
{
	int logins;

	device_open(&a, "alice", "a1");
	create_chat(&a, "bob");
	for (int round = 1; round <= 3; round++) {
		logins = count("logins");
		control("{\"do\":\"expire\"}");
		a.done = a.received = 0;
		for (int i = 0; i < 50; i++)
			assert_int_equal(
				a.service->lobby->get_user(a.service, "bob", on_user, &a, NULL), 0);
		WAIT_FOR(a.done == 50);
		assert_int_equal(a.received, 50);
		assert_int_equal(count("logins"), logins + 1);
		assert_int_equal(a.tokens, 1 + (unsigned)round);
	}
}

static void the_session_comes_back_with_a_new_token(void **state)
{

	device_open(&a, "alice", "a1");
	device_connect(&a);
	control("{\"do\":\"expire\"}");
	control("{\"do\":\"drop\",\"user\":\"alice\"}");
	WAIT_FOR(a.closed);
	assert_int_equal(a.problem.class, PROBLEM_TRANSIENT);
	a.closed = 0;
	device_connect(&a);
	assert_int_equal(a.tokens, 2);
}

static void the_server_says_goodbye(void **state)
{

	device_open(&a, "alice", "a1");
	device_connect(&a);
	control("{\"do\":\"bye\",\"user\":\"alice\",\"reason\":\"maintenance\",\"retry_after_s\":"
		"7}");
	WAIT_FOR(a.closed);
	assert_int_equal(a.problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(a.problem.retry_after_ms, 7000);
	assert_string_equal(a.problem.detail, "maintenance");
}

static void broken_frames_end_the_session(void **state)
{
	static const char *const faults[] = { "\"corrupt\",\"as\":\"truncated\"",
		"\"corrupt\",\"as\":\"garbage\"", "\"corrupt\",\"as\":\"binary\"",
		"\"corrupt\",\"as\":\"oversized\"", "\"corrupt\",\"as\":\"stranger\"", "\"cut\"" };
	char order[200], id[UUID_STRING_SIZE];

	device_open(&a, "alice", "a1");
	device_open(&b, "bob", "b1");
	device_connect(&a);
	create_chat(&a, "bob");
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		device_connect(&b);
		snprintf(order, sizeof(order),
			"{\"do\":%s,\"user\":\"bob\",\"event_type\":\"MSG_IN\"}", faults[i]);
		control(order);
		send_text(&a, a.chat_id, "a frame", id);
		WAIT_FOR(b.closed);
		assert_int_equal(b.problem.class, PROBLEM_TRANSIENT);
		assert_int_equal(b.messages, 0);
		b.closed = 0;
	}
}

static void requests_that_are_refused(void **state)
{

	device_open(&a, "alice", "a1");
	create_chat(&a, "bob");
	control("{\"do\":\"refuse\",\"path\":\"/users\",\"status\":429,\"retry_after_s\":5}");
	assert_int_equal(a.service->lobby->get_user(a.service, "bob", on_user, &a, NULL), 0);
	WAIT_FOR(a.done == 2);
	assert_int_equal(a.problem.class, PROBLEM_TRANSIENT);
	assert_int_equal(a.problem.retry_after_ms, 5000);
	assert_int_equal(a.service->lobby->get_user(a.service, "nobody", on_user, &a, NULL), 0);
	WAIT_FOR(a.done == 3);
	assert_int_equal(a.problem.class, PROBLEM_PERMANENT);
	assert_int_equal(a.problem.status, 404);
	assert_string_equal(a.problem.type, "not_found");
}

static void a_chat_is_removed(void **state)
{
	size_t before;

	device_open(&a, "alice", "a1");
	create_chat(&a, "dave");
	list_chats(&a, NULL, NULL, 200);
	before = a.chats.n_chats;
	assert_int_equal(
		a.service->lobby->delete_chat(a.service, a.chat_id, on_done, &a, &a.call), 0);
	WAIT_FOR(!a.call);
	assert_null(a.problem.title);
	list_chats(&a, NULL, NULL, 200);
	assert_int_equal(a.chats.n_chats, before - 1);
}

static void push(void **state)
{
	struct push_registration p = {
		.endpoint = "http://127.0.0.1:9/push",
		.p256dh = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			  "AAAAAAAA"
			  "AAAAAAA",
		.auth = "AAAAAAAAAAAAAAAAAAAAAA",
	};

	device_open(&a, "alice", "a1");
	assert_int_equal(a.service->push->set_push(a.service, &p, on_done, &a, NULL), 0);
	WAIT_FOR(a.done == 1);
	assert_null(a.problem.title);
	assert_int_equal(a.service->push->set_push(a.service, NULL, on_done, &a, NULL), 0);
	WAIT_FOR(a.done == 2);
	assert_null(a.problem.title);
}

static void write_users(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "w");

	fputs("alice:alice-pw:Alice Example\nbob:bob-pw:Bob Example\n"
	      "carol:carol-pw:Carol Example\ndave:dave-pw:Dave Example\n",
		f);
}

static void run_backend(int out, const char *users, const char *data)
{
	dup2(out, STDOUT_FILENO);
	execl(BACKEND, BACKEND, "--users", users, "--data", data, "--control", NULL);
	_exit(127);
}

static int start_backend(void)
{
	char users[100], data[100], line[200];
	_cleanup_fclose_ FILE *f = NULL;
	int fds[2];

	snprintf(world.directory, sizeof(world.directory), "%s/chatd-test-XXXXXX", P_tmpdir);
	if (!mkdtemp(world.directory) || pipe(fds) < 0)
		return -1;
	snprintf(users, sizeof(users), "%s/users", world.directory);
	snprintf(data, sizeof(data), "%s/data", world.directory);
	write_users(users);
	world.pid = fork();
	if (world.pid == 0)
		run_backend(fds[1], users, data);
	close(fds[1]);
	f = fdopen(fds[0], "r");
	if (!fgets(line, sizeof(line), f) || strncmp(line, "ready ", 6) != 0)
		return -1;
	line[strcspn(line, "\n")] = '\0';
	world.url = strdup(line + 6);
	return world.url ? 0 : -1;
}

static int setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	world.loop = event_loop_new();
	world.http = http_client_new(world.loop, NULL);
	world.photo = malloc(PHOTO_SIZE);
	for (size_t i = 0; i < PHOTO_SIZE; i++)
		world.photo[i] = (uint8_t)(i * 2654435761u >> 13);
	return start_backend();
}

static int teardown(void **state)
{
	char command[100];

	http_client_free(world.http);
	event_loop_free(world.loop);
	free(world.photo);
	free(world.url);
	if (world.pid > 0) {
		kill(world.pid, SIGTERM);
		waitpid(world.pid, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf '%s'", world.directory);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(signing_in, close_devices),
		cmocka_unit_test_teardown(messages_and_receipts, close_devices),
		cmocka_unit_test_teardown(a_message_that_is_refused, close_devices),
		cmocka_unit_test_teardown(a_flood_arrives_in_order, close_devices),
		cmocka_unit_test_teardown(pages, close_devices),
		cmocka_unit_test_teardown(a_photo_through_broken_connections, close_devices),
		cmocka_unit_test_teardown(an_upload_survives_an_expired_token, close_devices),
		cmocka_unit_test_teardown(one_login_serves_all, close_devices),
		cmocka_unit_test_teardown(the_session_comes_back_with_a_new_token, close_devices),
		cmocka_unit_test_teardown(the_server_says_goodbye, close_devices),
		cmocka_unit_test_teardown(broken_frames_end_the_session, close_devices),
		cmocka_unit_test_teardown(requests_that_are_refused, close_devices),
		cmocka_unit_test_teardown(a_chat_is_removed, close_devices),
		cmocka_unit_test_teardown(push, close_devices),
	};

	if (access(BACKEND, X_OK) < 0) {
		puts("1..0 # SKIP " BACKEND " is not built");
		return 0;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	alarm(240); /* a test that waits for what never comes */
	return cmocka_run_group_tests_name("native-backend", tests, setup, teardown);
}
