/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bus-link.h"
#include "base/event-loop.h"
#include "base/log.h"
#include "manager-internal.h"
#include "net/http-client.h"
#include "net/ws-client.h"
#include "service/native/native.h"
#include "store/write.h"

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

static void on_terminate(void *userdata)
{
	struct manager *m = userdata;

	event_loop_exit(m->loop, 0);
}

static void on_idle(void *userdata)
{
	struct manager *m = userdata;

	if (m->store)
		store_checkpoint(m->store);
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
	if (m->repository && differ(c->preview_helper, fresh->preview_helper))
		r = repository_set_preview_helper(m->repository, fresh->preview_helper);
	if (r == 0)
		swap(&c->preview_helper, &fresh->preview_helper);
	if (r == 0 && m->service && !c->demo && differ(c->ca_file, fresh->ca_file))
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

static int build_keys(struct manager *m)
{
	_cleanup_free_ char *bus = bus_address_session();
	const struct keys_options o = {
		.loop = m->loop,
		.account = m->config.account,
		.bus_address = bus,
		.data_dir = m->config.data_dir,
		.credentials_dir = getenv("CREDENTIALS_DIRECTORY"),
	};

	return m->config.demo ? 0 : keys_new(&o, &m->keys);
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
	if (!m->sigterm || !m->sigint || !m->sighup)
		return -ENOMEM;
	r = notifier_new(
		&(struct notifier_options){ .loop = m->loop, .barrier = m->barrier }, &m->notifier);
	return r < 0 ? r : build_keys(m);
}

static int open_account(struct manager *m)
{
	int r = manager_unlock_at_start(m);

	if (r < 0)
		say_failure(m->config.demo ? m->config.demo : m->config.data_dir,
			manager_explain(m, r));
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
	const struct config *c = &m->config;
	_cleanup_free_ char *bus = c->serves_bus ? bus_address_session() : NULL;
	int r;

	if (m->store)
		snprintf(m->sqlcipher_version, sizeof(m->sqlcipher_version), "%s",
			store_library_version(m->store));
	else
		store_read_library_version(m->sqlcipher_version, sizeof(m->sqlcipher_version));
	m->versions[0] = (struct ipc_version){ "libevent", event_loop_version() };
	m->versions[1] = (struct ipc_version){ "sqlcipher", m->sqlcipher_version };
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
			.lock = m->keys ? keys_explain(m->keys) : NULL,
			.account_ops = m->keys ? &manager_account_ops : NULL,
			.account_userdata = m,
			.key_source = m->keys ? keys_source(m->keys) : KEY_SOURCE_NONE,
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
	r = r < 0 ? r : open_account(m);
	r = r < 0 ? r : build_ipc(m);
	r = r < 0 ? r : manager_watch_idleness(m);
	if (r < 0)
		return r;
	manager_start_account(m);
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
	manager_forget_idleness(m);
	ipc_free(m->ipc);
	notifier_free(m->notifier);
	manager_free_account(m);
	keys_free(m->keys);
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
