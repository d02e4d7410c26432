/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define MANAGER "org.freedesktop.NetworkManager"
#define PATH "/org/freedesktop/NetworkManager"
#define PROPERTIES "org.freedesktop.DBus.Properties"

/* NetworkManager's own numbers. */
enum {
	CONNECTIVITY_UNKNOWN = 0,
	CONNECTIVITY_NONE = 1,
};

enum {
	METERED_UNKNOWN = 0,
	METERED_YES = 1,
	METERED_GUESS_YES = 3,
};

struct network {
	const struct surroundings *told;
	void *userdata;
	struct bus_link *link;
	sd_bus *bus; /* NULL: none at present */
	sd_bus_slot *owner_slot, *change_slot, *ask_slot;
	uint32_t connectivity, metered;
	char primary[256]; /* the connection that the default route is of; empty: not known */
};

static void tell(struct network *n, uint32_t connectivity, uint32_t metered)
{
	if (connectivity != n->connectivity)
		log_debug("The network's connectivity is %u.", connectivity);
	n->connectivity = connectivity;
	n->metered = metered;
	n->told->metered(n->userdata, metered == METERED_YES || metered == METERED_GUESS_YES);
	n->told->online(n->userdata, connectivity != CONNECTIVITY_NONE);
}

static int read_property(struct network *n, sd_bus_message *m, const char *name,
	uint32_t *connectivity, uint32_t *metered, const char **primary)
{
	if (strcmp(name, "Connectivity") == 0)
		return sd_bus_message_read(m, "v", "u", connectivity);
	if (strcmp(name, "Metered") == 0)
		return sd_bus_message_read(m, "v", "u", metered);
	if (strcmp(name, "PrimaryConnection") == 0)
		return sd_bus_message_read(m, "v", "o", primary);
	return sd_bus_message_skip(m, "v");
}

/* "/" stands for none: the next one may be the same again. */
static void note_primary(struct network *n, const char *primary)
{
	bool moved = n->primary[0] && strcmp(n->primary, primary) != 0;

	if (strcmp(primary, "/") == 0)
		return;
	snprintf(n->primary, sizeof(n->primary), "%s", primary);
	if (moved)
		n->told->moved(n->userdata);
}

static int take_properties(struct network *n, sd_bus_message *m)
{
	uint32_t connectivity = n->connectivity, metered = n->metered;
	const char *name, *primary = NULL;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		r = r < 0 ? r : read_property(n, m, name, &connectivity, &metered, &primary);
		r = r < 0 ? r : sd_bus_message_exit_container(m);
	}
	if (r < 0)
		return r;
	tell(n, connectivity, metered);
	if (primary)
		note_primary(n, primary);
	return 0;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct network *n = userdata;
	const char *interface;

	if (sd_bus_message_read(m, "s", &interface) > 0 && take_properties(n, m) < 0)
		log_debug("NetworkManager tells what is not understood.");
	return 0;
}

static int on_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct network *n = userdata;

	if (sd_bus_message_is_method_error(m, NULL))
		tell(n, CONNECTIVITY_UNKNOWN, METERED_UNKNOWN);
	else if (take_properties(n, m) < 0)
		log_debug("NetworkManager tells what is not understood.");
	n->ask_slot = sd_bus_slot_unref(n->ask_slot);
	return 0;
}

/* Nobody is started for the answer. */
static int ask(struct network *n)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(n->bus, &m, MANAGER, PATH, PROPERTIES, "GetAll");

	n->ask_slot = sd_bus_slot_unref(n->ask_slot);
	r = r < 0 ? r : sd_bus_message_append(m, "s", MANAGER);
	r = r < 0 ? r : sd_bus_message_set_auto_start(m, 0);
	r = r < 0 ? r : sd_bus_call_async(n->bus, &n->ask_slot, m, on_all, n, 0);
	bus_link_touch(n->link);
	return r;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct network *n = userdata;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) <= 0)
		return 0;
	if (!new[0])
		tell(n, CONNECTIVITY_UNKNOWN, METERED_UNKNOWN);
	else
		ask(n);
	return 0;
}

static void detach(struct network *n)
{
	n->owner_slot = sd_bus_slot_unref(n->owner_slot);
	n->change_slot = sd_bus_slot_unref(n->change_slot);
	n->ask_slot = sd_bus_slot_unref(n->ask_slot);
	n->bus = NULL;
	n->link = NULL;
	tell(n, CONNECTIVITY_UNKNOWN, METERED_UNKNOWN);
}

void network_attach(struct network *n, struct bus_link *link, sd_bus *bus)
{
	int r;

	if (!bus) {
		detach(n);
		return;
	}
	n->bus = bus;
	n->link = link;
	r = bus_match_owner(bus, &n->owner_slot, MANAGER, on_owner, n);
	r = r < 0 ? r
		  : sd_bus_add_match_async(bus, &n->change_slot,
			    "type='signal',sender='" MANAGER "',path='" PATH
			    "',interface='" PROPERTIES "',member='PropertiesChanged',arg0='" MANAGER
			    "'",
			    on_change, NULL, n);
	r = r < 0 ? r : ask(n);
	if (r < 0)
		log_debug("Nothing is known of the network: %s", strerror(-r));
}

struct network *network_new(const struct surroundings *told, void *userdata)
{
	struct network *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->told = told;
	n->userdata = userdata;
	return n;
}

struct network *network_free(struct network *n)
{
	free(n);
	return NULL;
}
