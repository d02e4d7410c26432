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

/* Keys of the file's section [daemon]. */
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

static int on_key(void *userdata, const char *section, const char *name, const char *value)
{
	struct config *c = userdata;

	if (strcmp(section, "daemon") != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char **to = (char **)((char *)c + keys[i].offset);

		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (!*to)
			*to = strdup(value);
		return *to != NULL;
	}
	return 0;
}

static int read_file(struct config *c)
{
	int line = ini_parse(c->file, on_key, c);

	if (line == 0 || (line == -1 && !c->file_was_named))
		return 0;
	if (line < 0)
		log_error("%s cannot be read", c->file);
	else
		log_error("%s, line %d: not a setting; the section is [daemon], the settings are "
			  "ca_file, "
			  "data_dir, dbus, log_level, preview_helper and socket",
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

int config_complete(struct config *c)
{
	int r;

	if (!c->account)
		c->account = strdup(CHAT_DEFAULT_ACCOUNT);
	if (!c->account || !is_name(c->account)) {
		log_error("an account's name is 1 to 64 letters, digits, '-' and '_'");
		return -EINVAL;
	}
	if (!c->file)
		c->file = path_xdg("XDG_CONFIG_HOME", ".config", "chatd/chatd.conf");
	r = c->file ? read_file(c) : 0;
	r = r < 0 ? r : decide_on_bus(c);
	if (r < 0)
		return r;
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

void config_clear(struct config *c)
{
	free(c->account);
	free(c->file);
	free(c->data_dir);
	free(c->socket);
	free(c->ca_file);
	free(c->preview_helper);
	free(c->log_level);
	free(c->dbus);
	free(c->demo);
	*c = (struct config){ 0 };
}
