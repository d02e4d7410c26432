/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether anybody wants a session. By the policy "always" it is wanted at all times; by
 * "foreground" while a frontend watches, for a grace period after, and while something is to be
 * sent, since what was accepted is delivered. By "push" the same, and as long as no pushes come:
 * the user would hear of nothing.
 */
#include <errno.h>

#include "repository/parts.h"

/* An attempt that is not through when the grace period is over goes on this much longer. */
#define FINISHING_US 1000000

static bool is_needed(struct repository *r)
{
	const struct presence *p = &r->presence;

	return p->policy == POLICY_ALWAYS || (p->policy == POLICY_PUSH && !push_is_ready(r)) ||
		p->watched || r->push.sync_due || store_outbox_has_pending(r->store);
}

bool presence_wants_session(struct repository *r)
{
	return loop_timer_is_running(r->presence.grace) || is_needed(r);
}

void presence_wake(struct repository *r)
{
	if (r->presence.policy != POLICY_ALWAYS)
		loop_timer_start_us(r->presence.grace, (uint64_t)r->presence.grace_s * 1000000);
}

void presence_review(struct repository *r)
{
	struct presence *p = &r->presence;

	if (is_needed(r)) {
		loop_timer_stop(p->grace);
		if (r->sync.state == SESSION_SUSPENDED)
			sync_connect(r);
	} else if (r->sync.state != SESSION_SUSPENDED && r->account.signed_in &&
		!r->account.refused && !loop_timer_is_running(p->grace)) {
		presence_wake(r);
	}
}

static void on_grace(void *userdata)
{
	struct repository *r = userdata;

	if (is_needed(r))
		return;
	if (r->sync.state == SESSION_CONNECTING || r->sync.state == SESSION_GREETING ||
		r->sync.state == SESSION_CATCHING_UP)
		loop_timer_start_us(r->presence.grace, FINISHING_US);
	else
		sync_suspend(r, "background");
}

void presence_load(struct repository *r)
{
	struct presence *p = &r->presence;

	p->policy = setting_is(r, "connection.policy", "foreground") ? POLICY_FOREGROUND
		: setting_is(r, "connection.policy", "push")         ? POLICY_PUSH
								     : POLICY_ALWAYS;
	p->grace_s = (uint32_t)setting_integer(r, "connection.grace_s");
	loop_timer_stop(p->grace);
	push_review(r);
	presence_review(r);
}

void repository_set_watched(struct repository *r, bool watched)
{
	r->presence.watched = watched;
	presence_review(r);
}

bool repository_is_idle(struct repository *r)
{
	return r->presence.policy == POLICY_PUSH && r->sync.state == SESSION_SUSPENDED &&
		!r->network.asleep && !is_needed(r) && !r->push.call && !r->account.login &&
		r->transfers.n_jobs == 0 && TAILQ_EMPTY(&r->transfers.imports) &&
		!r->storage.backup && !repository_is_asked(r) && store_is_committed(r->store);
}

int64_t repository_linger_s(const struct repository *r)
{
	return r->presence.grace_s;
}

int presence_init(struct repository *r)
{
	r->presence.grace = loop_timer_new(r->loop, on_grace, r);
	if (!r->presence.grace)
		return -ENOMEM;
	presence_load(r);
	return 0;
}

void presence_done(struct repository *r)
{
	r->presence.grace = loop_timer_free(r->presence.grace);
}
