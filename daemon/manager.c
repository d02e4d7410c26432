/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manager.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/bus-link.h"
#include "base/event-loop.h"
#include "base/log.h"
#include "base/paths.h"
#include "db/barrier.h"
#include "ipc/ipc.h"
#include "net/http-client.h"
#include "net/ws-client.h"
#include "repository/repository.h"
#include "service/fake/fake.h"
#include "service/native/native.h"
#include "store/store.h"
#include "store/write.h"

#define IDLE_US 2000000 /* without a commit: the log is then copied into the database */

struct manager {
	const struct config *config;
	struct event_loop *loop;
	struct loop_signal *sigterm, *sigint;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	struct service *service;
	struct repository *repository;
	struct ipc *ipc;
	struct loop_timer *idle;
	struct ipc_version versions[4];
};

static const char *explain_store(int r)
{
	switch (r) {
	case -EKEYREJECTED:
		return "the key does not fit the database, or the database is damaged; nothing was "
		       "changed";
	case -EUCLEAN:
		return "the database is damaged or was made by a newer chatd; nothing was changed";
	case -EBUSY:
		return "another chatd is using this account's data";
	case -EPERM:
		return "the key file can be read by others; make it private with chmod 600";
	default:
		return strerror(-r);
	}
}

static int open_store(struct manager *m)
{
	const struct config *c = m->config;
	char path[PATH_MAX];
	int r;

	if (c->demo)
		return store_open(NULL, NULL, m->barrier, &m->store);
	r = path_make_directories(c->data_dir);
	if (r == 0 && snprintf(path, sizeof(path), "%s/key", c->data_dir) >= (int)sizeof(path))
		r = -ENAMETOOLONG;
	r = r < 0 ? r : db_key_from_file(path, &m->key);
	return r < 0 ? r : store_open(c->data_dir, m->key, m->barrier, &m->store);
}

static int open_service(struct manager *m)
{
	struct json_error e;

	if (m->config->demo) {
		m->service = fake_service_new(m->loop, m->config->demo, &e);
		if (!m->service)
			log_error("%s: %s", m->config->demo, e.text);
	} else {
		m->service = native_service_new(m->loop,
			&(struct native_options){
				.ca_file = m->config->ca_file,
				.client = "chatd/" PACKAGE_VERSION,
			});
	}
	return m->service ? 0 : -EINVAL;
}

static void on_terminate(void *userdata)
{
	struct manager *m = userdata;

	event_loop_exit(m->loop, 0);
}

static void on_idle(void *userdata)
{
	struct manager *m = userdata;

	store_checkpoint(m->store);
}

static void on_commit(void *userdata, int error)
{
	struct manager *m = userdata;

	if (error == 0)
		loop_timer_start_us(m->idle, IDLE_US);
}

static void notify_state(void *userdata, const struct session_status *s)
{
	sd_notifyf(0, "STATUS=%s%s%s", session_state_to_string(s->state), s->last_error ? ": " : "",
		s->last_error ? s->last_error : "");
}

static const struct repository_observer observer = {
	.on_connection = notify_state,
};

static int build_core(struct manager *m)
{
	int r;

	m->loop = event_loop_new();
	m->barrier = m->loop ? barrier_new(m->loop) : NULL;
	m->idle = m->loop ? loop_timer_new(m->loop, on_idle, m) : NULL;
	if (!m->barrier || !m->idle)
		return -ENOMEM;
	m->sigterm = loop_signal_new(m->loop, SIGTERM, on_terminate, m);
	m->sigint = loop_signal_new(m->loop, SIGINT, on_terminate, m);
	r = open_store(m);
	if (r < 0) {
		log_error("%s: %s", m->config->data_dir, explain_store(r));
		return r;
	}
	barrier_add_listener(m->barrier, BARRIER_AFTER_EFFECTS, on_commit, m);
	return open_service(m);
}

static int build_repository(struct manager *m)
{
	struct repository_options o = {
		.loop = m->loop,
		.barrier = m->barrier,
		.store = m->store,
		.service = m->service,
		.preview_helper = m->config->preview_helper,
	};
	int r;

	randombytes_buf(&o.seed, sizeof(o.seed));
	r = repository_new(&o, &m->repository);
	if (r < 0)
		log_error("the account cannot be read: %s", strerror(-r));
	else
		repository_add_observer(m->repository, &observer, m);
	return r;
}

static const char *explain_socket(int r)
{
	switch (r) {
	case -EADDRINUSE:
		return "a chatd is running there already";
	case -EINVAL:
		return "XDG_RUNTIME_DIR is not set; name a path with --socket";
	default:
		return strerror(-r);
	}
}

static int build_ipc(struct manager *m)
{
	const struct config *c = m->config;
	_cleanup_free_ char *bus = c->serves_bus ? bus_address_session() : NULL;
	int r;

	m->versions[0] = (struct ipc_version){ "libevent", event_loop_version() };
	m->versions[1] = (struct ipc_version){ "sqlcipher", store_library_version(m->store) };
	m->versions[2] = (struct ipc_version){ "libcurl", http_client_version() };
	m->versions[3] = (struct ipc_version){ "libwebsockets", ws_client_version() };
	r = ipc_new(
		&(struct ipc_options){
			.loop = m->loop,
			.barrier = m->barrier,
			.store = m->store,
			.repository = m->repository,
			.account = c->account,
			.socket_path = c->socket,
			.key_source = c->demo ? "none" : "file",
			.versions = m->versions,
			.n_versions = ARRAY_SIZE(m->versions),
			.bus_address = bus,
			.bus_yields = c->demo != NULL,
		},
		&m->ipc);

	if (r < 0)
		log_error("cannot listen at %s: %s", c->socket ? c->socket : "the socket",
			explain_socket(r));
	return r;
}

static void sign_in_to_demo(void *userdata, const struct failure *f)
{
	if (f)
		log_error("the demo's account cannot sign in: %s", f->detail);
}

int manager_new(const struct config *c, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->config = c;
	r = build_core(m);
	r = r < 0 ? r : build_repository(m);
	r = r < 0 ? r : build_ipc(m);
	if (r < 0)
		return r;
	if (c->demo)
		account_login(m->repository, "https://demo.invalid", "demo", "demo",
			sign_in_to_demo, NULL);
	else
		repository_start(m->repository);
	*ret = TAKE_PTR(m);
	return 0;
}

int manager_run(struct manager *m)
{
	int code;

	sd_notify(0, "READY=1");
	code = event_loop_run(m->loop);
	sd_notify(0, "STOPPING=1");
	ipc_drain(m->ipc);
	return code;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	ipc_free(m->ipc);
	repository_free(m->repository);
	service_free(m->service);
	if (m->barrier)
		barrier_remove_listener(m->barrier, m);
	store_close(m->store);
	db_key_free(m->key);
	barrier_free(m->barrier);
	loop_timer_free(m->idle);
	loop_signal_free(m->sigterm);
	loop_signal_free(m->sigint);
	event_loop_free(m->loop);
	free(m);
	return NULL;
}
