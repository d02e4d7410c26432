/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests under way: their order, faults and end. */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_LIMIT 50
#define MAX_LIMIT 200

int fake_dup(char **to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;

	if (from && !copy)
		return -ENOMEM;
	*to = copy;
	return 0;
}

int64_t fake_clamp_limit(int64_t limit)
{
	if (limit <= 0)
		return DEFAULT_LIMIT;
	return limit < MAX_LIMIT ? limit : MAX_LIMIT;
}

const struct problem *fake_problem(
	struct problem *ret, enum problem_class class, int status, const char *title)
{
	problem_set(ret, class, status, title, NULL);
	return ret;
}

const struct problem *fake_no_memory(struct problem *ret)
{
	return fake_problem(ret, PROBLEM_TRANSIENT, 0, "Not enough memory");
}

const struct problem *fake_unknown_cursor(struct problem *ret)
{
	fake_problem(ret, PROBLEM_CONFLICT, 422, "The cursor is not known");
	ret->type = strdup("unknown_cursor");
	return ret;
}

const struct problem *fake_unauthorised(struct problem *ret)
{
	return fake_problem(ret, PROBLEM_UNAUTHORISED, 401, "The sign-in was refused");
}

struct service_call *fake_call_free(struct service_call *c)
{
	if (!c)
		return NULL;
	free(c->id);
	free(c->after);
	free(c->before);
	fake_transfer_free(c->transfer);
	free(c);
	return NULL;
}

static void call_drop(struct task *t)
{
	fake_call_free((struct service_call *)t);
}

bool fake_take_fault(struct fake *f, enum fake_operation op, struct problem *ret)
{
	struct fake_fault *fault = &f->faults[op];

	if (fault->count == 0)
		return false;
	fault->count--;
	problem_copy(&fault->problem, ret);
	return true;
}

/*
 * True when the call fails before it is looked at. A transfer takes its faults itself, on the way.
 */
static bool fails_early(struct service_call *c, struct problem *ret)
{
	if (c->op != FAKE_LOGIN && !fake_sign_in(c->fake)) {
		fake_unauthorised(ret);
		return true;
	}
	return !c->transfer && fake_take_fault(c->fake, c->op, ret);
}

static void call_run(struct task *t)
{
	struct service_call *c = (struct service_call *)t;
	struct fake *f = c->fake;
	struct problem p = { 0 };
	bool goes_on;

	if (f->stalled[c->op]) {
		TAILQ_INSERT_TAIL(&f->waiting, &c->task, entry);
		c->waiting = true;
		return;
	}
	f->current = c;
	goes_on = c->answer(c, fails_early(c, &p) ? &p : NULL);
	if (!c->cancelled)
		f->current = NULL;
	if (!goes_on || c->cancelled)
		fake_call_free(c);
	problem_clear(&p);
}

int fake_call_new(struct service *s, enum fake_operation op, fake_answer_fn answer, const char *id,
	void *userdata, struct service_call **ret)
{
	_cleanup_(fake_call_freep) struct service_call *c = calloc(1, sizeof(*c));

	if (!c || fake_dup(&c->id, id) < 0)
		return -ENOMEM;
	c->task.run = call_run;
	c->task.drop = call_drop;
	c->fake = fake_from(s);
	c->op = op;
	c->answer = answer;
	c->userdata = userdata;
	*ret = TAKE_PTR(c);
	return 0;
}

void fake_call_start(struct service_call *c, struct service_call **ret)
{
	c->fake->calls[c->op]++;
	schedule_add(&c->fake->schedule, &c->task, c->fake->world.behaviour.latency_ms);
	if (ret)
		*ret = c;
}

void fake_call_cancel(struct service *s, struct service_call *c)
{
	struct fake *f = fake_from(s);

	if (c->transfer && c->transfer->counted)
		f->running[c->op]--;
	if (f->current == c) {
		c->cancelled = true;
		f->current = NULL;
		return;
	}
	if (c->waiting)
		TAILQ_REMOVE(&f->waiting, &c->task, entry);
	else
		schedule_remove(&f->schedule, &c->task);
	fake_call_free(c);
}

void fake_calls_resume(struct fake *f, enum fake_operation op)
{
	struct task *t, *next;

	for (t = TAILQ_FIRST(&f->waiting); t; t = next) {
		struct service_call *c = (struct service_call *)t;

		next = TAILQ_NEXT(t, entry);
		if (c->op != op)
			continue;
		TAILQ_REMOVE(&f->waiting, t, entry);
		c->waiting = false;
		schedule_add(&f->schedule, t, 0);
	}
}

void fake_calls_clear(struct fake *f)
{
	struct task *t;

	if (f->current)
		f->current->cancelled = true;
	f->current = NULL;
	while ((t = TAILQ_FIRST(&f->waiting))) {
		TAILQ_REMOVE(&f->waiting, t, entry);
		t->drop(t);
	}
}
