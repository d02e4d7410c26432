/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file that is there whole or not at all.
 */
#pragma once

#include "ctl.h"

/*
 * Where to save: the path given, or the directory given and `name`, or `name` in the working
 * directory. Owned. `name` is somebody else's, and becomes a plain, visible file name.
 */
char *save_path(const char *given, const char *name);

/* A name for what has none, from an id and a MIME type. Owned. */
char *save_default_name(const char *id, const char *mime);

/*
 * Copies `size` bytes from `fd` to a new file beside `path`, then moves it there. An existing file
 * is only replaced with `force`. An exit code; complaints are made.
 */
int save_file(const struct ctl *ctl, int fd, int64_t size, const char *path, bool force);

/* Copies `size` bytes from `fd` to `to`. False when reading or writing fails or there are fewer. */
bool save_copy(int fd, int64_t size, int to);
