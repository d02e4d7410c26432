/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Photos on the terminal, drawn by a helper of its own: chatctl reads no image format. */
#pragma once

#include "ctl/ctl.h"

/* Draws the image that `fd` (borrowed) holds on standard output. An exit code. */
int picture_draw(struct ctl *ctl, int fd);
