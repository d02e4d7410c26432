/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session in a machine that sleeps, and goes from network to network. */
#include <string.h>

#include "base/clock.h"
#include "repository/parts.h"

#define SOON_MS 3000

/* Networks that come and go in quick succession are no reason to try at each of them. */
#define SOON_INTERVAL_US 10000000

/* One attempt soon, instead of the one that is planned, but never before the server wants it. */
static void try_soon(struct repository *r)
{
	struct network *n = &r->network;
	uint64_t now = clock_monotonic_us();

	if (n->soon_us && now - n->soon_us < SOON_INTERVAL_US)
		return;
	n->soon_us = now;
	backoff_reset(&r->sync.reconnect_backoff);
	sync_plan(r, backoff_jitter(&r->sync.reconnect_backoff, SOON_MS));
}

void repository_set_online(struct repository *r, bool online)
{
	if (r->network.offline == !online)
		return;
	r->network.offline = !online;
	if (r->sync.state != SESSION_BACKOFF || r->network.asleep)
		return;
	if (online)
		try_soon(r);
	else
		sync_plan(r, backoff_next(&r->sync.reconnect_backoff, SYNC_OFFLINE_MS));
}

void repository_note_move(struct repository *r)
{
	if (r->network.offline || r->network.asleep)
		return;
	if (r->sync.state == SESSION_BACKOFF)
		try_soon(r);
	else if (session_is_up(r) && r->service->session->probe)
		r->service->session->probe(r->service);
}

static void end_falling_asleep(struct repository *r)
{
	repository_slept_fn fn = r->network.slept;

	r->network.slept = NULL;
	if (fn)
		fn(r->network.slept_userdata);
}

void network_on_parted(struct repository *r)
{
	end_falling_asleep(r);
}

void repository_sleep(struct repository *r, repository_slept_fn fn, void *userdata)
{
	const struct session_service *session = r->service->session;

	r->network.asleep = true;
	r->network.slept = fn;
	r->network.slept_userdata = userdata;
	if (r->account.signed_in && !r->account.refused)
		sync_suspend(r, "sleep");
	if (!session->is_parting || !session->is_parting(r->service))
		end_falling_asleep(r);
}

void repository_resume(struct repository *r)
{
	if (!r->network.asleep)
		return;
	r->network.asleep = false;
	r->network.slept = NULL;
	r->network.soon_us = 0;
	if (r->sync.state == SESSION_SUSPENDED && presence_wants_session(r)) {
		session_set_state(r, SESSION_BACKOFF, NULL);
		try_soon(r);
	}
}
