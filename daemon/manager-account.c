/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the graph that is there only while the account is open. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
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

static void on_salvage(void *userdata)
{
	struct manager *m = userdata;

	m->is_salvaging = true;
	log_error("the database in %s is damaged: what can be read is carried over into a new one",
		m->config.data_dir);
	notifier_takes_time(m->notifier);
}

/* The manager of services starts a daemon anew that cannot help itself. */
static void on_damage_later(void *userdata)
{
	struct manager *m = userdata;
	int r;

	if (!m->store)
		return;
	barrier_commit(m->barrier);
	m->repair = (struct lock_state){
		.locked = true,
		.reason = LOCK_REPAIR,
		.since = clock_wall_ms(),
		.detail = "a damaged database is being put right",
	};
	manager_close_account(m, &m->repair);
	r = manager_open_account(m);
	if (r == 0) {
		manager_start_account(m);
		return;
	}
	log_error("%s: %s", m->config.data_dir, manager_explain(m, r));
	event_loop_exit(m->loop, EXIT_FAILURE);
}

static void on_damage(void *userdata, const char *name)
{
	struct manager *m = userdata;
	char field[80];

	snprintf(field, sizeof(field), "DATABASE=%s", name);
	log_full(LOG_ERR, field, "%s/%s is damaged; it is opened anew", m->config.data_dir, name);
	m->met_damage = true;
	event_loop_undefer(m->loop, &m->damage_later);
	m->damage_later = (struct loop_deferred){ .fn = on_damage_later, .userdata = m };
	event_loop_defer(m->loop, &m->damage_later);
}

static int open_store(struct manager *m)
{
	struct store_options o = { .barrier = m->barrier };
	int r;

	if (m->config.demo)
		return store_open(&o, &m->store);
	o.directory = m->config.data_dir;
	o.key = keys_get(m->keys);
	o.key_is_right = keys_is_confirmed(m->keys);
	o.on_salvage = on_salvage;
	o.on_damage = on_damage;
	o.userdata = m;
	m->is_salvaging = false;
	r = path_make_directories(m->config.data_dir);
	r = r < 0 ? r : store_open(&o, &m->store);
	if (r < 0 && m->is_salvaging)
		snprintf(m->why_not, sizeof(m->why_not),
			"the database is damaged, and what can be read of it could not be carried "
			"over: %s; nothing was changed",
			strerror(-r));
	return r;
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
	if (m->loop)
		event_loop_undefer(m->loop, &m->damage_later);
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
	const struct store_salvaged *s = store_get_salvaged(m->store);
	char fields[160];

	if (s) {
		snprintf(fields, sizeof(fields),
			"SALVAGED_MESSAGES=%" PRId64 "\nSALVAGED_UNSENT=%" PRId64
			"\nLOST_UNSENT=%" PRId64,
			s->messages, s->unsent, s->unsent_lost);
		log_full(LOG_ERR, fields,
			"the database was damaged and is put aside as %s/%s; carried over are "
			"%" PRId64 " messages of %" PRId64 " chats, %" PRId64 " of them not sent; "
			"lost are %" PRId64 " that were to be sent; what else is missing is "
			"fetched from the server",
			m->config.data_dir, s->put_aside, s->messages, s->chats, s->unsent,
			s->unsent_lost);
	}
	if (name)
		log_error("the database of the photos was damaged and is put aside as %s/%s; a new "
			  "one begins, and what the server has is fetched again",
			m->config.data_dir, name);
}

static int build(struct manager *m)
{
	int r;

	m->why_not[0] = '\0';
	m->met_damage = false;
	r = open_store(m);
	r = r < 0 ? r : open_service(m);
	r = r < 0 ? r : open_repository(m);
	r = r < 0 ? r : manager_open_desktop(m);
	if (r < 0)
		manager_free_account(m);
	return r;
}

int manager_open_account(struct manager *m)
{
	int r = build(m);

	/* What was met on the way is put right by the next opening. */
	if (r < 0 && m->met_damage)
		r = build(m);
	if (r < 0)
		return r;
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
