/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the frames from clients mean.
 */
#pragma once

#include <stddef.h>

struct session;

/* Takes one whole text frame. What is wrong with it ends in BYE. */
void frame_handle(struct session *session, const char *text, size_t length);
