/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Other people's text on a terminal: harmless, of known width, cut where people would cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>

#include "ctl/save.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/ctl.h"

/* main.c, which has the verbs, is not a part of this program. */
const struct verb *verb_find(int argc, char **argv, int *ret_words)
{
	return NULL;
}

void verb_each(void (*fn)(const struct verb *verb, void *userdata), void *userdata)
{
}

static void assert_clean(const char *dirty, const char *expected)
{
	char *clean = text_clean(dirty, false);

	assert_string_equal(clean, expected);
	free(clean);
}

static void nothing_drives_the_terminal(void **state)
{
	assert_clean("\033]0;title\a", "␛]0;title␇");
	assert_clean("a\033[2Jb", "a␛[2Jb");
	assert_clean("a\x7f\b", "a␡␈");
	assert_clean("\xc2\x9b"
		     "31m",
		"�31m"); /* CSI as one character of C1 */
	assert_clean("\x9b"
		     "31m",
		"�31m"); /* and as a bare byte */
	assert_clean("over\u202ewritten\u202c", "overwritten");
	assert_clean("\u2066a\u2069\u200f\u061c", "a");
	assert_clean("a\r\nb\nc\td\u2028e", "a b c d e");
	assert_clean("cut \xe2\x82", "cut ��");
	assert_clean("\xed\xa0\x80", "���");
	assert_clean("", "");
	assert_clean(NULL, "");
}

static void lines_are_kept_when_asked(void **state)
{
	char *clean = text_clean("a\r\nb\u2029c\033", true);

	assert_string_equal(clean, "a\nb\nc␛");
	free(clean);
}

static void marks_do_not_pile_up(void **state)
{
	char dirty[2000] = "a", *clean;

	for (int i = 0; i < 500; i++)
		strcat(dirty, "\u0301");
	clean = text_clean(dirty, false);
	assert_int_equal(strlen(clean), 1 + 8 * 2);
	free(clean);
}

static void width_is_what_the_terminal_shows(void **state)
{
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("é"), 1);
	assert_int_equal(text_width("e\u0301"), 1);
	assert_int_equal(text_width("日本"), 4);
	assert_int_equal(text_width("😀"), 2);
	assert_int_equal(text_width("שלום"), 4);
	assert_int_equal(text_width(""), 0);
}

static void characters_are_not_cut(void **state)
{
	size_t width;

	assert_int_equal(text_fit("日本", 3, &width), strlen("日"));
	assert_int_equal(width, 2);
	assert_int_equal(text_fit("e\u0301x", 1, &width), strlen("e\u0301"));
	/* A family is one picture: all of it or nothing. */
	assert_int_equal(text_fit("👩\u200d👧!", 1, &width), 0);
	assert_int_equal(text_fit("👩\u200d👧!", 4, &width), strlen("👩\u200d👧"));
	assert_int_equal(text_fit("👍🏽", 2, &width), 0);
	assert_int_equal(text_fit("ab", 0, &width), 0);
}

static void assert_lines(const char *text, size_t columns, const char *const *lines)
{
	size_t next = 0;

	do {
		size_t n = text_line(text, columns, &next);

		assert_non_null(*lines);
		assert_int_equal(n, strlen(*lines));
		assert_memory_equal(text, *lines, n);
		text += next;
		lines++;
	} while (next > 0);
	assert_null(*lines);
}

static void text_is_wrapped_between_words(void **state)
{
	assert_lines("one two three", 7, (const char *[]){ "one two", "three", NULL });
	assert_lines("one two three", 8, (const char *[]){ "one two", "three", NULL });
	assert_lines("one\ntwo", 80, (const char *[]){ "one", "two", NULL });
	assert_lines("abcdefgh", 3, (const char *[]){ "abc", "def", "gh", NULL });
	assert_lines("日本語", 3, (const char *[]){ "日", "本", "語", NULL });
	assert_lines("日本", 1, (const char *[]){ "日", "本", NULL });
	assert_lines("", 5, (const char *[]){ "", NULL });
	assert_lines("end  ", 5, (const char *[]){ "end  ", NULL });
	assert_lines("abc   ", 3, (const char *[]){ "abc", NULL });
}

static void names_are_compared_without_case(void **state)
{
	char *a = text_fold("ÉVA Müller"), *b = text_fold("éva müller");

	assert_string_equal(a, b);
	free(a);
	free(b);
}

static void right_to_left_is_known(void **state)
{
	assert_true(text_is_rtl("a שלום"));
	assert_true(text_is_rtl("سلام"));
	assert_false(text_is_rtl("日本 é"));
}

static void validity(void **state)
{
	assert_true(text_is_valid("é\n", 3));
	assert_false(text_is_valid("a\0b", 3));
	assert_false(text_is_valid("\xc3", 1));
}

static void assert_path(const char *given, const char *name, const char *expected)
{
	char *path = save_path(given, name);

	assert_string_equal(path, expected);
	free(path);
}

static void a_senders_name_stays_a_file_name(void **state)
{
	char *name;

	assert_path(NULL, "cat.jpg", "cat.jpg");
	assert_path(NULL, "../../etc/passwd", "passwd");
	assert_path(NULL, ".bashrc", "_bashrc");
	assert_path(NULL, "-rf", "_rf");
	assert_path(NULL, "..", "_.");
	assert_path(NULL, "a/", "photo");
	assert_path(NULL, "", "photo");
	assert_path(NULL, "a\033[2J\n.jpg", "a␛[2J .jpg");
	assert_path("/", "x/cat.jpg", "//cat.jpg");
	assert_path("given.jpg", "cat.jpg", "given.jpg");
	name = save_default_name("a-1", "image/png");
	assert_string_equal(name, "a-1.png");
	free(name);
}

static void sizes_and_durations(void **state)
{
	char b[TIME_TEXT_SIZE];

	assert_string_equal(size_text(0, b), "0 B");
	assert_string_equal(size_text(999, b), "999 B");
	assert_string_equal(size_text(1000, b), "1.0 kB");
	assert_string_equal(size_text(123456, b), "123 kB");
	assert_string_equal(size_text(5400000, b), "5.4 MB");
	assert_string_equal(duration_text(12400, b), "12 s");
	assert_string_equal(duration_text(120000, b), "2 min");
	assert_string_equal(duration_text(7200000, b), "2 h");
	assert_string_equal(duration_text(-5, b), "0 s");
}

static void times_are_told_as_people_say_them(void **state)
{
	char b[TIME_TEXT_SIZE];
	int64_t day = 86400000;

	setenv("TZ", "UTC", 1);
	assert_int_equal(strlen(time_text(now_ms(), b)), 5);
	assert_int_equal(strncmp(time_text(now_ms() - day, b), "yesterday ", 10), 0);
	assert_int_equal(strlen(time_text(now_ms() - 3 * day, b)), 9);
	assert_int_equal(strlen(time_text(now_ms() - 800 * day, b)), 10);
	assert_string_equal(time_text(0, b), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_drives_the_terminal),
		cmocka_unit_test(lines_are_kept_when_asked),
		cmocka_unit_test(marks_do_not_pile_up),
		cmocka_unit_test(width_is_what_the_terminal_shows),
		cmocka_unit_test(characters_are_not_cut),
		cmocka_unit_test(text_is_wrapped_between_words),
		cmocka_unit_test(names_are_compared_without_case),
		cmocka_unit_test(right_to_left_is_known),
		cmocka_unit_test(validity),
		cmocka_unit_test(a_senders_name_stays_a_file_name),
		cmocka_unit_test(sizes_and_durations),
		cmocka_unit_test(times_are_told_as_people_say_them),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
