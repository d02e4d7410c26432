/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manager.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bus-link.h"
#include "base/event-loop.h"
#include "base/log.h"
#include "base/paths.h"
#include "db/barrier.h"
#include "desktop/desktop.h"
#include "ipc/ipc.h"
#include "net/http-client.h"
#include "net/ws-client.h"
#include "notify.h"
#include "repository/repository.h"
#include "service/fake/fake.h"
#include "service/native/native.h"
#include "store/store.h"
#include "store/write.h"

#define IDLE_US 2000000 /* without a commit: the log is then copied into the database */

struct manager {
	const struct config *given;
	struct config config;
	struct event_loop *loop;
	struct loop_signal *sigterm, *sigint, *sighup;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	struct service *service;
	struct repository *repository;
	struct ipc *ipc;
	struct desktop *desktop;
	struct notifier *notifier;
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
	case -EROFS:
		return "nothing can be written there; a service may write to other places than its "
		       "own when a drop-in names them with ReadWritePaths=";
	default:
		return strerror(-r);
	}
}

static void give_up(const char *why)
{
	notify_failed_start(why);
	ipc_turn_away(why);
}

/* What the user has to know, in the log and in the service's status. */
static void say_failure(const char *what, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	log_error("%s", text);
	give_up(text);
}

static int open_store(struct manager *m)
{
	const struct config *c = &m->config;
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

	if (m->config.demo) {
		m->service = fake_service_new(m->loop, m->config.demo, &e);
		if (!m->service)
			say_failure(m->config.demo, e.text);
	} else {
		m->service = native_service_new(m->loop,
			&(struct native_options){
				.ca_file = m->config.ca_file,
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
	notifier_note_commit(m->notifier);
}

static bool differ(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

static void swap(char **a, char **b)
{
	char *was = *a;

	*a = *b;
	*b = was;
}

/* Takes from `fresh` what can change while the daemon runs. */
static int apply(struct manager *m, struct config *fresh)
{
	struct config *c = &m->config;
	int r = 0;

	if (differ(c->data_dir, fresh->data_dir) || differ(c->socket, fresh->socket) ||
		c->serves_bus != fresh->serves_bus)
		log_notice("another data_dir, socket or dbus counts from the next start on");
	log_set_level(log_level_from_string(fresh->log_level));
	swap(&c->log_level, &fresh->log_level);
	if (differ(c->preview_helper, fresh->preview_helper))
		r = repository_set_preview_helper(m->repository, fresh->preview_helper);
	if (r == 0)
		swap(&c->preview_helper, &fresh->preview_helper);
	if (r == 0 && !c->demo && differ(c->ca_file, fresh->ca_file))
		r = native_service_set_ca_file(m->service, fresh->ca_file);
	if (r == 0)
		swap(&c->ca_file, &fresh->ca_file);
	return r;
}

static void on_reload(void *userdata)
{
	struct manager *m = userdata;
	_cleanup_(config_clear) struct config fresh = { 0 };
	int r;

	notifier_reloading();
	r = config_resolve(m->given, &fresh);
	r = r < 0 ? r : apply(m, &fresh);
	if (r < 0)
		log_error("the settings are left as they were");
	else
		log_info("the settings were read again");
	notifier_reloaded();
}

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
	m->sighup = loop_signal_new(m->loop, SIGHUP, on_reload, m);
	r = open_store(m);
	if (r < 0) {
		say_failure(m->config.data_dir, explain_store(r));
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
		.preview_helper = m->config.preview_helper,
	};
	int r;

	randombytes_buf(&o.seed, sizeof(o.seed));
	r = repository_new(&o, &m->repository);
	if (r < 0)
		say_failure("the account cannot be read", strerror(-r));
	return r;
}

static int build_notifier(struct manager *m)
{
	const struct notifier_options o = {
		.loop = m->loop,
		.barrier = m->barrier,
		.store = m->store,
		.repository = m->repository,
	};

	return notifier_new(&o, &m->notifier);
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
	const struct config *c = &m->config;
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
		say_failure(c->socket ? c->socket : "the socket", explain_socket(r));
	return r;
}

static int build_desktop(struct manager *m)
{
	_cleanup_free_ char *session = m->config.serves_bus ? bus_address_session() : NULL;
	struct desktop_options o = {
		.loop = m->loop,
		.session_bus = session,
		.notice_actions = &repository_notice_actions,
		.userdata = m->repository,
	};
	int r;

	if (!session)
		return 0;
	randombytes_buf(&o.seed, sizeof(o.seed));
	r = desktop_new(&o, &m->desktop);
	if (r == 0)
		repository_set_notice_sink(
			m->repository, desktop_notice_sink, desktop_notices(m->desktop));
	return r;
}

static void sign_in_to_demo(void *userdata, const struct failure *f)
{
	if (f)
		log_error("the demo's account cannot sign in: %s", f->detail);
}

static int configure(struct manager *m)
{
	char field[80];
	int r = config_resolve(m->given, &m->config);

	if (r < 0) {
		give_up("the settings are wrong; the log says which");
		return r;
	}
	log_set_level(log_level_from_string(m->config.log_level));
	snprintf(field, sizeof(field), "ACCOUNT=%s", m->config.account);
	log_set_field(field);
	return 0;
}

int manager_new(const struct config *given, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->given = given;
	r = configure(m);
	r = r < 0 ? r : build_core(m);
	r = r < 0 ? r : build_repository(m);
	r = r < 0 ? r : build_notifier(m);
	r = r < 0 ? r : build_ipc(m);
	r = r < 0 ? r : build_desktop(m);
	if (r < 0)
		return r;
	if (m->config.demo)
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

	notifier_ready(m->notifier);
	code = event_loop_run(m->loop);
	notifier_stopping();
	ipc_drain(m->ipc);
	return code;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	if (m->repository)
		repository_set_notice_sink(m->repository, NULL, NULL);
	desktop_free(m->desktop);
	ipc_free(m->ipc);
	notifier_free(m->notifier);
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
	loop_signal_free(m->sighup);
	event_loop_free(m->loop);
	config_clear(&m->config);
	free(m);
	return NULL;
}
