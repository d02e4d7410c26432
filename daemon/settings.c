/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/paths.h"
#include "libclient/protocol.h"

#ifndef PREVIEW_HELPER
#error "PREVIEW_HELPER is the installed path of chatd-preview"
#endif

/* What one account has of its own stands in [account NAME], what all have in [daemon]. */
#define ACCOUNT_SECTION "account "

/* Keys of the file's sections. */
static const struct {
	const char *name;
	size_t offset;
} keys[] = {
	{ "ca_file", offsetof(struct config, ca_file) },
	{ "data_dir", offsetof(struct config, data_dir) },
	{ "dbus", offsetof(struct config, dbus) },
	{ "log_level", offsetof(struct config, log_level) },
	{ "preview_helper", offsetof(struct config, preview_helper) },
	{ "socket", offsetof(struct config, socket) },
};

/* A pass over the file: what this section says, of what nothing has said before. */
struct pass {
	struct config *config;
	char section[96];
};

static bool is_section(const char *name)
{
	return strcmp(name, "daemon") == 0 ||
		strncmp(name, ACCOUNT_SECTION, strlen(ACCOUNT_SECTION)) == 0;
}

static int on_key(void *userdata, const char *section, const char *name, const char *value)
{
	const struct pass *pass = userdata;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && is_section(section); i++) {
		char **to = (char **)((char *)pass->config + keys[i].offset);

		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (!*to && strcmp(section, pass->section) == 0)
			*to = strdup(value);
		return strcmp(section, pass->section) != 0 || *to != NULL;
	}
	return 0;
}

static int read_file(struct config *c)
{
	struct pass own = { .config = c }, everybody = { .config = c, .section = "daemon" };
	int line;

	snprintf(own.section, sizeof(own.section), ACCOUNT_SECTION "%s", c->account);
	line = ini_parse(c->file, on_key, &own);
	if (line == 0)
		line = ini_parse(c->file, on_key, &everybody);
	if (line == 0 || (line == -1 && !c->file_was_named))
		return 0;
	if (line < 0)
		log_error("%s cannot be read", c->file);
	else
		log_error("%s, line %d: not a setting; the sections are [daemon] and "
			  "[account NAME], the settings are ca_file, data_dir, dbus, "
			  "log_level, preview_helper and socket",
			c->file, line);
	return -EINVAL;
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return n > 0 && n <= 64;
}

static int decide_on_bus(struct config *c)
{
	c->serves_bus = !c->dbus || strcmp(c->dbus, "yes") == 0;
	if (c->serves_bus || strcmp(c->dbus, "no") == 0)
		return 0;
	log_error("dbus is either yes or no");
	return -EINVAL;
}

static char *default_data_dir(const struct config *c)
{
	char rest[80];

	snprintf(rest, sizeof(rest), "chatd/%s", c->account);
	return path_xdg("XDG_DATA_HOME", ".local/share", rest);
}

static char *default_socket(const struct config *c)
{
	char rest[96];

	snprintf(rest, sizeof(rest), CHAT_SOCKET_DIR "/%s.sock", c->account);
	return path_xdg("XDG_RUNTIME_DIR", NULL, rest);
}

static const size_t strings[] = {
	offsetof(struct config, account),
	offsetof(struct config, file),
	offsetof(struct config, data_dir),
	offsetof(struct config, socket),
	offsetof(struct config, ca_file),
	offsetof(struct config, preview_helper),
	offsetof(struct config, log_level),
	offsetof(struct config, dbus),
	offsetof(struct config, demo),
};

static int copy(const struct config *given, struct config *to)
{
	*to = (struct config){ .file_was_named = given->file_was_named };
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const char *value = *(char *const *)((const char *)given + strings[i]);

		if (value && !(*(char **)((char *)to + strings[i]) = strdup(value)))
			return -ENOMEM;
	}
	return 0;
}

static int name_account(struct config *c)
{
	if (!c->account)
		c->account = strdup(CHAT_DEFAULT_ACCOUNT);
	if (c->account && is_name(c->account))
		return 0;
	log_error("an account's name is 1 to 64 letters, digits, '-' and '_'");
	return -EINVAL;
}

static int check_log_level(struct config *c)
{
	if (!c->log_level)
		c->log_level = strdup("info");
	if (c->log_level && log_level_from_string(c->log_level) >= 0)
		return 0;
	log_error("'%s' is no log level: debug, info, notice, warning, error",
		c->log_level ? c->log_level : "");
	return -EINVAL;
}

static int fill_in(struct config *c)
{
	if (!c->data_dir)
		c->data_dir = default_data_dir(c);
	if (!c->socket)
		c->socket = default_socket(c);
	if (!c->preview_helper)
		c->preview_helper = strdup(PREVIEW_HELPER);
	if (!c->data_dir)
		log_error(
			"neither XDG_DATA_HOME nor HOME is set; name a directory with --data-dir");
	return c->data_dir && c->preview_helper ? 0 : -EINVAL;
}

int config_resolve(const struct config *given, struct config *ret)
{
	_cleanup_(config_clear) struct config c;
	int r = copy(given, &c);

	r = r < 0 ? r : name_account(&c);
	if (r == 0 && !c.file)
		c.file = path_xdg("XDG_CONFIG_HOME", ".config", "chatd/chatd.conf");
	if (r == 0 && c.file)
		r = read_file(&c);
	r = r < 0 ? r : check_log_level(&c);
	r = r < 0 ? r : decide_on_bus(&c);
	r = r < 0 ? r : fill_in(&c);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct config){ 0 };
	return 0;
}

void config_clear(struct config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(*(char **)((char *)c + strings[i]));
	*c = (struct config){ 0 };
}
