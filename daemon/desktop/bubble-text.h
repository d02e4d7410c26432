/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of a notification. Pure. */
#pragma once

#include <stdbool.h>

#include "desktop/bubbles.h"

#define BUBBLE_TITLE_BYTES 120
#define BUBBLE_BODY_BYTES 400

/* Who, or what, in one line; owned, NULL when memory is short. */
char *bubble_title(const struct bubble *b);

/*
 * What was written, shortened; empty where it is not to be shown. `markup`: the server reads it as
 * such, so what is none is escaped. Owned, NULL when memory is short.
 */
char *bubble_body(const struct bubble *b, bool markup);
