/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the desktop and the machine tell, and whom it concerns. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bus-link.h"
#include "ipc/bus-name.h"
#include "manager-internal.h"
#include "store/write.h"

static void on_online(void *userdata, bool online)
{
	struct manager *m = userdata;

	repository_set_online(m->repository, online);
}

static void on_metered(void *userdata, bool metered)
{
	struct manager *m = userdata;

	transfers_set_metered(m->repository, metered);
}

static void on_moved(void *userdata)
{
	struct manager *m = userdata;

	repository_note_move(m->repository);
}

/* The goodbye is said; what is stored is stored before the machine sleeps. */
static void on_slept(void *userdata)
{
	struct manager *m = userdata;

	barrier_commit(m->barrier);
	store_checkpoint(m->store);
	m->slept(m->slept_userdata);
}

static void on_sleep(void *userdata, void (*done)(void *done_userdata), void *done_userdata)
{
	struct manager *m = userdata;

	m->slept = done;
	m->slept_userdata = done_userdata;
	repository_sleep(m->repository, on_slept, m);
}

static void on_resume(void *userdata)
{
	struct manager *m = userdata;

	repository_resume(m->repository);
}

static const struct surroundings surroundings = {
	.online = on_online,
	.metered = on_metered,
	.moved = on_moved,
	.sleep = on_sleep,
	.resume = on_resume,
};

/* The name where pushes are taken, owned: as the API's, and as activatable. */
static char *push_name(const struct manager *m)
{
	_cleanup_free_ char *api = bus_name_of_account(m->config.account);
	char *name = NULL;

	if (!api || asprintf(&name, "org.chatd.Push1%s", api + strlen(BUS_NAME)) < 0)
		return NULL;
	return name;
}

int manager_open_desktop(struct manager *m)
{
	_cleanup_free_ char *push = m->config.demo ? NULL : push_name(m);
	_cleanup_free_ char *session = m->config.serves_bus ? bus_address_session() : NULL;
	_cleanup_free_ char *system = bus_address_system();
	struct desktop_options o = {
		.loop = m->loop,
		.session_bus = session,
		.system_bus = system,
		.notice_actions = &repository_notice_actions,
		.notice_userdata = m->repository,
		.surroundings = &surroundings,
		.surroundings_userdata = m,
		.push_name = push,
		.push_events = &repository_push_events,
		.push_userdata = m->repository,
	};
	int r;

	randombytes_buf(&o.seed, sizeof(o.seed));
	r = desktop_new(&o, &m->desktop);
	if (r == 0 && session)
		repository_set_notice_sink(
			m->repository, desktop_notice_sink, desktop_notices(m->desktop));
	if (r == 0 && desktop_pushes(m->desktop))
		repository_set_push_connector(
			m->repository, desktop_push_connector, desktop_pushes(m->desktop));
	return r;
}
