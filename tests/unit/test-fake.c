/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buffer.h"
#include "base/event-loop.h"
#include "service/fake/fake.h"

#define GUARD_US 20000000 /* a test that waits so long has failed */

/* What came back, as a line of words: "accepted m1 3; received m1; ". */
struct fixture {
	struct event_loop *loop;
	struct loop_timer *guard;
	struct service *service;
	char trace[16384];
	unsigned n_traced;
	struct problem problem; /* the last one */
	char *state, *last_id, *slot, *etag;
	struct attachment attachment;
	struct buffer bytes; /* uploaded from, downloaded to */
	bool free_in_callback;
	bool cancel_in_callback;
	struct service_call *call;
};

static const char people[] =
	"\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"users\":[{\"id\":\"ana\",\"name\":\"Ana\"},"
	"{\"id\":\"bo\",\"name\":\"Bo\"},{\"id\":\"cy\",\"name\":\"Cy\"},{\"id\":\"di\",\"name\":"
	"\"Di\"}]";

static const char chats[] =
	"\"chats\":[{\"id\":\"c1\",\"user_id\":\"ana\",\"unread\":2,\"messages\":["
	"{\"id\":\"a1\",\"from\":\"ana\",\"text\":\"one\",\"created_at\":100},"
	"{\"id\":\"a2\",\"from\":\"me\",\"text\":\"two\",\"created_at\":200},"
	"{\"id\":\"a3\",\"from\":\"ana\",\"text\":\"three\",\"created_at\":300},"
	"{\"id\":\"a4\",\"from\":\"ana\",\"text\":\"four\",\"created_at\":400},"
	"{\"id\":\"a5\",\"from\":\"ana\",\"text\":\"five\",\"created_at\":500}]},"
	"{\"id\":\"c2\",\"user_id\":\"bo\",\"messages\":[{\"from\":\"bo\",\"text\":\"x\",\"created_"
	"at\":900,"
	"\"attachments\":[{\"id\":\"p1\",\"name\":\"p.jpg\",\"generate\":200000,\"preview_"
	"generate\":5000}]}]},"
	"{\"id\":\"c3\",\"user_id\":\"cy\",\"messages\":[{\"from\":\"me\",\"text\":\"y\",\"created_"
	"at\":50}]}]";

static void trace(struct fixture *f, const char *format, ...) _printf_(2, 3);
static void trace(struct fixture *f, const char *format, ...)
{
	size_t used = strlen(f->trace);
	va_list args;

	va_start(args, format);
	vsnprintf(f->trace + used, sizeof(f->trace) - used, format, args);
	va_end(args);
	strcat(f->trace, "; ");
	f->n_traced++;
}

static void remember(char **to, const char *s)
{
	free(*to);
	*to = s ? strdup(s) : NULL;
}

static void trace_problem(struct fixture *f, const char *what, const struct problem *p)
{
	problem_clear(&f->problem);
	problem_copy(p, &f->problem);
	trace(f, "%s failed %d", what, p->status);
}

static void on_greeted(void *userdata, const char *user_id, unsigned max_in_flight)
{
	trace(userdata, "greeted %s %u", user_id, max_in_flight);
}

static void on_closed(void *userdata, const struct problem *p)
{
	trace_problem(userdata, "session", p);
}

static void on_message(void *userdata, struct message *m, const struct user *author)
{
	struct fixture *f = userdata;

	trace(f, "message %s %" PRId64 " %s", m->chat_id, m->seq, author ? author->name : "-");
	remember(&f->last_id, m->id);
}

static void on_accepted(void *userdata, const char *message_id, const char *chat_id, int64_t seq,
	int64_t created_at)
{
	struct fixture *f = userdata;

	assert_true(created_at > 0);
	trace(f, "accepted %s %s %" PRId64, message_id, chat_id, seq);
	if (f->free_in_callback)
		f->service = service_free(f->service);
}

static void on_rejected(void *userdata, const char *message_id, const struct problem *p)
{
	struct fixture *f = userdata;

	problem_clear(&f->problem);
	problem_copy(p, &f->problem);
	trace(f, "rejected %s %d", message_id, p->status);
}

static void on_received(void *userdata, const char *chat_id, const char *message_id)
{
	trace(userdata, "received %s", message_id);
}

static void on_read(
	void *userdata, const char *chat_id, const char *message_id, const char *user_id)
{
	trace(userdata, "read %s %s", message_id, user_id);
}

static void on_resync(void *userdata)
{
	trace(userdata, "resync");
}

static void on_token(void *userdata, const char *token, int64_t expires_at)
{
	trace(userdata, "token");
}

static const struct service_events events = {
	.on_greeted = on_greeted,
	.on_closed = on_closed,
	.on_message = on_message,
	.on_accepted = on_accepted,
	.on_rejected = on_rejected,
	.on_received = on_received,
	.on_read = on_read,
	.on_resync = on_resync,
	.on_token = on_token,
};

static void on_guard(void *userdata)
{
	struct fixture *f = userdata;

	print_error("waited too long; so far: %s\n", f->trace);
	abort();
}

/* Runs the loop until so many things in all have come back. */
static void wait_for(struct fixture *f, unsigned n)
{
	loop_timer_start_us(f->guard, GUARD_US);
	while (f->n_traced < n)
		event_loop_turn(f->loop, true);
	loop_timer_stop(f->guard);
}

/* Enough turns for everything that is due at once to have happened. */
static void settle(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		event_loop_turn(f->loop, false);
}

static void expect(struct fixture *f, const char *traced)
{
	assert_string_equal(f->trace, traced);
	f->trace[0] = '\0';
	f->n_traced = 0;
}

static struct service *open_world(struct fixture *f, const char *json, struct json_error *e)
{
	_cleanup_close_ int fd = memfd_create("world", MFD_CLOEXEC);
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, json, strlen(json)), strlen(json));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fake_service_new(f->loop, path, e);
}

static void start(struct fixture *f, const char *behaviour)
{
	_cleanup_free_ char *json = NULL;
	struct json_error e = { "" };

	assert_true(asprintf(&json, "{%s,%s,\"behaviour\":{%s}}", people, chats, behaviour) > 0);
	f->service = open_world(f, json, &e);
	assert_string_equal(e.text, "");
	assert_non_null(f->service);
	service_set_events(f->service, &events, f);
}

static void sign_in(struct fixture *f)
{
	static const struct service_credentials c = {
		.user_id = "me", .password = "pw", .token = "kept"
	};

	assert_int_equal(f->service->session->set_credentials(f->service, &c), 0);
}

static void go_online(struct fixture *f, const char *behaviour)
{
	start(f, behaviour);
	sign_in(f);
	assert_int_equal(f->service->session->connect(f->service), 0);
	wait_for(f, 1);
	expect(f, "greeted me 32; ");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = event_loop_new();
	f->guard = loop_timer_new(f->loop, on_guard, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	service_free(f->service);
	loop_timer_free(f->guard);
	event_loop_free(f->loop);
	problem_clear(&f->problem);
	attachment_clear(&f->attachment);
	buffer_clear(&f->bytes);
	free(f->state);
	free(f->last_id);
	free(f->slot);
	free(f->etag);
	free(f);
	return 0;
}

static void send_text(struct fixture *f, const char *chat_id, const char *id)
{
	struct message m = { .id = (char *)id,
		.chat_id = (char *)chat_id,
		.user_id = (char *)"me",
		.text = (char *)"hello" };

	assert_int_equal(f->service->room->send(f->service, &m), 0);
}

static void on_chats(void *userdata, const struct problem *p, struct chat_page *page)
{
	struct fixture *f = userdata;
	char line[256] = "chats";

	if (p) {
		trace_problem(f, "chats", p);
		return;
	}
	for (size_t i = 0; i < page->n_chats; i++) {
		strcat(line, " ");
		strcat(line, page->chats[i].id);
	}
	trace(f, "%s%s", line, page->more ? " more" : "");
	assert_int_equal(page->n_messages, page->n_chats);
	remember(&f->state, page->state);
}

static void list_chats(
	struct fixture *f, const char *changed_after, const char *after_id, int64_t limit)
{
	struct chat_page_query q = { changed_after, after_id, limit };

	assert_int_equal(f->service->lobby->list_chats(f->service, &q, on_chats, f, NULL), 0);
}

static void on_messages(void *userdata, const struct problem *p, struct message_page *page)
{
	struct fixture *f = userdata;
	char line[256] = "messages";

	if (p) {
		trace_problem(f, "messages", p);
		return;
	}
	for (size_t i = 0; i < page->n_messages; i++) {
		strcat(line, " ");
		strcat(line, page->messages[i].id);
	}
	trace(f, "%s%s", line, page->more ? " more" : "");
	assert_int_equal(page->n_users, 2);
}

static void list_messages(
	struct fixture *f, const char *after_id, const char *before_id, int64_t limit)
{
	struct message_page_query q = { "c1", after_id, before_id, limit };

	assert_int_equal(f->service->room->list_messages(f->service, &q, on_messages, f, NULL), 0);
}

static void pages_chats_newest_first(void **state)
{
	struct fixture *f = *state;

	start(f, "");
	sign_in(f);
	list_chats(f, NULL, NULL, 2);
	assert_int_equal(f->n_traced, 0);
	wait_for(f, 1);
	expect(f, "chats c2 c1 more; ");
	list_chats(f, NULL, "c1", 2);
	list_chats(f, NULL, "c3", 2);
	list_chats(f, NULL, "nowhere", 2);
	wait_for(f, 3);
	expect(f, "chats c3; chats; chats failed 422; ");
	assert_string_equal(f->problem.type, "unknown_cursor");
}

static void tells_what_changed_oldest_first(void **state)
{
	struct fixture *f = *state;
	struct fake_message m = { .user_id = "cy", .text = "hi" };
	int64_t seq;

	go_online(f, "");
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 1);
	list_chats(f, f->state, NULL, 0);
	wait_for(f, 2);
	expect(f, "chats c2 c1 c3; chats; ");
	assert_int_equal(fake_service_inject(f->service, &m, &seq), 0);
	assert_int_equal(seq, 2);
	assert_int_equal(fake_service_read_elsewhere(f->service, "c1", "a5"), 0);
	wait_for(f, 2);
	list_chats(f, f->state, NULL, 1);
	wait_for(f, 3);
	list_chats(f, f->state, NULL, 1);
	wait_for(f, 4);
	expect(f, "message c3 2 Cy; read a5 me; chats c3 more; chats c1; ");
}

static void a_state_of_another_life_is_unknown(void **state)
{
	struct fixture *f = *state;

	go_online(f, "");
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 1);
	fake_service_resync(f->service);
	list_chats(f, f->state, NULL, 0);
	wait_for(f, 3);
	expect(f, "chats c2 c1 c3; resync; chats failed 422; ");
}

static void pages_messages_both_ways(void **state)
{
	struct fixture *f = *state;

	start(f, "");
	sign_in(f);
	list_messages(f, NULL, NULL, 2);
	list_messages(f, NULL, "a4", 2);
	list_messages(f, NULL, "a2", 2);
	list_messages(f, "a2", NULL, 2);
	list_messages(f, "a4", NULL, 2);
	list_messages(f, "a5", NULL, 2);
	list_messages(f, NULL, "a1", 2);
	list_messages(f, "nothing", NULL, 2);
	wait_for(f, 8);
	expect(f,
		"messages a4 a5 more; messages a2 a3 more; messages a1; messages a3 a4 more; "
		"messages a5; "
		"messages; messages; messages failed 422; ");
}

static void acknowledges_in_order(void **state)
{
	struct fixture *f = *state;

	go_online(f, "\"ack_ms\":2,\"received_ms\":1,\"read_ms\":3");
	send_text(f, "c1", "m1");
	assert_int_equal(f->n_traced, 0);
	wait_for(f, 3);
	expect(f, "accepted m1 c1 6; received m1; read m1 ana; ");
	send_text(f, "c1", "m1");
	wait_for(f, 1);
	expect(f, "accepted m1 c1 6; ");
}

static void keeps_the_order_of_many_sends(void **state)
{
	struct fixture *f = *state;
	struct fake_chat_view view;
	char id[16];

	go_online(f, "\"received_ms\":-1,\"read_ms\":-1");
	for (int i = 0; i < 32; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		send_text(f, "c1", id);
	}
	wait_for(f, 32);
	for (int i = 0; i < 32; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		assert_int_equal(fake_service_message_seq(f->service, "c1", id), 6 + i);
	}
	assert_int_equal(fake_service_view_chat(f->service, "c1", &view), 0);
	assert_int_equal(view.n_messages, 37);
	assert_int_equal(view.peer_received_seq, 5);
}

static void refuses_more_than_fit_in_flight(void **state)
{
	struct fixture *f = *state;
	struct message m = { .id = (char *)"m3", .chat_id = (char *)"c1", .text = (char *)"hello" };

	start(f, "\"max_in_flight\":2,\"received_ms\":-1,\"read_ms\":-1");
	sign_in(f);
	assert_int_equal(f->service->room->send(f->service, &m), -ENOTCONN);
	f->service->session->connect(f->service);
	assert_int_equal(f->service->session->connect(f->service), -EALREADY);
	wait_for(f, 1);
	send_text(f, "c1", "m1");
	send_text(f, "c1", "m2");
	assert_int_equal(f->service->room->send(f->service, &m), -ENOBUFS);
	wait_for(f, 3);
	assert_int_equal(f->service->room->send(f->service, &m), 0);
	wait_for(f, 4);
	expect(f, "greeted me 2; accepted m1 c1 6; accepted m2 c1 7; accepted m3 c1 8; ");
}

static void a_lost_ack_is_made_good_by_resending(void **state)
{
	struct fixture *f = *state;

	go_online(f, "\"read_ms\":-1");
	fake_service_withhold_acks(f->service, true);
	send_text(f, "c1", "m1");
	settle(f);
	assert_int_equal(fake_service_message_seq(f->service, "c1", "m1"), 6);
	fake_service_drop(f->service, NULL);
	send_text(f, "c1", "m2");
	wait_for(f, 1);
	expect(f, "session failed 0; ");
	fake_service_withhold_acks(f->service, false);
	assert_int_equal(f->service->session->connect(f->service), 0);
	wait_for(f, 1);
	send_text(f, "c1", "m1");
	send_text(f, "c1", "m2");
	wait_for(f, 4);
	expect(f, "greeted me 32; accepted m1 c1 6; accepted m2 c1 7; received m2; ");
}

static void withheld_acks_come_when_released(void **state)
{
	struct fixture *f = *state;

	go_online(f, "");
	fake_service_withhold_acks(f->service, true);
	send_text(f, "c1", "m1");
	settle(f);
	expect(f, "");
	fake_service_withhold_acks(f->service, false);
	wait_for(f, 3);
	expect(f, "accepted m1 c1 6; received m1; read m1 ana; ");
}

static void a_lost_send_never_arrives(void **state)
{
	struct fixture *f = *state;

	go_online(f, "\"received_ms\":-1,\"read_ms\":-1");
	fake_service_lose_sends(f->service, 1);
	send_text(f, "c1", "m1");
	send_text(f, "c1", "m2");
	wait_for(f, 1);
	settle(f);
	expect(f, "accepted m2 c1 6; ");
	assert_int_equal(fake_service_message_seq(f->service, "c1", "m1"), 0);
}

static void duplicates_and_reorders_events(void **state)
{
	struct fixture *f = *state;

	go_online(f, "\"received_ms\":-1,\"read_ms\":-1");
	fake_service_duplicate_events(f->service, 1);
	send_text(f, "c1", "m1");
	wait_for(f, 2);
	expect(f, "accepted m1 c1 6; accepted m1 c1 6; ");
	fake_service_reorder_events(f->service, 3);
	send_text(f, "c1", "m2");
	send_text(f, "c1", "m3");
	send_text(f, "c1", "m4");
	wait_for(f, 3);
	send_text(f, "c1", "m5");
	wait_for(f, 4);
	expect(f, "accepted m4 c1 9; accepted m3 c1 8; accepted m2 c1 7; accepted m5 c1 10; ");
}

static void a_silent_message_leaves_a_gap(void **state)
{
	struct fixture *f = *state;
	struct fake_message m = { .chat_id = "c1", .user_id = "ana", .text = "hi", .silent = true };
	int64_t seq;

	go_online(f, "");
	assert_int_equal(fake_service_inject(f->service, &m, &seq), 0);
	m.silent = false;
	m.id = "told";
	assert_int_equal(fake_service_inject(f->service, &m, &seq), 0);
	assert_int_equal(fake_service_inject(f->service, &m, &seq), -EEXIST);
	m.chat_id = NULL;
	m.user_id = "stranger";
	assert_int_equal(fake_service_inject(f->service, &m, &seq), 0);
	m.chat_id = "nowhere";
	assert_int_equal(fake_service_inject(f->service, &m, &seq), -ENOENT);
	wait_for(f, 2);
	assert_true(strncmp(f->trace, "message c1 7 Ana; message ", 26) == 0);
	assert_non_null(strstr(f->trace, " 1 stranger; "));
}

static void a_message_from_the_other_device_is_outgoing(void **state)
{
	struct fixture *f = *state;
	struct fake_message m = { .chat_id = "c1", .user_id = "me", .text = "hi" };
	int64_t seq;

	go_online(f, "");
	assert_int_equal(fake_service_inject(f->service, &m, &seq), 0);
	wait_for(f, 1);
	expect(f, "message c1 6 -; ");
}

static void fails_as_told(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT,
		.status = 503,
		.title = (char *)"Busy",
		.retry_after_ms = 7 };

	go_online(f, "");
	fake_service_fail(f->service, FAKE_LIST_CHATS, 2, 0, &p);
	list_chats(f, NULL, NULL, 0);
	list_chats(f, NULL, NULL, 0);
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 3);
	expect(f, "chats failed 503; chats failed 503; chats c2 c1 c3; ");
	assert_int_equal(f->problem.retry_after_ms, 7);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_LIST_CHATS), 3);
	p = (struct problem){ .class = PROBLEM_PERMANENT, .status = 413 };
	fake_service_fail(f->service, FAKE_SEND, 1, 0, &p);
	send_text(f, "c1", "m1");
	send_text(f, "nowhere", "m2");
	wait_for(f, 2);
	expect(f, "rejected m1 413; rejected m2 404; ");
}

static void a_refused_connection_can_be_tried_again(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT, .status = 502 };

	start(f, "\"latency_ms\":1");
	sign_in(f);
	fake_service_fail(f->service, FAKE_CONNECT, 1, 0, &p);
	f->service->session->connect(f->service);
	wait_for(f, 1);
	f->service->session->connect(f->service);
	wait_for(f, 2);
	expect(f, "session failed 502; greeted me 32; ");
	f->service->session->disconnect(f->service, "done");
	assert_int_equal(f->service->session->connect(f->service), 0);
	wait_for(f, 1);
	expect(f, "greeted me 32; ");
}

static void on_login(void *userdata, const struct problem *p, struct service_identity *identity)
{
	struct fixture *f = userdata;

	if (p) {
		trace_problem(f, "login", p);
		return;
	}
	trace(f, "login %s", identity->user.name);
	assert_non_null(identity->token);
}

static void login(struct fixture *f, const char *password)
{
	struct service_credentials c = { .user_id = "me", .password = password };

	assert_int_equal(f->service->session->login(f->service, &c, on_login, f, NULL), 0);
}

static void checks_the_password(void **state)
{
	struct fixture *f = *state;

	start(f, "\"password\":\"right\"");
	login(f, "right");
	login(f, "wrong");
	wait_for(f, 2);
	expect(f, "login Me; login failed 401; ");
	assert_int_equal(f->problem.class, PROBLEM_UNAUTHORISED);
	list_chats(f, NULL, NULL, 0);
	f->service->session->connect(f->service);
	wait_for(f, 2);
	expect(f, "chats failed 401; session failed 401; ");
}

static void an_expired_token_costs_one_login(void **state)
{
	struct fixture *f = *state;

	go_online(f, "");
	fake_service_expire_token(f->service);
	list_chats(f, NULL, NULL, 0);
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 3);
	settle(f);
	expect(f, "chats c2 c1 c3; chats c2 c1 c3; token; ");
	assert_int_equal(fake_service_count_calls(f->service, FAKE_LOGIN), 1);
	fake_service_expire_token(f->service);
	fake_service_refuse_logins(f->service, true);
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 1);
	expect(f, "chats failed 401; ");
}

static void a_cancelled_call_is_not_called_back(void **state)
{
	struct fixture *f = *state;
	struct chat_page_query q = { 0 };
	struct service_call *call = NULL, *stalled = NULL;

	go_online(f, "\"latency_ms\":1");
	f->service->lobby->list_chats(f->service, &q, on_chats, f, &call);
	call = service_call_cancel(f->service, call);
	assert_null(call);
	fake_service_stall(f->service, FAKE_LIST_CHATS, true);
	f->service->lobby->list_chats(f->service, &q, on_chats, f, &stalled);
	list_chats(f, NULL, NULL, 1);
	list_messages(f, NULL, NULL, 1);
	wait_for(f, 1);
	service_call_cancel(f->service, stalled);
	fake_service_stall(f->service, FAKE_LIST_CHATS, false);
	wait_for(f, 2);
	settle(f);
	expect(f, "messages a5 more; chats c2 more; ");
}

static void may_be_freed_from_a_callback(void **state)
{
	struct fixture *f = *state;

	go_online(f, "");
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 1);
	f->free_in_callback = true;
	send_text(f, "c1", "m1");
	send_text(f, "c1", "m2");
	wait_for(f, 2);
	settle(f);
	expect(f, "chats c2 c1 c3; accepted m1 c1 6; ");
}

static void on_chat(
	void *userdata, const struct problem *p, const struct chat *chat, const struct user *peer)
{
	struct fixture *f = userdata;

	if (p) {
		trace_problem(f, "chat", p);
		return;
	}
	trace(f, "chat with %s", peer->name);
	remember(&f->last_id, chat->id);
}

static void on_done(void *userdata, const struct problem *p)
{
	if (p)
		trace_problem(userdata, "done", p);
	else
		trace(userdata, "done");
}

static void makes_and_removes_chats(void **state)
{
	struct fixture *f = *state;
	const struct chat_lobby_service *lobby;
	char made[80];

	go_online(f, "\"received_ms\":-1,\"read_ms\":-1");
	lobby = f->service->lobby;
	lobby->create_chat(f->service, "di", on_chat, f, NULL);
	lobby->create_chat(f->service, "nobody", on_chat, f, NULL);
	wait_for(f, 2);
	expect(f, "chat with Di; chat failed 404; ");
	send_text(f, f->last_id, "m1");
	wait_for(f, 1);
	snprintf(made, sizeof(made), "accepted m1 %s 1; ", f->last_id);
	expect(f, made);
	lobby->delete_chat(f->service, f->last_id, on_done, f, NULL);
	lobby->delete_chat(f->service, f->last_id, on_done, f, NULL);
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 3);
	expect(f, "done; done failed 404; chats c2 c1 c3; ");
}

static void keeps_this_users_watermarks(void **state)
{
	struct fixture *f = *state;
	struct fake_chat_view view;

	start(f, "");
	assert_int_equal(f->service->room->send_read(f->service, "c1", "a4"), -ENOTCONN);
	sign_in(f);
	f->service->session->connect(f->service);
	wait_for(f, 1);
	fake_service_view_chat(f->service, "c1", &view);
	assert_int_equal(view.read_seq, 3);
	assert_int_equal(f->service->room->send_read(f->service, "c1", "a4"), 0);
	assert_int_equal(f->service->room->send_read(f->service, "c1", "a1"), 0);
	assert_int_equal(f->service->room->send_received(f->service, "c1", "a5"), 0);
	fake_service_view_chat(f->service, "c1", &view);
	assert_int_equal(view.read_seq, 4);
	assert_int_equal(view.received_seq, 5);
	assert_int_equal(fake_service_view_chat(f->service, "nowhere", &view), -ENOENT);
}

static void peers_answer(void **state)
{
	struct fixture *f = *state;

	go_online(f,
		"\"received_ms\":-1,\"read_ms\":-1,\"reply_ms\":1,\"replies\":[{\"text\":\"any\"},"
		"{\"user_id\":\"bo\",\"text\":\"bo's\"},{\"user_id\":\"cy\",\"text\":\"cy's\"}]");
	send_text(f, "c1", "m1");
	wait_for(f, 2);
	send_text(f, "c3", "m2");
	wait_for(f, 4);
	expect(f, "accepted m1 c1 6; message c1 7 Ana; accepted m2 c3 2; message c3 3 Cy; ");
}

static int on_sink(void *userdata, int64_t offset, const void *data, size_t len)
{
	struct fixture *f = userdata;

	if (offset == 0)
		buffer_clear(&f->bytes);
	assert_int_equal(offset, buffer_size(&f->bytes));
	assert_int_equal(buffer_append(&f->bytes, data, len), 0);
	if (f->cancel_in_callback)
		f->call = service_call_cancel(f->service, f->call);
	if (f->free_in_callback)
		f->service = service_free(f->service);
	return 0;
}

static void on_etag(void *userdata, const char *etag, int64_t total)
{
	struct fixture *f = userdata;

	trace(f, "etag %" PRId64, total);
	remember(&f->etag, etag);
}

static void on_described(void *userdata, const struct problem *p, struct attachment *a)
{
	struct fixture *f = userdata;

	if (p) {
		trace_problem(f, "describe", p);
		return;
	}
	trace(f, "described %" PRId64 " %" PRId64, a->size, a->preview_size);
	attachment_clear(&f->attachment);
	f->attachment = *a;
	*a = (struct attachment){ 0 };
}

static void describe(struct fixture *f, const char *id)
{
	assert_int_equal(
		f->service->attachments->describe(f->service, id, on_described, f, NULL), 0);
}

static void download(struct fixture *f, enum attachment_variant variant)
{
	struct download_request r = {
		.attachment = &f->attachment,
		.variant = variant,
		.offset = (int64_t)buffer_size(&f->bytes),
		.etag = f->etag,
		.sink = on_sink,
		.on_etag = on_etag,
		.done = on_done,
		.userdata = f,
	};

	assert_int_equal(f->service->attachments->download(f->service, &r, &f->call), 0);
}

static void a_broken_download_resumes(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT };

	go_online(f, "");
	describe(f, "p1");
	wait_for(f, 1);
	fake_service_fail(f->service, FAKE_DOWNLOAD, 1, 100001, &p);
	download(f, VARIANT_FULL);
	wait_for(f, 3);
	expect(f, "described 200000 5000; etag 200000; done failed 0; ");
	assert_int_equal(buffer_size(&f->bytes), 100001);
	download(f, VARIANT_FULL);
	wait_for(f, 2);
	expect(f, "etag 200000; done; ");
	assert_int_equal(buffer_size(&f->bytes), 200000);
	assert_int_equal(fake_service_count_running(f->service, FAKE_DOWNLOAD), 0);
}

static void changed_bytes_start_over(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT };

	go_online(f, "");
	describe(f, "p1");
	wait_for(f, 1);
	fake_service_fail(f->service, FAKE_DOWNLOAD, 1, 4000, &p);
	download(f, VARIANT_PREVIEW);
	wait_for(f, 3);
	assert_int_equal(buffer_size(&f->bytes), 4000);
	fake_service_replace_bytes(f->service, "p1", VARIANT_PREVIEW, "brand new", 9);
	download(f, VARIANT_PREVIEW);
	wait_for(f, 5);
	assert_int_equal(buffer_size(&f->bytes), 9);
	assert_memory_equal(buffer_bytes(&f->bytes), "brand new", 9);
}

static ssize_t on_source(void *userdata, int64_t offset, void *buf, size_t len)
{
	struct fixture *f = userdata;
	size_t left = buffer_size(&f->bytes) - (size_t)offset, n = len < left ? len : left;

	memcpy(buf, buffer_bytes(&f->bytes) + offset, n);
	return (ssize_t)n;
}

static void on_progress(void *userdata, int64_t done, int64_t total)
{
	trace(userdata, "at %" PRId64 "/%" PRId64, done, total);
}

static void on_slot(void *userdata, const char *slot)
{
	struct fixture *f = userdata;

	trace(f, "slot");
	remember(&f->slot, slot);
}

static void upload(struct fixture *f, enum attachment_variant variant, const char *slot)
{
	static const struct attachment a = {
		.id = (char *)"up1", .mime = (char *)"image/jpeg", .width = 4, .height = 3
	};
	struct upload_request r = {
		.attachment = &a,
		.variant = variant,
		.mime = "image/jpeg",
		.size = (int64_t)buffer_size(&f->bytes),
		.slot = slot,
		.source = on_source,
		.progress = on_progress,
		.on_slot = on_slot,
		.done = on_done,
		.userdata = f,
	};

	assert_int_equal(f->service->attachments->upload(f->service, &r, &f->call), 0);
}

static void fill(struct fixture *f, size_t n)
{
	uint8_t *at = buffer_reserve(&f->bytes, n);

	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)(i * 7 + i / 251);
	buffer_commit(&f->bytes, n);
}

static void a_broken_upload_resumes_and_is_described(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT };
	uint8_t sent[100000];

	go_online(f, "");
	fill(f, sizeof(sent));
	memcpy(sent, buffer_bytes(&f->bytes), sizeof(sent));
	fake_service_fail(f->service, FAKE_UPLOAD, 1, 70000, &p);
	upload(f, VARIANT_FULL, NULL);
	wait_for(f, 4);
	expect(f, "slot; at 65536/100000; at 70000/100000; done failed 0; ");
	upload(f, VARIANT_FULL, f->slot);
	wait_for(f, 2);
	describe(f, "up1");
	wait_for(f, 3);
	expect(f, "at 100000/100000; done; describe failed 404; ");
	upload(f, VARIANT_PREVIEW, NULL);
	wait_for(f, 4);
	describe(f, "up1");
	wait_for(f, 5);
	expect(f, "slot; at 65536/100000; at 100000/100000; done; described 100000 100000; ");
	assert_int_equal(f->attachment.width, 4);
	buffer_clear(&f->bytes);
	download(f, VARIANT_FULL);
	wait_for(f, 2);
	assert_int_equal(buffer_size(&f->bytes), sizeof(sent));
	assert_memory_equal(buffer_bytes(&f->bytes), sent, sizeof(sent));
}

static void a_message_needs_its_attachments_uploaded(void **state)
{
	struct fixture *f = *state;
	struct attachment a = { .id = (char *)"up1" };
	struct message m = { .id = (char *)"m1",
		.chat_id = (char *)"c1",
		.text = (char *)"",
		.attachments = &a,
		.n_attachments = 1 };

	go_online(f, "\"received_ms\":-1,\"read_ms\":-1");
	f->service->room->send(f->service, &m);
	wait_for(f, 1);
	expect(f, "rejected m1 422; ");
	fill(f, 10);
	upload(f, VARIANT_FULL, NULL);
	wait_for(f, 3);
	upload(f, VARIANT_PREVIEW, NULL);
	wait_for(f, 6);
	m.id = (char *)"m2";
	f->service->room->send(f->service, &m);
	wait_for(f, 7);
	assert_non_null(strstr(f->trace, "accepted m2 c1 6; "));
}

static void a_transfer_may_be_cancelled_or_freed_from_its_sink(void **state)
{
	struct fixture *f = *state;

	go_online(f, "");
	describe(f, "p1");
	wait_for(f, 1);
	f->cancel_in_callback = true;
	download(f, VARIANT_FULL);
	wait_for(f, 2);
	settle(f);
	expect(f, "described 200000 5000; etag 200000; ");
	assert_int_equal(fake_service_count_running(f->service, FAKE_DOWNLOAD), 0);
	f->cancel_in_callback = false;
	f->free_in_callback = true;
	buffer_clear(&f->bytes);
	download(f, VARIANT_FULL);
	wait_for(f, 1);
	settle(f);
	expect(f, "etag 200000; ");
	assert_null(f->service);
}

static void keeps_the_push_endpoint(void **state)
{
	struct fixture *f = *state;
	struct push_registration r = { "https://push.example/1", "key", "auth" };

	go_online(f, "");
	f->service->push->set_push(f->service, &r, on_done, f, NULL);
	wait_for(f, 1);
	assert_string_equal(fake_service_push_endpoint(f->service), r.endpoint);
	f->service->push->set_push(f->service, NULL, on_done, f, NULL);
	wait_for(f, 2);
	assert_null(fake_service_push_endpoint(f->service));
}

static void refuses_files_it_cannot_use(void **state)
{
	static const char *const bad[] = {
		"",
		"not json",
		"{}",
		"{\"user\":{\"id\":\"me\"}}",
		"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"chat\":[]}",
		"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"chats\":[{\"user_id\":\"nobody\"}]}",
		"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"users\":[{\"id\":\"me\",\"name\":"
		"\"Me\"}]}",
		"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"behaviour\":{\"login\":\"maybe\"}}",
		"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"users\":[{\"id\":\"a\",\"name\":\"A\"}"
		"],\"chats\":[{"
		"\"user_id\":\"a\",\"messages\":[{\"from\":\"a\",\"attachments\":[{\"id\":\"p\","
		"\"file\":\"no/such\"}]}]}]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json_error e = { "" };

		assert_null(open_world(f, bad[i], &e));
		assert_true(e.text[0]);
	}
}

static void the_demo_is_a_whole_world(void **state)
{
	struct fixture *f = *state;
	struct json_error e = { "" };
	struct fake_chat_view view;

	f->service = fake_service_new(f->loop, DEMO_JSON, &e);
	assert_string_equal(e.text, "");
	assert_non_null(f->service);
	service_set_events(f->service, &events, f);
	sign_in(f);
	list_chats(f, NULL, NULL, 0);
	wait_for(f, 1);
	expect(f, "chats demo-ana demo-yusuf demo-priya demo-luca demo-mama demo-mio demo-noa; ");
	assert_int_equal(fake_service_view_chat(f->service, "demo-ana", &view), 0);
	assert_int_equal(view.n_messages - (size_t)view.read_seq, 2);
	describe(f, "demo-harbour");
	wait_for(f, 1);
	assert_int_equal(f->attachment.width, 1200);
	download(f, VARIANT_FULL);
	wait_for(f, 3);
	assert_int_equal(buffer_size(&f->bytes), f->attachment.size);
	assert_memory_equal(buffer_bytes(&f->bytes), "\xff\xd8\xff", 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_chats_newest_first),
		TEST(tells_what_changed_oldest_first),
		TEST(a_state_of_another_life_is_unknown),
		TEST(pages_messages_both_ways),
		TEST(acknowledges_in_order),
		TEST(keeps_the_order_of_many_sends),
		TEST(refuses_more_than_fit_in_flight),
		TEST(a_lost_ack_is_made_good_by_resending),
		TEST(withheld_acks_come_when_released),
		TEST(a_lost_send_never_arrives),
		TEST(duplicates_and_reorders_events),
		TEST(a_silent_message_leaves_a_gap),
		TEST(a_message_from_the_other_device_is_outgoing),
		TEST(fails_as_told),
		TEST(a_refused_connection_can_be_tried_again),
		TEST(checks_the_password),
		TEST(an_expired_token_costs_one_login),
		TEST(a_cancelled_call_is_not_called_back),
		TEST(may_be_freed_from_a_callback),
		TEST(makes_and_removes_chats),
		TEST(keeps_this_users_watermarks),
		TEST(peers_answer),
		TEST(a_broken_download_resumes),
		TEST(changed_bytes_start_over),
		TEST(a_broken_upload_resumes_and_is_described),
		TEST(a_message_needs_its_attachments_uploaded),
		TEST(a_transfer_may_be_cancelled_or_freed_from_its_sink),
		TEST(keeps_the_push_endpoint),
		TEST(refuses_files_it_cannot_use),
		TEST(the_demo_is_a_whole_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
