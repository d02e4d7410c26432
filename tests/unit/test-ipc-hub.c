/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subscribers as cursors: what each is told, in which order, and what that costs. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ipc/encode.h"
#include "ipc/hub.h"
#include "ipc/topics.h"
#include "test-ipc-fakes.h"

#define MANY 1000

/* Notes what it is told as words: "1:added:m1 ". */
struct listener {
	struct subscriber subscriber;
	char told[4096];
	unsigned n;
	int64_t last;
	unsigned room; /* events it takes before it is full */
	unsigned flushes;
	struct chunk *line; /* of the last event */
};

static struct api *api;
static struct listener a, b;
static struct listener many[MANY];

static bool is_full(void *userdata)
{
	struct listener *l = userdata;

	return l->room == 0;
}

static const char *id_of(const cJSON *data)
{
	static const char *const names[] = { "attachment_id", "message_id", "chat_id", "state" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const cJSON *id = cJSON_GetObjectItem(data, names[i]);

		if (id)
			return id->valuestring;
	}
	return "?";
}

static void take(void *userdata, struct event *e)
{
	struct listener *l = userdata;
	struct chunk *line = event_line(e);
	size_t used = strlen(l->told);

	assert_true(l->room > 0);
	assert_non_null(line);
	l->room--;
	l->n++;
	if (e->seq) {
		assert_true(e->seq > l->last);
		l->last = e->seq;
	}
	chunk_unref(l->line);
	l->line = chunk_ref(line);
	if (used < sizeof(l->told) - 100)
		snprintf(l->told + used, sizeof(l->told) - used, "%" PRId64 ":%s:%s ", e->seq,
			topic_names[e->topic], id_of(event_tree(e)));
}

static void on_flush(void *userdata)
{
	struct listener *l = userdata;

	l->flushes++;
}

static const struct subscriber_ops ops = {
	.is_full = is_full,
	.take = take,
	.flush = on_flush,
};

static void add(struct listener *l)
{
	memset(l, 0, sizeof(*l));
	l->room = 100000;
	hub_add(api->hub, &l->subscriber, &ops, l);
}

static void drop(struct listener *l)
{
	hub_remove(&l->subscriber);
	l->line = chunk_unref(l->line);
}

static void subscribe(struct listener *l, int64_t position, unsigned which, const char *chat)
{
	struct subscription s = { .topics = which, .position = position };

	if (chat) {
		s.chats = calloc(1, sizeof(s.chats[0]));
		s.chats[s.n_chats++] = strdup(chat);
	}
	subscriber_stage(&l->subscriber, &s);
	subscriber_settle(&l->subscriber, true);
}

static void expect(struct listener *l, const char *told)
{
	fake_settle();
	assert_string_equal(l->told, told);
	l->told[0] = '\0';
}

static int setup(void **state)
{
	fake_start();
	api = test_api_new();
	add(&a);
	add(&b);
	return 0;
}

static int teardown(void **state)
{
	drop(&a);
	drop(&b);
	api = test_api_free(api);
	fake_stop();
	return 0;
}

static void changes_are_told_in_order_after_the_commit(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	fake_settle();
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	assert_int_equal(a.n, 0);
	expect(&a, "1:message.added:m1 2:chat.updated:c1 ");
	assert_int_equal(a.flushes, 1);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_ATTACHMENT_UPDATED, "c1", "a1");
	fake_change(CHANGE_MESSAGE_REMOVED, "c1", "m7");
	fake_change(CHANGE_CHAT_REMOVED, "c2", "c2");
	expect(&a,
		"3:message.updated:m1 4:attachment.updated:a1 5:message.removed:m7 "
		"6:chat.removed:c2 ");
	/* Not subscribed: nothing. */
	expect(&b, "");
}

static void catching_up_is_the_same(void **state)
{
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	fake_settle();
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	subscribe(&b, 1, TOPICS_DEFAULT, NULL);
	/*
	 * m1 changed twice and is told once: new to one who knows nothing, changed to one who had
	 * it.
	 */
	expect(&a, "1:message.added:m1 2:message.added:m2 ");
	expect(&b, "2:message.added:m2 3:message.updated:m1 ");
}

static void a_failed_commit_is_not_told(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake.commit_error = -ENOSPC;
	expect(&a, "");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	expect(&a, "1:message.added:m2 ");
}

/* An effect of this turn begins the next transaction, which then fails. */
static void write_again(void *userdata, int error)
{
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	fake.commit_error = -EIO;
}

static void what_an_effect_writes_is_not_told_before_its_commit(void **state)
{
	struct barrier_effect effect = { .fn = write_again };

	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	fake_settle();
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	barrier_after_commit(api->barrier, &effect);
	fake_settle();
	assert_int_equal(fake.commits, 2);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m3");
	expect(&a, "1:message.added:m1 2:message.added:m3 ");
}

static void topics_and_chats_narrow_it_down(void **state)
{
	subscribe(&a, 0, 1u << CHANGE_MESSAGE_ADDED | 1u << CHANGE_CHAT_REMOVED, NULL);
	subscribe(&b, 0, TOPICS_DEFAULT, "c2");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_MESSAGE_ADDED, "c2", "m2");
	fake_change(CHANGE_CHAT_UPDATED, "c2", "c2");
	fake_change(CHANGE_CHAT_REMOVED, "c1", "c1");
	expect(&a, "1:message.added:m1 2:message.added:m2 4:chat.removed:c1 ");
	expect(&b, "2:message.added:m2 3:chat.updated:c2 ");
	/* What was of no interest is behind it too. */
	assert_int_equal(b.subscriber.current.position, 4);
	fake_change(CHANGE_MESSAGE_ADDED, "c2", "m2");
	expect(&a, "");
	expect(&b, "5:message.updated:m2 ");
}

static void added_is_told_however_far_behind(void **state)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 400; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%d", i);
			fake_change(CHANGE_MESSAGE_ADDED, "c1", id);
		}
	}
	subscribe(&a, 0, 1u << CHANGE_MESSAGE_ADDED, NULL);
	fake_settle();
	assert_int_equal(a.n, 400);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m3");
	fake_settle();
	assert_int_equal(a.n, 400);
}

/*
 * Messages change while somebody catches up, who then goes away and comes back with the place
 * reached: those that were not told yet are still new.
 */
static void coming_back_in_the_midst_misses_nothing(void **state)
{
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m3");
	fake_settle();
	subscribe(&a, 0, 1u << CHANGE_MESSAGE_ADDED, NULL);
	a.room = 1;
	expect(&a, "1:message.added:m1 ");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m4");
	fake_settle();
	a.room = 10;
	subscribe(&a, a.last, 1u << CHANGE_MESSAGE_ADDED, NULL);
	expect(&a, "2:message.added:m2 3:message.added:m3 5:message.added:m4 ");
}

static void changes_alone_can_be_followed(void **state)
{
	subscribe(&a, 0, 1u << CHANGE_MESSAGE_UPDATED, NULL);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	expect(&a, "3:message.updated:m1 ");
}

/* The server has named a chat that began here. */
static void a_chat_is_followed_under_its_new_name(void **state)
{
	subscribe(&a, 0, 1u << CHANGE_MESSAGE_ADDED, "old");
	fake_change(CHANGE_MESSAGE_ADDED, "old", "m1");
	expect(&a, "1:message.added:m1 ");
	fake.renamed = "c7";
	fake_change(CHANGE_CHAT_REMOVED, "old", "old");
	fake_change(CHANGE_MESSAGE_ADDED, "c7", "m2");
	fake_change(CHANGE_MESSAGE_ADDED, "c8", "m3");
	expect(&a, "3:message.added:m2 ");
}

static void a_full_one_goes_on_from_its_place(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	subscribe(&b, 0, TOPICS_DEFAULT, NULL);
	a.room = 2;
	for (int i = 0; i < 5; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		fake_change(CHANGE_MESSAGE_ADDED, "c1", id);
	}
	expect(&a, "1:message.added:m0 2:message.added:m1 ");
	assert_int_equal(b.n, 5);
	/* Meanwhile things change. */
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m3");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m0");
	expect(&a, "");
	a.room = 3;
	hub_schedule(api->hub);
	expect(&a, "3:message.added:m2 4:message.added:m3 5:message.added:m4 ");
	a.room = 10;
	hub_schedule(api->hub);
	expect(&a, "6:message.updated:m3 7:message.updated:m0 ");
	assert_int_equal(a.n, 7);
	assert_int_equal(b.n, 7);
	assert_int_equal(a.subscriber.current.position, b.subscriber.current.position);
}

static void a_thousand_cost_one_query_and_one_encoding(void **state)
{
	unsigned queries, rows;

	for (int i = 0; i < MANY; i++) {
		add(&many[i]);
		subscribe(&many[i], 0, TOPICS_DEFAULT, NULL);
	}
	fake_settle();
	queries = fake.change_queries;
	rows = fake.encoded;
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	fake_settle();
	assert_int_equal(fake.change_queries, queries + 1);
	assert_int_equal(fake.encoded, rows + 1);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(many[i].n, 1);
		assert_int_equal(many[i].flushes, 1);
		/* The very same bytes. */
		assert_ptr_equal(many[i].line, many[0].line);
	}
	for (int i = 0; i < MANY; i++)
		drop(&many[i]);
}

/* Many who catch up, each from a place of its own: those who are up to date come first. */
static void those_that_catch_up_do_not_hold_up_the_others(void **state)
{
	for (int i = 0; i < 14999; i++) {
		fake.rows[i] = (struct fake_row){ .seq = i + 1, .added = i + 1, .chat_id = "c1" };
		snprintf(fake.rows[i].id, sizeof(fake.rows[i].id), "m%d", i);
	}
	fake.n_rows = 14999;
	fake.last_change = 14999;
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	for (int i = 0; i < 20; i++) {
		add(&many[i]);
		subscribe(&many[i], i, TOPICS_DEFAULT, NULL);
	}
	drop(&b);
	add(&b);
	subscribe(&b, 14999, TOPICS_DEFAULT, NULL);
	fake_change(CHANGE_CHAT_UPDATED, "c1", "c1");
	event_loop_turn(fake.loop, false);
	assert_int_equal(b.n, 1);
	/* Other work gets its turn soon. */
	assert_in_range(fake.encoded, 100, 1200);
	while (a.n < 15000)
		event_loop_turn(fake.loop, false);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(many[i].n, 15000 - i);
		drop(&many[i]);
	}
}

static void a_store_that_cannot_be_read_is_tried_again(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	fake.change_error = -EIO;
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	expect(&a, "");
	assert_true(fake.change_queries < 5);
	fake.change_error = 0;
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	expect(&a, "1:message.added:m1 2:message.added:m2 ");
}

static void subscribing_again_replaces_it(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, "c1");
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	expect(&a, "1:message.added:m1 ");
	a.last = 0;
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	expect(&a, "1:message.added:m1 ");
	subscriber_stage(&a.subscriber, NULL);
	subscriber_settle(&a.subscriber, false);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m2");
	expect(&a, "2:message.added:m2 ");
	subscriber_stage(&a.subscriber, NULL);
	subscriber_settle(&a.subscriber, true);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m3");
	expect(&a, "");
	assert_false(hub_is_wanted(api->hub, TOPIC_CONNECTION));
}

static bool line_has(const struct listener *l, const char *text)
{
	return memmem(l->line->data, l->line->size, text, strlen(text));
}

static void publish(enum session_state s)
{
	struct session_status status = { .state = s };

	hub_publish(api->hub, TOPIC_CONNECTION, "", NULL, encode_connection(&status));
}

static void publish_progress(const char *id, const char *chat_id, int64_t progress)
{
	struct attachment attachment = { .id = (char *)(uintptr_t)id, .progress = progress };

	hub_publish(api->hub, TOPIC_TRANSFER_PROGRESS, id, chat_id, encode_attachment(&attachment));
}

/* Sleeps until something is told. */
static void wait_for_event(struct listener *l)
{
	unsigned n = l->n;

	while (l->n == n)
		event_loop_turn(fake.loop, true);
}

static void ephemeral_events_are_merged(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT | 1u << TOPIC_TRANSFER_PROGRESS, NULL);
	subscribe(&b, 0, TOPICS_DEFAULT, NULL);
	publish(SESSION_CONNECTING);
	expect(&a, "0:connection:CONNECTING ");
	/* Within the same tenth of a second: the last of each is told at its end. */
	publish(SESSION_GREETING);
	publish_progress("a1", "c1", 1);
	publish_progress("a2", "c1", 1);
	publish_progress("a1", "c1", 2);
	publish(SESSION_LIVE);
	expect(&a, "");
	wait_for_event(&a);
	expect(&a, "0:transfer.progress:a2 0:transfer.progress:a1 0:connection:LIVE ");
	expect(&b, "0:connection:CONNECTING 0:connection:LIVE ");
	assert_true(line_has(&a, "\"state\":\"LIVE\""));
	assert_false(line_has(&a, "\"seq\""));
}

static void ephemeral_events_come_after_what_they_speak_of(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	fake_settle();
	publish(SESSION_LIVE);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	expect(&a, "1:message.added:m1 0:connection:LIVE ");
}

static void ephemeral_events_are_not_replayed(void **state)
{
	publish(SESSION_CONNECTING);
	fake_settle();
	subscribe(&a, 0, TOPICS_DEFAULT | 1u << TOPIC_TRANSFER_PROGRESS, "c1");
	publish_progress("a1", "c2", 1);
	publish_progress("a2", "c1", 1);
	expect(&a, "0:transfer.progress:a2 ");
}

static void a_full_one_gets_the_newest_later(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT | 1u << TOPIC_TRANSFER_PROGRESS, NULL);
	subscribe(&b, 0, TOPICS_DEFAULT | 1u << TOPIC_TRANSFER_PROGRESS, NULL);
	a.room = 0;
	for (int i = 0; i < 3; i++) {
		publish_progress("a1", "c1", i);
		wait_for_event(&b);
	}
	assert_int_equal(b.n, 3);
	a.room = 10;
	hub_schedule(api->hub);
	wait_for_event(&a);
	expect(&a, "0:transfer.progress:a1 ");
	assert_true(line_has(&a, "\"progress\":2"));
	/* All have it: nothing is kept, nothing runs on. */
	assert_int_equal(b.n, 3);
}

static void one_who_goes_is_forgotten(void **state)
{
	subscribe(&a, 0, TOPICS_DEFAULT, NULL);
	subscribe(&b, 0, TOPICS_DEFAULT, NULL);
	fake_change(CHANGE_MESSAGE_ADDED, "c1", "m1");
	drop(&a);
	expect(&b, "1:message.added:m1 ");
	assert_int_equal(a.n, 0);
	add(&a);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(changes_are_told_in_order_after_the_commit),
		test(catching_up_is_the_same),
		test(a_failed_commit_is_not_told),
		test(what_an_effect_writes_is_not_told_before_its_commit),
		test(topics_and_chats_narrow_it_down),
		test(added_is_told_however_far_behind),
		test(coming_back_in_the_midst_misses_nothing),
		test(changes_alone_can_be_followed),
		test(a_chat_is_followed_under_its_new_name),
		test(a_full_one_goes_on_from_its_place),
		test(a_thousand_cost_one_query_and_one_encoding),
		test(those_that_catch_up_do_not_hold_up_the_others),
		test(a_store_that_cannot_be_read_is_tried_again),
		test(subscribing_again_replaces_it),
		test(ephemeral_events_are_merged),
		test(ephemeral_events_come_after_what_they_speak_of),
		test(ephemeral_events_are_not_replayed),
		test(a_full_one_gets_the_newest_later),
		test(one_who_goes_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
