/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repository-fixture.h"

#include <errno.h>

#include "db/key.h"
#include "temporary.h"

#define GUARD_US 20000000 /* a test that waits so long has failed */

static const char world[] =
	"{\"user\":{\"id\":\"me\",\"name\":\"Me\"},"
	"\"users\":[{\"id\":\"ana\",\"name\":\"Ana\"},{\"id\":\"bo\",\"name\":\"Bo\"},"
	"{\"id\":\"cy\",\"name\":\"Cy\"}],"
	"\"chats\":[{\"id\":\"c1\",\"user_id\":\"ana\",\"unread\":2,\"messages\":["
	"{\"id\":\"a1\",\"from\":\"ana\",\"text\":\"one\",\"created_at\":100},"
	"{\"id\":\"a2\",\"from\":\"me\",\"text\":\"two\",\"created_at\":200},"
	"{\"id\":\"a3\",\"from\":\"ana\",\"text\":\"three\",\"created_at\":300},"
	"{\"id\":\"a4\",\"from\":\"ana\",\"text\":\"four\",\"created_at\":400}]},"
	"{\"id\":\"c2\",\"user_id\":\"bo\",\"messages\":[{\"from\":\"bo\",\"text\":\"look\","
	"\"created_at\":50,\"attachments\":[{\"id\":\"x1\",\"name\":\"p.jpg\","
	"\"generate\":700000,\"preview_generate\":5000}]}]}],"
	"\"behaviour\":{\"ack_ms\":1,\"received_ms\":2,\"read_ms\":-1}}";

static void on_guard(void *userdata)
{
	fail_msg("waited too long");
}

int set_up(void **state)
{
	return set_up_in(state, world);
}

static void make_repository(struct fixture *f)
{
	assert_int_equal(repository_new(
				 &(struct repository_options){
					 .loop = f->loop,
					 .barrier = f->barrier,
					 .store = f->store,
					 .service = f->service,
					 .preview_helper = "/nonexistent",
					 .seed = 1,
				 },
				 &f->repository),
		0);
}

void forget_all(struct fixture *f)
{
	f->repository = repository_free(f->repository);
	make_repository(f);
}

int set_up_in(void **state, const char *json)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t key[DB_KEY_SIZE] = { 7 };
	struct json_error error;
	char path[PATH_MAX];
	FILE *file;

	temporary_make(f->directory);
	snprintf(path, sizeof(path), "%.4000s/world.json", f->directory);
	file = fopen(path, "w");
	fputs(json, file);
	fclose(file);
	f->loop = event_loop_new();
	f->guard = loop_timer_new(f->loop, on_guard, f);
	loop_timer_start_us(f->guard, GUARD_US);
	f->barrier = barrier_new(f->loop);
	f->key = db_key_new(key);
	assert_int_equal(store_open(&(struct store_options){ .directory = f->directory,
					    .key = f->key,
					    .barrier = f->barrier },
				 &f->store),
		0);
	f->service = fake_service_new(f->loop, path, &error);
	assert_non_null(f->service);
	make_repository(f);
	repository_start(f->repository);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	repository_free(f->repository);
	service_free(f->service);
	store_close(f->store);
	db_key_free(f->key);
	barrier_free(f->barrier);
	loop_timer_free(f->guard);
	event_loop_free(f->loop);
	temporary_remove(f->directory);
	free(f);
	return 0;
}

enum session_state session(struct fixture *f)
{
	struct repository_status s;

	repository_get_status(f->repository, &s);
	return s.connection.state;
}

void wait_state(struct fixture *f, enum session_state wanted)
{
	while (session(f) != wanted)
		event_loop_turn(f->loop, true);
}

void on_done(void *userdata, const struct failure *failure)
{
	struct fixture *f = userdata;

	f->ended++;
	f->failed += failure != NULL;
	if (failure)
		f->failure = *failure;
}

void on_id(void *userdata, const struct failure *failure, const char *id)
{
	struct fixture *f = userdata;

	on_done(userdata, failure);
	if (id)
		snprintf(f->id, sizeof(f->id), "%s", id);
}

void wait_ended(struct fixture *f, unsigned n)
{
	while (f->ended < n)
		event_loop_turn(f->loop, true);
}

void sign_in(struct fixture *f)
{
	unsigned before = f->ended;

	account_login(f->repository, "https://chat.example", "me", "secret", on_done, f);
	wait_ended(f, before + 1);
}

void go_live(struct fixture *f)
{
	sign_in(f);
	assert_int_equal(f->failed, 0);
	wait_state(f, SESSION_LIVE);
}

static int collect(void *userdata, const struct message *m)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s ", m->id);
	return 0;
}

const char *history(struct fixture *f, const char *chat_id)
{
	bool more;

	f->text[0] = '\0';
	store_message_page(f->store, chat_id, PAGE_NEWEST, NULL, 100, collect, f, &more);
	return f->text;
}

void wait_history(struct fixture *f, const char *chat_id, const char *wanted)
{
	while (strcmp(history(f, chat_id), wanted) != 0)
		event_loop_turn(f->loop, true);
}

static int keep_status(void *userdata, const struct message *m)
{
	*(enum message_status *)userdata = m->status;
	return 0;
}

void wait_status(struct fixture *f, const char *id, enum message_status wanted)
{
	enum message_status status;

	for (;;) {
		assert_int_equal(store_message_get(f->store, id, keep_status, &status), 0);
		if (status == wanted)
			return;
		event_loop_turn(f->loop, true);
	}
}

void send_text(struct fixture *f, const char *chat_id, const char *user_id, const char *id,
	const char *text)
{
	room_send(f->repository,
		&(struct room_send){
			.chat_id = chat_id, .user_id = user_id, .text = text, .message_id = id },
		on_id, f);
}

void inject(struct fixture *f, const char *id, bool silent)
{
	int64_t seq;

	assert_int_equal(fake_service_inject(f->service,
				 &(struct fake_message){ .chat_id = "c1",
					 .user_id = "ana",
					 .id = id,
					 .text = "x",
					 .silent = silent },
				 &seq),
		0);
}

struct fake_chat_view wait_view(struct fixture *f, int64_t received_seq, int64_t read_seq)
{
	struct fake_chat_view view;

	for (;;) {
		assert_int_equal(fake_service_view_chat(f->service, "c1", &view), 0);
		if (view.received_seq >= received_seq && view.read_seq >= read_seq)
			return view;
		event_loop_turn(f->loop, true);
	}
}

struct problem transient(int status)
{
	return (struct problem){
		.class = PROBLEM_TRANSIENT, .status = status, .title = (char *)"no answer"
	};
}
