/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The settings of an account: one table of what there is, of which type, and what it does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repository/parts.h"

static const char *const policies[] = { "always", "foreground", "push", NULL };

static const char *const auto_downloads[] = { "never", "unmetered", "always", NULL };

static const char *const qualities[] = { "small", "normal", "original", NULL };

static const char *const details[] = { "preview", "hidden", "off", NULL };

static const struct setting settings[] = {
	{
		.name = "auto_download",
		.type = SETTING_CHOICE,
		.values = auto_downloads,
		.initial = "unmetered",
		.doc = "Whether full photos that come in are fetched without being asked for: "
		       "never, always, or while the network is not metered. Previews always are.",
	},
	{
		.name = "connection.policy",
		.type = SETTING_CHOICE,
		.values = policies,
		.initial = "always",
		.doc = "When there is a session with the server. always: as long as the daemon "
		       "runs. "
		       "foreground: while a frontend is subscribed, waits for changes or has a "
		       "chat "
		       "on screen, and while something is to be sent. "
		       "push: as foreground, where the server's pushes reach this device, else "
		       "always; a daemon that systemd would start again ends when it has nothing "
		       "to do and nothing on the screen.",
	},
	{
		.name = "connection.grace_s",
		.type = SETTING_INTEGER,
		.min = 0,
		.max = 86400,
		.initial = "30",
		.doc = "How many seconds a foreground session goes on when the last frontend has "
		       "gone; by push, the daemon as many more.",
	},
	{
		.name = "notifications",
		.type = SETTING_CHOICE,
		.values = details,
		.initial = "preview",
		.doc = "What notifications of new messages say. preview: who wrote, and how the "
		       "message begins. hidden: that there is one. off: there are none.",
	},
	{
		.name = "photos.quality",
		.type = SETTING_CHOICE,
		.values = qualities,
		.initial = "normal",
		.doc = "How photos are sent. small: at most 1600 pixels a side. normal: at most "
		       "4096. original: in their own size, and an upright JPEG with its own bytes. "
		       "None carries where it was taken, or other metadata.",
	},
	{
		.name = "retention.media_bytes",
		.type = SETTING_INTEGER,
		.min = 0,
		.max = INT64_C(1) << 50,
		.initial = "2147483648",
		.doc = "How many bytes photos may take on the disk; 0: no limit. Beyond it the one "
		       "opened longest ago goes, and can be fetched again.",
	},
	{
		.name = "retention.media_days",
		.type = SETTING_INTEGER,
		.min = 0,
		.max = 36500,
		.initial = "0",
		.doc = "After how many days without being opened a photo goes; 0: never.",
	},
	{
		.name = "retention.messages_days",
		.type = SETTING_INTEGER,
		.min = 0,
		.max = 36500,
		.initial = "0",
		.doc = "After how many days a message leaves this device; 0: never. The server has "
		       "it still, and going back in a chat fetches it. Unread ones stay, those to "
		       "be sent, and the newest of each chat.",
	},
	{
		.name = "retention.messages_per_chat",
		.type = SETTING_INTEGER,
		.min = 0,
		.max = INT64_C(1) << 40,
		.initial = "0",
		.doc = "How many messages of a chat are kept on this device; 0: all. Older ones "
		       "leave it as after retention.messages_days.",
	},
	{
		.name = "transfers.max_active",
		.type = SETTING_INTEGER,
		.min = 1,
		.max = TRANSFERS_MAX,
		.initial = "4",
		.doc = "How many photos move at the same time.",
	},
	{ 0 },
};

const struct setting *setting_table(void)
{
	return settings;
}

static const struct setting *find(const char *name)
{
	for (const struct setting *s = settings; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static int check_choice(const struct setting *s, const char *value)
{
	for (size_t i = 0; s->values[i]; i++)
		if (strcmp(s->values[i], value) == 0)
			return 0;
	return -EINVAL;
}

static int check_integer(const struct setting *s, const char *value)
{
	int64_t n;
	int end = 0;

	if (sscanf(value, "%" SCNd64 "%n", &n, &end) != 1 || value[end])
		return -EINVAL;
	return n >= s->min && n <= s->max ? 0 : -EINVAL;
}

static int check(const struct setting *s, const char *value)
{
	switch (s->type) {
	case SETTING_CHOICE:
		return check_choice(s, value);
	case SETTING_INTEGER:
		return check_integer(s, value);
	}
	return -EINVAL;
}

/* What an older or newer version stored and this one does not take counts as not set. */
int setting_get(struct repository *r, const char *name, char **ret_value)
{
	const struct setting *s = find(name);
	_cleanup_free_ char *value = NULL;
	int e;

	if (!s)
		return -ENOENT;
	e = store_setting_get(r->store, name, &value);
	if (e == -ENOENT || (e == 0 && check(s, value) < 0))
		e = replace_string(&value, s->initial);
	if (e < 0)
		return e;
	*ret_value = TAKE_PTR(value);
	return 0;
}

int64_t setting_integer(struct repository *r, const char *name)
{
	_cleanup_free_ char *value = NULL;

	return setting_get(r, name, &value) == 0 ? strtoll(value, NULL, 10) : 0;
}

bool setting_is(struct repository *r, const char *name, const char *value)
{
	_cleanup_free_ char *present = NULL;

	return setting_get(r, name, &present) == 0 && strcmp(present, value) == 0;
}

static int explain_value(const struct setting *s, struct failure *f)
{
	char values[120] = "";
	size_t n = 0;

	if (s->type == SETTING_INTEGER)
		return failure_set(f, FAILURE_INVALID,
			"%s is a number from %" PRId64 " to %" PRId64, s->name, s->min, s->max);
	for (size_t i = 0; s->values[i] && n < sizeof(values); i++)
		n += (size_t)snprintf(
			values + n, sizeof(values) - n, "%s%s", i > 0 ? ", " : "", s->values[i]);
	return failure_set(f, FAILURE_INVALID, "%s is one of: %s", s->name, values);
}

int setting_set(struct repository *r, const char *name, const char *value, struct failure *f)
{
	const struct setting *s = find(name);
	int e;

	if (!s)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no setting of this name");
	if (value && check(s, value) < 0)
		return explain_value(s, f);
	e = store_setting_put(r->store, name, value);
	if (e < 0)
		return failure_from_errno(f, e);
	presence_load(r);
	transfers_load(r);
	retention_load(r);
	history_retention_load(r);
	notices_load(r);
	return 0;
}
