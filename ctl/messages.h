/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a message looks to people; `messages` and `watch` show it alike.
 */
#pragma once

#include "ctl.h"

/* One message, made harmless, on as many lines as it takes. */
void print_message(const struct chat_message *message, const char *peer_name, bool ids);

/* One line about a photo, from column `indent` on. */
void print_attachment(const struct chat_attachment *attachment, size_t indent);
