/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/pushes-serve.h"

#include <string.h>

#define PATH "/org/unifiedpush/Connector"

/* What a call of either version says; borrowed from the message, NULL where it does not. */
struct words {
	const char *token, *endpoint, *id;
	const void *data;
	size_t size;
};

static void take_endpoint(struct push_receiver *r, const struct words *w)
{
	if (w->token && w->endpoint)
		r->events->endpoint(r->userdata, w->token, w->endpoint, r->distributor);
}

static void take_message(struct push_receiver *r, const struct words *w)
{
	if (w->token && w->data)
		r->events->message(r->userdata, w->token, w->data, w->size);
}

static void take_end(struct push_receiver *r, const struct words *w)
{
	if (w->token)
		r->events->unregistered(r->userdata, w->token);
}

static int on_message_1(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct words w = { 0 };
	int e = sd_bus_message_read(m, "s", &w.token);

	e = e < 0 ? e : sd_bus_message_read_array(m, 'y', &w.data, &w.size);
	if (e < 0)
		return e;
	take_message(userdata, &w);
	return sd_bus_reply_method_return(m, "");
}

static int on_endpoint_1(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct words w = { 0 };
	int e = sd_bus_message_read(m, "ss", &w.token, &w.endpoint);

	if (e < 0)
		return e;
	take_endpoint(userdata, &w);
	return sd_bus_reply_method_return(m, "");
}

static int on_end_1(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct words w = { 0 };
	int e = sd_bus_message_read(m, "s", &w.token);

	if (e < 0)
		return e;
	take_end(userdata, &w);
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable version_1[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Message", "says", "", on_message_1, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("NewEndpoint", "ss", "", on_endpoint_1, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Unregistered", "s", "", on_end_1, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

/* A value of another type than it should have counts as not there. */
static int read_member(sd_bus_message *m, const char *name, struct words *w)
{
	const char **text = strcmp(name, "token") == 0 ? &w->token
		: strcmp(name, "endpoint") == 0        ? &w->endpoint
		: strcmp(name, "id") == 0              ? &w->id
						       : NULL;
	const char *contents;
	char type;
	int e = sd_bus_message_peek_type(m, &type, &contents);

	if (e < 0)
		return e;
	if (text && strcmp(contents, "s") == 0)
		return sd_bus_message_read(m, "v", "s", text);
	if (strcmp(name, "message") != 0 || strcmp(contents, "ay") != 0)
		return sd_bus_message_skip(m, "v");
	e = sd_bus_message_enter_container(m, 'v', "ay");
	e = e < 0 ? e : sd_bus_message_read_array(m, 'y', &w->data, &w->size);
	return e < 0 ? e : sd_bus_message_exit_container(m);
}

static int read_words(sd_bus_message *m, struct words *ret)
{
	const char *name;
	int e = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (e >= 0 && (e = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		e = sd_bus_message_read(m, "s", &name);
		e = e < 0 ? e : read_member(m, name, ret);
		e = e < 0 ? e : sd_bus_message_exit_container(m);
	}
	return e;
}

static int serve_2(sd_bus_message *m, struct push_receiver *r,
	void (*take)(struct push_receiver *r, const struct words *w))
{
	struct words w = { 0 };
	int e = read_words(m, &w);

	if (e < 0)
		return e;
	take(r, &w);
	return w.id ? sd_bus_reply_method_return(m, "a{sv}", 1, "id", "s", w.id)
		    : sd_bus_reply_method_return(m, "a{sv}", 0);
}

static int on_message_2(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return serve_2(m, userdata, take_message);
}

static int on_endpoint_2(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return serve_2(m, userdata, take_endpoint);
}

static int on_end_2(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return serve_2(m, userdata, take_end);
}

static const sd_bus_vtable version_2[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Message", "a{sv}", "a{sv}", on_message_2, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("NewEndpoint", "a{sv}", "a{sv}", on_endpoint_2, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Unregistered", "a{sv}", "a{sv}", on_end_2, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int push_receiver_serve(struct push_receiver *r, sd_bus *bus)
{
	int e = sd_bus_add_object_vtable(
		bus, &r->slots[0], PATH, "org.unifiedpush.Connector1", version_1, r);

	return e < 0 ? e
		     : sd_bus_add_object_vtable(
			       bus, &r->slots[1], PATH, "org.unifiedpush.Connector2", version_2, r);
}

void push_receiver_leave(struct push_receiver *r)
{
	r->slots[0] = sd_bus_slot_unref(r->slots[0]);
	r->slots[1] = sd_bus_slot_unref(r->slots[1]);
}
