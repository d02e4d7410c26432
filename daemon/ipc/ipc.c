/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/ipc.h"

#include <errno.h>
#include <string.h>

#include "ipc/api.h"
#include "ipc/bus-face.h"
#include "ipc/call.h"
#include "ipc/encode.h"
#include "ipc/hub.h"
#include "ipc/server.h"
#include "ipc/topics.h"

#define DRAIN_MS 500
#define STALL_US 60000000

struct ipc {
	struct api api;
	struct server *server;
	struct bus_face *bus; /* NULL: not served there */
	bool is_activated;
};

static void on_connection(void *userdata, const struct session_status *status)
{
	struct ipc *ipc = userdata;

	if (hub_is_wanted(ipc->api.hub, TOPIC_CONNECTION))
		hub_publish(ipc->api.hub, TOPIC_CONNECTION, "", NULL, encode_connection(status));
	if (ipc->bus)
		bus_face_on_connection(ipc->bus);
}

static void on_transfer_progress(void *userdata, const struct attachment *a)
{
	struct ipc *ipc = userdata;

	if (hub_is_wanted(ipc->api.hub, TOPIC_TRANSFER_PROGRESS))
		hub_publish(ipc->api.hub, TOPIC_TRANSFER_PROGRESS, a->id, a->chat_id,
			encode_attachment(a));
}

static void on_open(void *userdata, const char *chat_id, const char *message_id, const char *token)
{
	struct ipc *ipc = userdata;

	if (hub_is_wanted(ipc->api.hub, TOPIC_CHAT_OPEN))
		hub_publish(ipc->api.hub, TOPIC_CHAT_OPEN, chat_id, chat_id,
			encode_chat_open(chat_id, message_id, token));
}

static void on_watched(void *userdata, bool watched)
{
	struct ipc *ipc = userdata;

	if (!ipc->api.lock.locked)
		repository_set_watched(ipc->api.repository, watched);
}

static const struct repository_observer observer = {
	.on_connection = on_connection,
	.on_transfer_progress = on_transfer_progress,
	.on_open = on_open,
};

static int init_api(struct api *api, const struct ipc_options *o)
{
	*api = (struct api){
		.loop = o->loop,
		.barrier = o->barrier,
		.account_ops = o->account_ops,
		.account_userdata = o->account_userdata,
		.account = strdup(o->account),
		.key_source = o->key_source,
		.versions = o->versions,
		.n_versions = o->n_versions,
		.stall_us = STALL_US,
	};
	TAILQ_INIT(&api->queues);
	TAILQ_INIT(&api->orphans);
	uuid4_generate(api->instance_id);
	api->hub = hub_new(o->loop, o->barrier);
	return api->account && api->hub ? 0 : -ENOMEM;
}

/* Before anybody is served. */
static void take_account(struct ipc *ipc, const struct ipc_options *o)
{
	if (o->lock && o->lock->locked) {
		ipc->api.lock = *o->lock;
		return;
	}
	ipc->api.store = o->store;
	ipc->api.repository = o->repository;
	hub_open(ipc->api.hub, o->store);
}

static int start_listening(struct ipc *ipc, const char *path)
{
	int r = server_listen_systemd(ipc->server);

	ipc->is_activated = r > 0;
	if (r != 0)
		return r < 0 ? r : 0;
	return path ? server_listen_at(ipc->server, path) : -EINVAL;
}

static int start_bus(struct ipc *ipc, const struct ipc_options *o, unsigned max_peers)
{
	if (!o->bus_address)
		return 0;
	return bus_face_new(
		&(struct bus_face_options){
			.api = &ipc->api,
			.address = o->bus_address,
			.max_peers = max_peers,
			.yields = o->bus_yields,
		},
		&ipc->bus);
}

int ipc_new(const struct ipc_options *o, struct ipc **ret)
{
	_cleanup_(ipc_freep) struct ipc *ipc = calloc(1, sizeof(*ipc));
	unsigned max_peers = o->max_peers ? o->max_peers : IPC_PEERS_MAX;
	int r;

	if (!ipc)
		return -ENOMEM;
	r = init_api(&ipc->api, o);
	if (r < 0)
		return r;
	take_account(ipc, o);
	r = server_new(&ipc->api, max_peers, &ipc->server);
	if (r < 0)
		return r;
	r = start_listening(ipc, o->socket_path);
	r = r < 0 ? r : start_bus(ipc, o, max_peers);
	if (r < 0)
		return r;
	if (!ipc->api.lock.locked)
		repository_add_observer(o->repository, &observer, ipc);
	hub_set_watch(ipc->api.hub, on_watched, ipc);
	*ret = TAKE_PTR(ipc);
	return 0;
}

/* What is on screen has stayed there while the account was locked. */
static void tell_focus(const struct api *api)
{
	struct call_queue *q;

	TAILQ_FOREACH(q, &api->queues, entry)
		if (q->client->focus[0])
			repository_focus(api->repository, NULL, q->client->focus);
}

void ipc_open(struct ipc *ipc, struct store *store, struct repository *repository)
{
	struct api *api = &ipc->api;
	struct repository_status s;

	api->lock.locked = false;
	api->store = store;
	api->repository = repository;
	hub_open(api->hub, store);
	repository_add_observer(repository, &observer, ipc);
	repository_set_watched(repository, hub_is_watched(api->hub));
	tell_focus(api);
	repository_get_status(repository, &s);
	on_connection(ipc, &s.connection);
}

void ipc_close(struct ipc *ipc, const struct lock_state *why)
{
	struct api *api = &ipc->api;
	struct session_status s;

	if (api->repository)
		repository_remove_observer(api->repository, ipc);
	api->lock = *why;
	api->store = NULL;
	api->repository = NULL;
	hub_close(api->hub);
	calls_lock(api);
	session_status_from_lock(&s, why);
	on_connection(ipc, &s);
}

void ipc_set_key_source(struct ipc *ipc, enum key_source source)
{
	ipc->api.key_source = source;
}

void ipc_turn_away(const char *why)
{
	server_turn_away_systemd(why);
}

bool ipc_is_activated(const struct ipc *ipc)
{
	return ipc->is_activated;
}

unsigned ipc_count_clients(const struct ipc *ipc)
{
	return server_count_peers(ipc->server) + (ipc->bus ? bus_face_count_peers(ipc->bus) : 0);
}

void ipc_retire(struct ipc *ipc, loop_fn fn, void *userdata)
{
	server_stop_accepting(ipc->server);
	if (ipc->bus)
		bus_face_retire(ipc->bus, fn, userdata);
	else
		fn(userdata);
}

void ipc_drain(struct ipc *ipc)
{
	barrier_commit(ipc->api.barrier);
	server_drain(ipc->server, DRAIN_MS);
	if (ipc->bus)
		bus_face_drain(ipc->bus, DRAIN_MS);
}

struct ipc *ipc_free(struct ipc *ipc)
{
	if (!ipc)
		return NULL;
	if (ipc->api.repository)
		repository_remove_observer(ipc->api.repository, ipc);
	if (ipc->api.hub)
		hub_set_watch(ipc->api.hub, NULL, NULL);
	bus_face_free(ipc->bus);
	server_free(ipc->server);
	calls_free_orphans(&ipc->api.orphans);
	hub_free(ipc->api.hub);
	free(ipc->api.account);
	free(ipc);
	return NULL;
}
