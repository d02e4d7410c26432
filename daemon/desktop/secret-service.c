/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desktop/secret-service.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bus-link.h"
#include "base/log.h"
#include "base/text.h"

#define NAME "org.freedesktop.secrets"
#define ROOT "/org/freedesktop/secrets"
#define SERVICE "org.freedesktop.Secret.Service"
#define COLLECTION "org.freedesktop.Secret.Collection"
#define ITEM "org.freedesktop.Secret.Item"
#define PROMPT "org.freedesktop.Secret.Prompt"
#define NO_PROMPT "/"

#define SCHEMA "org.chatd.Chat1.Key"

/* For what needs no person, and for one who is asked. */
#define TIMEOUT_US 5000000u
#define ASKING_TIMEOUT_US 120000000u

#define SECRET_MAX 256

enum task {
	TASK_NONE,
	TASK_LOOKUP,
	TASK_STORE,
	TASK_REMOVE,
};

struct secret_service {
	struct event_loop *loop;
	struct bus_link *link;
	sd_bus *bus; /* NULL: there is none at present */
	struct loop_timer *timer;
	struct loop_deferred end;
	enum task task;
	bool may_ask, ended;
	int error; /* how it ended */
	char id[64], label[80];
	uint8_t *secret; /* in guarded memory */
	size_t size;
	char *session, *object; /* paths: of the session, and of the item or collection */
	sd_bus_slot *call, *prompt;
	sd_bus_slot *changed, *owner; /* matches of the watch */
	secret_fn fn;
	void *userdata;
	void (*watch_fn)(void *userdata);
	void *watch_userdata;
};

static void on_end(void *userdata)
{
	struct secret_service *s = userdata;
	secret_fn fn = s->fn;

	s->task = TASK_NONE;
	s->fn = NULL;
	if (fn)
		fn(s->userdata, s->error, s->secret, s->error == 0 ? s->size : 0);
}

/* The callback comes at the turn's end, where it may free all this. */
static void end(struct secret_service *s, int error)
{
	if (s->task == TASK_NONE || s->ended)
		return;
	s->ended = true;
	s->error = error;
	s->call = sd_bus_slot_unref(s->call);
	s->prompt = sd_bus_slot_unref(s->prompt);
	loop_timer_stop(s->timer);
	event_loop_defer(s->loop, &s->end);
}

static void on_timer(void *userdata)
{
	struct secret_service *s = userdata;

	end(s, s->prompt ? -EACCES : -EHOSTUNREACH);
}

static int error_of(sd_bus_message *m)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	log_debug("secret service: %s", e->name);
	if (sd_bus_error_has_name(e, "org.freedesktop.Secret.Error.IsLocked"))
		return -EACCES;
	if (sd_bus_error_has_name(e, "org.freedesktop.Secret.Error.NoSuchObject"))
		return -ENOENT;
	return -EHOSTUNREACH;
}

/* The body of an answer, or the end of the task. */
static bool take(struct secret_service *s, sd_bus_message *m)
{
	s->call = sd_bus_slot_unref(s->call);
	if (!sd_bus_message_is_method_error(m, NULL))
		return true;
	end(s, error_of(m));
	return false;
}

static int begin_call(const struct secret_service *s, const char *path, const char *interface,
	const char *member, sd_bus_message **ret)
{
	return sd_bus_message_new_method_call(s->bus, ret, NAME, path, interface, member);
}

/* `r`: how the making of the message went. */
static void send_call(
	struct secret_service *s, int r, sd_bus_message *m, sd_bus_message_handler_t fn)
{
	s->call = sd_bus_slot_unref(s->call);
	r = r < 0 ? r : sd_bus_call_async(s->bus, &s->call, m, fn, s, ASKING_TIMEOUT_US);
	if (r < 0)
		end(s, r == -ENOMEM ? r : -EHOSTUNREACH);
	else
		bus_link_touch(s->link);
}

static int on_secret(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const void *parameters, *value;
	const char *session, *type;
	size_t n, size;
	int r;

	sd_bus_message_sensitive(m);
	if (!take(s, m))
		return 0;
	r = sd_bus_message_enter_container(m, 'r', "oayays");
	r = r < 0 ? r : sd_bus_message_read(m, "o", &session);
	r = r < 0 ? r : sd_bus_message_read_array(m, 'y', &parameters, &n);
	r = r < 0 ? r : sd_bus_message_read_array(m, 'y', &value, &size);
	r = r < 0 ? r : sd_bus_message_read(m, "s", &type);
	if (r < 0 || size > SECRET_MAX) {
		end(s, -EPROTO);
		return 0;
	}
	memcpy(s->secret, value, size);
	s->size = size;
	end(s, 0);
	return 0;
}

static void get_secret(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, s->object, ITEM, "GetSecret", &m);

	r = r < 0 ? r : sd_bus_message_append(m, "o", s->session);
	send_call(s, r, m, on_secret);
}

static void run_prompt(struct secret_service *s, const char *path, sd_bus_message_handler_t fn);
static int on_item_completed(sd_bus_message *m, void *userdata, sd_bus_error *e);

static int on_created(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const char *item, *prompt;

	if (!take(s, m))
		return 0;
	if (sd_bus_message_read(m, "oo", &item, &prompt) < 0)
		end(s, -EPROTO);
	else if (strcmp(prompt, NO_PROMPT) != 0)
		run_prompt(s, prompt, on_item_completed);
	else
		end(s, 0);
	return 0;
}

static int append_attributes(const struct secret_service *s, sd_bus_message *m)
{
	return sd_bus_message_append(m, "a{ss}", 2, "xdg:schema", SCHEMA, "id", s->id);
}

static int append_properties(const struct secret_service *s, sd_bus_message *m)
{
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	r = r < 0 ? r : sd_bus_message_append(m, "{sv}", ITEM ".Label", "s", s->label);
	r = r < 0 ? r : sd_bus_message_open_container(m, 'e', "sv");
	r = r < 0 ? r : sd_bus_message_append(m, "s", ITEM ".Attributes");
	r = r < 0 ? r : sd_bus_message_open_container(m, 'v', "a{ss}");
	r = r < 0 ? r : append_attributes(s, m);
	r = r < 0 ? r : sd_bus_message_close_container(m);
	r = r < 0 ? r : sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_secret(const struct secret_service *s, sd_bus_message *m)
{
	int r = sd_bus_message_open_container(m, 'r', "oayays");

	r = r < 0 ? r : sd_bus_message_append(m, "o", s->session);
	r = r < 0 ? r : sd_bus_message_append_array(m, 'y', NULL, 0);
	r = r < 0 ? r : sd_bus_message_append_array(m, 'y', s->secret, s->size);
	r = r < 0 ? r : sd_bus_message_append(m, "s", "application/octet-stream");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static void create_item(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, s->object, COLLECTION, "CreateItem", &m);

	r = r < 0 ? r : sd_bus_message_sensitive(m);
	r = r < 0 ? r : append_properties(s, m);
	r = r < 0 ? r : append_secret(s, m);
	r = r < 0 ? r : sd_bus_message_append(m, "b", 1);
	send_call(s, r, m, on_created);
}

static int on_deleted(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;

	if (take(s, m))
		end(s, 0);
	return 0;
}

/* The object is unlocked. */
static void use_object(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	switch (s->task) {
	case TASK_LOOKUP:
		get_secret(s);
		break;
	case TASK_STORE:
		create_item(s);
		break;
	case TASK_REMOVE:
		r = begin_call(s, s->object, ITEM, "Delete", &m);
		send_call(s, r, m, on_deleted);
		break;
	case TASK_NONE:
		break;
	}
}

/* What a window has led to, or the end of the task. */
static bool take_completion(struct secret_service *s, sd_bus_message *m)
{
	int dismissed = 1;

	s->prompt = sd_bus_slot_unref(s->prompt);
	if (sd_bus_message_read(m, "b", &dismissed) >= 0 && !dismissed)
		return true;
	end(s, -EACCES);
	return false;
}

static int on_unlock_completed(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;

	if (take_completion(s, m))
		use_object(s);
	return 0;
}

static int on_item_completed(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;

	if (take_completion(s, m))
		end(s, 0);
	return 0;
}

static int on_prompting(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	take(userdata, m);
	return 0;
}

static void run_prompt(struct secret_service *s, const char *path, sd_bus_message_handler_t fn)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_match_signal_async(
		s->bus, &s->prompt, NAME, path, PROMPT, "Completed", fn, NULL, s);

	r = r < 0 ? r : begin_call(s, path, PROMPT, "Prompt", &m);
	r = r < 0 ? r : sd_bus_message_append(m, "s", "");
	loop_timer_start_us(s->timer, ASKING_TIMEOUT_US);
	send_call(s, r, m, on_prompting);
}

static int on_unlocked(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const char *prompt = NULL;
	int r;

	if (!take(s, m))
		return 0;
	r = sd_bus_message_skip(m, "ao");
	r = r < 0 ? r : sd_bus_message_read(m, "o", &prompt);
	if (r < 0)
		end(s, -EPROTO);
	else if (strcmp(prompt, NO_PROMPT) != 0)
		run_prompt(s, prompt, on_unlock_completed);
	else
		use_object(s);
	return 0;
}

static void unlock_object(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, ROOT, SERVICE, "Unlock", &m);

	r = r < 0 ? r : sd_bus_message_append(m, "ao", 1, s->object);
	send_call(s, r, m, on_unlocked);
}

/* The first path of an array, borrowed from the message; NULL: it is empty. */
static int read_first(sd_bus_message *m, const char **ret)
{
	const char *path;
	int r = sd_bus_message_enter_container(m, 'a', "o");

	*ret = NULL;
	while (r >= 0 && (r = sd_bus_message_read(m, "o", &path)) > 0)
		if (!*ret)
			*ret = path;
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_found(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const char *open = NULL, *locked = NULL;
	int r;

	if (!take(s, m))
		return 0;
	r = read_first(m, &open);
	r = r < 0 ? r : read_first(m, &locked);
	if (r >= 0 && (open || locked))
		r = replace_string(&s->object, open ? open : locked);
	if (r < 0)
		end(s, -EPROTO);
	else if (open)
		use_object(s);
	else if (!locked)
		end(s, -ENOENT);
	else if (!s->may_ask)
		end(s, -EACCES);
	else
		unlock_object(s);
	return 0;
}

static void search(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, ROOT, SERVICE, "SearchItems", &m);

	r = r < 0 ? r : append_attributes(s, m);
	send_call(s, r, m, on_found);
}

static int on_alias(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const char *path;

	if (!take(s, m))
		return 0;
	if (sd_bus_message_read(m, "o", &path) < 0 || replace_string(&s->object, path) < 0)
		end(s, -EPROTO);
	else if (strcmp(path, "/") == 0)
		end(s, -ENOENT);
	else
		unlock_object(s);
	return 0;
}

static void find_collection(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, ROOT, SERVICE, "ReadAlias", &m);

	r = r < 0 ? r : sd_bus_message_append(m, "s", "default");
	send_call(s, r, m, on_alias);
}

static int on_session(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;
	const char *path;
	int r;

	if (!take(s, m))
		return 0;
	r = sd_bus_message_skip(m, "v");
	r = r < 0 ? r : sd_bus_message_read(m, "o", &path);
	if (r < 0 || replace_string(&s->session, path) < 0)
		end(s, -EPROTO);
	else if (s->task == TASK_STORE)
		find_collection(s);
	else
		search(s);
	return 0;
}

static void open_session(struct secret_service *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = begin_call(s, ROOT, SERVICE, "OpenSession", &m);

	r = r < 0 ? r : sd_bus_message_append(m, "sv", "plain", "s", "");
	send_call(s, r, m, on_session);
}

/* A keyring was unlocked, or has come. */
static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct secret_service *s = userdata;

	if (s->task == TASK_NONE && s->watch_fn)
		s->watch_fn(s->watch_userdata);
	return 0;
}

static void watch(struct secret_service *s)
{
	if (!s->watch_fn || !s->bus || s->changed)
		return;
	sd_bus_match_signal_async(
		s->bus, &s->changed, NAME, ROOT, SERVICE, "CollectionChanged", on_change, NULL, s);
	bus_match_owner(s->bus, &s->owner, NAME, on_change, s);
	bus_link_touch(s->link);
}

static void on_up(void *userdata, sd_bus *bus)
{
	struct secret_service *s = userdata;

	s->bus = bus;
	watch(s);
	if (s->task != TASK_NONE && !s->ended)
		open_session(s);
	else if (s->task == TASK_NONE && s->watch_fn)
		s->watch_fn(s->watch_userdata);
}

static void on_down(void *userdata, int error)
{
	struct secret_service *s = userdata;

	s->call = sd_bus_slot_unref(s->call);
	s->prompt = sd_bus_slot_unref(s->prompt);
	s->changed = sd_bus_slot_unref(s->changed);
	s->owner = sd_bus_slot_unref(s->owner);
	s->bus = NULL;
	end(s, -EHOSTUNREACH);
}

static const struct bus_link_ops link_ops = {
	.up = on_up,
	.down = on_down,
};

static void begin(struct secret_service *s, enum task task, const char *id, bool may_ask,
	secret_fn fn, void *userdata)
{
	event_loop_undefer(s->loop, &s->end);
	s->prompt = sd_bus_slot_unref(s->prompt);
	s->task = task;
	s->may_ask = may_ask;
	s->ended = false;
	s->fn = fn;
	s->userdata = userdata;
	snprintf(s->id, sizeof(s->id), "%s", id);
	loop_timer_start_us(s->timer, may_ask ? ASKING_TIMEOUT_US : TIMEOUT_US);
	if (s->bus)
		open_session(s);
}

void secret_service_lookup(
	struct secret_service *s, const char *id, bool may_ask, secret_fn fn, void *userdata)
{
	begin(s, TASK_LOOKUP, id, may_ask, fn, userdata);
}

void secret_service_store(struct secret_service *s, const char *id, const char *label,
	const void *secret, size_t size, secret_fn fn, void *userdata)
{
	snprintf(s->label, sizeof(s->label), "%s", label);
	s->size = size < SECRET_MAX ? size : SECRET_MAX;
	memcpy(s->secret, secret, s->size);
	begin(s, TASK_STORE, id, true, fn, userdata);
}

void secret_service_remove(struct secret_service *s, const char *id, secret_fn fn, void *userdata)
{
	begin(s, TASK_REMOVE, id, true, fn, userdata);
}

void secret_service_watch(struct secret_service *s, void (*fn)(void *userdata), void *userdata)
{
	s->watch_fn = fn;
	s->watch_userdata = userdata;
	watch(s);
}

int secret_service_new(
	struct event_loop *loop, const char *address, uint64_t seed, struct secret_service **ret)
{
	_cleanup_(secret_service_freep) struct secret_service *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->end = (struct loop_deferred){ .fn = on_end, .userdata = s };
	s->timer = loop_timer_new(loop, on_timer, s);
	s->secret = sodium_malloc(SECRET_MAX);
	if (!s->timer || !s->secret)
		return -ENOMEM;
	r = bus_link_new(loop, address, seed, &link_ops, s, &s->link);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct secret_service *secret_service_free(struct secret_service *s)
{
	if (!s)
		return NULL;
	s->task = TASK_NONE;
	bus_link_free(s->link);
	event_loop_undefer(s->loop, &s->end);
	loop_timer_free(s->timer);
	sodium_free(s->secret);
	free(s->session);
	free(s->object);
	free(s);
	return NULL;
}
