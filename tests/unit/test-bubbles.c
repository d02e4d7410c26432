/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which notifications there are, when they may be told, and what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "desktop/bubble-text.h"

#define T0 UINT64_C(1000000000)

static int set_up(void **state)
{
	struct bubbles *b = malloc(sizeof(*b));

	bubbles_init(b, NULL);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	bubbles_clear(*state);
	free(*state);
	return 0;
}

static void put(struct bubbles *b, const char *chat, const char *message, int64_t unread)
{
	struct notice n = {
		.chat_id = chat,
		.message_id = message,
		.sender = "Ana",
		.text = message,
		.unread = unread,
	};

	assert_int_equal(bubbles_put(b, &n), 0);
}

static struct bubble *next_at(struct bubbles *b, uint64_t now)
{
	uint64_t wait;

	return bubbles_next(b, now, &wait);
}

static uint64_t wait_at(struct bubbles *b, uint64_t now)
{
	uint64_t wait;

	assert_null(bubbles_next(b, now, &wait));
	return wait;
}

static void tell(struct bubbles *b, uint64_t now, const char *chat, uint32_t id)
{
	struct bubble *e = next_at(b, now);

	assert_non_null(e);
	assert_string_equal(e->chat_id, chat);
	assert_int_equal(bubble_told(e, id), 0);
}

static void assert_title(const struct bubble *b, const char *wanted)
{
	_cleanup_free_ char *text = bubble_title(b);

	assert_string_equal(text, wanted);
}

static void assert_body(const struct bubble *b, bool markup, const char *wanted)
{
	_cleanup_free_ char *text = bubble_body(b, markup);

	assert_string_equal(text, wanted);
}

static void test_one_bubble_a_chat_that_updates(void **state)
{
	struct bubbles *b = *state;
	struct bubble *e;

	put(b, "c1", "m1", 1);
	tell(b, T0, "c1", 7);
	put(b, "c1", "m2", 2);
	put(b, "c1", "m3", 3);
	e = next_at(b, T0 + BUBBLE_INTERVAL_US);
	assert_int_equal(e->id, 7);
	assert_string_equal(e->message_id, "m3");
	assert_title(e, "Ana (3)");
	assert_int_equal(bubble_told(e, 7), 0);
	assert_true(wait_at(b, T0 + BUBBLE_INTERVAL_US) == UINT64_MAX);
}

static void test_updates_of_a_bubble_keep_their_distance(void **state)
{
	struct bubbles *b = *state;

	put(b, "c1", "m1", 1);
	tell(b, T0, "c1", 7);
	put(b, "c1", "m2", 2);
	assert_int_equal(wait_at(b, T0 + 1), BUBBLE_INTERVAL_US - 1);
	tell(b, T0 + BUBBLE_INTERVAL_US, "c1", 7);
}

static void test_beyond_a_burst_bubbles_come_slowly(void **state)
{
	struct bubbles *b = *state;
	char chat[16];

	for (unsigned i = 0; i < BUBBLES_BURST; i++) {
		snprintf(chat, sizeof(chat), "c%u", i);
		put(b, chat, "m", 1);
		tell(b, T0, chat, i + 1);
	}
	put(b, "late", "m", 1);
	assert_int_equal(wait_at(b, T0), BUBBLE_REFILL_US);
	tell(b, T0 + BUBBLE_REFILL_US, "late", 99);
}

static void put_many(struct bubbles *b, unsigned n)
{
	char chat[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(chat, sizeof(chat), "c%u", i);
		put(b, chat, "m", 2);
	}
}

static void test_news_in_many_chats_is_one_bubble(void **state)
{
	struct bubbles *b = *state;
	struct bubble *e;
	uint32_t id = 0;

	put_many(b, 40);
	e = next_at(b, T0);
	assert_title(e, "80 new messages in 40 chats");
	assert_body(e, true, "");
	assert_string_equal(bubble_subject(e)->chat_id, "c39");
	assert_int_equal(bubble_told(e, 5), 0);
	assert_true(wait_at(b, T0) == UINT64_MAX);
	put(b, "c7", "m2", 3);
	assert_false(bubbles_withdraw(b, "c8", &id));
	e = next_at(b, T0 + BUBBLE_INTERVAL_US);
	assert_int_equal(e->id, 5);
	assert_title(e, "79 new messages in 39 chats");
	assert_int_equal(bubble_told(e, 5), 0);
}

static void test_the_one_for_many_goes_with_the_last_of_them(void **state)
{
	struct bubbles *b = *state;
	uint32_t id = 0;
	char chat[16];

	put_many(b, 10);
	tell(b, T0, "", 5);
	for (unsigned i = 0; i < 9; i++) {
		snprintf(chat, sizeof(chat), "c%u", i);
		assert_false(bubbles_withdraw(b, chat, &id));
	}
	assert_true(bubbles_withdraw(b, "c9", &id));
	assert_int_equal(id, 5);
	assert_int_equal(b->n, 0);
}

static void test_a_closed_one_for_many_is_forgotten_with_its_chats(void **state)
{
	struct bubbles *b = *state;

	put_many(b, 10);
	tell(b, T0, "", 5);
	bubble_closed(bubbles_find(b, 5));
	assert_int_equal(b->n, 0);
}

static void test_what_is_read_is_closed(void **state)
{
	struct bubbles *b = *state;
	uint32_t id = 0;

	put(b, "c1", "m1", 1);
	tell(b, T0, "c1", 7);
	assert_false(bubbles_withdraw(b, "c2", &id));
	assert_true(bubbles_withdraw(b, "c1", &id));
	assert_int_equal(id, 7);
	assert_false(bubbles_withdraw(b, "c1", &id));
	assert_null(bubbles_find(b, 7));
}

static void test_what_is_read_while_it_is_told_is_closed_then(void **state)
{
	struct bubbles *b = *state;
	struct bubble *e;
	uint32_t id = 0;

	put(b, "c1", "m1", 1);
	e = next_at(b, T0);
	assert_false(bubbles_withdraw(b, "c1", &id));
	put(b, "c1", "m2", 1);
	assert_int_equal(bubble_told(e, 8), 8);
	tell(b, T0, "c1", 9);
}

static void test_what_was_never_told_needs_no_closing(void **state)
{
	struct bubbles *b = *state;
	uint32_t id = 0;

	put(b, "c1", "m1", 1);
	assert_false(bubbles_withdraw(b, NULL, &id));
	assert_int_equal(b->n, 0);
}

static void test_one_that_the_user_closed_comes_back_with_news_only(void **state)
{
	struct bubbles *b = *state;

	put(b, "c1", "m1", 1);
	tell(b, T0, "c1", 7);
	bubble_closed(bubbles_find(b, 7));
	assert_true(wait_at(b, T0 + BUBBLE_INTERVAL_US) == UINT64_MAX);
	put(b, "c1", "m2", 2);
	tell(b, T0 + BUBBLE_INTERVAL_US, "c1", 8);
}

static void test_another_server_is_told_what_the_last_one_was_not(void **state)
{
	struct bubbles *b = *state;
	struct bubble *e;

	put(b, "c1", "m1", 1);
	tell(b, T0, "c1", 7);
	put(b, "c2", "m2", 1);
	e = next_at(b, T0);
	assert_string_equal(e->chat_id, "c2");
	bubbles_forget_ids(b);
	assert_null(bubbles_find(b, 7));
	tell(b, T0 + BUBBLE_INTERVAL_US, "c2", 1);
	assert_int_equal(b->n, 1);
}

static void test_waiting_for_a_server_takes_bounded_memory(void **state)
{
	struct bubbles *b = *state;

	put_many(b, BUBBLES_MAX + 30);
	assert_int_equal(b->n, BUBBLES_MAX);
	assert_non_null(next_at(b, T0));
	put_many(b, BUBBLES_MAX + 60);
	assert_true(b->n <= BUBBLES_MAX + 1);
}

static struct bubble of_one(const char *sender, const char *text)
{
	struct bubble b = { .chat_id = "c1", .unread = 1 };

	b.sender = sender ? strdup(sender) : NULL;
	b.text = text ? strdup(text) : NULL;
	return b;
}

static void clear(struct bubble *b)
{
	free(b->sender);
	free(b->text);
}

static void test_markup_is_escaped_where_it_is_read(void **state)
{
	_cleanup_(clear) struct bubble b = of_one("<b>Ana</b>", "a <i>&\"'\n</i>");

	assert_body(&b, true, "a &lt;i&gt;&amp;&quot;&apos;\n&lt;/i&gt;");
	assert_body(&b, false, "a <i>&\"'\n</i>");
	assert_title(&b, "<b>Ana</b>");
}

static void test_long_text_ends_between_characters(void **state)
{
	char text[2 * BUBBLE_BODY_BYTES];
	_cleanup_(clear) struct bubble b = { 0 };
	_cleanup_free_ char *body = NULL;

	memset(text, 'x', sizeof(text));
	memcpy(text + BUBBLE_BODY_BYTES - 2, "\xe2\x82\xac", 3);
	text[sizeof(text) - 1] = '\0';
	b = of_one("Ana\nBo\x1b[m", text);
	body = bubble_body(&b, true);
	assert_int_equal(strlen(body), BUBBLE_BODY_BYTES - 2 + 3);
	assert_string_equal(body + BUBBLE_BODY_BYTES - 2, "\xe2\x80\xa6");
	assert_title(&b, "Ana Bo [m");
}

static void test_nothing_is_said_of_what_is_hidden(void **state)
{
	struct bubble b = of_one(NULL, NULL);

	assert_title(&b, "New message");
	assert_body(&b, true, "");
	b.unread = 4;
	assert_title(&b, "4 new messages");
}

static void test_photos_have_words(void **state)
{
	_cleanup_(clear) struct bubble b = of_one("Ana", "");

	b.n_photos = 1;
	assert_body(&b, true, "Photo");
	b.n_photos = 3;
	assert_body(&b, true, "3 photos");
}

static void put_foretold(struct bubbles *b, const char *text, int64_t unread)
{
	struct notice n = {
		.chat_id = "c1",
		.sender = "Ana",
		.text = text,
		.unread = unread,
		.foretold = true,
	};

	assert_int_equal(bubbles_put(b, &n), 0);
}

static void test_what_was_foretold_comes_without_a_sound(void **state)
{
	struct bubbles *b = *state;
	struct bubble *e;

	put_foretold(b, "where are", 1);
	e = next_at(b, T0);
	assert_true(e->foretold);
	assert_false(e->silent);
	bubble_told(e, 7);
	put(b, "c1", "where are you", 1);
	e = next_at(b, T0 + 2 * BUBBLE_INTERVAL_US);
	assert_int_equal(e->id, 7);
	assert_true(e->silent);
	assert_false(e->foretold);
	bubble_told(e, 7);
	put(b, "c1", "hello?", 2);
	assert_false(next_at(b, T0 + 4 * BUBBLE_INTERVAL_US)->silent);
}

static void test_more_than_was_foretold_is_news(void **state)
{
	struct bubbles *b = *state;

	put_foretold(b, "where", 1);
	bubble_told(next_at(b, T0), 7);
	put(b, "c1", "where", 2);
	assert_false(next_at(b, T0 + 2 * BUBBLE_INTERVAL_US)->silent);
}

static void test_what_was_foretold_and_not_told_is_told_with_a_sound(void **state)
{
	struct bubbles *b = *state;

	put_foretold(b, "where", 1);
	put(b, "c1", "where", 1);
	assert_false(next_at(b, T0)->silent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_bubble_a_chat_that_updates),
		TEST(test_updates_of_a_bubble_keep_their_distance),
		TEST(test_beyond_a_burst_bubbles_come_slowly),
		TEST(test_news_in_many_chats_is_one_bubble),
		TEST(test_the_one_for_many_goes_with_the_last_of_them),
		TEST(test_a_closed_one_for_many_is_forgotten_with_its_chats),
		TEST(test_what_is_read_is_closed),
		TEST(test_what_is_read_while_it_is_told_is_closed_then),
		TEST(test_what_was_never_told_needs_no_closing),
		TEST(test_one_that_the_user_closed_comes_back_with_news_only),
		TEST(test_another_server_is_told_what_the_last_one_was_not),
		TEST(test_waiting_for_a_server_takes_bounded_memory),
		TEST(test_markup_is_escaped_where_it_is_read),
		TEST(test_long_text_ends_between_characters),
		TEST(test_nothing_is_said_of_what_is_hidden),
		TEST(test_photos_have_words),
		TEST(test_what_was_foretold_comes_without_a_sound),
		TEST(test_more_than_was_foretold_is_news),
		TEST(test_what_was_foretold_and_not_told_is_told_with_a_sound),
	};

	return cmocka_run_group_tests_name("bubbles", tests, NULL, NULL);
}
