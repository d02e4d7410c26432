/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "db/barrier.h"
#include "db/db.h"

static const struct db_migration steps[] = {
	{ "CREATE TABLE note(n INTEGER PRIMARY KEY, text TEXT) STRICT;"
	  "CREATE TABLE bad(n INTEGER PRIMARY KEY, other INTEGER"
	  " REFERENCES note(n) DEFERRABLE INITIALLY DEFERRED) STRICT;" },
};

struct fixture {
	struct event_loop *loop;
	struct barrier *barrier;
	struct db *first, *second;
	char order[64];
	int listener_error;
	unsigned listened;
};

struct mark {
	struct fixture *f;
	char letter;
	int error;
	struct barrier_effect effect;
};

static void on_effect(void *userdata, int error)
{
	struct mark *m = userdata;
	size_t n = strlen(m->f->order);

	m->error = error;
	m->f->order[n] = m->letter;
}

static void on_turn(void *userdata, int error)
{
	struct fixture *f = userdata;

	f->listened++;
	f->listener_error = error;
	strcat(f->order, "|");
}

static struct db *open_memory(void)
{
	struct db *db = NULL;

	assert_int_equal(
		db_open(
			&(struct db_options){
				.path = ":memory:", .migrations = steps, .n_migrations = 1 },
			&db),
		0);
	return db;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = event_loop_new();
	f->barrier = barrier_new(f->loop);
	f->first = open_memory();
	f->second = open_memory();
	barrier_attach(f->barrier, f->first);
	barrier_attach(f->barrier, f->second);
	barrier_add_listener(f->barrier, BARRIER_AFTER_EFFECTS, on_turn, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	barrier_free(f->barrier);
	db_close(f->first);
	db_close(f->second);
	event_loop_free(f->loop);
	free(f);
	return 0;
}

static struct mark mark(struct fixture *f, char letter)
{
	return (struct mark){ .f = f, .letter = letter, .error = 1 };
}

static void queue(struct mark *m)
{
	m->effect = (struct barrier_effect){ .fn = on_effect, .userdata = m };
	barrier_after_commit(m->f->barrier, &m->effect);
}

static void test_effects_wait_for_the_commit_in_order(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a'), b = mark(f, 'b');

	queue(&a);
	db_write(f->second, "INSERT INTO note(text) VALUES('x')", "");
	queue(&b);
	barrier_after_commit(f->barrier, &b.effect);
	assert_string_equal(f->order, "");
	event_loop_turn(f->loop, false);
	assert_string_equal(f->order, "ab|");
	assert_false(db_in_transaction(f->second));
	assert_int_equal(a.error, 0);
}

static void test_effects_without_a_write_come_too(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a');

	queue(&a);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->order, "a");
	assert_int_equal(f->listened, 0);
}

static void test_a_failed_commit_undoes_both_and_tells(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a');

	db_write(f->first, "INSERT INTO note(text) VALUES('lost')", "");
	db_write(f->second, "INSERT INTO note(text) VALUES('lost')", "");
	/* A foreign key that nothing satisfies is found out by the commit itself. */
	assert_int_equal(db_write(f->first, "INSERT INTO bad(other) VALUES(99)", ""), 1);
	queue(&a);
	event_loop_turn(f->loop, false);
	assert_true(a.error < 0);
	assert_int_equal(f->listener_error, a.error);
	assert_int_equal(db_get_int(f->first, -1, "SELECT count(*) FROM note", ""), 0);
	assert_int_equal(db_get_int(f->second, -1, "SELECT count(*) FROM note", ""), 0);
	assert_false(db_in_transaction(f->first));
}

static void test_the_turn_after_a_failure_works(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a');

	db_write(f->first, "INSERT INTO bad(other) VALUES(99)", "");
	event_loop_turn(f->loop, false);
	db_write(f->first, "INSERT INTO note(text) VALUES('kept')", "");
	queue(&a);
	event_loop_turn(f->loop, false);
	assert_int_equal(a.error, 0);
	assert_int_equal(db_get_int(f->first, -1, "SELECT count(*) FROM note", ""), 1);
}

struct writer {
	struct fixture *f;
	struct barrier_effect effect, next;
	struct mark *then;
};

static void write_more(void *userdata, int error)
{
	struct writer *w = userdata;

	db_write(w->f->first, "INSERT INTO note(text) VALUES('more')", "");
	queue(w->then);
}

static void test_what_an_effect_writes_is_committed_in_the_same_turn(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a');
	struct writer w = { .f = f, .then = &a };

	w.effect = (struct barrier_effect){ .fn = write_more, .userdata = &w };
	barrier_after_commit(f->barrier, &w.effect);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->order, "a|");
	assert_false(db_in_transaction(f->first));
}

static void test_forgotten_effects_do_not_come(void **state)
{
	struct fixture *f = *state;
	struct mark a = mark(f, 'a'), b = mark(f, 'b');

	queue(&a);
	queue(&b);
	barrier_forget(f->barrier, &a.effect);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->order, "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_effects_wait_for_the_commit_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_effects_without_a_write_come_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_failed_commit_undoes_both_and_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_turn_after_a_failure_works, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_an_effect_writes_is_committed_in_the_same_turn, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_forgotten_effects_do_not_come, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("barrier", tests, NULL, NULL);
}
