/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-face.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/bus-link.h"
#include "base/log.h"
#include "ipc/bus-call.h"
#include "ipc/bus-introspect.h"
#include "ipc/bus-name.h"
#include "ipc/bus-peer.h"
#include "ipc/bus-properties.h"

TAILQ_HEAD(bus_peer_list, bus_peer);

struct bus_face {
	struct api *api;
	struct bus_link *link;
	sd_bus *bus; /* borrowed; NULL: there is none at present */
	char *name;
	bool yields;
	bool draining;
	sd_bus_slot *object_slot, *name_slot;
	loop_fn retired_fn; /* NULL: it is not retiring */
	void *retired_userdata;
	struct bus_properties *properties;
	struct bus_peer_list peers;
	unsigned n_peers, max_peers;
};

/* The bus' own answers to RequestName. */
enum {
	NAME_OWNED = 1,
	NAME_QUEUED = 2,
	NAME_EXISTS = 3,
};

static int on_name_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_face *f = userdata;
	uint32_t answer = 0;

	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &answer) < 0)
		log_warning("The bus does not give out the name %s.", f->name);
	else if (answer == NAME_OWNED)
		log_info("On the bus as %s.", f->name);
	else if (answer == NAME_QUEUED || answer == NAME_EXISTS)
		log_notice(
			"Another program has the name %s on the bus; the socket serves.", f->name);
	return 0;
}

static int introspect(sd_bus_message *m)
{
	_cleanup_free_ char *text = bus_introspect();

	return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static bool is_ours(const char *interface)
{
	size_t n = strlen(BUS_NAME);

	return strncmp(interface, BUS_NAME, n) == 0 && (interface[n] == '.' || !interface[n]);
}

static int carry_out(struct bus_face *f, struct bus_peer *p, sd_bus_message *m)
{
	const char *interface = sd_bus_message_get_interface(m);

	if (!interface)
		return sd_bus_reply_method_errorf(
			m, SD_BUS_ERROR_UNKNOWN_METHOD, "an interface must be named");
	if (is_ours(interface))
		return bus_call_start(&p->calls, m);
	if (strcmp(interface, "org.freedesktop.DBus.Properties") == 0)
		return bus_properties_call(f->properties, m);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Introspectable", "Introspect") >
		0)
		return introspect(m);
	return sd_bus_reply_method_errorf(
		m, SD_BUS_ERROR_UNKNOWN_INTERFACE, "there is no interface of that name");
}

static void on_peer_message(void *userdata, struct bus_peer *p, sd_bus_message *m)
{
	int r = carry_out(userdata, p, m);

	if (r < 0)
		bus_peer_fail(p, r);
}

static void on_peer_gone(void *userdata, struct bus_peer *p)
{
	struct bus_face *f = userdata;

	TAILQ_REMOVE(&f->peers, p, entry);
	f->n_peers--;
	bus_peer_free(p);
}

static int find_peer(struct bus_face *f, const char *name, struct bus_peer **ret)
{
	struct bus_peer_options o = {
		.api = f->api,
		.link = f->link,
		.bus = f->bus,
		.name = name,
		.on_message = on_peer_message,
		.on_gone = on_peer_gone,
		.userdata = f,
	};
	struct bus_peer *p;
	int r;

	TAILQ_FOREACH(p, &f->peers, entry) {
		if (strcmp(p->name, name) == 0) {
			*ret = p;
			return 0;
		}
	}
	if (f->n_peers >= f->max_peers)
		return -EMFILE;
	r = bus_peer_new(&o, &p);
	if (r < 0)
		return r;
	TAILQ_INSERT_TAIL(&f->peers, p, entry);
	f->n_peers++;
	*ret = p;
	return 0;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_face *f = userdata;
	const char *sender = sd_bus_message_get_sender(m);
	struct bus_peer *p;
	struct rpc_error e;
	int r;

	if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0 || !sender || f->draining)
		return 1;
	r = find_peer(f, sender, &p);
	if (r == 0) {
		bus_peer_take(p, m);
		return 1;
	}
	rpc_error_set(&e, CHAT_ERROR_BUSY, "too many connections");
	bus_reply_error(m, &e);
	return 1;
}

static void on_up(void *userdata, sd_bus *bus)
{
	struct bus_face *f = userdata;
	uint64_t flags = f->yields ? SD_BUS_NAME_ALLOW_REPLACEMENT
				   : SD_BUS_NAME_REPLACE_EXISTING | SD_BUS_NAME_QUEUE;
	int r;

	f->bus = bus;
	bus_properties_attach(f->properties, bus);
	r = sd_bus_add_object(bus, &f->object_slot, BUS_PATH, on_message, f);
	r = r < 0
		? r
		: sd_bus_request_name_async(bus, &f->name_slot, f->name, flags, on_name_answer, f);
	if (r < 0)
		bus_link_fail(f->link, r);
}

static void on_down(void *userdata, int error)
{
	struct bus_face *f = userdata;
	struct bus_peer *p;

	if (error < 0)
		log_notice("The bus is lost (%s); the socket serves.", strerror(-error));
	while ((p = TAILQ_FIRST(&f->peers)))
		on_peer_gone(f, p);
	bus_properties_attach(f->properties, NULL);
	f->object_slot = sd_bus_slot_unref(f->object_slot);
	f->name_slot = sd_bus_slot_unref(f->name_slot);
	f->bus = NULL;
}

static void on_written(void *userdata)
{
	struct bus_face *f = userdata;

	hub_schedule(f->api->hub);
}

static const struct bus_link_ops link_ops = {
	.up = on_up,
	.down = on_down,
	.written = on_written,
};

void bus_face_on_connection(struct bus_face *f)
{
	bus_properties_refresh(f->properties);
}

unsigned bus_face_count_peers(const struct bus_face *f)
{
	return f->n_peers;
}

static int on_released(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus_face *f = userdata;

	f->retired_fn(f->retired_userdata);
	return 0;
}

void bus_face_retire(struct bus_face *f, loop_fn fn, void *userdata)
{
	int r = -ENOTCONN;

	f->retired_fn = fn;
	f->retired_userdata = userdata;
	f->name_slot = sd_bus_slot_unref(f->name_slot);
	if (f->bus)
		r = sd_bus_release_name_async(f->bus, &f->name_slot, f->name, on_released, f);
	if (r < 0)
		fn(userdata);
	else
		bus_link_touch(f->link);
}

void bus_face_drain(struct bus_face *f, int timeout_ms)
{
	f->draining = true;
	bus_link_drain(f->link, timeout_ms);
}

int bus_face_new(const struct bus_face_options *o, struct bus_face **ret)
{
	_cleanup_(bus_face_freep) struct bus_face *f = calloc(1, sizeof(*f));
	uint64_t seed;
	int r;

	if (!f)
		return -ENOMEM;
	f->api = o->api;
	f->max_peers = o->max_peers;
	f->yields = o->yields;
	TAILQ_INIT(&f->peers);
	f->name = bus_name_of_account(o->api->account);
	f->properties = bus_properties_new(o->api);
	if (!f->name || !f->properties)
		return -ENOMEM;
	randombytes_buf(&seed, sizeof(seed));
	r = bus_link_new(o->api->loop, o->address, seed, &link_ops, f, &f->link);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(f);
	return 0;
}

struct bus_face *bus_face_free(struct bus_face *f)
{
	if (!f)
		return NULL;
	bus_link_free(f->link);
	bus_properties_free(f->properties);
	free(f->name);
	free(f);
	return NULL;
}
