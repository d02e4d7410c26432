/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where things lie, by the XDG base directory specification. */
#pragma once

#include "base/cleanup.h"

/*
 * "<value of `variable`>/<rest>", or "<home>/<fallback>/<rest>" when the variable is unset or not
 * absolute; owned. `fallback` NULL: there is none. NULL when no directory can be named or memory is
 * short.
 */
char *path_xdg(const char *variable, const char *fallback, const char *rest);

/*
 * Makes a directory and those above it, new ones with mode 0700. 0 also when it is there; negative
 * errno.
 */
int path_make_directories(const char *path);
