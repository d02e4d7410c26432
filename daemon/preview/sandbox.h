/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shuts the process in before it looks at bytes that somebody else made. Two steps, because
 * libraries and their modules have to be loaded in between.
 */
#pragma once

/*
 * No new privileges, no core dumps, not traceable, an end with the parent, and limits on memory,
 * processor time and file sizes. 0 or negative errno.
 */
int sandbox_begin(void);

/*
 * From now on: no file can be opened, no socket or process made, no memory made executable, no
 * descriptor gained. What remains is to compute, to allocate, to start threads and to use the
 * descriptors at hand. For all threads. 0 or negative errno.
 */
int sandbox_lock(void);
