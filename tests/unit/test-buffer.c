/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/cleanup.h"

static void zero_initialised_is_empty(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	assert_int_equal(buffer_size(&b), 0);
	assert_int_equal(buffer_append(&b, NULL, 0), 0);
	assert_int_equal(buffer_size(&b), 0);
	buffer_consume(&b, 0);
	assert_int_equal(buffer_size(&b), 0);
}

static void keeps_order(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	assert_int_equal(buffer_append(&b, "hello ", 6), 0);
	assert_int_equal(buffer_append(&b, "world", 5), 0);
	assert_int_equal(buffer_size(&b), 11);
	assert_memory_equal(buffer_bytes(&b), "hello world", 11);
	buffer_consume(&b, 6);
	assert_int_equal(buffer_size(&b), 5);
	assert_memory_equal(buffer_bytes(&b), "world", 5);
}

static void reserved_room_counts_once_committed(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };
	uint8_t *at;

	assert_int_equal(buffer_append(&b, "ab", 2), 0);
	at = buffer_reserve(&b, 1000);
	assert_non_null(at);
	memset(at, 'c', 1000);
	assert_int_equal(buffer_size(&b), 2);
	buffer_commit(&b, 3);
	assert_int_equal(buffer_size(&b), 5);
	assert_memory_equal(buffer_bytes(&b), "abccc", 5);
}

static void impossible_size_is_refused(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	assert_int_equal(buffer_append(&b, "kept", 4), 0);
	assert_null(buffer_reserve(&b, SIZE_MAX));
	assert_null(buffer_reserve(&b, SIZE_MAX / 2 - 3));
	assert_int_equal(buffer_append(&b, "x", SIZE_MAX - 4), -ENOMEM);
	assert_int_equal(buffer_size(&b), 4);
	assert_memory_equal(buffer_bytes(&b), "kept", 4);
}

static void clear_can_be_repeated_and_reused(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	assert_int_equal(buffer_append(&b, "abc", 3), 0);
	buffer_clear(&b);
	buffer_clear(&b);
	assert_int_equal(buffer_size(&b), 0);
	assert_int_equal(buffer_append(&b, "def", 3), 0);
	assert_memory_equal(buffer_bytes(&b), "def", 3);
}

static void gives_memory_back_when_it_held_much(void **state)
{
	static const uint8_t much[1 << 20];
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	assert_int_equal(buffer_append(&b, much, sizeof(much)), 0);
	buffer_consume(&b, sizeof(much) - 1);
	assert_true(b.allocated >= sizeof(much));
	buffer_consume(&b, 1);
	assert_int_equal(b.allocated, 0);
	assert_int_equal(buffer_append(&b, much, 100), 0);
	buffer_consume(&b, 100);
	assert_true(b.allocated > 0);
}

/* Memory follows what is held, not what has gone through. */
static void does_not_grow_when_used_as_a_queue(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };

	for (unsigned i = 0; i < 10000; i++) {
		uint8_t bytes[100];

		memset(bytes, (int)i, sizeof(bytes));
		assert_int_equal(buffer_append(&b, bytes, sizeof(bytes)), 0);
		if (i > 0)
			buffer_consume(&b, sizeof(bytes));
	}
	assert_int_equal(buffer_size(&b), 100);
	assert_true(b.allocated <= 1024);
}

/* Bytes are numbered as they go in, so what comes out shows any loss, repeat or exchange. */
static void random_use_loses_nothing(void **state)
{
	_cleanup_(buffer_clear) struct buffer b = { 0 };
	struct backoff random;
	uint32_t in = 0, out = 0;

	backoff_init(&random, 1, 1, 20);
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t n = backoff_jitter(&random, step % 100 ? 300 : 40000);
		uint8_t *at;

		if (backoff_jitter(&random, 1)) {
			at = buffer_reserve(&b, n);
			assert_non_null(at);
			for (uint32_t i = 0; i < n; i++)
				at[i] = (uint8_t)(in++ * 31 >> 3);
			buffer_commit(&b, n);
		} else {
			n = n < in - out ? n : in - out;
			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(buffer_bytes(&b)[i], (uint8_t)(out++ * 31 >> 3));
			buffer_consume(&b, n);
		}
		assert_int_equal(buffer_size(&b), in - out);
	}
	assert_true(out > 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_initialised_is_empty),
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(reserved_room_counts_once_committed),
		cmocka_unit_test(impossible_size_is_refused),
		cmocka_unit_test(clear_can_be_repeated_and_reused),
		cmocka_unit_test(gives_memory_back_when_it_held_much),
		cmocka_unit_test(does_not_grow_when_used_as_a_queue),
		cmocka_unit_test(random_use_loses_nothing),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
