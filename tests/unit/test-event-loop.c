/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/event-loop.h"

/* One of these is each test's state: what ran is written down as letters. */
struct fixture {
	struct event_loop *loop;
	char trace[64];
	struct loop_deferred deferred[3];
	struct loop_timer *timer;
	struct loop_io *io[2];
	struct loop_signal *signal;
	int pipe[2];
	int code;
};

static void note(struct fixture *f, char c)
{
	size_t n = strlen(f->trace);

	assert_true(n + 1 < sizeof(f->trace));
	f->trace[n] = c;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->loop = event_loop_new();
	assert_non_null(f->loop);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_timer_free(f->timer);
	loop_io_free(f->io[0]);
	loop_io_free(f->io[1]);
	loop_signal_free(f->signal);
	event_loop_free(f->loop);
	close(f->pipe[0]);
	close(f->pipe[1]);
	free(f);
	return 0;
}

static void make_readable(struct fixture *f)
{
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
}

static void note_a(void *userdata)
{
	note(userdata, 'a');
}

static void note_b(void *userdata)
{
	note(userdata, 'b');
}

static void note_c(void *userdata)
{
	note(userdata, 'c');
}

static void note_hook(void *userdata)
{
	note(userdata, '.');
}

static void note_other_hook(void *userdata)
{
	note(userdata, ',');
}

static void destructors_take_null(void **state)
{
	assert_null(event_loop_free(NULL));
	assert_null(loop_timer_free(NULL));
	assert_null(loop_io_free(NULL));
	assert_null(loop_signal_free(NULL));
}

static void deferred_calls_run_once_in_order_before_the_hooks(void **state)
{
	struct fixture *f = *state;

	f->deferred[0] = (struct loop_deferred){ .fn = note_a, .userdata = f };
	f->deferred[1] = (struct loop_deferred){ .fn = note_b, .userdata = f };
	event_loop_add_turn_end(f->loop, note_hook, f);
	event_loop_add_turn_end(f->loop, note_other_hook, f);
	event_loop_defer(f->loop, &f->deferred[1]);
	event_loop_defer(f->loop, &f->deferred[0]);
	event_loop_defer(f->loop, &f->deferred[1]);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "ba.,");
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "ba.,.,");
}

static void hooks_can_be_taken_back(void **state)
{
	struct fixture *f = *state;
	struct fixture other = { 0 };

	event_loop_add_turn_end(f->loop, note_hook, f);
	event_loop_add_turn_end(f->loop, note_hook, &other);
	event_loop_add_turn_end(f->loop, note_other_hook, f);
	event_loop_remove_turn_end(f->loop, f);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "");
	assert_string_equal(other.trace, ".");
}

static void undeferred_calls_do_not_run(void **state)
{
	struct fixture *f = *state;

	f->deferred[0] = (struct loop_deferred){ .fn = note_a, .userdata = f };
	event_loop_undefer(f->loop, &f->deferred[0]);
	event_loop_defer(f->loop, &f->deferred[0]);
	event_loop_undefer(f->loop, &f->deferred[0]);
	event_loop_undefer(f->loop, &f->deferred[0]);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "");
	assert_false(f->deferred[0].queued);
}

/* Takes the next one off, which was queued behind this one, and queues itself again. */
static void note_and_meddle(void *userdata)
{
	struct fixture *f = userdata;

	note(f, 'm');
	event_loop_undefer(f->loop, &f->deferred[1]);
	event_loop_defer(f->loop, &f->deferred[0]);
}

static void what_a_deferred_call_defers_waits_for_the_next_turn(void **state)
{
	struct fixture *f = *state;

	f->deferred[0] = (struct loop_deferred){ .fn = note_and_meddle, .userdata = f };
	f->deferred[1] = (struct loop_deferred){ .fn = note_b, .userdata = f };
	f->deferred[2] = (struct loop_deferred){ .fn = note_c, .userdata = f };
	event_loop_add_turn_end(f->loop, note_hook, f);
	for (size_t i = 0; i < ARRAY_SIZE(f->deferred); i++)
		event_loop_defer(f->loop, &f->deferred[i]);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "mc.");
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "mc.m.");
}

/*
 * With nothing ready and nothing to come but a timer an hour away, a turn that slept would not come
 * back.
 */
static void work_that_waits_keeps_the_turn_from_sleeping(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, note_a, f);
	loop_timer_start_us(f->timer, UINT64_C(3600000000));
	f->deferred[1] = (struct loop_deferred){ .fn = note_b, .userdata = f };
	event_loop_defer(f->loop, &f->deferred[1]);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "b");
	event_loop_wake(f->loop);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "b");
}

static void timer_fires_once_and_not_early(void **state)
{
	struct fixture *f = *state;
	uint64_t started = clock_monotonic_us();

	f->timer = loop_timer_new(f->loop, note_a, f);
	assert_non_null(f->timer);
	assert_false(loop_timer_is_running(f->timer));
	loop_timer_start_us(f->timer, 20000);
	assert_true(loop_timer_is_running(f->timer));
	event_loop_turn(f->loop, false);
	while (!f->trace[0])
		event_loop_turn(f->loop, true);
	assert_true(clock_monotonic_us() - started >= 20000);
	assert_false(loop_timer_is_running(f->timer));
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "a");
}

static void stopped_timer_does_not_fire(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, note_a, f);
	loop_timer_start_us(f->timer, 0);
	loop_timer_stop(f->timer);
	loop_timer_stop(f->timer);
	assert_false(loop_timer_is_running(f->timer));
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "");
}

static void starting_again_moves_the_timer(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, note_a, f);
	loop_timer_start_us(f->timer, 0);
	loop_timer_start_us(f->timer, UINT64_C(3600000000));
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "");
	loop_timer_start_us(f->timer, 0);
	while (!f->trace[0])
		event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "a");
}

static void free_own_timer(void *userdata)
{
	struct fixture *f = userdata;

	note(f, 't');
	f->timer = loop_timer_free(f->timer);
}

static void timer_may_free_itself(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, free_own_timer, f);
	loop_timer_start_us(f->timer, 0);
	while (!f->trace[0])
		event_loop_turn(f->loop, true);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "t");
}

static void note_ready(void *userdata, int fd, unsigned ready)
{
	struct fixture *f = userdata;

	assert_true(fd == f->pipe[0] || fd == f->pipe[1]);
	if (ready & LOOP_READ)
		note(f, 'r');
	if (ready & LOOP_WRITE)
		note(f, 'w');
}

static void watches_are_level_triggered_and_can_pause(void **state)
{
	struct fixture *f = *state;

	f->io[0] = loop_io_new(f->loop, f->pipe[0], LOOP_READ, note_ready, f);
	assert_non_null(f->io[0]);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "");
	make_readable(f);
	event_loop_turn(f->loop, true);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "rr");
	loop_io_set_events(f->io[0], 0);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "rr");
	loop_io_set_events(f->io[0], LOOP_READ);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "rrr");
}

static void events_are_told_apart(void **state)
{
	struct fixture *f = *state;

	f->io[0] = loop_io_new(f->loop, f->pipe[0], 0, note_ready, f);
	f->io[1] = loop_io_new(f->loop, f->pipe[1], LOOP_WRITE, note_ready, f);
	make_readable(f);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "w");
	loop_io_set_events(f->io[1], 0);
	loop_io_set_events(f->io[0], LOOP_READ);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "wr");
}

/* Both watches are ready; whichever is called first takes both away. */
static void free_both(void *userdata, int fd, unsigned ready)
{
	struct fixture *f = userdata;

	note(f, 'f');
	for (size_t i = 0; i < ARRAY_SIZE(f->io); i++)
		f->io[i] = loop_io_free(f->io[i]);
}

static void watches_may_be_freed_while_ready(void **state)
{
	struct fixture *f = *state;

	make_readable(f);
	f->io[0] = loop_io_new(f->loop, f->pipe[0], LOOP_READ, free_both, f);
	f->io[1] = loop_io_new(f->loop, f->pipe[1], LOOP_WRITE, free_both, f);
	event_loop_turn(f->loop, true);
	event_loop_turn(f->loop, false);
	assert_string_equal(f->trace, "f");
}

static void free_own_signal(void *userdata)
{
	struct fixture *f = userdata;

	note(f, 's');
	f->signal = loop_signal_free(f->signal);
}

static void signal_is_delivered_and_may_free_itself(void **state)
{
	struct fixture *f = *state;

	f->signal = loop_signal_new(f->loop, SIGUSR1, free_own_signal, f);
	assert_non_null(f->signal);
	raise(SIGUSR1);
	while (!f->trace[0])
		event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "s");
}

/* All that is ready is handled before what it defers, and the hooks close the turn. */
static void defer_c(void *userdata, int fd, unsigned ready)
{
	struct fixture *f = userdata;

	note(f, 'i');
	event_loop_defer(f->loop, &f->deferred[2]);
}

static void a_turn_is_events_then_deferred_then_hooks(void **state)
{
	struct fixture *f = *state;

	f->deferred[2] = (struct loop_deferred){ .fn = note_c, .userdata = f };
	event_loop_add_turn_end(f->loop, note_hook, f);
	make_readable(f);
	f->io[0] = loop_io_new(f->loop, f->pipe[0], LOOP_READ, defer_c, f);
	f->io[1] = loop_io_new(f->loop, f->pipe[1], LOOP_WRITE, defer_c, f);
	event_loop_turn(f->loop, true);
	assert_string_equal(f->trace, "iic.");
}

static void exit_loop(void *userdata)
{
	struct fixture *f = userdata;

	note(f, 'x');
	event_loop_exit(f->loop, f->code);
}

static void exit_finishes_the_turn_and_gives_the_code(void **state)
{
	struct fixture *f = *state;

	f->code = 7;
	f->deferred[0] = (struct loop_deferred){ .fn = exit_loop, .userdata = f };
	f->deferred[1] = (struct loop_deferred){ .fn = note_b, .userdata = f };
	event_loop_add_turn_end(f->loop, note_hook, f);
	event_loop_defer(f->loop, &f->deferred[0]);
	event_loop_defer(f->loop, &f->deferred[1]);
	assert_int_equal(event_loop_run(f->loop), 7);
	assert_string_equal(f->trace, "xb.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destructors_take_null),
		TEST(deferred_calls_run_once_in_order_before_the_hooks),
		TEST(hooks_can_be_taken_back),
		TEST(undeferred_calls_do_not_run),
		TEST(what_a_deferred_call_defers_waits_for_the_next_turn),
		TEST(work_that_waits_keeps_the_turn_from_sleeping),
		TEST(timer_fires_once_and_not_early),
		TEST(stopped_timer_does_not_fire),
		TEST(starting_again_moves_the_timer),
		TEST(timer_may_free_itself),
		TEST(watches_are_level_triggered_and_can_pause),
		TEST(events_are_told_apart),
		TEST(watches_may_be_freed_while_ready),
		TEST(signal_is_delivered_and_may_free_itself),
		TEST(a_turn_is_events_then_deferred_then_hooks),
		TEST(exit_finishes_the_turn_and_gives_the_code),
	};

	return cmocka_run_group_tests_name("event-loop", tests, NULL, NULL);
}
