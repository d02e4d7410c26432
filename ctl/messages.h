/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a message looks to people; `messages` and `watch` show it alike.
 */
#pragma once

#include "ctl.h"

/* One message, made harmless, on as many lines as it takes. */
void print_message(const struct chat_message *message, const char *peer_name, bool ids);

/*
 * The same among those of other chats: an outgoing one says to whom. `peer_name` NULL: not known.
 */
void print_message_of_any(const struct chat_message *message, const char *peer_name, bool ids);

/* To whom it goes, for such a place; owned. */
char *recipient_text(const char *peer_name);
