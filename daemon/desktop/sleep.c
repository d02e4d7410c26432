/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/sleep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOGIND "org.freedesktop.login1"
#define PATH "/org/freedesktop/login1"
#define MANAGER "org.freedesktop.login1.Manager"

struct sleep_watch {
	const struct surroundings *told;
	void *userdata;
	struct bus_link *link;
	sd_bus *bus; /* NULL: none at present */
	sd_bus_slot *owner_slot, *signal_slot, *inhibit_slot;
	int delay; /* while it is open, the machine waits; -1: it does not */
	bool asleep;
};

static void release(struct sleep_watch *s)
{
	closep(&s->delay);
	s->delay = -1;
}

static void on_done(void *userdata)
{
	release(userdata);
}

static int on_inhibited(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct sleep_watch *s = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	int fd;

	if (e) {
		log_debug("The machine will not wait when it goes to sleep: %s", e->name);
	} else if (sd_bus_message_read(m, "h", &fd) > 0) {
		release(s);
		s->delay = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	s->inhibit_slot = sd_bus_slot_unref(s->inhibit_slot);
	return 0;
}

/* Nobody is started for it. */
static int inhibit(struct sleep_watch *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(s->bus, &m, LOGIND, PATH, MANAGER, "Inhibit");

	s->inhibit_slot = sd_bus_slot_unref(s->inhibit_slot);
	r = r < 0 ? r
		  : sd_bus_message_append(m, "ssss", "sleep", "chatd",
			    "Messages are stored and the server is told", "delay");
	r = r < 0 ? r : sd_bus_message_set_auto_start(m, 0);
	r = r < 0 ? r : sd_bus_call_async(s->bus, &s->inhibit_slot, m, on_inhibited, s, 0);
	bus_link_touch(s->link);
	return r;
}

static void wake(struct sleep_watch *s)
{
	if (!s->asleep)
		return;
	s->asleep = false;
	s->told->resume(s->userdata);
}

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct sleep_watch *s = userdata;
	int begins;

	if (sd_bus_message_read(m, "b", &begins) <= 0)
		return 0;
	if (!begins) {
		inhibit(s);
		wake(s);
	} else if (!s->asleep) {
		log_info("The machine is about to sleep.");
		s->asleep = true;
		s->told->sleep(s->userdata, on_done, s);
	}
	return 0;
}

/*
 * One that was started anew remembers what it was told, but one that comes late was told nothing.
 */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct sleep_watch *s = userdata;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) > 0 && new[0] && !s->asleep)
		inhibit(s);
	return 0;
}

/* What it would say of waking is not heard any more. */
static void detach(struct sleep_watch *s)
{
	s->owner_slot = sd_bus_slot_unref(s->owner_slot);
	s->signal_slot = sd_bus_slot_unref(s->signal_slot);
	s->inhibit_slot = sd_bus_slot_unref(s->inhibit_slot);
	s->bus = NULL;
	s->link = NULL;
	wake(s);
	release(s);
}

void sleep_watch_attach(struct sleep_watch *s, struct bus_link *link, sd_bus *bus)
{
	int r;

	if (!bus) {
		detach(s);
		return;
	}
	s->bus = bus;
	s->link = link;
	r = bus_match_owner(bus, &s->owner_slot, LOGIND, on_owner, s);
	r = r < 0 ? r
		  : sd_bus_match_signal_async(bus, &s->signal_slot, LOGIND, PATH, MANAGER,
			    "PrepareForSleep", on_prepare, NULL, s);
	r = r < 0 ? r : inhibit(s);
	if (r < 0)
		log_debug("The machine's sleep will come as a surprise: %s", strerror(-r));
}

struct sleep_watch *sleep_watch_new(const struct surroundings *told, void *userdata)
{
	struct sleep_watch *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->told = told;
	s->userdata = userdata;
	s->delay = -1;
	return s;
}

struct sleep_watch *sleep_watch_free(struct sleep_watch *s)
{
	if (!s)
		return NULL;
	release(s);
	free(s);
	return NULL;
}
