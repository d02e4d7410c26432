/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged databases: what is not on a damaged page is there again, whatever the page. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "full-disk.h"
#include "store/damage.h"
#include "store/store.h"
#include "store/write.h"
#include "temporary.h"

#define PAGE 4096
#define CHATS 3
#define A_CHAT 90
#define RECEIVED (CHATS * A_CHAT)
#define UNSENT 20
#define MESSAGES (RECEIVED + UNSENT)

struct fixture {
	char directory[PATH_MAX];
	struct event_loop *loop;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	uint8_t *good; /* the file as it was */
	size_t size;
	int64_t last_change;
	bool key_is_right;
	unsigned damage_told;
};

static void on_damage(void *userdata, const char *name)
{
	struct fixture *f = userdata;

	assert_string_equal(name, "chat.db");
	f->damage_told++;
}

static int try_open(struct fixture *f)
{
	const struct store_options o = {
		.directory = f->directory,
		.key = f->key,
		.barrier = f->barrier,
		.key_is_right = f->key_is_right,
		.on_damage = on_damage,
		.userdata = f,
	};

	return store_open(&o, &f->store);
}

static void file_path(const struct fixture *f, const char *name, char ret[PATH_MAX])
{
	assert_true(snprintf(ret, PATH_MAX, "%.4000s/%s", f->directory, name) < PATH_MAX);
}

static uint8_t *read_file(const struct fixture *f, const char *name, size_t *ret_size)
{
	char path[PATH_MAX];
	struct stat st;
	uint8_t *bytes;
	FILE *file;

	file_path(f, name, path);
	assert_int_equal(stat(path, &st), 0);
	bytes = malloc((size_t)st.st_size);
	file = fopen(path, "r");
	assert_true(file && bytes);
	assert_int_equal(fread(bytes, 1, (size_t)st.st_size, file), st.st_size);
	fclose(file);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

static void write_file(const struct fixture *f, const char *name, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	FILE *file;

	file_path(f, name, path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static bool has_file(const struct fixture *f, const char *name)
{
	char path[PATH_MAX];

	file_path(f, name, path);
	return access(path, F_OK) == 0;
}

static void rename_file(const struct fixture *f, const char *from, const char *to)
{
	char old[PATH_MAX], new[PATH_MAX];

	file_path(f, from, old);
	file_path(f, to, new);
	assert_int_equal(rename(old, new), 0);
}

static void close_store(struct fixture *f)
{
	f->store = store_close(f->store);
}

static struct message make(unsigned n, char id[16], char text[200])
{
	static char chats[][8] = { "chat-0", "chat-1", "chat-2" };
	static char peers[][8] = { "peer-0", "peer-1", "peer-2" };
	static char me[] = "me";
	bool unsent = n >= RECEIVED;
	unsigned chat = unsent ? 0 : n / A_CHAT;

	snprintf(id, 16, "m%u", n);
	snprintf(text, 200, "message %u, %0150u", n, n);
	return (struct message){
		.id = id,
		.chat_id = chats[chat],
		.user_id = unsent ? me : peers[chat],
		.text = text,
		.seq = unsent ? 0 : n % A_CHAT + 1,
		.created_at = 1000 + n,
		.outgoing = unsent,
	};
}

static void put_chats(struct fixture *f)
{
	char id[16], user[16], text[200];

	for (unsigned c = 0; c < CHATS; c++) {
		struct message m[A_CHAT];
		char ids[A_CHAT][16], texts[A_CHAT][200];
		struct store_put put;

		snprintf(id, sizeof(id), "chat-%u", c);
		snprintf(user, sizeof(user), "peer-%u", c);
		snprintf(text, sizeof(text), "Peer %u", c);
		assert_int_equal(
			store_user_put(f->store, &(struct user){ .id = user, .name = text }), 0);
		assert_int_equal(
			store_chat_put(f->store,
				&(struct chat){ .id = id, .user_id = user, .last_seq = A_CHAT }),
			0);
		for (unsigned i = 0; i < A_CHAT; i++)
			m[i] = make(c * A_CHAT + i, ids[i], texts[i]);
		assert_int_equal(store_messages_put(f->store, id, m, A_CHAT, true, &put), 0);
		assert_int_equal(barrier_commit(f->barrier), 0);
	}
}

static void put_unsent(struct fixture *f)
{
	char id[16], text[200];

	for (unsigned n = RECEIVED; n < MESSAGES; n++) {
		struct message m = make(n, id, text);

		assert_int_equal(store_message_add(f->store, &m), 0);
	}
	assert_int_equal(store_message_fail(f->store, id, "no", "never"), 0);
	/* What was taken back must not come again. */
	{
		struct message m = make(MESSAGES, id, text);

		assert_int_equal(store_message_add(f->store, &m), 0);
		assert_int_equal(store_message_cancel(f->store, id), 0);
	}
	assert_int_equal(barrier_commit(f->barrier), 0);
}

static void put_rest(struct fixture *f)
{
	const struct store_account a = { .server = "https://s",
		.user_id = "me",
		.user_name = "Me",
		.password = "p",
		.device_id = "d",
		.token = "t" };

	assert_int_equal(store_account_put(f->store, &a), 0);
	assert_int_equal(store_account_set_sync_state(f->store, "state"), 0);
	assert_int_equal(store_setting_put(f->store, "auto_download", "never"), 0);
	assert_int_equal(store_consumer_put(f->store, "bot", 17), 0);
	while (store_search_lag(f->store) > 0)
		assert_int_equal(store_search_index(f->store, 200), 0);
	assert_int_equal(barrier_commit(f->barrier), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	temporary_make(f->directory);
	f->loop = event_loop_new();
	f->barrier = barrier_new(f->loop);
	f->key = db_key_generate();
	assert_int_equal(try_open(f), 0);
	put_chats(f);
	put_unsent(f);
	put_rest(f);
	f->last_change = store_last_change(f->store);
	close_store(f);
	assert_false(has_file(f, "chat.db-wal"));
	f->good = read_file(f, "chat.db", &f->size);
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
	free(f->good);
	free(f);
	return 0;
}

static void damage(struct fixture *f, const size_t *pages, size_t n)
{
	uint8_t *bad = malloc(f->size);

	assert_non_null(bad);
	memcpy(bad, f->good, f->size);
	for (size_t i = 0; i < n; i++)
		bad[(pages[i] - 1) * PAGE + 100 + pages[i] % 3000] ^= 0x55;
	write_file(f, "chat.db", bad, f->size);
	free(bad);
	assert_int_equal(damage_mark(f->directory, "chat.db"), 0);
}

static void remove_aside(struct fixture *f)
{
	char path[PATH_MAX];

	file_path(f, store_get_salvaged(f->store)->put_aside, path);
	assert_int_equal(unlink(path), 0);
}

static int count_one(void *userdata, const struct message *m)
{
	++*(unsigned *)userdata;
	return 0;
}

static int is_whole(void *userdata, const struct message *m)
{
	char id[16], text[200];
	struct message should = make(*(unsigned *)userdata, id, text);

	assert_string_equal(m->text, should.text);
	assert_string_equal(m->chat_id, should.chat_id);
	assert_string_equal(m->user_id, should.user_id);
	assert_int_equal(m->seq, should.seq);
	assert_int_equal(m->outgoing, should.outgoing);
	return 0;
}

static bool has_message(struct fixture *f, unsigned n)
{
	char id[16];
	int r;

	snprintf(id, sizeof(id), "m%u", n);
	r = store_message_get(f->store, id, is_whole, &n);
	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

/* The run has no hole, and where something is missing above it the server is asked. */
static void check_runs(struct fixture *f)
{
	for (unsigned c = 0; c < CHATS; c++) {
		struct store_chat_sync sync;
		char id[16];

		snprintf(id, sizeof(id), "chat-%u", c);
		if (store_chat_sync(f->store, id, &sync) == -ENOENT)
			continue;
		for (int64_t seq = sync.floor_seq; seq > 0 && seq <= sync.last_seq; seq++)
			assert_true(has_message(f, c * A_CHAT + (unsigned)seq - 1));
		assert_true(sync.last_seq <= sync.server_seq);
		if (sync.last_seq < A_CHAT && sync.server_seq == sync.last_seq)
			assert_false(has_message(f, c * A_CHAT + (unsigned)sync.last_seq));
	}
}

/* Opens what is damaged; which messages are lost is noted. Returns how many. */
static unsigned salvage(struct fixture *f, bool lost[MESSAGES])
{
	const struct store_salvaged *s;
	unsigned n = 0, unsent = 0;
	bool more;

	assert_int_equal(try_open(f), 0);
	s = store_get_salvaged(f->store);
	assert_non_null(s);
	assert_false(has_file(f, "chat.db.suspect") || has_file(f, "chat.db.building") ||
		has_file(f, DAMAGE_BUILT));
	for (unsigned i = 0; i < MESSAGES; i++) {
		lost[i] = !has_message(f, i);
		n += lost[i];
	}
	assert_false(has_message(f, MESSAGES));
	assert_int_equal(s->messages, MESSAGES - n);
	assert_true(store_last_change(f->store) > f->last_change);
	assert_int_equal(store_outbox_page(f->store, NULL, 1000, count_one, &unsent, &more), 0);
	assert_int_equal(s->unsent, unsent);
	check_runs(f);
	return n;
}

static void assert_small_tables(struct store *s)
{
	int64_t seq;
	char *value;

	assert_int_equal(store_consumer_get(s, "bot", &seq), 0);
	assert_int_equal(seq, 17);
	assert_int_equal(store_setting_get(s, "auto_download", &value), 0);
	assert_string_equal(value, "never");
	free(value);
}

/*
 * Each message stands on one page: damaging each page in turn loses each message once. Of several
 * pages what each of them loses is lost, and what stands in the fork between them.
 */
static void test_a_damaged_page_loses_what_is_on_it_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	size_t pages = f->size / PAGE, losing = 0, fork = 0;
	bool(*lost)[MESSAGES] = calloc(pages + 1, sizeof(*lost));
	unsigned total = 0;

	assert_non_null(lost);
	assert_true(pages > 40);
	for (size_t page = 2; page <= pages; page++) {
		unsigned n;

		damage(f, &page, 1);
		n = salvage(f, lost[page]);
		if (n > 0 && losing++ == 0)
			fork = page;
		total += n;
		remove_aside(f);
		close_store(f);
	}
	assert_int_equal(total, MESSAGES);
	assert_true(losing > 10);
	srand(7);
	for (int round = 0; round < 8; round++) {
		bool together[MESSAGES];
		size_t bad[3];

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			bad[i] = 2 + i * (pages / 3) + (size_t)rand() % (pages / 3);
		damage(f, bad, ARRAY_SIZE(bad));
		salvage(f, together);
		for (unsigned m = 0; m < MESSAGES; m++)
			assert_true(!together[m] || lost[fork][m] || lost[bad[0]][m] ||
				lost[bad[1]][m] || lost[bad[2]][m]);
		remove_aside(f);
		close_store(f);
	}
	free(lost);
}

static int see_account(void *userdata, const struct store_account *a)
{
	assert_string_equal(a->user_id, "me");
	assert_string_equal(a->token, "t");
	*(bool *)userdata = a->sync_state != NULL;
	return 0;
}

/* The last page holds neither chats nor the account. */
static void test_everything_else_comes_over(void **state)
{
	struct fixture *f = *state;
	size_t page = f->size / PAGE;
	bool lost[MESSAGES], synchronised = false;

	damage(f, &page, 1);
	salvage(f, lost);
	assert_small_tables(f->store);
	assert_int_equal(store_account_get(f->store, see_account, &synchronised), 0);
	assert_true(synchronised);
	close_store(f);
	assert_int_equal(try_open(f), 0);
	assert_null(store_get_salvaged(f->store));
}

static void test_whole_databases_are_left(void **state)
{
	struct fixture *f = *state;

	damage(f, NULL, 0);
	assert_int_equal(try_open(f), 0);
	assert_null(store_get_salvaged(f->store));
	assert_false(has_file(f, "chat.db.suspect"));
	assert_int_equal(store_last_change(f->store), f->last_change);
}

/* Only who knows that the key is right knows that it is damage. */
static void test_without_its_first_page_all_begins_anew(void **state)
{
	struct fixture *f = *state;
	const size_t page = 1;
	bool lost[MESSAGES];
	uint8_t *is;
	size_t size;

	damage(f, &page, 1);
	assert_int_equal(try_open(f), -EKEYREJECTED);
	is = read_file(f, "chat.db", &size);
	assert_int_equal(size, f->size);
	free(is);
	f->key_is_right = true;
	assert_int_equal(salvage(f, lost), MESSAGES);
	assert_true(has_file(f, store_get_salvaged(f->store)->put_aside));
	assert_int_equal(store_account_get(f->store, see_account, NULL), -ENOENT);
}

static void test_a_full_disk_changes_nothing(void **state)
{
	struct fixture *f = *state;
	size_t page = f->size / PAGE, size;
	struct rlimit old;
	bool lost[MESSAGES];
	uint8_t *before, *is;
	int r;

	damage(f, &page, 1);
	before = read_file(f, "chat.db", &size);
	old = full_disk_begin();
	r = try_open(f);
	full_disk_end(old);
	assert_true(r == -ENOSPC || r == -EIO);
	assert_false(has_file(f, "chat.db.building") || has_file(f, DAMAGE_BUILT));
	is = read_file(f, "chat.db", &size);
	assert_memory_equal(is, before, size);
	free(is);
	free(before);
	assert_true(salvage(f, lost) < MESSAGES);
}

/* Where a kill may have left things. */
static void test_what_was_begun_is_done_again_or_finished(void **state)
{
	struct fixture *f = *state;
	size_t page = f->size / PAGE;
	bool lost[MESSAGES];
	unsigned n;

	damage(f, &page, 1);
	n = salvage(f, lost);
	close_store(f);

	damage(f, &page, 1);
	write_file(f, "chat.db.building", "half", 4);
	write_file(f, "chat.db.building-wal", "half", 4);
	assert_int_equal(salvage(f, lost), n);
	close_store(f);

	damage(f, &page, 1);
	assert_int_equal(damage_build(f->directory, f->key), 0);
	assert_int_equal(salvage(f, lost), n);
	close_store(f);

	damage(f, &page, 1);
	assert_int_equal(damage_build(f->directory, f->key), 0);
	rename_file(f, "chat.db", "elsewhere");
	assert_int_equal(salvage(f, lost), n);
	close_store(f);

	/* The swap is over, the mark is not gone. */
	assert_int_equal(damage_mark(f->directory, "chat.db"), 0);
	assert_int_equal(try_open(f), 0);
	assert_null(store_get_salvaged(f->store));
}

/* Once, however often it is met, and the next opening deals with it. */
static void test_damage_that_is_met_is_told(void **state)
{
	struct fixture *f = *state;
	size_t pages = f->size / PAGE;
	bool lost[MESSAGES];
	char path[PATH_MAX];
	uint8_t *bad = malloc(f->size);

	assert_non_null(bad);
	memcpy(bad, f->good, f->size);
	for (size_t page = pages / 2; page <= pages; page++)
		bad[(page - 1) * PAGE + 500] ^= 1;
	assert_int_equal(try_open(f), 0);
	file_path(f, "chat.db", path);
	close_store(f);
	write_file(f, "chat.db", bad, f->size);
	free(bad);
	if (try_open(f) == 0 && !store_get_salvaged(f->store)) {
		for (unsigned i = 0; i < MESSAGES; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%u", i);
			store_message_get(f->store, id, is_whole, &i);
		}
		assert_int_equal(f->damage_told, 1);
		assert_true(has_file(f, "chat.db.suspect"));
		close_store(f);
		assert_true(salvage(f, lost) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_damaged_page_loses_what_is_on_it_and_nothing_else, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_everything_else_comes_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_databases_are_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_without_its_first_page_all_begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_was_begun_is_done_again_or_finished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage_that_is_met_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
