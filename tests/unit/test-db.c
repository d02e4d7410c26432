/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "db/db.h"
#include "db/upkeep.h"
#include "temporary.h"

static const struct db_migration steps[] = {
	{ "CREATE TABLE note(n INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;" },
	{ "ALTER TABLE note ADD COLUMN extra TEXT;" },
};

struct place {
	char directory[PATH_MAX];
	char path[PATH_MAX];
	struct db_key *key;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	uint8_t bytes[DB_KEY_SIZE] = { 1, 2, 3 };

	temporary_make(p->directory);
	snprintf(p->path, sizeof(p->path), "%.4000s/a.db", p->directory);
	p->key = db_key_new(bytes);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	db_key_free(p->key);
	temporary_remove(p->directory);
	free(p);
	return 0;
}

static int open_at(const struct place *p, const struct db_key *key, unsigned n, struct db **ret)
{
	return db_open(
		&(struct db_options){
			.path = p->path, .key = key, .migrations = steps, .n_migrations = n },
		ret);
}

static void test_write_and_read(void **state)
{
	_cleanup_(db_closep) struct db *db = NULL;
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	struct stat st;

	assert_int_equal(open_at(*state, ((struct place *)*state)->key, 1, &db), 0);
	assert_int_equal(db_write(db, "INSERT INTO note(text) VALUES(?1)", "s", "hello"), 1);
	assert_true(db_in_transaction(db));
	assert_int_equal(db_commit(db), 0);
	assert_false(db_in_transaction(db));
	assert_int_equal(
		db_query(db, &q, "SELECT text FROM note WHERE n = ?1", "i", (int64_t)1), 0);
	assert_int_equal(db_step(q), 1);
	assert_string_equal(db_column_text(q, 0), "hello");
	assert_int_equal(db_step(q), 0);
	assert_int_equal(stat(((struct place *)*state)->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_nothing_readable_on_disk(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;
	char bytes[65536], path[PATH_MAX];
	static const char *const names[] = { "a.db", "a.db-wal" };

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	db_write(db, "INSERT INTO note(text) VALUES(?1)", "s", "unmistakable words");
	assert_int_equal(db_commit(db), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd;
		ssize_t n;

		snprintf(path, sizeof(path), "%.4000s/%s", p->directory, names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		n = read(fd, bytes, sizeof(bytes));
		close(fd);
		if (n > 0) {
			assert_null(memmem(bytes, (size_t)n, "unmistakable", 12));
			assert_null(memmem(bytes, (size_t)n, "SQLite format", 13));
		}
	}
	db_close(db);
}

static void copy_file(const struct place *p, const char *from, const char *to)
{
	char path[PATH_MAX], bytes[65536];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.4000s/%s", p->directory, from);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
	snprintf(path, sizeof(path), "%.4000s/%s", p->directory, to);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, (size_t)n), n);
	close(fd);
}

static void tear_last_page(const struct place *p)
{
	int fd = open(p->path, O_RDWR | O_CLOEXEC);
	off_t at = lseek(fd, -2048, SEEK_END);

	assert_true(at > 4096);
	assert_int_equal(pwrite(fd, "torn", 4, at), 4);
	close(fd);
}

static void count_problem(void *userdata, const char *name, const char *detail)
{
	++*(int *)userdata;
}

static int count_problems(struct place *p)
{
	_cleanup_(db_closep) struct db *db = NULL;
	int problems = 0;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	assert_int_equal(db_check(db, count_problem, "a", &problems), 0);
	return problems;
}

/* As a power cut amid a checkpoint leaves it. */
static void test_a_torn_page_that_the_log_has_is_no_damage(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	assert_int_equal(db_write(db, "INSERT INTO note(text) VALUES(?1)", "s", "one"), 1);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_checkpoint(db), 0);
	assert_int_equal(db_write(db, "INSERT INTO note(text) VALUES(?1)", "s", "two"), 1);
	assert_int_equal(db_commit(db), 0);
	copy_file(p, "a.db", "b.db");
	copy_file(p, "a.db-wal", "b.db-wal");
	db_close(db);
	snprintf(p->path, sizeof(p->path), "%.4000s/b.db", p->directory);
	tear_last_page(p);
	assert_int_equal(count_problems(p), 0);
	tear_last_page(p);
	assert_true(count_problems(p) > 0);
}

/* A start waits for no disk. */
static void test_opening_what_is_there_writes_nothing(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;
	char wal[PATH_MAX];
	struct stat before, after;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	db = db_close(db);
	assert_int_equal(stat(p->path, &before), 0);
	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	assert_int_equal(db_get_int(db, 0, "PRAGMA auto_vacuum", ""), 2);
	assert_int_equal(stat(p->path, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	snprintf(wal, sizeof(wal), "%.4000s-wal", p->path);
	assert_true(stat(wal, &after) < 0 || after.st_size == 0);
	db_close(db);
}

static void test_wrong_key_changes_nothing(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;
	uint8_t other[DB_KEY_SIZE] = { 9 };
	_cleanup_(db_key_freep) struct db_key *wrong = db_key_new(other);
	struct stat before, after;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	db_write(db, "INSERT INTO note(text) VALUES('kept')", "");
	assert_int_equal(db_commit(db), 0);
	db = db_close(db);
	stat(p->path, &before);
	assert_int_equal(open_at(p, wrong, 1, &db), -EKEYREJECTED);
	assert_null(db);
	stat(p->path, &after);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	assert_int_equal(db_get_int(db, 0, "SELECT count(*) FROM note WHERE text = 'kept'", ""), 1);
	db_close(db);
}

static void test_migration_keeps_rows_and_refuses_newer(void **state)
{
	struct place *p = *state;
	struct db *db = NULL;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	db_write(db, "INSERT INTO note(text) VALUES('old')", "");
	db_commit(db);
	db = db_close(db);
	assert_int_equal(open_at(p, p->key, 2, &db), 0);
	assert_int_equal(db_get_int(db, 0, "SELECT count(*) FROM note WHERE extra IS NULL", ""), 1);
	db = db_close(db);
	assert_int_equal(open_at(p, p->key, 1, &db), -EPROTONOSUPPORT);
}

static void test_second_opener_is_refused(void **state)
{
	struct place *p = *state;
	struct db *first = NULL, *second = NULL;

	assert_int_equal(open_at(p, p->key, 1, &first), 0);
	assert_int_equal(open_at(p, p->key, 1, &second), -EBUSY);
	db_close(first);
}

static void test_savepoints_nest(void **state)
{
	_cleanup_(db_closep) struct db *db = NULL;

	assert_int_equal(open_at(*state, ((struct place *)*state)->key, 1, &db), 0);
	assert_int_equal(db_savepoint(db), 0);
	db_write(db, "INSERT INTO note(text) VALUES('outer')", "");
	assert_int_equal(db_savepoint(db), 0);
	db_write(db, "INSERT INTO note(text) VALUES('inner')", "");
	assert_int_equal(db_write(db, "INSERT INTO note(text) VALUES('inner')", ""), -EEXIST);
	db_rollback_to(db);
	db_release(db);
	assert_int_equal(db_turn_error(db), 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_get_int(db, 0, "SELECT count(*) FROM note", ""), 1);
}

static void test_same_statement_twice_at_once(void **state)
{
	static const char sql[] = "SELECT n FROM note ORDER BY n";
	_cleanup_(db_closep) struct db *db = NULL;
	_cleanup_(db_stmt_resetp) struct db_stmt *a = NULL, *b = NULL;

	assert_int_equal(open_at(*state, ((struct place *)*state)->key, 1, &db), 0);
	db_write(db, "INSERT INTO note(text) VALUES('1'), ('2')", "");
	assert_int_equal(db_query(db, &a, sql, ""), 0);
	assert_int_equal(db_step(a), 1);
	assert_int_equal(db_query(db, &b, sql, ""), 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(db_step(b), 1);
	assert_int_equal(db_column_int(b, 0), 1);
	assert_int_equal(db_step(a), 1);
	assert_int_equal(db_column_int(a, 0), 2);
}

static void test_probe_notices_a_file_that_is_gone(void **state)
{
	const struct place *p = *state;
	_cleanup_(db_closep) struct db *db = NULL, *memory = NULL;
	int64_t before;

	assert_int_equal(open_at(p, p->key, 1, &db), 0);
	assert_int_equal(db_probe(db), 0);
	assert_false(db_in_transaction(db));
	before = db_size(db);
	assert_int_equal(db_touch(db), 0);
	assert_true(db_in_transaction(db));
	assert_int_equal(db_commit(db), 0);
	assert_true(db_size(db) > before);
	assert_int_equal(db_get_int(db, -1, "PRAGMA user_version", ""), 1);
	unlink(p->path);
	assert_int_equal(db_probe(db), -ESTALE);
	assert_int_equal(db_open(&(struct db_options){ .path = ":memory:" }, &memory), 0);
	assert_int_equal(db_probe(memory), 0);
	assert_int_equal(db_touch(memory), 0);
	db_rollback(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_and_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_readable_on_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_opening_what_is_there_writes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_key_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_migration_keeps_rows_and_refuses_newer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_opener_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_savepoints_nest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_torn_page_that_the_log_has_is_no_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_same_statement_twice_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_probe_notices_a_file_that_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
