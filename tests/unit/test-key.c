/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "db/key-box.h"
#include "db/key.h"
#include "temporary.h"

struct place {
	char directory[PATH_MAX];
	char path[PATH_MAX];
	struct db_key *key;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	temporary_make(p->directory);
	snprintf(p->path, sizeof(p->path), "%.4000s/key", p->directory);
	p->key = db_key_generate();
	*state = p;
	return p->key ? 0 : -1;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	temporary_remove(p->directory);
	db_key_free(p->key);
	free(p);
	return 0;
}

static bool is_same(const struct db_key *a, const struct db_key *b)
{
	return memcmp(db_key_bytes(a), db_key_bytes(b), DB_KEY_SIZE) == 0;
}

static size_t read_all(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = fread(to, 1, size, f);

	fclose(f);
	return n;
}

static void write_all(const char *path, const char *bytes, size_t size)
{
	FILE *f = fopen(path, "w");

	assert_int_equal(fwrite(bytes, 1, size, f), size);
	fclose(f);
}

static void test_a_file_keeps_a_key_that_others_cannot_read(void **state)
{
	struct place *p = *state;
	struct db_key *read = NULL;
	struct stat st;

	assert_int_equal(db_key_read_file(p->path, &read), -ENOENT);
	assert_int_equal(db_key_write_file(p->path, p->key), 0);
	assert_int_equal(db_key_write_file(p->path, p->key), -EEXIST);
	assert_int_equal(db_key_read_file(p->path, &read), 0);
	assert_true(is_same(read, p->key));
	read = db_key_free(read);
	stat(p->path, &st);
	assert_int_equal(st.st_mode & 0777, 0600);
	chmod(p->path, 0640);
	assert_int_equal(db_key_read_file(p->path, &read), -EPERM);
	chmod(p->path, 0600);
	write_all(p->path, "not a key\n", 10);
	assert_int_equal(db_key_read_file(p->path, &read), -EUCLEAN);
}

static void test_only_the_secret_unwraps_and_only_as_what_it_is(void **state)
{
	struct place *p = *state;
	struct db_key *read = NULL;

	assert_int_equal(key_box_read(p->path, KEY_BOX_PASSPHRASE, "tulip", 5, &read), -ENOENT);
	for (enum key_box_kind kind = KEY_BOX_PASSPHRASE; kind <= KEY_BOX_RECOVERY; kind++) {
		assert_int_equal(key_box_write(p->path, kind, "tulip", 5, p->key, NULL), 0);
		assert_int_equal(key_box_read(p->path, kind, "tulip", 5, &read), 0);
		assert_true(is_same(read, p->key));
		read = db_key_free(read);
		assert_int_equal(key_box_read(p->path, kind, "tulips", 6, &read), -EKEYREJECTED);
		assert_int_equal(
			key_box_read(p->path, (kind + 1) % 3, "tulip", 5, &read), -EUCLEAN);
	}
	assert_null(read);
}

static void test_each_wrapping_has_a_name_and_a_look_of_its_own(void **state)
{
	struct place *p = *state;
	char a[KEY_BOX_ID_SIZE], b[KEY_BOX_ID_SIZE], one[512], two[512];
	size_t n;

	assert_int_equal(key_box_write(p->path, KEY_BOX_SECRET, "tulip", 5, p->key, a), 0);
	n = read_all(p->path, one, sizeof(one));
	assert_int_equal(key_box_id(p->path, KEY_BOX_SECRET, b), 0);
	assert_string_equal(a, b);
	assert_int_equal(key_box_write(p->path, KEY_BOX_SECRET, "tulip", 5, p->key, b), 0);
	assert_int_equal(read_all(p->path, two, sizeof(two)), n);
	assert_string_not_equal(a, b);
	assert_memory_not_equal(one + n - 32, two + n - 32, 32);
	assert_null(memmem(one, n, db_key_bytes(p->key), 8));
	assert_null(memmem(one, n, "tulip", 5));
}

static void test_a_damaged_wrapping_gives_no_key(void **state)
{
	struct place *p = *state;
	struct db_key *read = NULL;
	char bytes[512];
	size_t n;

	assert_int_equal(key_box_write(p->path, KEY_BOX_SECRET, "tulip", 5, p->key, NULL), 0);
	n = read_all(p->path, bytes, sizeof(bytes));
	for (size_t i = 0; i < n; i++) {
		if (i >= 9 && i < 20)
			continue; /* not used in this kind */
		bytes[i] ^= 1;
		write_all(p->path, bytes, n);
		assert_true(key_box_read(p->path, KEY_BOX_SECRET, "tulip", 5, &read) < 0);
		bytes[i] ^= 1;
	}
	write_all(p->path, bytes, n - 1);
	assert_int_equal(key_box_read(p->path, KEY_BOX_SECRET, "tulip", 5, &read), -EUCLEAN);
	assert_null(read);
}

static void test_a_file_cannot_ask_for_all_memory(void **state)
{
	struct place *p = *state;
	struct db_key *read = NULL;
	char bytes[512];
	size_t n;

	assert_int_equal(key_box_write(p->path, KEY_BOX_PASSPHRASE, "tulip", 5, p->key, NULL), 0);
	n = read_all(p->path, bytes, sizeof(bytes));
	memset(bytes + 16, 0xff, 4);
	write_all(p->path, bytes, n);
	assert_int_equal(key_box_read(p->path, KEY_BOX_PASSPHRASE, "tulip", 5, &read), -EUCLEAN);
	memset(bytes + 16, 0, 4);
	write_all(p->path, bytes, n);
	assert_int_equal(key_box_read(p->path, KEY_BOX_PASSPHRASE, "tulip", 5, &read), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_file_keeps_a_key_that_others_cannot_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_only_the_secret_unwraps_and_only_as_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_each_wrapping_has_a_name_and_a_look_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_damaged_wrapping_gives_no_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_file_cannot_ask_for_all_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
