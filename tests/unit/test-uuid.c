/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/uuid.h"

#define MANY 20000

/* The shape that RFC 9562 gives every UUID: lower case, version and variant in their places. */
static void assert_shape(const char *uuid, char version)
{
	assert_int_equal(strlen(uuid), UUID_STRING_SIZE - 1);
	for (size_t i = 0; i < UUID_STRING_SIZE - 1; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23)
			assert_int_equal(uuid[i], '-');
		else
			assert_non_null(strchr("0123456789abcdef", uuid[i]));
	}
	assert_int_equal(uuid[14], version);
	assert_non_null(strchr("89ab", uuid[19]));
}

static int64_t milliseconds_of(const char *uuid)
{
	uint64_t high, low;

	assert_int_equal(sscanf(uuid, "%8" SCNx64 "-%4" SCNx64, &high, &low), 2);
	return (int64_t)(high << 16 | low);
}

static void version_7_has_the_shape(void **state)
{
	char uuid[UUID_STRING_SIZE];

	for (unsigned i = 0; i < MANY; i++) {
		uuid7_generate(uuid);
		assert_shape(uuid, '7');
	}
}

static void version_7_sorts_in_order_of_making(void **state)
{
	char previous[UUID_STRING_SIZE], uuid[UUID_STRING_SIZE];

	uuid7_generate(previous);
	for (unsigned i = 0; i < MANY; i++) {
		uuid7_generate(uuid);
		assert_true(strcmp(previous, uuid) < 0);
		memcpy(previous, uuid, sizeof(uuid));
	}
}

/* Runs ahead of the clock by what a burst used up: 4096 numbers a millisecond, no more. */
static void version_7_begins_with_the_time(void **state)
{
	char uuid[UUID_STRING_SIZE];
	int64_t before = clock_wall_ms();

	uuid7_generate(uuid);
	assert_in_range(milliseconds_of(uuid), before, clock_wall_ms() + 2 * MANY / 4096 + 1);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void version_4_has_the_shape_and_no_repeats(void **state)
{
	char(*uuids)[UUID_STRING_SIZE] = calloc(MANY, sizeof(*uuids));

	assert_non_null(uuids);
	for (unsigned i = 0; i < MANY; i++) {
		uuid4_generate(uuids[i]);
		assert_shape(uuids[i], '4');
	}
	qsort(uuids, MANY, sizeof(*uuids), compare);
	for (unsigned i = 1; i < MANY; i++)
		assert_string_not_equal(uuids[i - 1], uuids[i]);
	free(uuids);
}

static void own_ids_are_valid(void **state)
{
	char uuid[UUID_STRING_SIZE];

	uuid7_generate(uuid);
	assert_true(id_is_valid(uuid));
	uuid4_generate(uuid);
	assert_true(id_is_valid(uuid));
}

static void ids_have_1_to_64_characters(void **state)
{
	char id[66];

	for (size_t n = 0; n < sizeof(id); n++) {
		memset(id, 'a', n);
		id[n] = '\0';
		assert_int_equal(id_is_valid(id), n >= 1 && n <= 64);
	}
}

static void ids_are_printable_ascii_without_space(void **state)
{
	for (int c = 1; c < 256; c++) {
		const char id[] = { 'a', (char)c, 'b', '\0' };

		assert_int_equal(id_is_valid(id), c > 0x20 && c < 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_7_has_the_shape),
		cmocka_unit_test(version_7_sorts_in_order_of_making),
		cmocka_unit_test(version_7_begins_with_the_time),
		cmocka_unit_test(version_4_has_the_shape_and_no_repeats),
		cmocka_unit_test(own_ids_are_valid),
		cmocka_unit_test(ids_have_1_to_64_characters),
		cmocka_unit_test(ids_are_printable_ascii_without_space),
	};

	return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
