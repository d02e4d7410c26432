/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the user should be told of. A follower of the committed changes: whoever reads a message,
 * here or elsewhere, and however one came, it shows there. What the first sync of an account
 * brings is history, and nobody is told of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "repository/parts.h"

#define CHANGES_PER_PASS 200
#define LOOKED_AT 8 /* of the newest messages, for the newest unread one */

#define TOPICS (1u << CHANGE_MESSAGE_ADDED | 1u << CHANGE_CHAT_UPDATED | 1u << CHANGE_CHAT_REMOVED)

struct touched {
	char chat_id[ID_SIZE];
	char fresh[ID_SIZE]; /* the latest of the messages that came; empty: none */
	int64_t fresh_seq;
};

struct pass {
	struct touched chats[CHANGES_PER_PASS];
	size_t n;
};

static struct touched *touch(struct pass *p, const char *chat_id)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->chats[i].chat_id, chat_id) == 0)
			return &p->chats[i];
	snprintf(p->chats[p->n].chat_id, ID_SIZE, "%s", chat_id);
	return &p->chats[p->n++];
}

static int on_change(void *userdata, const struct change *c)
{
	struct touched *t = touch(userdata, c->chat_id);
	const struct message *m = c->message;

	if (m && !m->outgoing && m->status == MESSAGE_RECEIVED && m->seq > t->fresh_seq) {
		snprintf(t->fresh, sizeof(t->fresh), "%s", m->id);
		t->fresh_seq = m->seq;
	}
	return 0;
}

static int take_id(void *userdata, const struct chat_info *c)
{
	snprintf(userdata, ID_SIZE, "%s", c->id);
	return 0;
}

/* By the present name of a chat, which may have been provisional when it came on screen. */
static bool is_focused(struct repository *r, const char *chat_id)
{
	char id[ID_SIZE];

	for (size_t i = 0; i < r->notices.n_focused; i++)
		if (store_chat_get(r->store, r->notices.focused[i], take_id, id) == 0 &&
			strcmp(id, chat_id) == 0)
			return true;
	return false;
}

struct news {
	struct repository *repository;
	const struct touched *touched;
	int64_t unread;
	char *username;
	struct {
		char id[ID_SIZE];
		char *text;
		unsigned n_photos;
	} newest;
};

static void news_clear(struct news *n)
{
	free(n->username);
	free(n->newest.text);
}

static int take_chat(void *userdata, const struct chat_info *c)
{
	struct news *n = userdata;

	n->unread = c->unread;
	return replace_string(&n->username, c->username ? c->username : c->user_id);
}

static int take_newest(void *userdata, const struct message *m)
{
	struct news *n = userdata;

	if (m->outgoing || m->status != MESSAGE_RECEIVED)
		return 0;
	snprintf(n->newest.id, sizeof(n->newest.id), "%s", m->id);
	n->newest.n_photos = (unsigned)m->n_attachments;
	return replace_string(&n->newest.text, m->text);
}

static int gather(struct repository *r, struct news *n)
{
	int e = store_chat_get(r->store, n->touched->chat_id, take_chat, n);
	bool more;

	if (e < 0 || n->unread == 0 || !n->touched->fresh[0])
		return e;
	return store_message_page(
		r->store, n->touched->chat_id, PAGE_NEWEST, NULL, LOOKED_AT, take_newest, n, &more);
}

static void show(struct repository *r, const struct news *n)
{
	bool in_full = r->notices.detail == NOTICES_PREVIEW;

	r->notices.sink->show(r->notices.userdata,
		&(struct notice){
			.chat_id = n->touched->chat_id,
			.message_id = n->newest.id,
			.sender = in_full ? n->username : NULL,
			.text = in_full ? n->newest.text : NULL,
			.n_photos = in_full ? n->newest.n_photos : 0,
			.unread = n->unread,
		});
}

/* A message is news if it is the newest: what is fetched of older history is not. */
static void tell(struct repository *r, const struct touched *t)
{
	_cleanup_(news_clear) struct news n = { .touched = t };
	int e = gather(r, &n);

	if (e < 0 && e != -ENOENT)
		log_warning("A notification cannot be made: %s", strerror(-e));
	else if (e == -ENOENT || n.unread == 0 || is_focused(r, t->chat_id))
		r->notices.sink->withdraw(r->notices.userdata, t->chat_id);
	else if (t->fresh[0] && strcmp(n.newest.id, t->fresh) == 0)
		show(r, &n);
}

static bool is_listening(const struct repository *r)
{
	const struct notices *n = &r->notices;

	return n->sink && n->detail != NOTICES_OFF && !n->quiet;
}

static void on_pass(void *userdata)
{
	struct repository *r = userdata;
	struct notices *n = &r->notices;
	_cleanup_free_ struct pass *p = NULL;
	int e = 0;

	if (!is_listening(r))
		n->position = store_committed_change(r->store);
	if (!store_is_committed(r->store) || n->position >= store_committed_change(r->store))
		return;
	p = calloc(1, sizeof(*p));
	e = p ? store_change_list(
			r->store, n->position, TOPICS, CHANGES_PER_PASS, on_change, p, &n->position)
	      : -ENOMEM;
	if (e < 0) {
		log_warning("Notifications cannot be made: %s", strerror(-e));
		n->position = store_committed_change(r->store);
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		tell(r, &p->chats[i]);
	notices_review(r);
}

void notices_review(struct repository *r)
{
	if (!is_listening(r))
		r->notices.position = store_committed_change(r->store);
	else if (r->notices.position < store_committed_change(r->store))
		event_loop_defer(r->loop, &r->notices.pass);
}

static int take_unread(void *userdata, const struct chat_info *c)
{
	*(int64_t *)userdata = c->unread;
	return 0;
}

/*
 * One of a chat that is known goes where the message itself will; what has come here already is no
 * news, nor is what is on screen.
 */
static void foretell(struct repository *r, const struct push_message *m)
{
	bool in_full = r->notices.detail == NOTICES_PREVIEW;
	char chat_id[ID_SIZE] = NOTICE_NO_CHAT;
	int64_t newest_at, unread = 0;

	if (store_chat_find_by_name(r->store, m->user_name, chat_id, &newest_at) == 0) {
		if (m->created_at <= newest_at || is_focused(r, chat_id))
			return;
		store_chat_get(r->store, chat_id, take_unread, &unread);
	}
	r->notices.sink->show(r->notices.userdata,
		&(struct notice){
			.chat_id = chat_id,
			.sender = in_full ? m->user_name : NULL,
			.text = in_full ? m->text : NULL,
			.unread = unread + 1,
			.foretold = true,
		});
}

void notices_foretell(struct repository *r, const struct push_content *c)
{
	for (size_t i = 0; i < c->n_messages && is_listening(r); i++)
		foretell(r, &c->messages[i]);
}

static int see_state(void *userdata, const struct store_account *a)
{
	*(bool *)userdata = a->sync_state != NULL;
	return 0;
}

static void on_connection(void *userdata, const struct session_status *s)
{
	struct notices *n = userdata;
	struct repository *r = n->pass.userdata;
	bool has_state = false;

	if (s->state == SESSION_CATCHING_UP &&
		(store_account_get(r->store, see_state, &has_state) < 0 || !has_state))
		n->quiet = true;
	/* What was foretold without a chat is told with one, if it is news at all. */
	if (s->state == SESSION_LIVE && n->sink)
		n->sink->withdraw(n->userdata, NOTICE_NO_CHAT);
	if (s->state == SESSION_LIVE && n->quiet) {
		n->quiet = false;
		n->position = store_last_change(r->store);
	}
}

static const struct repository_observer observer = { .on_connection = on_connection };

void repository_set_notice_sink(
	struct repository *r, const struct notice_sink *sink, void *userdata)
{
	r->notices.sink = sink;
	r->notices.userdata = userdata;
}

static void drop_focus(struct notices *n, const char *chat_id)
{
	for (size_t i = 0; i < n->n_focused; i++) {
		if (strcmp(n->focused[i], chat_id) != 0)
			continue;
		memmove(n->focused[i], n->focused[--n->n_focused], ID_SIZE);
		return;
	}
}

static int add_focus(struct notices *n, const char *chat_id)
{
	char(*more)[ID_SIZE] = reallocarray(n->focused, n->n_focused + 1, ID_SIZE);

	if (!more)
		return -ENOMEM;
	n->focused = more;
	snprintf(n->focused[n->n_focused++], ID_SIZE, "%s", chat_id);
	if (n->sink)
		n->sink->withdraw(n->userdata, chat_id);
	return 0;
}

int repository_focus(struct repository *r, const char *before, const char *now)
{
	int e = now ? add_focus(&r->notices, now) : 0;

	if (e == 0 && before)
		drop_focus(&r->notices, before);
	return e;
}

static void on_open(void *userdata, const char *chat_id, const char *message_id, const char *token)
{
	struct repository *r = userdata;

	for (unsigned i = 0; i < r->n_observers; i++)
		if (r->observers[i].observer->on_open)
			r->observers[i].observer->on_open(
				r->observers[i].userdata, chat_id, message_id, token);
}

static void on_mark_read(void *userdata, const char *chat_id, const char *message_id)
{
	struct failure failure;

	if (room_mark_read(userdata, chat_id, message_id, &failure) < 0)
		log_warning("A message cannot be marked as read: %s", failure.detail);
}

struct reply {
	struct repository *repository;
	char chat_id[ID_SIZE], message_id[ID_SIZE];
};

static void on_replied(void *userdata, const struct failure *failure, const char *id)
{
	_cleanup_free_ struct reply *reply = userdata;
	struct notices *n = &reply->repository->notices;

	if (!failure)
		on_mark_read(reply->repository, reply->chat_id, reply->message_id);
	else if (n->sink)
		n->sink->show(n->userdata,
			&(struct notice){
				.chat_id = reply->chat_id,
				.text = failure->detail,
				.failed = true,
			});
}

static void on_reply(void *userdata, const char *chat_id, const char *message_id, const char *text)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	struct room_send m = { .chat_id = chat_id, .text = text };

	if (!reply)
		return;
	reply->repository = userdata;
	snprintf(reply->chat_id, ID_SIZE, "%s", chat_id);
	snprintf(reply->message_id, ID_SIZE, "%s", message_id);
	room_send(userdata, &m, on_replied, reply);
}

const struct notice_actions repository_notice_actions = {
	.open = on_open,
	.mark_read = on_mark_read,
	.reply = on_reply,
};

void notices_load(struct repository *r)
{
	struct notices *n = &r->notices;
	enum notice_detail was = n->detail;

	n->detail = setting_is(r, "notifications", "off")  ? NOTICES_OFF
		: setting_is(r, "notifications", "hidden") ? NOTICES_HIDDEN
							   : NOTICES_PREVIEW;
	if (n->detail != was && n->sink)
		n->sink->withdraw(n->userdata, NULL);
}

void notices_init(struct repository *r)
{
	r->notices.pass = (struct loop_deferred){ .fn = on_pass, .userdata = r };
	r->notices.position = store_committed_change(r->store);
	notices_load(r);
	repository_add_observer(r, &observer, &r->notices);
}

void notices_done(struct repository *r)
{
	event_loop_undefer(r->loop, &r->notices.pass);
	free(r->notices.focused);
}
