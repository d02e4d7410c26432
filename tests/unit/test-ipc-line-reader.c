/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/line-reader.h"

static void feed(struct line_reader *r, const char *data, size_t n, struct fd_list *fds)
{
	void *at = buffer_reserve(&r->buffer, n ? n : 1);

	assert_non_null(at);
	memcpy(at, data, n);
	line_reader_commit(r, n, fds);
}

/* Descriptors that can be told apart: each is at the offset of its number. */
static struct fd_list *make_fds(unsigned first, unsigned n)
{
	struct fd_list *l = fd_list_new();

	assert_non_null(l);
	for (unsigned i = 0; i < n; i++) {
		int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0 && lseek(fd, first + i, SEEK_SET) == first + i);
		l->fds[l->n++] = fd;
	}
	return l;
}

static unsigned number_of(int fd)
{
	return (unsigned)lseek(fd, 0, SEEK_CUR);
}

static void expect_line(struct line_reader *r, const char *text, unsigned first_fd, unsigned n_fds)
{
	struct line line;

	assert_int_equal(line_reader_next(r, &line), LINE_READY);
	assert_int_equal(line.len, strlen(text));
	assert_memory_equal(line.data, text, line.len);
	assert_int_equal(line.fds ? line.fds->n : 0, n_fds);
	for (unsigned i = 0; i < n_fds; i++)
		assert_int_equal(number_of(line.fds->fds[i]), first_fd + i);
	fd_list_unref(line.fds);
	line_reader_done(r);
}

static void expect_none(struct line_reader *r)
{
	struct line line;

	assert_int_equal(line_reader_next(r, &line), LINE_NONE);
}

static void lines_are_the_same_wherever_they_are_cut(void **state)
{
	static const char text[] = "first\n\n{\"x\":1}\nlast\n";
	size_t n = strlen(text);

	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			struct line_reader r;
			char got[64] = "";
			struct line line;
			size_t parts[] = { 0, a, b, n };

			line_reader_init(&r);
			for (int i = 0; i < 3; i++) {
				feed(&r, text + parts[i], parts[i + 1] - parts[i], NULL);
				while (line_reader_next(&r, &line) == LINE_READY) {
					strncat(got, line.data, line.len);
					strcat(got, "|");
					assert_null(line.fds);
					line_reader_done(&r);
				}
			}
			assert_string_equal(got, "first||{\"x\":1}|last|");
			line_reader_clear(&r);
		}
	}
}

static void fill(struct line_reader *r, size_t n)
{
	char piece[4096];

	memset(piece, 'x', sizeof(piece));
	while (n > 0) {
		size_t now = n < sizeof(piece) ? n : sizeof(piece);

		feed(r, piece, now, NULL);
		expect_none(r);
		n -= now;
	}
}

static void the_longest_line_is_taken(void **state)
{
	struct line_reader r;
	struct line line;

	line_reader_init(&r);
	fill(&r, CHAT_LINE_MAX - 1);
	feed(&r, "\nnext\n", 6, NULL);
	assert_int_equal(line_reader_next(&r, &line), LINE_READY);
	assert_int_equal(line.len, CHAT_LINE_MAX - 1);
	line_reader_done(&r);
	expect_line(&r, "next", 0, 0);
	line_reader_clear(&r);
}

static void a_longer_line_is_skipped_to_its_end(void **state)
{
	struct line_reader r;
	struct line line;

	line_reader_init(&r);
	for (int i = 0; i < 2; i++) {
		fill(&r, CHAT_LINE_MAX);
		feed(&r, "\n", 1, NULL);
		assert_int_equal(line_reader_next(&r, &line), LINE_TOO_LONG);
		expect_none(&r);
		fill(&r, 3 * CHAT_LINE_MAX);
		assert_true(r.buffer.allocated < 2 * CHAT_LINE_MAX);
		feed(&r, "tail\nnext\n", 10, NULL);
		assert_int_equal(line_reader_next(&r, &line), LINE_TOO_LONG);
		expect_line(&r, "next", 0, 0);
	}
	line_reader_clear(&r);
}

static void descriptors_belong_to_the_line_of_the_last_byte(void **state)
{
	struct line_reader r;

	line_reader_init(&r);
	/* Glued by the kernel: a line without and a line with descriptors. */
	feed(&r, "one\ntwo\n", 8, make_fds(10, 2));
	expect_line(&r, "one", 0, 0);
	expect_line(&r, "two", 10, 2);
	/* The beginning of a line, with what was before it. */
	feed(&r, "three\nfo", 8, make_fds(20, 1));
	expect_line(&r, "three", 0, 0);
	expect_none(&r);
	feed(&r, "ur\nfive\n", 8, NULL);
	expect_line(&r, "four", 20, 1);
	expect_line(&r, "five", 0, 0);
	/* The end of a line. */
	feed(&r, "si", 2, NULL);
	feed(&r, "x\n", 2, make_fds(30, 1));
	expect_line(&r, "six", 30, 1);
	line_reader_clear(&r);
}

static void descriptors_of_several_reads_add_up(void **state)
{
	struct line_reader r;

	line_reader_init(&r);
	feed(&r, "a", 1, make_fds(1, 2));
	feed(&r, "b", 1, make_fds(3, 1));
	feed(&r, "\nc", 2, make_fds(50, 1));
	feed(&r, "\n", 1, NULL);
	expect_line(&r, "ab", 1, 3);
	expect_line(&r, "c", 50, 1);
	feed(&r, "d", 1, make_fds(60, 1));
	feed(&r, "e\n", 2, make_fds(61, 1));
	feed(&r, "f\n", 2, NULL);
	expect_line(&r, "de", 60, 2);
	expect_line(&r, "f", 0, 0);
	line_reader_clear(&r);
}

static void too_many_descriptors_are_closed_and_told(void **state)
{
	struct line_reader r;
	struct line line;

	line_reader_init(&r);
	for (unsigned i = 0; i < 40; i++)
		feed(&r, "x", 1, make_fds(i, 1));
	feed(&r, "\n", 1, NULL);
	assert_int_equal(line_reader_next(&r, &line), LINE_READY);
	assert_int_equal(line.fds->n, CHAT_FDS_MAX);
	assert_true(line.fds->too_many);
	assert_int_equal(number_of(line.fds->fds[15]), 15);
	fd_list_unref(line.fds);
	line_reader_done(&r);
	line_reader_clear(&r);
}

static void a_skipped_line_keeps_no_descriptor(void **state)
{
	struct line_reader r;
	struct line line;

	line_reader_init(&r);
	feed(&r, "a", 1, make_fds(0, 16));
	fill(&r, CHAT_LINE_MAX);
	assert_true(TAILQ_EMPTY(&r.arrivals));
	feed(&r, "b", 1, make_fds(0, 16));
	feed(&r, "\n", 1, NULL);
	assert_int_equal(line_reader_next(&r, &line), LINE_TOO_LONG);
	assert_true(TAILQ_EMPTY(&r.arrivals));
	/* Left in the reader when the peer goes. */
	feed(&r, "c", 1, make_fds(0, 2));
	line_reader_clear(&r);
}

static int first_free_fd;

static int count_start(void **state)
{
	first_free_fd = open("/", O_RDONLY | O_CLOEXEC);
	close(first_free_fd);
	return 0;
}

static int count_end(void **state)
{
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	close(fd);
	assert_int_equal(fd, first_free_fd);
	return 0;
}

#define counted(f) cmocka_unit_test_setup_teardown(f, count_start, count_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_wherever_they_are_cut),
		cmocka_unit_test(the_longest_line_is_taken),
		cmocka_unit_test(a_longer_line_is_skipped_to_its_end),
		counted(descriptors_belong_to_the_line_of_the_last_byte),
		counted(descriptors_of_several_reads_add_up),
		counted(too_many_descriptors_are_closed_and_told),
		counted(a_skipped_line_keeps_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
