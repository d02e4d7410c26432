/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-properties.h"

#include <string.h>

#include "ipc/bus-name.h"
#include "ipc/encode.h"

#define INTERFACE "org.freedesktop.DBus.Properties"
#define INTERVAL_US 100000

enum property {
	PROPERTY_STATE,
	PROPERTY_UNREAD,
	N_PROPERTIES,
};

static const char *const names[N_PROPERTIES] = {
	[PROPERTY_STATE] = "ConnectionState",
	[PROPERTY_UNREAD] = "UnreadCount",
};

struct bus_properties {
	struct api *api;
	sd_bus *bus;
	struct barrier_effect effect; /* looks at them */
	struct loop_timer *pause;     /* runs for a while after a look */
	bool stale;
	enum session_state state;
	uint64_t unread;
};

static int append_value(const struct bus_properties *p, sd_bus_message *m, enum property which)
{
	switch (which) {
	case PROPERTY_STATE:
		return sd_bus_message_append(m, "v", "s", session_state_to_string(p->state));
	case PROPERTY_UNREAD:
		return sd_bus_message_append(m, "v", "t", p->unread);
	case N_PROPERTIES:
		break;
	}
	return 0;
}

/* An a{sv} of those whose bits are set. */
static int append_some(const struct bus_properties *p, sd_bus_message *m, unsigned which)
{
	int r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "{sv}");

	for (unsigned i = 0; i < N_PROPERTIES; i++) {
		if (!(which & 1u << i))
			continue;
		r = r < 0 ? r : sd_bus_message_open_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv");
		r = r < 0 ? r : sd_bus_message_append(m, "s", names[i]);
		r = r < 0 ? r : append_value(p, m, (enum property)i);
		r = r < 0 ? r : sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Who misses this can still look: what cannot be sent is left. */
static void tell(const struct bus_properties *p, unsigned which)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_signal(p->bus, &m, BUS_PATH, INTERFACE, "PropertiesChanged");

	r = r < 0 ? r : sd_bus_message_append(m, "s", BUS_NAME);
	r = r < 0 ? r : append_some(p, m, which);
	r = r < 0 ? r : sd_bus_message_append(m, "as", 0);
	if (r >= 0)
		sd_bus_send(p->bus, m, NULL);
}

/* Returns those that have changed. */
static unsigned look(struct bus_properties *p)
{
	struct repository_status s;
	uint64_t unread = 0;
	unsigned changed = 0;

	if (p->api->lock.locked) {
		session_status_from_lock(&s.connection, &p->api->lock);
	} else {
		repository_get_status(p->api->repository, &s);
		unread = (uint64_t)store_unread_total(p->api->store);
	}
	changed |= s.connection.state != p->state ? 1u << PROPERTY_STATE : 0;
	changed |= unread != p->unread ? 1u << PROPERTY_UNREAD : 0;
	p->state = s.connection.state;
	p->unread = unread;
	p->stale = false;
	return changed;
}

static bool is_committed(const struct bus_properties *p)
{
	return p->api->lock.locked || store_is_committed(p->api->store);
}

static void look_later(struct bus_properties *p)
{
	barrier_after_commit(p->api->barrier, &p->effect);
}

static void on_effect(void *userdata, int error)
{
	struct bus_properties *p = userdata;
	unsigned changed;

	if (!p->bus || !p->stale || loop_timer_is_running(p->pause))
		return;
	/* What other effects have written already may still be undone. */
	if (!is_committed(p)) {
		look_later(p);
		return;
	}
	changed = look(p);
	if (changed)
		tell(p, changed);
	loop_timer_start_us(p->pause, INTERVAL_US);
}

static void on_pause_over(void *userdata)
{
	struct bus_properties *p = userdata;

	if (p->stale)
		look_later(p);
}

void bus_properties_refresh(struct bus_properties *p)
{
	p->stale = true;
	if (p->bus && !loop_timer_is_running(p->pause))
		look_later(p);
}

static void on_commit(void *userdata, int error)
{
	bus_properties_refresh(userdata);
}

void bus_properties_attach(struct bus_properties *p, sd_bus *bus)
{
	p->bus = bus;
	if (!bus)
		loop_timer_stop(p->pause);
	else if (is_committed(p))
		look(p);
	else
		bus_properties_refresh(p);
}

static int reply_get(const struct bus_properties *p, sd_bus_message *m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *interface, *name;
	unsigned i = 0;
	int r = sd_bus_message_read(m, "ss", &interface, &name);

	if (r < 0)
		return r;
	while (i < N_PROPERTIES && strcmp(names[i], name) != 0)
		i++;
	if (i == N_PROPERTIES || strcmp(interface, BUS_NAME) != 0)
		return sd_bus_reply_method_errorf(
			m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "there is no property of that name");
	r = sd_bus_message_new_method_return(m, &reply);
	r = r < 0 ? r : append_value(p, reply, (enum property)i);
	return r < 0 ? r : sd_bus_send(p->bus, reply, NULL);
}

static int reply_get_all(const struct bus_properties *p, sd_bus_message *m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *interface;
	unsigned all = (1u << N_PROPERTIES) - 1;
	int r = sd_bus_message_read(m, "s", &interface);

	if (r < 0)
		return r;
	if (strcmp(interface, BUS_NAME) != 0)
		all = 0;
	r = sd_bus_message_new_method_return(m, &reply);
	r = r < 0 ? r : append_some(p, reply, all);
	return r < 0 ? r : sd_bus_send(p->bus, reply, NULL);
}

int bus_properties_call(struct bus_properties *p, sd_bus_message *m)
{
	if (sd_bus_message_is_method_call(m, INTERFACE, "Get") > 0 &&
		sd_bus_message_has_signature(m, "ss"))
		return reply_get(p, m);
	if (sd_bus_message_is_method_call(m, INTERFACE, "GetAll") > 0 &&
		sd_bus_message_has_signature(m, "s"))
		return reply_get_all(p, m);
	if (sd_bus_message_is_method_call(m, INTERFACE, "Set") > 0)
		return sd_bus_reply_method_errorf(
			m, SD_BUS_ERROR_PROPERTY_READ_ONLY, "no property can be set");
	return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_METHOD,
		"there is no such method, or it takes other arguments");
}

struct bus_properties *bus_properties_new(struct api *api)
{
	struct bus_properties *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->api = api;
	p->effect = (struct barrier_effect){ .fn = on_effect, .userdata = p };
	p->pause = loop_timer_new(api->loop, on_pause_over, p);
	if (!p->pause) {
		free(p);
		return NULL;
	}
	barrier_add_listener(api->barrier, BARRIER_AFTER_EFFECTS, on_commit, p);
	return p;
}

struct bus_properties *bus_properties_free(struct bus_properties *p)
{
	if (!p)
		return NULL;
	barrier_remove_listener(p->api->barrier, p);
	barrier_forget(p->api->barrier, &p->effect);
	loop_timer_free(p->pause);
	free(p);
	return NULL;
}
