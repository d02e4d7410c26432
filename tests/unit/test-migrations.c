/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stores of the schema's earlier versions are opened by today's code, with all that is in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"
#include "store/write.h"
#include "temporary.h"

struct fixture {
	char directory[PATH_MAX];
	struct event_loop *loop;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	char text[4096]; /* what callbacks collect */
};

static char *read_script(const char *name)
{
	const char *tree = getenv("srcdir");
	char path[PATH_MAX];
	char *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/data/%s", tree ? tree : ".", name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

/* A database as the first version of the schema left it. */
static void write_old(struct fixture *f, const char *name, const char *script)
{
	char *sql = read_script(script), path[PATH_MAX];
	const struct db_migration first[] = { { sql } };
	struct db *db = NULL;

	snprintf(path, sizeof(path), "%.4000s/%s", f->directory, name);
	assert_int_equal(db_open(
				 &(struct db_options){
					 .path = path,
					 .key = f->key,
					 .migrations = first,
					 .n_migrations = 1,
				 },
				 &db),
		0);
	assert_int_equal(db_get_int(db, 0, "PRAGMA user_version", ""), 1);
	db_close(db);
	free(sql);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	temporary_make(f->directory);
	f->loop = event_loop_new();
	f->barrier = barrier_new(f->loop);
	f->key = db_key_generate();
	write_old(f, "chat.db", "chat-1.sql");
	write_old(f, "media.db", "media-1.sql");
	assert_int_equal(store_open(&(struct store_options){ .directory = f->directory,
					    .key = f->key,
					    .barrier = f->barrier },
				 &f->store),
		0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	barrier_free(f->barrier);
	event_loop_free(f->loop);
	db_key_free(f->key);
	temporary_remove(f->directory);
	free(f);
	return 0;
}

static int add_message(void *userdata, const struct message *m)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s %s %s%s\n", m->id,
		message_status_to_string(m->status), m->text, m->n_attachments ? " +" : "");
	return 0;
}

static void test_messages_are_all_there(void **state)
{
	struct fixture *f = *state;
	bool more;

	assert_int_equal(
		store_message_page(f->store, "c1", PAGE_NEWEST, NULL, 10, add_message, f, &more),
		0);
	assert_string_equal(f->text,
		"m2 READ where are you\nm3 READ on my way\n"
		"m4 RECEIVED a photo of the harbour +\nm5 PENDING not sent yet\n");
	f->text[0] = '\0';
	assert_int_equal(store_outbox_page(f->store, NULL, 10, add_message, f, &more), 0);
	assert_string_equal(f->text, "m5 PENDING not sent yet\n");
}

static int check_chat(void *userdata, const struct chat_info *c)
{
	assert_string_equal(c->id, "c1");
	assert_int_equal(c->unread, 1);
	return 0;
}

static int check_account(void *userdata, const struct store_account *a)
{
	assert_string_equal(a->user_id, "alice");
	assert_string_equal(a->password, "secret");
	assert_string_equal(a->sync_state, "state-9");
	return 0;
}

static void test_chat_account_and_names_are_there(void **state)
{
	struct fixture *f = *state;
	char *value = NULL;
	int64_t seq = 0;

	assert_int_equal(store_chat_get(f->store, "c1", check_chat, NULL), 0);
	assert_int_equal(store_account_get(f->store, check_account, NULL), 0);
	assert_int_equal(store_consumer_get(f->store, "bot", &seq), 0);
	assert_int_equal(seq, 4);
	assert_int_equal(store_setting_get(f->store, "transfers.max_active", &value), 0);
	assert_string_equal(value, "2");
	free(value);
	assert_int_equal(store_last_change(f->store), 9);
}

static void test_photos_keep_their_bytes_through_the_sweep(void **state)
{
	struct fixture *f = *state;
	char bytes[16] = "";

	assert_int_equal(store_media_sweep(f->store), 0);
	assert_int_equal(barrier_commit(f->barrier), 0);
	assert_int_equal(store_media_total(f->store), 9);
	assert_int_equal(
		store_media_read(f->store, "a1", VARIANT_FULL, 0, bytes, sizeof(bytes)), 9);
	assert_string_equal(bytes, "harbour 4");
}

static int add_found(void *userdata, const struct message *m, const char *snippet)
{
	return add_message(userdata, m);
}

static void test_what_is_indexed_and_what_was_not_yet_is_found(void **state)
{
	struct fixture *f = *state;
	struct search_query q = { .text = "way", .limit = 10 };
	char *cursor = NULL;

	assert_int_equal(store_search(f->store, &q, add_found, f, &cursor), 0);
	assert_string_equal(f->text, "m3 READ on my way\n");
	assert_true(store_search_index(f->store, 100) >= 0);
	assert_int_equal(barrier_commit(f->barrier), 0);
	f->text[0] = '\0';
	q.text = "harbour";
	assert_int_equal(store_search(f->store, &q, add_found, f, &cursor), 0);
	assert_string_equal(f->text, "m4 RECEIVED a photo of the harbour +\n");
}

static void add_problem(void *userdata, const char *database, const char *detail)
{
	fail_msg("%s: %s", database, detail);
}

static void test_the_migrated_store_is_whole_and_is_written_to(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_check(f->store, add_problem, NULL), 0);
	assert_int_equal(store_message_accept(f->store, "m5", 5, 1700000005000), 0);
	assert_int_equal(barrier_commit(f->barrier), 0);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(&(struct store_options){ .directory = f->directory,
					    .key = f->key,
					    .barrier = f->barrier },
				 &f->store),
		0);
	assert_int_equal(store_message_get(f->store, "m5", add_message, f), 0);
	assert_string_equal(f->text, "m5 SENT not sent yet\n");
}

static int check_push(void *userdata, const struct store_push *p)
{
	assert_string_equal(p->token, "t");
	assert_string_equal(p->private_key, "k");
	assert_string_equal(p->p256dh, "p");
	assert_string_equal(p->auth, "a");
	assert_null(p->distributor);
	assert_string_equal(p->endpoint, "https://push.example/1");
	assert_true(p->told);
	return 0;
}

static void test_a_subscription_to_pushes_is_taken(void **state)
{
	const struct store_push p = {
		.token = "t",
		.private_key = "k",
		.p256dh = "p",
		.auth = "a",
		.endpoint = "https://push.example/1",
		.told = true,
	};
	struct fixture *f = *state;

	assert_int_equal(store_push_get(f->store, check_push, NULL), -ENOENT);
	assert_int_equal(store_push_put(f->store, &p), 0);
	assert_int_equal(store_push_put(f->store, &p), 0);
	assert_int_equal(barrier_commit(f->barrier), 0);
	assert_int_equal(store_push_get(f->store, check_push, NULL), 0);
	assert_int_equal(store_push_put(f->store, NULL), 0);
	assert_int_equal(store_push_get(f->store, check_push, NULL), -ENOENT);
	assert_int_equal(barrier_commit(f->barrier), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages_are_all_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_chat_account_and_names_are_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_photos_keep_their_bytes_through_the_sweep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_is_indexed_and_what_was_not_yet_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_migrated_store_is_whole_and_is_written_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_subscription_to_pushes_is_taken, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("migrations", tests, NULL, NULL);
}
