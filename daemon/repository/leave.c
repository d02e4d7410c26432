/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What others know of this device is taken back before its account is given up. */
#include <errno.h>

#include "base/log.h"
#include "repository/parts.h"

#define PATIENCE_US 5000000

static void end(struct repository *r)
{
	struct leave *l = &r->leave;
	repository_done_fn fn = l->fn;

	loop_timer_stop(l->timeout);
	l->fn = NULL;
	if (fn)
		fn(l->userdata, NULL);
}

static void on_timeout(void *userdata)
{
	log_notice("the server does not say that it has forgotten where to push to");
	end(userdata);
}

void leave_note_push(struct repository *r)
{
	if (r->leave.fn)
		end(r);
}

void account_take_leave(struct repository *r, repository_done_fn fn, void *userdata)
{
	struct leave *l = &r->leave;
	struct failure failure;

	if (r->account.login || l->fn) {
		failure_set(&failure, FAILURE_BUSY, "a sign-in or sign-out is under way");
		fn(userdata, &failure);
		return;
	}
	l->fn = fn;
	l->userdata = userdata;
	l->begun = true;
	push_review(r);
	if (r->push.call)
		loop_timer_start_us(l->timeout, PATIENCE_US);
	else
		end(r);
}

int leave_init(struct repository *r)
{
	r->leave.timeout = loop_timer_new(r->loop, on_timeout, r);
	return r->leave.timeout ? 0 : -ENOMEM;
}

void leave_done(struct repository *r)
{
	r->leave.timeout = loop_timer_free(r->leave.timeout);
}
