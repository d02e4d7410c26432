/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the graph that is there only while the account is open. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/paths.h"
#include "manager-internal.h"
#include "service/fake/fake.h"
#include "service/native/native.h"
#include "store/write.h"

#define IDLE_US 2000000 /* without a commit: the log is then copied into the database */

const char *manager_explain(const struct manager *m, int error)
{
	if (m->why_not[0])
		return m->why_not;
	switch (error) {
	case -EKEYREJECTED:
		return "the key does not fit the database, or the database is damaged; nothing was "
		       "changed";
	case -EUCLEAN:
		return "the database is damaged; nothing was changed";
	case -EPROTONOSUPPORT:
		return "the database was made by a newer chatd; nothing was changed";
	case -EBUSY:
		return "another chatd is using this account's data";
	case -EROFS:
		return "nothing can be written there; a service may write to other places than its "
		       "own when a drop-in names them with ReadWritePaths=";
	default:
		return strerror(-error);
	}
}

static int open_store(struct manager *m)
{
	int r;

	if (m->config.demo)
		return store_open(NULL, NULL, m->barrier, &m->store);
	r = path_make_directories(m->config.data_dir);
	return r < 0 ? r : store_open(m->config.data_dir, keys_get(m->keys), m->barrier, &m->store);
}

static int open_service(struct manager *m)
{
	struct json_error e;

	if (m->config.demo) {
		m->service = fake_service_new(m->loop, m->config.demo, &e);
		if (!m->service)
			snprintf(m->why_not, sizeof(m->why_not), "%s", e.text);
	} else {
		m->service = native_service_new(m->loop,
			&(struct native_options){
				.ca_file = m->config.ca_file,
				.client = "chatd/" PACKAGE_VERSION,
			});
	}
	return m->service ? 0 : -EINVAL;
}

static int open_repository(struct manager *m)
{
	struct repository_options o = {
		.loop = m->loop,
		.barrier = m->barrier,
		.store = m->store,
		.service = m->service,
		.preview_helper = m->config.preview_helper,
	};

	randombytes_buf(&o.seed, sizeof(o.seed));
	return repository_new(&o, &m->repository);
}

static void on_commit(void *userdata, int error)
{
	struct manager *m = userdata;

	if (error == 0)
		loop_timer_start_us(m->idle, IDLE_US);
	notifier_note_commit(m->notifier);
}

void manager_free_account(struct manager *m)
{
	if (m->repository) {
		repository_set_notice_sink(m->repository, NULL, NULL);
		repository_set_push_connector(m->repository, NULL, NULL);
	}
	m->desktop = desktop_free(m->desktop);
	m->repository = repository_free(m->repository);
	m->service = service_free(m->service);
	if (m->barrier)
		barrier_remove_listener(m->barrier, m);
	m->store = store_close(m->store);
	if (m->idle)
		loop_timer_stop(m->idle);
}

/* What the user has to know: photos are fetched again, and what could not be sent is FAILED. */
static void tell_damage(const struct manager *m)
{
	const char *name = store_put_aside(m->store);

	if (name)
		log_error("the database of the photos was damaged and is put aside as %s/%s; a new "
			  "one begins, and what the server has is fetched again",
			m->config.data_dir, name);
}

int manager_open_account(struct manager *m)
{
	int r;

	m->why_not[0] = '\0';
	r = open_store(m);
	r = r < 0 ? r : open_service(m);
	r = r < 0 ? r : open_repository(m);
	r = r < 0 ? r : manager_open_desktop(m);
	if (r < 0) {
		manager_free_account(m);
		return r;
	}
	barrier_add_listener(m->barrier, BARRIER_AFTER_EFFECTS, on_commit, m);
	tell_damage(m);
	if (m->keys)
		keys_confirm(m->keys);
	notifier_open(m->notifier, m->store, m->repository);
	if (m->ipc)
		ipc_open(m->ipc, m->store, m->repository);
	return 0;
}

void manager_close_account(struct manager *m, const struct lock_state *why)
{
	if (m->ipc)
		ipc_close(m->ipc, why);
	notifier_close(m->notifier, why);
	manager_free_account(m);
}

static void sign_in_to_demo(void *userdata, const struct failure *f)
{
	if (f)
		log_error("the demo's account cannot sign in: %s", f->detail);
}

void manager_start_account(struct manager *m)
{
	if (m->config.demo)
		account_login(m->repository, "https://demo.invalid", "demo", "demo",
			sign_in_to_demo, NULL);
	else if (m->repository)
		repository_start(m->repository);
}
