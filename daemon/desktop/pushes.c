/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The registration with a distributor; what that one calls stands in pushes-serve.c. */
#include "desktop/pushes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/text.h"
#include "desktop/pushes-serve.h"

#define BUS "org.freedesktop.DBus"
#define BUS_OBJECT "/org/freedesktop/DBus"
#define DISTRIBUTORS "org.unifiedpush.Distributor"
#define DISTRIBUTOR_PATH "/org/unifiedpush/Distributor"
#define DISTRIBUTOR_1 DISTRIBUTORS "1"
#define DISTRIBUTOR_2 DISTRIBUTORS "2"
#define DESCRIPTION "chatd"

/* A distributor may have to ask its push service first. */
#define REGISTER_US 120000000

#define AGAIN_BASE_MS 60000
#define AGAIN_CAP_MS 3600000

enum pushes_state {
	PUSHES_IDLE,      /* nothing is wanted, or there is no bus */
	PUSHES_LOOKING,   /* for a distributor */
	PUSHES_NOBODY,    /* none is there: until one appears */
	PUSHES_ASKED,     /* one, to register us */
	PUSHES_CONNECTED, /* it did */
	PUSHES_REFUSED,   /* it did not: until it has begun anew, or `again` fires */
};

struct pushes {
	struct pushes_options o;
	char *name;
	char *token;     /* NULL: nothing is wanted */
	char *preferred; /* the distributor that was used last */
	struct push_receiver receiver;
	struct bus_link *link;
	sd_bus *bus; /* NULL: none at present */
	sd_bus_slot *name_slot, *owner_slot, *call_slot;
	bool named;
	loop_fn retired_fn; /* NULL: it is not retiring */
	void *retired_userdata;
	enum pushes_state state;
	struct loop_timer *again;
	struct backoff backoff;
};

static void set_state(struct pushes *p, enum pushes_state state)
{
	p->state = state;
	if (!p->token)
		return;
	if (state == PUSHES_CONNECTED)
		p->o.events->connected(p->o.userdata, p->token, true);
	else if (state == PUSHES_NOBODY || state == PUSHES_REFUSED)
		p->o.events->connected(p->o.userdata, p->token, false);
}

static void try_later(struct pushes *p)
{
	loop_timer_start_us(p->again, (uint64_t)backoff_next(&p->backoff, AGAIN_BASE_MS) * 1000);
}

/* Registering. */

static bool is_unknown(const sd_bus_error *e)
{
	return sd_bus_error_has_names(e, SD_BUS_ERROR_UNKNOWN_METHOD,
		SD_BUS_ERROR_UNKNOWN_INTERFACE, SD_BUS_ERROR_UNKNOWN_OBJECT);
}

/* Until somebody does something about it, another attempt would end the same way. */
static bool is_final(const char *reason)
{
	return strcmp(reason, "ACTION_REQUIRED") == 0 || strcmp(reason, "UNAUTHORIZED") == 0 ||
		strcmp(reason, "VAPID_REQUIRED") == 0;
}

static void take_answer(struct pushes *p, bool success, const char *reason)
{
	if (success) {
		backoff_reset(&p->backoff);
		replace_string(&p->preferred, p->receiver.distributor);
		log_info("%s passes pushes on", p->receiver.distributor);
		set_state(p, PUSHES_CONNECTED);
		return;
	}
	log_notice("%s does not pass pushes on: %s", p->receiver.distributor, reason);
	if (!is_final(reason))
		try_later(p);
	set_state(p, PUSHES_REFUSED);
}

static int on_registered_1(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;
	const char *result, *reason;

	p->call_slot = sd_bus_slot_unref(p->call_slot);
	if (sd_bus_message_is_method_error(m, NULL) ||
		sd_bus_message_read(m, "ss", &result, &reason) < 0)
		take_answer(p, false, "no answer");
	else
		take_answer(p,
			strcmp(result, "REGISTRATION_SUCCEEDED") == 0 ||
				strcmp(result, "NEW_ENDPOINT") == 0,
			reason);
	return 0;
}

static int read_result(sd_bus_message *m, const char **ret_success, const char **ret_reason)
{
	const char *name, *contents, **to, *other;
	char type;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		r = r < 0 ? r : sd_bus_message_peek_type(m, &type, &contents);
		if (r < 0)
			return r;
		to = strcmp(name, "success") == 0     ? ret_success
			: strcmp(name, "reason") == 0 ? ret_reason
						      : &other;
		r = strcmp(contents, "s") == 0 ? sd_bus_message_read(m, "v", "s", to)
					       : sd_bus_message_skip(m, "v");
		r = r < 0 ? r : sd_bus_message_exit_container(m);
	}
	return r;
}

static void register_1(struct pushes *p)
{
	int r = sd_bus_call_method_async(p->bus, &p->call_slot, p->receiver.distributor,
		DISTRIBUTOR_PATH, DISTRIBUTOR_1, "Register", on_registered_1, p, "sss", p->name,
		p->token, DESCRIPTION);

	if (r < 0)
		take_answer(p, false, strerror(-r));
}

static int on_registered_2(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	const char *success = "", *reason = "no reason given";

	p->call_slot = sd_bus_slot_unref(p->call_slot);
	if (e && is_unknown(e))
		register_1(p);
	else if (e || read_result(m, &success, &reason) < 0)
		take_answer(p, false, e ? e->name : "no answer");
	else
		take_answer(p, strcmp(success, "REGISTRATION_SUCCEEDED") == 0, reason);
	return 0;
}

static int register_2(struct pushes *p)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(
		p->bus, &m, p->receiver.distributor, DISTRIBUTOR_PATH, DISTRIBUTOR_2, "Register");

	r = r < 0 ? r
		  : sd_bus_message_append(m, "a{sv}", 3, "service", "s", p->name, "token", "s",
			    p->token, "description", "s", DESCRIPTION);
	return r < 0 ? r
		     : sd_bus_call_async(p->bus, &p->call_slot, m, on_registered_2, p, REGISTER_US);
}

/* Finding one. */

/*
 * The one used before if there is any, else the first by name, whoever lists them in which order.
 */
static int consider(struct pushes *p, const char *name)
{
	const char *best = p->receiver.distributor;

	if (strncmp(name, DISTRIBUTORS ".", strlen(DISTRIBUTORS) + 1) != 0)
		return 0;
	if (best && p->preferred && strcmp(best, p->preferred) == 0)
		return 0;
	if (best && strcmp(best, name) <= 0 && !(p->preferred && strcmp(name, p->preferred) == 0))
		return 0;
	return replace_string(&p->receiver.distributor, name);
}

static int consider_all(struct pushes *p, sd_bus_message *m)
{
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "s");

	while (r >= 0 && (r = sd_bus_message_read(m, "s", &name)) > 0)
		r = consider(p, name);
	return r;
}

static int on_names(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;
	int r = 0;

	p->call_slot = sd_bus_slot_unref(p->call_slot);
	if (!sd_bus_message_is_method_error(m, NULL))
		r = consider_all(p, m);
	if (r < 0)
		log_debug("The names on the bus cannot be read: %s", strerror(-r));
	if (!p->receiver.distributor) {
		log_info("nothing passes pushes on at present");
		set_state(p, PUSHES_NOBODY);
		return 0;
	}
	p->state = PUSHES_ASKED;
	r = register_2(p);
	if (r < 0)
		take_answer(p, false, strerror(-r));
	return 0;
}

static int on_activatable(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;
	int r = 0;

	p->call_slot = sd_bus_slot_unref(p->call_slot);
	if (!sd_bus_message_is_method_error(m, NULL))
		r = consider_all(p, m);
	if (r >= 0)
		r = sd_bus_call_method_async(
			p->bus, &p->call_slot, BUS, BUS_OBJECT, BUS, "ListNames", on_names, p, "");
	if (r < 0)
		log_warning("Nobody can be asked for pushes: %s", strerror(-r));
	return 0;
}

static void look(struct pushes *p)
{
	int r;

	if (!p->bus || !p->named || !p->token)
		return;
	loop_timer_stop(p->again);
	p->call_slot = sd_bus_slot_unref(p->call_slot);
	replace_string(&p->receiver.distributor, NULL);
	p->state = PUSHES_LOOKING;
	r = sd_bus_call_method_async(p->bus, &p->call_slot, BUS, BUS_OBJECT, BUS,
		"ListActivatableNames", on_activatable, p, "");
	if (r < 0)
		log_warning("Nobody can be asked for pushes: %s", strerror(-r));
	bus_link_touch(p->link);
}

static void on_again(void *userdata)
{
	look(userdata);
}

/* One that has begun anew may have forgotten us, or have another endpoint. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;
	const char *name, *before, *now;

	if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !now[0])
		return 0;
	if (p->state == PUSHES_NOBODY ||
		((p->state == PUSHES_CONNECTED || p->state == PUSHES_REFUSED) &&
			strcmp(name, p->receiver.distributor) == 0))
		look(p);
	return 0;
}

/* What the repository wants. */

/* Whether it is the older version is not known: both are told, and one does not listen. */
static void unregister(struct pushes *p)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *one = NULL, *two = NULL;
	int r = sd_bus_message_new_method_call(p->bus, &two, p->receiver.distributor,
		DISTRIBUTOR_PATH, DISTRIBUTOR_2, "Unregister");

	r = r < 0 ? r : sd_bus_message_append(two, "a{sv}", 1, "token", "s", p->token);
	r = r < 0 ? r : sd_bus_message_set_expect_reply(two, 0);
	r = r < 0 ? r : sd_bus_send(p->bus, two, NULL);
	r = r < 0 ? r
		  : sd_bus_message_new_method_call(p->bus, &one, p->receiver.distributor,
			    DISTRIBUTOR_PATH, DISTRIBUTOR_1, "Unregister");
	r = r < 0 ? r : sd_bus_message_append(one, "s", p->token);
	r = r < 0 ? r : sd_bus_message_set_expect_reply(one, 0);
	r = r < 0 ? r : sd_bus_send(p->bus, one, NULL);
	if (r < 0)
		log_debug("The distributor cannot be told: %s", strerror(-r));
	bus_link_touch(p->link);
}

static void on_subscribe(void *userdata, const char *token, const char *distributor)
{
	struct pushes *p = userdata;
	bool anew = p->state == PUSHES_CONNECTED;

	if (replace_string(&p->token, token) < 0 || replace_string(&p->preferred, distributor) < 0)
		return;
	/* After one that became void at once, not at once again. */
	if (anew)
		try_later(p);
	else
		look(p);
}

static void on_unsubscribe(void *userdata)
{
	struct pushes *p = userdata;

	loop_timer_stop(p->again);
	if (p->bus && p->token && p->receiver.distributor)
		unregister(p);
	p->call_slot = sd_bus_slot_unref(p->call_slot);
	replace_string(&p->token, NULL);
	p->state = PUSHES_IDLE;
}

const struct push_connector pushes_connector = {
	.subscribe = on_subscribe,
	.unsubscribe = on_unsubscribe,
};

/* The bus. */

/* One that still has the name is about to go: the bus has queued us. */
static int on_named(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;

	p->named = !sd_bus_message_is_method_error(m, NULL);
	if (p->named)
		look(p);
	else
		log_warning("The bus does not give out the name %s.", p->name);
	return 0;
}

static void detach(struct pushes *p)
{
	p->name_slot = sd_bus_slot_unref(p->name_slot);
	p->owner_slot = sd_bus_slot_unref(p->owner_slot);
	p->call_slot = sd_bus_slot_unref(p->call_slot);
	push_receiver_leave(&p->receiver);
	loop_timer_stop(p->again);
	p->bus = NULL;
	p->link = NULL;
	p->named = false;
	p->state = PUSHES_IDLE;
}

void pushes_attach(struct pushes *p, struct bus_link *link, sd_bus *bus)
{
	int r;

	if (!bus) {
		detach(p);
		return;
	}
	p->bus = bus;
	p->link = link;
	r = push_receiver_serve(&p->receiver, bus);
	r = r < 0 ? r
		  : sd_bus_add_match_async(bus, &p->owner_slot,
			    "type='signal',sender='" BUS "',interface='" BUS
			    "',member='NameOwnerChanged',arg0namespace='" DISTRIBUTORS "'",
			    on_owner, NULL, p);
	r = r < 0 ? r
		  : sd_bus_request_name_async(
			    bus, &p->name_slot, p->name, SD_BUS_NAME_QUEUE, on_named, p);
	if (r < 0)
		bus_link_fail(link, r);
}

static int on_released(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pushes *p = userdata;

	p->retired_fn(p->retired_userdata);
	return 0;
}

void pushes_retire(struct pushes *p, loop_fn fn, void *userdata)
{
	int r = -ENOTCONN;

	p->retired_fn = fn;
	p->retired_userdata = userdata;
	p->name_slot = sd_bus_slot_unref(p->name_slot);
	if (p->bus)
		r = sd_bus_release_name_async(p->bus, &p->name_slot, p->name, on_released, p);
	if (r < 0)
		fn(userdata);
	else
		bus_link_touch(p->link);
}

int pushes_new(const struct pushes_options *o, struct pushes **ret)
{
	_cleanup_(pushes_freep) struct pushes *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->o = *o;
	p->receiver.events = o->events;
	p->receiver.userdata = o->userdata;
	p->name = strdup(o->name);
	p->again = loop_timer_new(o->loop, on_again, p);
	if (!p->name || !p->again)
		return -ENOMEM;
	backoff_init(&p->backoff, AGAIN_BASE_MS, AGAIN_CAP_MS, o->seed);
	*ret = TAKE_PTR(p);
	return 0;
}

struct pushes *pushes_free(struct pushes *p)
{
	if (!p)
		return NULL;
	loop_timer_free(p->again);
	free(p->receiver.distributor);
	free(p->preferred);
	free(p->token);
	free(p->name);
	free(p);
	return NULL;
}
