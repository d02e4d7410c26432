/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/notifications.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "desktop/bubble-text.h"
#include "desktop/bubbles.h"

#define SERVER "org.freedesktop.Notifications"
#define PATH "/org/freedesktop/Notifications"
#define ENTRY "org.chatd.Chat1" /* of the desktop file */
#define ICON "mail-unread"
#define BY_SERVER (-1) /* how long it stays */

enum {
	CAN_ACTIONS = 1 << 0,
	CAN_MARKUP = 1 << 1,
	CAN_REPLY = 1 << 2,
};

enum server_state {
	SERVER_UNKNOWN,
	SERVER_ASKED,
	SERVER_THERE,
	SERVER_ABSENT, /* until its name has an owner */
};

struct notifications {
	const struct notice_actions *actions;
	void *userdata;
	struct bubbles bubbles;
	struct event_loop *loop;
	struct loop_deferred pump;
	struct loop_timer *wait;
	struct bus_link *link;
	sd_bus *bus; /* NULL: none at present */
	sd_bus_slot *owner_slot, *signal_slot, *ask_slot;
	enum server_state server;
	unsigned can;
};

static void pump_later(struct notifications *n)
{
	event_loop_defer(n->loop, &n->pump);
}

static void close_id(struct notifications *n, uint32_t id)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!n->bus || id == 0)
		return;
	r = sd_bus_message_new_method_call(n->bus, &m, SERVER, PATH, SERVER, "CloseNotification");
	r = r < 0 ? r : sd_bus_message_append(m, "u", id);
	r = r < 0 ? r : sd_bus_message_set_expect_reply(m, 0);
	r = r < 0 ? r : sd_bus_message_set_auto_start(m, 0);
	r = r < 0 ? r : sd_bus_send(n->bus, m, NULL);
	if (r < 0)
		log_debug("A notification cannot be closed: %s", strerror(-r));
	bus_link_touch(n->link);
}

/* What is told of a message of its own chat, so that the action is about what was seen. */
static void act(struct notifications *n, struct bubble *b, const char *key, const char *text)
{
	const struct bubble *s = bubble_subject(b);
	char chat_id[sizeof(s->chat_id)], message_id[sizeof(s->message_id)];
	_cleanup_free_ char *token = TAKE_PTR(b->token);

	memcpy(chat_id, s->chat_id, sizeof(chat_id));
	memcpy(message_id, s->message_id, sizeof(message_id));
	if (!chat_id[0] || strcmp(chat_id, NOTICE_NO_CHAT) == 0)
		return;
	if (strcmp(key, "default") == 0)
		n->actions->open(n->userdata, chat_id, message_id[0] ? message_id : NULL, token);
	else if (b->foretold)
		return;
	else if (strcmp(key, "mark-read") == 0 && b->chat_id[0] && message_id[0])
		n->actions->mark_read(n->userdata, chat_id, message_id);
	else if (strcmp(key, "inline-reply") == 0 && text && text[0] && b->chat_id[0])
		n->actions->reply(n->userdata, chat_id, message_id, text);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct notifications *n = userdata;
	const char *member = sd_bus_message_get_member(m), *text = NULL;
	struct bubble *b;
	uint32_t id, reason;

	if (!member || sd_bus_message_read(m, "u", &id) < 0)
		return 0;
	b = bubbles_find(&n->bubbles, id);
	if (!b)
		return 0;
	if (strcmp(member, "NotificationClosed") == 0) {
		if (sd_bus_message_read(m, "u", &reason) > 0)
			bubble_closed(b);
	} else if (sd_bus_message_read(m, "s", &text) <= 0) {
		return 0;
	} else if (strcmp(member, "ActionInvoked") == 0) {
		act(n, b, text, NULL);
	} else if (strcmp(member, "NotificationReplied") == 0) {
		act(n, b, "inline-reply", text);
	} else if (strcmp(member, "ActivationToken") == 0) {
		free(b->token);
		b->token = strdup(text);
	}
	return 0;
}

/* Others' notifications make signals too: nobody wakes for them unless one of ours is there. */
static void update_match(struct notifications *n)
{
	int r = 0;

	if (n->bubbles.n == 0)
		n->signal_slot = sd_bus_slot_unref(n->signal_slot);
	else if (!n->signal_slot)
		r = sd_bus_match_signal_async(
			n->bus, &n->signal_slot, SERVER, PATH, SERVER, NULL, on_signal, NULL, n);
	if (r < 0)
		log_debug("No answers to notifications will come: %s", strerror(-r));
}

static void lose_server(struct notifications *n, const sd_bus_error *e)
{
	if (n->server != SERVER_ABSENT)
		log_info("Nothing shows notifications at present (%s).", e->name);
	n->server = SERVER_ABSENT;
}

static bool means_absence(const sd_bus_error *e)
{
	return sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN,
		       SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_REPLY,
		       SD_BUS_ERROR_UNKNOWN_METHOD, "org.freedesktop.DBus.Error.UnknownInterface",
		       "org.freedesktop.DBus.Error.UnknownObject") ||
		(e->name && strncmp(e->name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0);
}

static int on_told(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bubble *b = userdata;
	struct notifications *n = b->owner->userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	uint32_t id = 0;

	if (e && means_absence(e)) {
		lose_server(n, e);
		bubbles_forget_ids(&n->bubbles);
		return 0;
	}
	if (e)
		log_debug("A notification was refused: %s", e->name);
	else
		sd_bus_message_read(m, "u", &id);
	close_id(n, bubble_told(b, id));
	pump_later(n);
	return 0;
}

static int append_actions(const struct notifications *n, const struct bubble *b, sd_bus_message *m)
{
	bool one = b->chat_id[0] && !b->failed && !b->foretold;
	int r = sd_bus_message_open_container(m, 'a', "s");

	if (r >= 0 && n->can & CAN_ACTIONS && strcmp(b->chat_id, NOTICE_NO_CHAT) != 0)
		r = sd_bus_message_append(m, "ss", "default", "Open");
	if (r >= 0 && n->can & CAN_ACTIONS && one)
		r = sd_bus_message_append(m, "ss", "mark-read", "Mark as read");
	if (r >= 0 && n->can & CAN_REPLY && one)
		r = sd_bus_message_append(m, "ss", "inline-reply", "Reply");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_hints(const struct notifications *n, const struct bubble *b, sd_bus_message *m)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	r = r < 0 ? r
		  : sd_bus_message_append(m, "{sv}{sv}{sv}", "category", "s",
			    b->failed ? "im.error" : "im.received", "desktop-entry", "s", ENTRY,
			    "urgency", "y", 1);
	if (r >= 0)
		r = b->silent ? sd_bus_message_append(m, "{sv}", "suppress-sound", "b", 1)
			      : sd_bus_message_append(
					m, "{sv}", "sound-name", "s", "message-new-instant");
	if (r >= 0 && n->can & CAN_REPLY)
		r = sd_bus_message_append(m, "{sv}", "x-kde-reply-placeholder-text", "s", "Reply");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int tell(struct notifications *n, struct bubble *b)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_free_ char *title = bubble_title(b);
	_cleanup_free_ char *body = bubble_body(b, n->can & CAN_MARKUP);
	int r;

	if (!title || !body)
		return -ENOMEM;
	r = sd_bus_message_new_method_call(n->bus, &m, SERVER, PATH, SERVER, "Notify");
	r = r < 0 ? r : sd_bus_message_append(m, "susss", "chatd", b->id, ICON, title, body);
	r = r < 0 ? r : append_actions(n, b, m);
	r = r < 0 ? r : append_hints(n, b, m);
	r = r < 0 ? r : sd_bus_message_append(m, "i", BY_SERVER);
	return r < 0 ? r : sd_bus_call_async(n->bus, NULL, m, on_told, b, 0);
}

static int on_capabilities(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct notifications *n = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	const char *s;

	n->ask_slot = sd_bus_slot_unref(n->ask_slot);
	if (e) {
		lose_server(n, e);
		return 0;
	}
	n->can = 0;
	n->server = SERVER_THERE;
	if (sd_bus_message_enter_container(m, 'a', "s") > 0)
		while (sd_bus_message_read(m, "s", &s) > 0)
			n->can |= strcmp(s, "actions") == 0      ? CAN_ACTIONS
				: strcmp(s, "body-markup") == 0  ? CAN_MARKUP
				: strcmp(s, "inline-reply") == 0 ? CAN_REPLY
								 : 0;
	pump_later(n);
	return 0;
}

/* This also starts a server that the bus can start. */
static void ask_capabilities(struct notifications *n)
{
	int r = sd_bus_call_method_async(n->bus, &n->ask_slot, SERVER, PATH, SERVER,
		"GetCapabilities", on_capabilities, n, "");

	if (r < 0)
		log_debug("The notification server cannot be asked: %s", strerror(-r));
	else
		n->server = SERVER_ASKED;
}

static void tell_due(struct notifications *n)
{
	struct bubble *b;
	uint64_t wait;
	int r;

	while ((b = bubbles_next(&n->bubbles, clock_monotonic_us(), &wait))) {
		r = tell(n, b);
		if (r < 0) {
			log_debug("A notification cannot be told: %s", strerror(-r));
			bubble_told(b, 0);
		}
	}
	if (wait == UINT64_MAX)
		loop_timer_stop(n->wait);
	else
		loop_timer_start_us(n->wait, wait);
}

static void on_pump(void *userdata)
{
	struct notifications *n = userdata;

	if (!n->bus)
		return;
	update_match(n);
	if (n->server == SERVER_UNKNOWN && n->bubbles.n > 0)
		ask_capabilities(n);
	if (n->server == SERVER_THERE)
		tell_due(n);
	bus_link_touch(n->link);
}

static void on_wait(void *userdata)
{
	on_pump(userdata);
}

/* A server that is another one knows nothing of what the last one showed. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct notifications *n = userdata;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) <= 0)
		return 0;
	if (old[0])
		bubbles_forget_ids(&n->bubbles);
	if (new[0] && n->server != SERVER_ASKED)
		n->server = SERVER_UNKNOWN;
	if (!new[0] && n->server == SERVER_THERE)
		n->server = SERVER_ABSENT;
	pump_later(n);
	return 0;
}

static void on_show(void *userdata, const struct notice *notice)
{
	struct notifications *n = userdata;

	if (bubbles_put(&n->bubbles, notice) < 0)
		log_warning("A notification is lost: out of memory");
	pump_later(n);
}

static void on_withdraw(void *userdata, const char *chat_id)
{
	struct notifications *n = userdata;
	uint32_t id;

	if (n->bubbles.n == 0)
		return;
	while (bubbles_withdraw(&n->bubbles, chat_id, &id))
		close_id(n, id);
	pump_later(n);
}

const struct notice_sink notifications_sink = {
	.show = on_show,
	.withdraw = on_withdraw,
};

bool notifications_are_there(const struct notifications *n)
{
	return n->bus && n->server != SERVER_ABSENT && n->bubbles.n > 0;
}

static void detach(struct notifications *n)
{
	loop_timer_stop(n->wait);
	n->owner_slot = sd_bus_slot_unref(n->owner_slot);
	n->signal_slot = sd_bus_slot_unref(n->signal_slot);
	n->ask_slot = sd_bus_slot_unref(n->ask_slot);
	bubbles_forget_ids(&n->bubbles);
	n->bus = NULL;
	n->link = NULL;
}

void notifications_attach(struct notifications *n, struct bus_link *link, sd_bus *bus)
{
	int r;

	if (!bus) {
		detach(n);
		return;
	}
	n->link = link;
	n->bus = bus;
	n->server = SERVER_UNKNOWN;
	r = bus_match_owner(bus, &n->owner_slot, SERVER, on_owner, n);
	if (r < 0)
		log_debug("The notification server is not watched: %s", strerror(-r));
	pump_later(n);
}

struct notifications *notifications_new(
	struct event_loop *loop, const struct notice_actions *actions, void *userdata)
{
	_cleanup_(notifications_freep) struct notifications *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = loop;
	n->actions = actions;
	n->userdata = userdata;
	n->pump = (struct loop_deferred){ .fn = on_pump, .userdata = n };
	bubbles_init(&n->bubbles, n);
	n->wait = loop_timer_new(loop, on_wait, n);
	return n->wait ? TAKE_PTR(n) : NULL;
}

struct notifications *notifications_free(struct notifications *n)
{
	if (!n)
		return NULL;
	event_loop_undefer(n->loop, &n->pump);
	n->wait = loop_timer_free(n->wait);
	bubbles_clear(&n->bubbles);
	free(n);
	return NULL;
}
