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
 * Reads the file into what is not set yet, then fills in the defaults. -EINVAL after an error that
 * was logged.
 */
int config_complete(struct config *c);

void config_clear(struct config *c);
