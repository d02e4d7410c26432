/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "full-disk.h"
#include "store/store.h"
#include "store/write.h"
#include "temporary.h"

#define ALL_TOPICS 0xffu

struct fixture {
	char directory[PATH_MAX];
	struct event_loop *loop;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	char text[4096]; /* what callbacks collect */
};

static void reopen(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(&(struct store_options){ .directory = f->directory,
					    .key = f->key,
					    .barrier = f->barrier },
				 &f->store),
		0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t bytes[DB_KEY_SIZE] = { 7 };

	temporary_make(f->directory);
	f->loop = event_loop_new();
	f->barrier = barrier_new(f->loop);
	f->key = db_key_new(bytes);
	reopen(f);
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

static void commit(struct fixture *f)
{
	assert_int_equal(barrier_commit(f->barrier), 0);
}

static void put_chat(struct fixture *f, const char *id, const char *user, int64_t last_seq)
{
	assert_int_equal(store_user_put(f->store,
				 &(struct user){ .id = (char *)user, .name = (char *)user }),
		0);
	assert_int_equal(store_chat_put(f->store,
				 &(struct chat){ .id = (char *)id,
					 .user_id = (char *)user,
					 .last_seq = last_seq,
					 .created_at = 1000 }),
		0);
}

static struct message message(const char *chat, const char *id, const char *user, int64_t seq)
{
	return (struct message){ .id = (char *)id,
		.chat_id = (char *)chat,
		.user_id = (char *)user,
		.text = (char *)"text",
		.seq = seq,
		.created_at = 2000 + seq,
		.outgoing = strcmp(user, "me") == 0 };
}

/* One live arrival; returns whether it left a gap. */
static bool arrive(
	struct fixture *f, const char *chat, const char *id, const char *user, int64_t seq)
{
	struct message m = message(chat, id, user, seq);
	struct store_put put = { 0 };

	assert_int_equal(store_messages_put(f->store, chat, &m, 1, false, &put), 0);
	return put.gap;
}

static void put_run(struct fixture *f, const char *chat, int64_t from, int64_t to)
{
	struct message m[32];
	char ids[32][16];
	struct store_put put;
	size_t n = 0;

	for (int64_t seq = from; seq <= to; seq++, n++) {
		snprintf(ids[n], sizeof(ids[n]), "m%d", (int)seq);
		m[n] = message(chat, ids[n], "bob", seq);
	}
	assert_int_equal(store_messages_put(f->store, chat, m, n, true, &put), 0);
}

static void send(struct fixture *f, const char *chat, const char *id)
{
	struct message m = message(chat, id, "me", 0);

	assert_int_equal(store_message_add(f->store, &m), 0);
}

static int collect_message(void *userdata, const struct message *m)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s:%s:%d ", m->id,
		message_status_to_string(m->status), (int)m->seq);
	return 0;
}

static const char *page(
	struct fixture *f, enum page_direction d, const char *anchor, int64_t limit, bool *ret_more)
{
	f->text[0] = '\0';
	assert_int_equal(
		store_message_page(f->store, "c1", d, anchor, limit, collect_message, f, ret_more),
		0);
	return f->text;
}

static const char *history(struct fixture *f)
{
	bool more;

	return page(f, PAGE_NEWEST, NULL, 100, &more);
}

static int keep_unread(void *userdata, const struct chat_info *c)
{
	*(int64_t *)userdata = c->unread;
	return 0;
}

static int64_t unread(struct fixture *f)
{
	int64_t n = -1;

	assert_int_equal(store_chat_get(f->store, "c1", keep_unread, &n), 0);
	assert_int_equal(store_unread_total(f->store), n);
	return n;
}

static void test_pending_stays_last_and_takes_its_place(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	send(f, "c1", "p1");
	send(f, "c1", "p2");
	arrive(f, "c1", "m1", "bob", 1);
	assert_string_equal(history(f), "m1:RECEIVED:1 p1:PENDING:0 p2:PENDING:0 ");
	assert_int_equal(store_message_accept(f->store, "p1", 2, 5000), 0);
	assert_string_equal(history(f), "m1:RECEIVED:1 p1:SENT:2 p2:PENDING:0 ");
	assert_int_equal(store_message_accept(f->store, "p1", 2, 5000), 0);
	assert_int_equal(store_message_fail(f->store, "p2", "no", NULL), 0);
	assert_string_equal(history(f), "m1:RECEIVED:1 p1:SENT:2 p2:FAILED:0 ");
	assert_int_equal(store_outbox_count(f->store, MESSAGE_FAILED), 1);
	commit(f);
}

/* Without a savepoint: what comes later is not held up, and the numbers have no gap at the end. */
static void test_what_has_no_place_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct message m = message("c1", "p1", "me", 0);
	int64_t last;

	put_chat(f, "c1", "bob", 0);
	send(f, "c1", "p1");
	send(f, "c1", "p2");
	assert_int_equal(store_message_accept(f->store, "p1", 1, 5000), 0);
	last = store_last_change(f->store);
	assert_int_equal(store_message_add(f->store, &m), -EEXIST);
	assert_int_equal(store_message_accept(f->store, "p2", 1, 5000), -EEXIST);
	assert_int_equal(store_last_change(f->store), last);
	assert_string_equal(history(f), "p1:SENT:1 p2:PENDING:0 ");
	commit(f);
}

static void test_the_same_id_is_not_stored_twice(void **state)
{
	struct fixture *f = *state;
	struct message m = message("c1", "p1", "me", 0);

	put_chat(f, "c1", "bob", 0);
	send(f, "c1", "p1");
	assert_int_equal(store_message_add(f->store, &m), -EEXIST);
	arrive(f, "c1", "m1", "bob", 1);
	assert_false(arrive(f, "c1", "m1", "bob", 1));
	/* The acknowledgement was lost, and the message comes back as history. */
	assert_false(arrive(f, "c1", "p1", "me", 2));
	assert_string_equal(history(f), "m1:RECEIVED:1 p1:SENT:2 ");
	commit(f);
}

static int keep_id(void *userdata, const char *id)
{
	snprintf(userdata, 65, "%s", id);
	return 0;
}

static void test_gaps_are_known_and_close(void **state)
{
	struct fixture *f = *state;
	char gap[65] = "";

	put_chat(f, "c1", "bob", 0);
	assert_false(arrive(f, "c1", "m1", "bob", 1));
	assert_true(arrive(f, "c1", "m4", "bob", 4));
	assert_true(arrive(f, "c1", "m3", "bob", 3));
	assert_int_equal(store_chat_gaps(f->store, 8, keep_id, gap), 0);
	assert_string_equal(gap, "c1");
	assert_false(arrive(f, "c1", "m2", "bob", 2));
	gap[0] = '\0';
	assert_int_equal(store_chat_gaps(f->store, 8, keep_id, gap), 0);
	assert_string_equal(gap, "");
	assert_string_equal(history(f), "m1:RECEIVED:1 m2:RECEIVED:2 m3:RECEIVED:3 m4:RECEIVED:4 ");
	assert_int_equal(unread(f), 4);
	commit(f);
}

static void test_runs_join_or_replace(void **state)
{
	struct fixture *f = *state;
	struct store_chat_sync s;

	put_chat(f, "c1", "bob", 20);
	put_run(f, "c1", 11, 20);
	assert_int_equal(store_chat_sync(f->store, "c1", &s), 0);
	assert_int_equal(s.floor_seq, 11);
	assert_int_equal(s.last_seq, 20);
	assert_string_equal(s.floor_id, "m11");
	assert_int_equal(unread(f), 20); /* the ten below the floor count too */
	put_run(f, "c1", 1, 10);
	store_chat_sync(f->store, "c1", &s);
	assert_int_equal(s.floor_seq, 1);
	put_run(f, "c1", 31, 35); /* the newest page after a long absence */
	store_chat_sync(f->store, "c1", &s);
	assert_int_equal(s.floor_seq, 31);
	assert_int_equal(s.last_seq, 35);
	put_run(f, "c1", 15, 30);
	store_chat_sync(f->store, "c1", &s);
	assert_int_equal(s.floor_seq, 15);
	commit(f);
}

static void test_pages(void **state)
{
	struct fixture *f = *state;
	bool more;

	put_chat(f, "c1", "bob", 5);
	put_run(f, "c1", 1, 5);
	assert_string_equal(page(f, PAGE_NEWEST, NULL, 2, &more), "m4:RECEIVED:4 m5:RECEIVED:5 ");
	assert_true(more);
	assert_string_equal(page(f, PAGE_BEFORE, "m4", 2, &more), "m2:RECEIVED:2 m3:RECEIVED:3 ");
	assert_true(more);
	assert_string_equal(page(f, PAGE_BEFORE, "m2", 2, &more), "m1:RECEIVED:1 ");
	assert_false(more);
	assert_string_equal(page(f, PAGE_BEFORE, "m1", 2, &more), "");
	assert_false(more);
	assert_string_equal(page(f, PAGE_AFTER, "m2", 2, &more), "m3:RECEIVED:3 m4:RECEIVED:4 ");
	assert_true(more);
	assert_string_equal(page(f, PAGE_AFTER, "m5", 2, &more), "");
	assert_false(more);
	assert_int_equal(store_message_page(
				 f->store, "c1", PAGE_AFTER, "none", 2, collect_message, f, &more),
		-ENOENT);
	assert_int_equal(
		store_message_page(f->store, "c9", PAGE_NEWEST, NULL, 2, collect_message, f, &more),
		-ENOENT);
}

static void test_peer_receipts_move_forward_only(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	for (int i = 1; i <= 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "p%d", i);
		send(f, "c1", id);
		store_message_accept(f->store, id, i, 5000);
	}
	assert_int_equal(store_receipt_peer(f->store, "c1", "p2", MESSAGE_READ), 0);
	assert_string_equal(history(f), "p1:READ:1 p2:READ:2 p3:SENT:3 ");
	assert_int_equal(store_receipt_peer(f->store, "c1", "p3", MESSAGE_RECEIVED), 0);
	assert_int_equal(store_receipt_peer(f->store, "c1", "p1", MESSAGE_RECEIVED), 0);
	assert_string_equal(history(f), "p1:READ:1 p2:READ:2 p3:RECEIVED:3 ");
	assert_int_equal(store_receipt_peer(f->store, "c1", "none", MESSAGE_READ), -ENOENT);
	commit(f);
}

static void test_receipt_overtakes_ack(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	send(f, "c1", "p1");
	assert_int_equal(store_receipt_peer(f->store, "c1", "p1", MESSAGE_READ), 0);
	assert_string_equal(history(f), "p1:READ:0 ");
	assert_int_equal(store_message_accept(f->store, "p1", 1, 5000), 0);
	assert_string_equal(history(f), "p1:READ:1 ");
	commit(f);
}

static int count_due(void *userdata, const struct store_receipt *r)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s %s %s;", r->chat_id,
		r->received_id ? r->received_id : "-", r->read_id ? r->read_id : "-");
	return 0;
}

static const char *due(struct fixture *f)
{
	f->text[0] = '\0';
	assert_int_equal(store_receipts_due(f->store, count_due, f), 0);
	return f->text;
}

static void test_own_reading_and_what_is_due(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	put_run(f, "c1", 1, 3);
	assert_int_equal(unread(f), 3);
	assert_string_equal(due(f), "c1 m3 -;");
	assert_int_equal(store_receipt_own(f->store, "c1", "m2", false), 1);
	assert_int_equal(unread(f), 1);
	assert_string_equal(history(f), "m1:READ:1 m2:READ:2 m3:RECEIVED:3 ");
	assert_string_equal(due(f), "c1 m3 m2;");
	assert_int_equal(store_receipt_own(f->store, "c1", "m1", false), 0);
	assert_int_equal(store_receipt_told(f->store, "c1", 3, 2), 0);
	assert_string_equal(due(f), "");
	assert_int_equal(store_receipt_own(f->store, "c1", "m3", true), 1); /* on another device */
	assert_int_equal(unread(f), 0);
	assert_string_equal(due(f), "");
	commit(f);
}

static int collect_chat(void *userdata, const struct chat_info *c)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s ", c->id);
	return 0;
}

static void test_provisional_chat_gets_its_name(void **state)
{
	struct fixture *f = *state;
	char id[65], again[65], user[65];

	assert_int_equal(store_chat_provisional(f->store, "bob", id), 0);
	assert_int_equal(store_chat_provisional(f->store, "bob", again), 0);
	assert_string_equal(id, again);
	assert_int_equal(store_chat_next_provisional(f->store, user, again), -ENOENT);
	send(f, id, "p1");
	assert_int_equal(store_chat_next_provisional(f->store, user, again), 0);
	assert_string_equal(user, "bob");
	put_chat(f, "c1", "bob", 0);
	assert_false(store_chat_is_provisional(f->store, "c1"));
	/* Who still has the old id in hand finds the chat, under its name. */
	f->text[0] = '\0';
	assert_int_equal(store_chat_get(f->store, id, collect_chat, f), 0);
	assert_string_equal(f->text, "c1 ");
	send(f, id, "p2");
	assert_string_equal(history(f), "p1:PENDING:0 p2:PENDING:0 ");
	commit(f);
}

static void test_unknown_user_fails_what_waits(void **state)
{
	struct fixture *f = *state;
	char id[65], user[65], other[65];
	bool more;

	assert_int_equal(store_chat_provisional(f->store, "nobody", id), 0);
	send(f, id, "p1");
	send(f, id, "p2");
	assert_int_equal(store_chat_fail_pending(f->store, id, "no such user", NULL), 0);
	f->text[0] = '\0';
	store_message_page(f->store, id, PAGE_NEWEST, NULL, 9, collect_message, f, &more);
	assert_string_equal(f->text, "p1:FAILED:0 p2:FAILED:0 ");
	assert_int_equal(store_chat_next_provisional(f->store, user, other), -ENOENT);
	commit(f);
}

static void test_chat_list_pages_newest_first(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *cursor = NULL, *end = NULL;

	for (int i = 1; i <= 3; i++) {
		char chat[16], user[16], id[16];

		snprintf(chat, sizeof(chat), "c%d", i);
		snprintf(user, sizeof(user), "u%d", i);
		snprintf(id, sizeof(id), "x%d", i);
		put_chat(f, chat, user, 0);
		arrive(f, chat, id, user, 1);
	}
	assert_int_equal(store_chat_list(f->store, NULL, 2, collect_chat, f, &cursor), 0);
	assert_string_equal(f->text, "c3 c2 ");
	assert_non_null(cursor);
	f->text[0] = '\0';
	assert_int_equal(store_chat_list(f->store, cursor, 2, collect_chat, f, &end), 0);
	assert_string_equal(f->text, "c1 ");
	assert_null(end);
	assert_int_equal(store_chat_list(f->store, "1.x", 2, collect_chat, f, &end), -EINVAL);
}

static int collect_change(void *userdata, const struct change *c)
{
	static const char letters[] = "aurcxt";
	struct fixture *f = userdata;
	size_t n = strlen(f->text);
	const char *id = c->message ? c->message->id
		: c->attachment     ? c->attachment->id
				    : c->chat_id;

	snprintf(f->text + n, sizeof(f->text) - n, "%c:%s ", letters[c->topic], id);
	return 0;
}

static int64_t changes(struct fixture *f, int64_t since, int64_t limit)
{
	int64_t last;

	f->text[0] = '\0';
	assert_int_equal(
		store_change_list(f->store, since, ALL_TOPICS, limit, collect_change, f, &last), 0);
	return last;
}

static void test_changes_tell_rows_as_they_are_now(void **state)
{
	struct fixture *f = *state;
	int64_t start, middle;

	put_chat(f, "c1", "bob", 0);
	commit(f);
	start = store_last_change(f->store);
	send(f, "c1", "p1");
	middle = store_last_change(f->store);
	assert_int_equal(changes(f, start, 100), middle);
	assert_string_equal(f->text, "a:p1 c:c1 ");
	store_message_accept(f->store, "p1", 1, 5000);
	store_receipt_peer(f->store, "c1", "p1", MESSAGE_READ);
	assert_int_equal(changes(f, start, 100), store_last_change(f->store));
	assert_string_equal(f->text, "a:p1 u:p1 c:c1 ");
	changes(f, middle, 100);
	assert_string_equal(f->text, "u:p1 c:c1 ");
	assert_int_equal(changes(f, store_last_change(f->store), 100), store_last_change(f->store));
	assert_string_equal(f->text, "");
	commit(f);
}

/*
 * Numbers are unique and the newest stands in a row, whatever the changes: pages then neither lose
 * nor repeat.
 */
static void test_change_numbers_are_unique_and_survive(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0, told = 0, next;
	char id[65];

	put_chat(f, "c1", "bob", 0);
	put_run(f, "c1", 1, 8);
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		send(f, "c1", name);
		store_message_accept(f->store, name, 9 + 2 * i, 5000);
		snprintf(name, sizeof(name), "b%d", i);
		arrive(f, "c1", name, "bob", 10 + 2 * i);
	}
	store_receipt_peer(f->store, "c1", "p3", MESSAGE_READ);
	store_receipt_own(f->store, "c1", "b3", false);
	store_chat_provisional(f->store, "carol", id);
	send(f, id, "q1");
	put_chat(f, "c2", "carol", 0);
	store_user_put(f->store, &(struct user){ .id = (char *)"bob", .name = (char *)"Bob" });
	commit(f);
	for (;;) {
		next = changes(f, last, 1);
		if (next == last)
			break;
		told += f->text[0] != '\0';
		last = next;
	}
	assert_int_equal(
		told, 17 + 16 + 2 + 1); /* messages, those that changed, chats, a tombstone */
	last = store_last_change(f->store);
	reopen(f);
	assert_int_equal(store_last_change(f->store), last);
	commit(f);
}

/* A number that no row bears would be given again after a restart. */
static void test_what_is_not_there_takes_no_number(void **state)
{
	struct fixture *f = *state;
	int64_t before;

	put_chat(f, "c1", "bob", 0);
	before = store_last_change(f->store);
	assert_int_equal(
		store_attachment_set_stored(f->store, "gone", VARIANT_FULL, true), -ENOENT);
	assert_int_equal(store_attachment_set_status(f->store, "gone", ATTACHMENT_READY), -ENOENT);
	assert_int_equal(store_last_change(f->store), before);
	commit(f);
}

/* Another run has taken the place of one that it does not join: what lies between is not here. */
static void test_pages_stop_at_the_floor(void **state)
{
	struct fixture *f = *state;
	bool more = true;

	put_chat(f, "c1", "bob", 30);
	put_run(f, "c1", 1, 3);
	put_run(f, "c1", 21, 23);
	assert_string_equal(page(f, PAGE_NEWEST, NULL, 9, &more),
		"m21:RECEIVED:21 m22:RECEIVED:22 m23:RECEIVED:23 ");
	assert_false(more);
	assert_string_equal(page(f, PAGE_BEFORE, "m22", 9, &more), "m21:RECEIVED:21 ");
	assert_int_equal(store_message_count_before(f->store, "c1", "m23", 9), 2);
	assert_int_equal(store_message_count_before(f->store, "c1", "m3", 9), -ENOENT);
	assert_int_equal(store_unread_total(f->store), 23);
	put_run(f, "c1", 4, 20);
	assert_int_equal(store_message_count_before(f->store, "c1", "m23", 99), 19);
	put_run(f, "c1", 1, 3);
	assert_int_equal(store_message_count_before(f->store, "c1", "m23", 99), 22);
	commit(f);
}

/* Who follows what is added alone goes on from any place without missing what changed since. */
static void test_added_is_listed_where_it_came(void **state)
{
	struct fixture *f = *state;
	int64_t last;

	put_chat(f, "c1", "bob", 0);
	for (int i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		send(f, "c1", name);
	}
	store_message_accept(f->store, "p1", 1, 5000);
	f->text[0] = '\0';
	assert_int_equal(store_change_list(f->store, 0, 1u << CHANGE_MESSAGE_ADDED, 1,
				 collect_change, f, &last),
		0);
	assert_int_equal(store_change_list(f->store, last, 1u << CHANGE_MESSAGE_ADDED, 10,
				 collect_change, f, &last),
		0);
	assert_string_equal(f->text, "a:p0 a:p1 a:p2 ");
	assert_int_equal(last, store_last_change(f->store));
	commit(f);
}

static void write_more(void *userdata, int error)
{
	struct fixture *f = userdata;

	send(f, "c1", "p2");
}

static int commit_without_room(struct fixture *f)
{
	struct rlimit room = full_disk_begin();
	int r = barrier_commit(f->barrier);

	full_disk_end(room);
	return r;
}

/* An effect of a commit writes already, and that next transaction fails. */
static void test_a_failed_turn_gives_its_numbers_back(void **state)
{
	struct fixture *f = *state;
	struct barrier_effect effect = { .fn = write_more, .userdata = f };
	int64_t before;

	put_chat(f, "c1", "bob", 0);
	send(f, "c1", "p1");
	before = store_last_change(f->store);
	barrier_after_commit(f->barrier, &effect);
	commit(f);
	assert_int_equal(store_committed_change(f->store), before);
	assert_true(store_last_change(f->store) > before);
	assert_int_equal(commit_without_room(f), -EIO);
	assert_int_equal(store_last_change(f->store), before);
}

static void test_what_is_undone_is_not_numbered(void **state)
{
	struct fixture *f = *state;
	int64_t before;

	put_chat(f, "c1", "bob", 0);
	commit(f);
	before = store_last_change(f->store);
	assert_int_equal(store_begin(f->store), 0);
	send(f, "c1", "p1");
	store_end(f->store, true);
	assert_int_equal(store_last_change(f->store), before);
	assert_string_equal(history(f), "");
	commit(f);
}

static int collect_outbox(void *userdata, const struct message *m, int64_t number)
{
	return collect_message(userdata, m);
}

static void test_outbox_in_order_of_sending(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	put_chat(f, "c2", "carol", 0);
	send(f, "c1", "p1");
	send(f, "c2", "p2");
	send(f, "c1", "p3");
	store_message_fail(f->store, "p2", "no", NULL);
	f->text[0] = '\0';
	assert_int_equal(store_outbox_list(f->store, 0, 10, collect_outbox, f), 0);
	assert_string_equal(f->text, "p1:PENDING:0 p3:PENDING:0 ");
	assert_int_equal(store_outbox_count(f->store, MESSAGE_PENDING), 2);
	assert_true(store_outbox_has_pending(f->store));
	store_message_fail(f->store, "p1", "no", NULL);
	store_message_fail(f->store, "p3", "no", NULL);
	assert_int_equal(store_outbox_count(f->store, MESSAGE_FAILED), 3);
	assert_false(store_outbox_has_pending(f->store));
	commit(f);
}

static struct message with_photo(struct attachment *a)
{
	struct message m = message("c1", "p1", "me", 0);

	*a = (struct attachment){ .id = (char *)"a1",
		.mime = (char *)"image/jpeg",
		.size = 600000,
		.status = ATTACHMENT_UPLOADING,
		.outgoing = true,
		.full_stored = true };
	m.attachments = a;
	m.n_attachments = 1;
	return m;
}

static void test_media_bytes_come_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ uint8_t *in = malloc(600000), *out = malloc(600000);
	size_t done = 0;

	for (size_t i = 0; i < 600000; i++)
		in[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t n = 1; done < 600000; n = n * 3 % 100003 + 1) {
		size_t len = n < 600000 - done ? n : 600000 - done;

		assert_int_equal(
			store_media_append(f->store, "a1", VARIANT_FULL, in + done, len, true), 0);
		done += len;
	}
	commit(f);
	assert_int_equal(store_media_size(f->store, "a1", VARIANT_FULL), 600000);
	assert_int_equal(store_media_read(f->store, "a1", VARIANT_FULL, 0, out, 600000), 600000);
	assert_memory_equal(in, out, 600000);
	assert_int_equal(store_media_read(f->store, "a1", VARIANT_FULL, 262100, out, 100), 100);
	assert_memory_equal(in + 262100, out, 100);
	assert_int_equal(store_media_read(f->store, "a1", VARIANT_FULL, 600000, out, 100), 0);
	assert_int_equal(store_media_read(f->store, "a1", VARIANT_PREVIEW, 0, out, 100), -ENOENT);
	assert_int_equal(store_media_truncate(f->store, "a1", VARIANT_FULL), 0);
	assert_int_equal(store_media_size(f->store, "a1", VARIANT_FULL), 0);
	commit(f);
}

static void test_sweep_drops_bytes_without_a_row(void **state)
{
	struct fixture *f = *state;
	struct attachment a;
	struct message m = with_photo(&a);

	put_chat(f, "c1", "bob", 0);
	assert_int_equal(store_media_append(f->store, "a1", VARIANT_FULL, "abc", 3, false), 0);
	assert_int_equal(store_media_append(f->store, "lost", VARIANT_FULL, "xyz", 3, false), 0);
	assert_int_equal(store_message_add(f->store, &m), 0);
	assert_true(store_message_awaits_upload(f->store, "p1"));
	commit(f);
	reopen(f);
	assert_int_equal(store_media_sweep(f->store), 0);
	commit(f);
	assert_int_equal(store_media_size(f->store, "a1", VARIANT_FULL), 3);
	assert_int_equal(store_media_size(f->store, "lost", VARIANT_FULL), 0);
	assert_int_equal(store_attachment_count_moving(f->store), 1);
	assert_int_equal(store_attachment_set_remote(f->store, "a1", "/u", "/p"), 0);
	assert_false(store_message_awaits_upload(f->store, "p1"));
	commit(f);
}

static int note_status(void *userdata, const struct attachment *a)
{
	struct fixture *f = userdata;
	size_t used = strlen(f->text);

	snprintf(f->text + used, sizeof(f->text) - used, "%s:%s:%d ", a->id,
		attachment_status_to_string(a->status), a->full_stored || a->preview_stored);
	return 0;
}

static void test_lost_bytes_are_said_to_be_lost(void **state)
{
	struct fixture *f = *state;
	struct message in = message("c1", "m1", "bob", 1);
	struct attachment unsent,
		got = { .id = (char *)"a2",
			.mime = (char *)"image/jpeg",
			.url = (char *)"/a2",
			.size = 3,
			.status = ATTACHMENT_READY,
			.full_stored = true };
	struct message out = with_photo(&unsent);
	int64_t before;

	put_chat(f, "c1", "bob", 0);
	in.attachments = &got;
	in.n_attachments = 1;
	assert_int_equal(store_message_add(f->store, &in), 0);
	assert_int_equal(store_message_add(f->store, &out), 0);
	commit(f);
	before = store_last_change(f->store);
	assert_int_equal(store_media_sweep(f->store), 0);
	commit(f);
	store_attachment_get(f->store, "a1", note_status, f);
	store_attachment_get(f->store, "a2", note_status, f);
	assert_string_equal(f->text, "a1:FAILED:0 a2:WAITING:0 ");
	assert_int_equal(store_outbox_count(f->store, MESSAGE_FAILED), 1);
	/* Both photos, the message and its chat. */
	assert_int_equal(store_last_change(f->store), before + 4);
	before = store_last_change(f->store);
	assert_int_equal(store_media_sweep(f->store), 0);
	assert_int_equal(store_last_change(f->store), before);
	commit(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int collect_found(void *userdata, const struct message *m, const char *snippet)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s{%s} ", m->id, snippet);
	return 0;
}

static const char *find(struct fixture *f, const char *text, const char *chat)
{
	struct search_query q = { .text = text, .chat_id = chat, .limit = 2 };
	_cleanup_free_ char *cursor = NULL;
	int pages = 0;

	f->text[0] = '\0';
	do {
		_cleanup_free_ char *from = TAKE_PTR(cursor);

		q.cursor = from;
		assert_int_equal(store_search(f->store, &q, collect_found, f, &cursor), 0);
		assert_true(++pages < 10);
	} while (cursor);
	return f->text;
}

static void say(struct fixture *f, const char *chat, const char *id, int64_t seq, int64_t at,
	const char *text)
{
	struct message m = message(chat, id, "bob", seq);
	struct store_put put;

	m.created_at = at;
	m.text = (char *)(uintptr_t)text;
	assert_int_equal(store_messages_put(f->store, chat, &m, 1, false, &put), 0);
}

static void index_all(struct fixture *f)
{
	for (int i = 0; store_search_lag(f->store) > 0; i++) {
		assert_int_equal(store_search_index(f->store, 2), 0);
		assert_true(i < 100);
	}
	commit(f);
}

static void test_search_finds_words_newest_first(void **state)
{
	struct fixture *f = *state;
	struct search_query bad = { .text = "a", .cursor = "x", .limit = 1 };
	char *cursor;

	put_chat(f, "c1", "bob", 0);
	put_chat(f, "c2", "eve", 0);
	say(f, "c1", "m3", 3, 30000, "Zum Caf\xc3\xa9, \"hello\" there");
	say(f, "c1", "m1", 1, 10000, "hello world");
	say(f, "c2", "n1", 1, 20000, "Hello again, cafeteria");
	commit(f);
	assert_string_equal(find(f, "hello", NULL), "");
	index_all(f);
	assert_string_equal(find(f, "hello", NULL),
		"m3{Zum Caf\xc3\xa9, \"\376hello\377\" there} n1{\376Hello\377 again, cafeteria} "
		"m1{\376hello\377 world} ");
	assert_string_equal(
		find(f, "HEL caf", "c1"), "m3{Zum \376Caf\xc3\xa9\377, \"\376hello\377\" there} ");
	assert_string_equal(find(f, "\"hello world\"", NULL), "m1{\376hello world\377} ");
	assert_string_equal(find(f, "\"hello wor\"", NULL), "");
	/* What means something to the index means nothing here. */
	assert_string_equal(find(f, "hello OR world", NULL), "");
	assert_string_equal(find(f, "(hello* NEAR -world", NULL), "");
	assert_string_equal(find(f, "!! \" : 1", "c2"), "");
	bad.cursor = NULL;
	bad.text = " \t";
	assert_int_equal(store_search(f->store, &bad, collect_found, f, &cursor), -EINVAL);
	bad.text = "a";
	bad.cursor = "x";
	assert_int_equal(store_search(f->store, &bad, collect_found, f, &cursor), -EBADMSG);
	bad.cursor = NULL;
	bad.chat_id = "c9";
	assert_int_equal(store_search(f->store, &bad, collect_found, f, &cursor), -ENOENT);
}

static void test_control_characters_of_a_text_mark_nothing(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	say(f, "c1", "m1", 1, 1000, "\2not\3 found \1");
	index_all(f);
	assert_string_equal(find(f, "found", NULL), "m1{\2not\3 \376found\377 \1} ");
}

/* What is numbered anew stays where it is in the index; clocks that are wrong harm nothing. */
static void test_search_survives_renaming_and_odd_clocks(void **state)
{
	struct fixture *f = *state;
	char id[65];

	assert_int_equal(store_chat_provisional(f->store, "carol", id), 0);
	send(f, id, "p1");
	index_all(f);
	put_chat(f, "c2", "carol", 0);
	index_all(f);
	assert_string_equal(find(f, "text", "c2"), "p1{\376text\377} ");
	put_chat(f, "c1", "bob", 0);
	say(f, "c1", "m1", 1, INT64_MAX, "word");
	say(f, "c1", "m2", 2, INT64_MIN, "word");
	say(f, "c1", "m3", 3, INT64_MAX, "word");
	index_all(f);
	reopen(f);
	assert_int_equal(store_search_lag(f->store), 0);
	assert_string_equal(
		find(f, "word", NULL), "m3{\376word\377} m1{\376word\377} m2{\376word\377} ");
}

static void test_a_failed_commit_undoes_the_index(void **state)
{
	struct fixture *f = *state;

	put_chat(f, "c1", "bob", 0);
	say(f, "c1", "m1", 1, 1000, "word");
	commit(f);
	assert_int_equal(store_search_index(f->store, 100), 0);
	assert_int_equal(commit_without_room(f), -EIO);
	assert_true(store_search_lag(f->store) > 0);
	index_all(f);
	assert_string_equal(find(f, "word", NULL), "m1{\376word\377} ");
}

static int collect_consumer(void *userdata, const char *name, int64_t seq)
{
	struct fixture *f = userdata;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s:%" PRId64 " ", name, seq);
	return 0;
}

static void test_consumers_move_forward_only(void **state)
{
	struct fixture *f = *state;
	int64_t seq = 0;

	assert_int_equal(store_consumer_get(f->store, "bot", &seq), -ENOENT);
	assert_int_equal(store_consumer_put(f->store, "bot", 5), 0);
	assert_int_equal(store_consumer_put(f->store, "a", 1), 0);
	assert_int_equal(store_consumer_put(f->store, "bot", 4), 0);
	commit(f);
	reopen(f);
	assert_int_equal(store_consumer_get(f->store, "bot", &seq), 0);
	assert_int_equal(seq, 5);
	f->text[0] = '\0';
	assert_int_equal(store_consumer_list(f->store, collect_consumer, f), 0);
	assert_string_equal(f->text, "a:1 bot:5 ");
	assert_int_equal(store_consumer_remove(f->store, "bot"), 0);
	assert_int_equal(store_consumer_remove(f->store, "bot"), -ENOENT);
	assert_int_equal(store_consumer_count(f->store), 1);
	commit(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pending_stays_last_and_takes_its_place),
		TEST(test_what_has_no_place_writes_nothing),
		TEST(test_the_same_id_is_not_stored_twice),
		TEST(test_gaps_are_known_and_close),
		TEST(test_runs_join_or_replace),
		TEST(test_pages),
		TEST(test_peer_receipts_move_forward_only),
		TEST(test_receipt_overtakes_ack),
		TEST(test_own_reading_and_what_is_due),
		TEST(test_provisional_chat_gets_its_name),
		TEST(test_unknown_user_fails_what_waits),
		TEST(test_chat_list_pages_newest_first),
		TEST(test_changes_tell_rows_as_they_are_now),
		TEST(test_change_numbers_are_unique_and_survive),
		TEST(test_what_is_not_there_takes_no_number),
		TEST(test_pages_stop_at_the_floor),
		TEST(test_added_is_listed_where_it_came),
		TEST(test_what_is_undone_is_not_numbered),
		TEST(test_a_failed_turn_gives_its_numbers_back),
		TEST(test_consumers_move_forward_only),
		TEST(test_search_finds_words_newest_first),
		TEST(test_control_characters_of_a_text_mark_nothing),
		TEST(test_search_survives_renaming_and_odd_clocks),
		TEST(test_a_failed_commit_undoes_the_index),
		TEST(test_outbox_in_order_of_sending),
		TEST(test_media_bytes_come_back),
		TEST(test_sweep_drops_bytes_without_a_row),
		TEST(test_lost_bytes_are_said_to_be_lost),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
