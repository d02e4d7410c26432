/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the command line, the configuration file and the XDG directories say together; the first of
 * these that names a thing decides it.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* Strings are owned; NULL where nothing names them. */
struct config {
	char *account; /* local name of the account: letters, digits, '-' and '_' */
	char *file;
	bool file_was_named; /* it must then exist */
	char *data_dir;
	char *socket;
	char *ca_file;
	char *preview_helper;
	char *log_level;
	char *dbus;      /* "yes" or "no" */
	bool serves_bus; /* what `dbus` says */
	char *demo;      /* world to make up, instead of a server */
};

/*
 * What `given` (the command line) and the file say, and the defaults for the rest. Settings of the
 * account's own section in the file come before those of all accounts. To be called again when the
 * file has changed; -EINVAL after an error that was logged.
 */
int config_resolve(const struct config *given, struct config *ret);

void config_clear(struct config *c);
