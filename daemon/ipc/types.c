/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The named types of the API; encode.c writes them. */
#include "ipc/encode.h"
#include "ipc/schema.h"

#include "ipc/names.h"

static const struct schema_field nothing_fields[] = { { 0 } };

const struct schema schema_nothing = {
	.doc = "An empty object.",
	.fields = nothing_fields,
};

static const struct schema_field user_fields[] = {
	{ "user_id", SCHEMA_ID, .doc = "The network's id of the person." },
	{ "name", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "Name to show." },
	{ "picture_url", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "Where the profile picture is." },
	{ 0 },
};

const struct schema schema_user = {
	.name = "User",
	.doc = "A person on the account's network.",
	.fields = user_fields,
};

static const struct schema_field attachment_fields[] = {
	{ "attachment_id", SCHEMA_ID, .doc = "Its id." },
	{ "message_id", SCHEMA_ID, SCHEMA_OPTIONAL,
		.doc = "The message it belongs to; left out inside a Message." },
	{ "chat_id", SCHEMA_ID, SCHEMA_OPTIONAL,
		.doc = "The chat it belongs to; left out inside a Message." },
	{ "mime", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "MIME type of the full variant." },
	{ "name", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "File name, if it has one." },
	{ "width", SCHEMA_INTEGER, .doc = "Pixels, upright." },
	{ "height", SCHEMA_INTEGER, .doc = "Pixels, upright." },
	{ "size", SCHEMA_INTEGER, .doc = "Bytes of the full variant." },
	{ "progress", SCHEMA_INTEGER,
		.doc = "Bytes that the other side of the running transfer has." },
	{ "status", SCHEMA_ENUM, .values = attachment_status_names,
		.doc = "WAITING is not here and is fetched when attachments.download asks." },
	{ "preview_ready", SCHEMA_BOOLEAN, .doc = "The preview can be opened." },
	{ 0 },
};

const struct schema schema_attachment = {
	.name = "Attachment",
	.doc = "A photo and how far it has come.",
	.fields = attachment_fields,
};

static const struct schema_field message_error_fields[] = {
	{ "title", SCHEMA_STRING, .doc = "For people, short." },
	{ "detail", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "For people." },
	{ 0 },
};

static const struct schema message_error = {
	.doc = "Why the message FAILED.",
	.fields = message_error_fields,
};

static const struct schema_field message_fields[] = {
	{ "message_id", SCHEMA_ID, .doc = "Its id, made by the sender's client." },
	{ "chat_id", SCHEMA_ID, .doc = "The chat it is in." },
	{ "user_id", SCHEMA_ID, .doc = "Who wrote it." },
	{ "outgoing", SCHEMA_BOOLEAN, .doc = "Written by this account's user." },
	{ "text", SCHEMA_STRING, .doc = "May be empty beside attachments." },
	{ "status", SCHEMA_ENUM, .values = message_status_names,
		.doc = "An incoming message is RECEIVED or READ." },
	{ "error", SCHEMA_OBJECT, SCHEMA_OPTIONAL, .object = &message_error,
		.doc = "Only when FAILED." },
	{ "created_at", SCHEMA_TIME,
		.doc = "The sender's clock while PENDING, then the server's." },
	{ "attachments", SCHEMA_OBJECT, SCHEMA_LIST, .object = &schema_attachment,
		.doc = "In the order in which they were attached." },
	{ "seq", SCHEMA_INTEGER, SCHEMA_OPTIONAL,
		.doc = "Place in the chat by the server's count, from 1; missing while it has "
		       "none." },
	{ 0 },
};

const struct schema schema_message = {
	.name = "Message",
	.doc = "A message of a chat.",
	.fields = message_fields,
};

static const struct schema_field chat_info_fields[] = {
	{ "chat_id", SCHEMA_ID, .doc = "Its id." },
	{ "user_id", SCHEMA_ID, .doc = "The other person." },
	{ "username", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "The other person's name." },
	{ "last_username", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "Who wrote the last message." },
	{ "last_user_profile_url", SCHEMA_STRING, SCHEMA_NULLABLE,
		.doc = "That person's profile picture." },
	{ "last_message_id", SCHEMA_ID, SCHEMA_NULLABLE, .doc = "The last message." },
	{ "last_message_text", SCHEMA_STRING, SCHEMA_NULLABLE,
		.doc = "Its beginning, at most 256 bytes; messages.get has all of it." },
	{ "last_message_timestamp", SCHEMA_TIME, SCHEMA_NULLABLE,
		.doc = "When it was made; null while there is no message." },
	{ "last_message_status", SCHEMA_ENUM, SCHEMA_NULLABLE, .values = message_status_names,
		.doc = "Its status." },
	{ "unread_count", SCHEMA_INTEGER, .doc = "Messages not read yet." },
	{ "provisional", SCHEMA_BOOLEAN,
		.doc = "Not known to the server yet; its id changes when it is." },
	{ 0 },
};

const struct schema schema_chat_info = {
	.name = "ChatInfo",
	.doc = "A chat with its last message and the people in it.",
	.fields = chat_info_fields,
};

static const struct schema_field connection_fields[] = {
	{ "state", SCHEMA_ENUM, .values = session_state_names,
		.doc = "BACKOFF waits before the next attempt; LOGIN_REQUIRED makes none." },
	{ "since", SCHEMA_TIME, .doc = "When this state began." },
	{ "next_attempt_at", SCHEMA_TIME, SCHEMA_NULLABLE,
		.doc = "When the next attempt is made, if one is planned." },
	{ "last_error", SCHEMA_STRING, SCHEMA_NULLABLE,
		.doc = "What went wrong last, for people; null when nothing has since LIVE." },
	{ 0 },
};

const struct schema schema_connection = {
	.name = "Connection",
	.doc = "The session with the server. LIVE only while the server answers.",
	.fields = connection_fields,
};

static const struct schema_field account_fields[] = {
	{ "name", SCHEMA_STRING, .doc = "Its local name." },
	{ "signed_in", SCHEMA_BOOLEAN, .doc = "Somebody has signed in here." },
	{ "server", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "The server's URL." },
	{ "user_id", SCHEMA_ID, SCHEMA_NULLABLE, .doc = "Who is signed in." },
	{ "username", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "That person's name." },
	{ 0 },
};

const struct schema schema_account = {
	.name = "Account",
	.doc = "The account that this daemon serves.",
	.fields = account_fields,
};

static const struct schema_field message_ref_fields[] = {
	{ "chat_id", SCHEMA_ID, .doc = "The chat it was in." },
	{ "message_id", SCHEMA_ID, .doc = "Its id." },
	{ 0 },
};

const struct schema schema_message_ref = {
	.name = "MessageRef",
	.doc = "A message that is no longer here.",
	.fields = message_ref_fields,
};

static const struct schema_field chat_ref_fields[] = {
	{ "chat_id", SCHEMA_ID, .doc = "Its id." },
	{ 0 },
};

const struct schema schema_chat_ref = {
	.name = "ChatRef",
	.doc = "A chat that is no longer here.",
	.fields = chat_ref_fields,
};

static const struct schema_field chat_open_fields[] = {
	{ "chat_id", SCHEMA_ID, .doc = "Its id." },
	{ "message_id", SCHEMA_ID, SCHEMA_NULLABLE, .doc = "The message to show." },
	{ "activation_token", SCHEMA_STRING, SCHEMA_NULLABLE,
		.doc = "With this the desktop lets a window be raised: XDG_ACTIVATION_TOKEN, or "
		       "the startup id on X11." },
	{ 0 },
};

const struct schema schema_chat_open = {
	.name = "ChatOpen",
	.doc = "A chat that the user wants to see.",
	.fields = chat_open_fields,
};

const struct schema *const schema_types[] = {
	&schema_account,
	&schema_attachment,
	&schema_chat_info,
	&schema_chat_open,
	&schema_chat_ref,
	&schema_connection,
	&schema_message,
	&schema_message_ref,
	&schema_user,
	NULL,
};
