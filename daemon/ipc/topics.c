/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/topics.h"

#include <errno.h>
#include <string.h>

#define DURABLE_NAMES                                                                           \
	[CHANGE_MESSAGE_ADDED] = "message.added", [CHANGE_MESSAGE_UPDATED] = "message.updated", \
	[CHANGE_MESSAGE_REMOVED] = "message.removed", [CHANGE_CHAT_UPDATED] = "chat.updated",   \
	[CHANGE_CHAT_REMOVED] = "chat.removed", [CHANGE_ATTACHMENT_UPDATED] = "attachment.updated"

const char *const topic_durable_names[TOPIC_CONNECTION + 1] = { DURABLE_NAMES };

const char *const topic_names[N_TOPICS + 1] = {
	DURABLE_NAMES,
	[TOPIC_CONNECTION] = "connection",
	[TOPIC_TRANSFER_PROGRESS] = "transfer.progress",
	[TOPIC_CHAT_OPEN] = "chat.open",
};

const struct topic topics[N_TOPICS] = {
	[CHANGE_MESSAGE_ADDED] = { &schema_message, "A message came, or was sent from here." },
	[CHANGE_MESSAGE_UPDATED] = { &schema_message, "A message's status or place changed." },
	[CHANGE_MESSAGE_REMOVED] = { &schema_message_ref, "A message is no longer here." },
	[CHANGE_CHAT_UPDATED] = { &schema_chat_info,
		"A chat is new, or its last message or unread count changed." },
	[CHANGE_CHAT_REMOVED] = { &schema_chat_ref, "A chat is no longer here." },
	[CHANGE_ATTACHMENT_UPDATED] = { &schema_attachment, "An attachment's status changed." },
	[TOPIC_CONNECTION] = { &schema_connection,
		"The session with the server changed its state." },
	[TOPIC_TRANSFER_PROGRESS] = { &schema_attachment, "Bytes of an attachment moved." },
	[TOPIC_CHAT_OPEN] = { &schema_chat_open,
		"The user wants to see a chat, having clicked on its notification." },
};

int topic_from_string(const char *name)
{
	for (int i = 0; i < N_TOPICS; i++)
		if (strcmp(topic_names[i], name) == 0)
			return i;
	return -EINVAL;
}
