/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/schedule.h"

#include <errno.h>

#include "base/clock.h"

#define MAX_TASKS_A_TURN 64

static void arm(struct schedule *s)
{
	struct task *first = TAILQ_FIRST(&s->tasks);
	uint64_t now = clock_monotonic_us();

	loop_timer_stop(s->timer);
	if (!first)
		return;
	if (first->due_us <= now)
		event_loop_defer(s->loop, &s->now);
	else
		loop_timer_start_us(s->timer, first->due_us - now);
}

static void run_due(void *userdata)
{
	struct schedule *s = userdata;
	uint64_t now = clock_monotonic_us();
	bool cleared = false;

	s->cleared = &cleared;
	for (int i = 0; i < MAX_TASKS_A_TURN; i++) {
		struct task *t = TAILQ_FIRST(&s->tasks);

		if (!t || t->due_us > now)
			break;
		TAILQ_REMOVE(&s->tasks, t, entry);
		t->run(t);
		if (cleared)
			return;
	}
	s->cleared = NULL;
	arm(s);
}

int schedule_init(struct schedule *s, struct event_loop *loop)
{
	*s = (struct schedule){ .loop = loop, .now = { .fn = run_due, .userdata = s } };
	TAILQ_INIT(&s->tasks);
	s->timer = loop_timer_new(loop, run_due, s);
	return s->timer ? 0 : -ENOMEM;
}

void schedule_clear(struct schedule *s)
{
	struct task *t;

	if (!s->loop)
		return;
	event_loop_undefer(s->loop, &s->now);
	s->timer = loop_timer_free(s->timer);
	if (s->cleared)
		*s->cleared = true;
	s->cleared = NULL;
	while ((t = TAILQ_FIRST(&s->tasks))) {
		TAILQ_REMOVE(&s->tasks, t, entry);
		t->drop(t);
	}
}

void schedule_add(struct schedule *s, struct task *t, int64_t delay_ms)
{
	struct task *after = TAILQ_LAST(&s->tasks, task_list);

	t->due_us = clock_monotonic_us() + (uint64_t)delay_ms * 1000;
	while (after && after->due_us > t->due_us)
		after = TAILQ_PREV(after, task_list, entry);
	if (after)
		TAILQ_INSERT_AFTER(&s->tasks, after, t, entry);
	else
		TAILQ_INSERT_HEAD(&s->tasks, t, entry);
	arm(s);
}

void schedule_remove(struct schedule *s, struct task *t)
{
	TAILQ_REMOVE(&s->tasks, t, entry);
}

void schedule_purge(struct schedule *s, bool (*match)(const struct task *t))
{
	struct task *t, *next;

	for (t = TAILQ_FIRST(&s->tasks); t; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (!match(t))
			continue;
		TAILQ_REMOVE(&s->tasks, t, entry);
		t->drop(t);
	}
}
