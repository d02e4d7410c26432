/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ending for want of anything to do, where systemd holds the sockets and the bus would start the
 * daemon again. Who comes while it ends is served by the next one: connections wait in the sockets,
 * and the bus holds calls back once the names are given up.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "manager-internal.h"

/* A bus that does not answer is left. */
#define RETIRE_US 2000000

/* Who ends sooner after its start is taken for broken, when that happens again and again. */
#define LIFE_US 5000000

/* EX_TEMPFAIL of sysexits.h: something came at the last moment, so that another start is due. */
#define EXIT_AGAIN 75

static bool is_idle(const struct manager *m)
{
	return m->repository && m->desktop && repository_is_idle(m->repository) && !m->done_fn &&
		ipc_count_clients(m->ipc) == 0 && !desktop_is_showing(m->desktop);
}

static void end(struct manager *m)
{
	event_loop_exit(m->loop, is_idle(m) ? 0 : EXIT_AGAIN);
}

static void on_desktop_retired(void *userdata)
{
	end(userdata);
}

static void on_ipc_retired(void *userdata)
{
	struct manager *m = userdata;

	if (m->desktop)
		desktop_retire(m->desktop, on_desktop_retired, m);
	else
		end(m);
}

static void on_linger(void *userdata)
{
	struct manager *m = userdata;

	if (m->is_ending) {
		event_loop_exit(m->loop, EXIT_AGAIN);
		return;
	}
	if (!is_idle(m))
		return;
	log_info("there is nothing to do until a frontend or a push comes");
	m->is_ending = true;
	/* From now on the service manager holds a start back until this process is gone. */
	notifier_stopping();
	loop_timer_start_us(m->linger, RETIRE_US);
	ipc_retire(m->ipc, on_ipc_retired, m);
}

static uint64_t linger_us(const struct manager *m)
{
	uint64_t asked = (uint64_t)repository_linger_s(m->repository) * 1000000;
	uint64_t lived = clock_monotonic_us() - m->started_us;

	return lived + asked >= LIFE_US ? asked : LIFE_US - lived;
}

static void on_turn_end(void *userdata)
{
	struct manager *m = userdata;

	if (m->is_ending)
		return;
	if (!is_idle(m))
		loop_timer_stop(m->linger);
	else if (!loop_timer_is_running(m->linger))
		loop_timer_start_us(m->linger, linger_us(m));
}

int manager_watch_idleness(struct manager *m)
{
	if (!ipc_is_activated(m->ipc))
		return 0;
	m->started_us = clock_monotonic_us();
	m->linger = loop_timer_new(m->loop, on_linger, m);
	if (!m->linger)
		return -ENOMEM;
	event_loop_add_turn_end(m->loop, on_turn_end, m);
	return 0;
}

void manager_forget_idleness(struct manager *m)
{
	if (m->linger)
		event_loop_remove_turn_end(m->loop, m);
	m->linger = loop_timer_free(m->linger);
}
