/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is to happen later, in order of time and, at the same time, of adding. Nothing runs from
 * inside schedule_add(); a task that runs may add and remove others and may clear the schedule.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/event-loop.h"

/* Embed it in what is put off. Off the schedule when `run` is called. */
struct task {
	void (*run)(struct task *t);
	void (*drop)(struct task *t); /* releases it when the schedule is cleared or purged */
	uint64_t due_us;
	TAILQ_ENTRY(task) entry;
};

TAILQ_HEAD(task_list, task);

struct schedule {
	struct event_loop *loop;
	struct loop_timer *timer;
	struct loop_deferred now;
	struct task_list tasks;
	bool *cleared; /* set while tasks run */
};

/* 0 or -ENOMEM. `loop` is borrowed. */
int schedule_init(struct schedule *s, struct event_loop *loop);

/* Drops all tasks; also after a failed schedule_init(). */
void schedule_clear(struct schedule *s);

/* `t` runs from the loop, no sooner than `delay_ms` from now. */
void schedule_add(struct schedule *s, struct task *t, int64_t delay_ms);

/* Takes back a task that was added and has not begun. */
void schedule_remove(struct schedule *s, struct task *t);

/* Drops every task that `match` says true of. */
void schedule_purge(struct schedule *s, bool (*match)(const struct task *t));
