/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What arguments and the values of options may be, mostly asked of the daemon. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "complete-line.h"
#include "resolve.h"
#include "terminal.h"
#include "text.h"

#define PAGE 200u
#define CHATS_MAX 1000u
#define PATIENCE_MS 2000

/* The daemon fetches the newest page of so many chats by itself. */
#define PHOTO_CHATS 20u
#define MESSAGES 20u

#define WHO_WIDTH 14u
#define WHAT_WIDTH 30u
#define DESCRIPTION_MAX 1000

/* Quietly: who presses Tab wants no complaint. */
static bool reach_daemon(struct ctl *ctl)
{
	if (ctl->client)
		return true;
	if (ctl_new_client(ctl) < 0)
		return false;
	chat_client_set_timeout(ctl->client, PATIENCE_MS);
	return chat_client_connect(ctl->client) == 0;
}

struct chats {
	struct chat_info **infos;
	size_t n;
};

static void chats_clear(struct chats *c)
{
	for (size_t i = 0; i < c->n; i++)
		chat_info_free(c->infos[i]);
	free(c->infos);
}

static void chats_fetch(struct ctl *ctl, struct chats *c)
{
	_cleanup_free_ char *cursor = NULL;

	do {
		struct chat_info_list *list;

		if (chat_client_list_chats(ctl->client, PAGE, cursor, &list) < 0)
			return;
		c->infos = must(realloc(c->infos, (c->n + list->n_chats + 1) * sizeof(*c->infos)));
		for (size_t i = 0; i < list->n_chats; i++)
			c->infos[c->n++] = chat_info_ref(list->chats[i]);
		free(cursor);
		cursor = list->cursor ? must(strdup(list->cursor)) : NULL;
		chat_info_list_free(list);
	} while (cursor && c->n < CHATS_MAX);
}

/* A name leads to its chat if it can be typed, is no option and belongs to nobody else. */
static bool name_is_good(const struct chats *c, const struct chat_info *info)
{
	_cleanup_free_ char *clean = text_clean(info->username, false);
	_cleanup_free_ char *folded = text_fold(clean);

	if (!info->username || !*clean || strcmp(clean, info->username) != 0 ||
		strchr("-@ ", clean[0]))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		const struct chat_info *other = c->infos[i];
		_cleanup_free_ char *name = other->username ? text_fold(other->username) : NULL;

		if (other != info &&
			((name && strcmp(name, folded) == 0) ||
				strcmp(other->chat_id, clean) == 0 ||
				strcmp(other->user_id, clean) == 0))
			return false;
	}
	return true;
}

/* Names; ids of the peers behind @, or where a name would not do. */
static void add_chats(struct line *l)
{
	_cleanup_(chats_clear) struct chats c = { 0 };
	bool wants_ids = l->word[l->kept] == '@';

	if (!reach_daemon(l->ctl))
		return;
	chats_fetch(l->ctl, &c);
	for (size_t i = 0; i < c.n; i++) {
		const struct chat_info *info = c.infos[i];
		char id[100];

		snprintf(id, sizeof(id), "@%s", info->user_id);
		if (!wants_ids && name_is_good(&c, info))
			line_add(l, info->username, id);
		else
			line_add(l, id, info->username);
	}
}

static void add_methods(struct line *l)
{
	struct chat_reply *reply;
	const cJSON *method;
	cJSON *json;

	if (!reach_daemon(l->ctl) ||
		chat_client_call(l->ctl->client, "rpc.discover", NULL, NULL, 0, &reply) < 0)
		return;
	json = must(cJSON_Parse(reply->result_json));
	cJSON_ArrayForEach(method, cJSON_GetObjectItem(json, "methods")) {
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(method, "name"));

		if (name)
			line_add(l, name,
				cJSON_GetStringValue(cJSON_GetObjectItem(method, "summary")));
	}
	cJSON_Delete(json);
	chat_reply_free(reply);
}

/* Of daemons that listen now. */
static void add_accounts(struct line *l)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char pattern[4096];
	glob_t found;
	int n = snprintf(pattern, sizeof(pattern), "%s/chatd/*.sock", runtime ? runtime : "");

	if (!runtime || n < 0 || (size_t)n >= sizeof(pattern) ||
		glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *name = strrchr(found.gl_pathv[i], '/') + 1;

		name[strlen(name) - strlen(".sock")] = '\0';
		line_add(l, name, "");
	}
	globfree(&found);
}

static void add_topics(struct line *l)
{
	static const char *const topics[] = { "message.added", "message.updated", "message.removed",
		"chat.updated", "chat.removed", "attachment.updated", "connection",
		"transfer.progress", "chat.open" };
	const char *comma = strrchr(l->word + l->kept, ',');

	if (comma)
		l->kept = (size_t)(comma + 1 - l->word);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		line_add(l, topics[i], "");
}

static void add_statuses(struct line *l)
{
	line_add(l, "sent", "accepted by the server");
	line_add(l, "received", "on the peer's device");
	line_add(l, "read", "by the peer");
}

static void add_pretty(struct line *l)
{
	line_add(l, "pretty", "on several lines");
}

static void add_key_sources(struct line *l)
{
	line_add(l, "credential", "systemd's");
	line_add(l, "secret_service", "the desktop's keyring");
	line_add(l, "passphrase", "");
	line_add(l, "file", "the weakest place");
}

static void add_purgeable(struct line *l)
{
	line_add(l, "media", "the full bytes of photos");
	line_add(l, "history", "old messages");
}

static void add_shells(struct line *l)
{
	line_add(l, "bash", "");
	line_add(l, "zsh", "");
	line_add(l, "fish", "");
}

static void ask_for_files(struct line *l)
{
	puts("\tfiles");
}

/* When, and the beginning of what: enough to tell one from another. */
static void add_described(
	struct line *l, const char *id, int64_t when_ms, const char *who, const char *what)
{
	_cleanup_free_ char *clean = text_clean(what, false);
	char description[DESCRIPTION_MAX], when[TIME_TEXT_SIZE];
	size_t width, n = text_fit(clean, WHAT_WIDTH, &width);

	snprintf(description, sizeof(description), "%s%s%s %.*s%s", time_text(when_ms, when),
		*who ? " " : "", who, (int)n, clean, clean[n] ? "…" : "");
	line_add(l, id, description);
}

static void add_message(struct line *l, const struct chat_message *m, const char *who)
{
	add_described(l, m->message_id, m->created_at_ms, who,
		*m->text || m->n_attachments == 0 ? m->text : "photo");
}

static bool is_given(const struct line *l, const char *word)
{
	for (unsigned i = 0; i < l->n_arguments; i++)
		if (strcmp(l->arguments[i], word) == 0)
			return true;
	return false;
}

/* Those that retry or cancel can do something about. */
static void add_unsent(struct line *l)
{
	bool failed_only = strcmp(l->verb->name, "retry") == 0;
	struct chat_message_list *list;

	if (!reach_daemon(l->ctl) || chat_client_list_outbox(l->ctl->client, NULL, PAGE, &list) < 0)
		return;
	for (size_t i = 0; i < list->n_messages; i++) {
		const struct chat_message *m = list->messages[i];

		if ((!failed_only || m->status == CHAT_MESSAGE_FAILED) &&
			!is_given(l, m->message_id))
			add_message(l, m, chat_message_status_to_string(m->status));
	}
	chat_message_list_free(list);
}

/* The newest messages of the chat that the line names, the newest first; NULL: none. */
static struct chat_message_list *fetch_messages(struct line *l)
{
	_cleanup_(target_clear) struct target target = { 0 };
	struct chat_message_list *list;

	if (l->n_arguments == 0 || !reach_daemon(l->ctl) ||
		resolve_chat(l->ctl, l->arguments[0], false, &target) != CTL_OK ||
		chat_client_list_messages(
			l->ctl->client, target.info->chat_id, NULL, NULL, MESSAGES, &list) < 0)
		return NULL;
	return list;
}

static void add_messages_if(struct line *l, bool unread_only)
{
	struct chat_message_list *list = fetch_messages(l);

	for (size_t i = list ? list->n_messages : 0; i-- > 0;) {
		const struct chat_message *m = list->messages[i];

		if (!unread_only || (!m->outgoing && m->status == CHAT_MESSAGE_RECEIVED))
			add_message(l, m, m->outgoing ? "you:" : "");
	}
	chat_message_list_free(list);
}

static void add_messages(struct line *l)
{
	add_messages_if(l, false);
}

static void add_unread(struct line *l)
{
	add_messages_if(l, true);
}

/* The photos of one chat; false when the daemon does not answer. */
static bool add_photos_of(struct line *l, const struct chat_info *chat)
{
	const char *who = chat->username ? chat->username : chat->user_id;
	struct chat_message_list *list;

	if (chat_client_list_messages(l->ctl->client, chat->chat_id, NULL, NULL, MESSAGES, &list) <
		0)
		return false;
	for (size_t i = list->n_messages; i-- > 0;)
		for (size_t j = 0; j < list->messages[i]->n_attachments; j++) {
			const struct chat_message *m = list->messages[i];
			const struct chat_attachment *a = m->attachments[j];
			_cleanup_free_ char *clean = text_clean(who, false);
			size_t width, n = text_fit(clean, WHO_WIDTH, &width);

			clean[n] = '\0';
			add_described(l, a->attachment_id, m->created_at_ms, clean,
				a->name ? a->name : "");
		}
	chat_message_list_free(list);
	return true;
}

/* Among the newest messages of the newest chats, which are all here: nobody is asked for more. */
static void add_photos(struct line *l)
{
	struct chat_info_list *list;
	bool answers = true;

	if (!reach_daemon(l->ctl) ||
		chat_client_list_chats(l->ctl->client, PHOTO_CHATS, NULL, &list) < 0)
		return;
	for (size_t i = 0; i < list->n_chats && answers; i++)
		answers = add_photos_of(l, list->chats[i]);
	chat_info_list_free(list);
}

static void add_settings(struct line *l)
{
	struct chat_setting_list *list;

	if (!reach_daemon(l->ctl) || chat_client_list_settings(l->ctl->client, &list) < 0)
		return;
	for (size_t i = 0; i < list->n_settings; i++)
		line_add(l, list->settings[i]->name, list->settings[i]->value);
	chat_setting_list_free(list);
}

static void add_setting_value(struct line *l, const struct chat_setting *s, const char *value)
{
	bool now = strcmp(value, s->value) == 0, initial = strcmp(value, s->default_value) == 0;

	line_add(l, value,
		now && initial    ? "now, the default"
			: now     ? "now"
			: initial ? "default"
				  : "");
}

static void add_setting_values(struct line *l)
{
	struct chat_setting *s;

	if (!reach_daemon(l->ctl) ||
		chat_client_get_setting(l->ctl->client, l->arguments[0], &s) < 0)
		return;
	for (size_t i = 0; i < s->n_values; i++)
		add_setting_value(l, s, s->values[i]);
	if (s->n_values == 0)
		add_setting_value(l, s, s->value);
	if (s->n_values == 0 && strcmp(s->value, s->default_value) != 0)
		add_setting_value(l, s, s->default_value);
	chat_setting_free(s);
}

static void add_consumers(struct line *l)
{
	struct chat_reply *reply;
	const cJSON *consumer;
	cJSON *json;

	if (!reach_daemon(l->ctl) ||
		chat_client_call(l->ctl->client, "events.consumers", NULL, NULL, 0, &reply) < 0)
		return;
	json = must(cJSON_Parse(reply->result_json));
	cJSON_ArrayForEach(consumer, cJSON_GetObjectItem(json, "consumers")) {
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(consumer, "consumer"));

		if (name)
			line_add(l, name, "");
	}
	cJSON_Delete(json);
	chat_reply_free(reply);
}

void line_add_values(struct line *l, const char *placeholder, size_t length)
{
	static const struct {
		const char *placeholder;
		void (*add)(struct line *l);
	} kinds[] = {
		{ "ACCOUNT", add_accounts },
		{ "CHAT", add_chats },
		{ "FILE", ask_for_files },
		{ "ATTACHMENT_ID|MESSAGE_ID", add_photos },
		{ "ID", add_messages },
		{ "MESSAGE_ID", add_unread },
		{ "MESSAGE_ID...", add_unsent },
		{ "METHOD", add_methods },
		{ "NAME", add_consumers },
		{ "PATH", ask_for_files },
		{ "SETTING", add_settings },
		{ "SHELL", add_shells },
		{ "SOURCE", add_key_sources },
		{ "STATUS", add_statuses },
		{ "TOPIC,...", add_topics },
		{ "VALUE", add_setting_values },
		{ "WHAT", add_purgeable },
		{ "pretty", add_pretty },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].placeholder) == length &&
			strncmp(kinds[i].placeholder, placeholder, length) == 0)
			kinds[i].add(l);
}
