/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lists: chats and messages, in pages.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json-fields.h"
#include "http.h"
#include "router.h"
#include "server.h"
#include "views.h"

#define LIMIT_MAX 200
#define LIMIT_DEFAULT 50

/* What a page was asked for; an id that was not given is "". */
struct page_query {
	char after_id[65], before_id[65];
	int64_t limit;
};

static void reply_unknown_cursor(struct exchange *x, const char *name)
{
	reply_error(x, PROBLEM_UNKNOWN_CURSOR, "'%s' is not known here: start from the newest page",
		name);
}

/* Reads an id of the query; false when the request was answered instead. */
static bool read_id(struct exchange *x, const char *name, char ret[65])
{
	int r = http_query(x, name, ret, 65);

	if (r == -ENOENT) {
		ret[0] = '\0';
		return true;
	}
	if (r == 0 && id_is_valid(ret))
		return true;
	reply_error(x, PROBLEM_MALFORMED, "'%s' must be an id: 1 to 64 printable ASCII characters",
		name);
	return false;
}

static bool read_page_query(struct exchange *x, struct page_query *ret)
{
	char limit[8];
	int r;

	if (!read_id(x, "after_id", ret->after_id) || !read_id(x, "before_id", ret->before_id))
		return false;
	ret->limit = LIMIT_DEFAULT;
	r = http_query(x, "limit", limit, sizeof(limit));
	if (r == -ENOENT)
		return true;
	if (r == 0 && *limit && strspn(limit, "0123456789") == strlen(limit)) {
		ret->limit = strtol(limit, NULL, 10);
		if (ret->limit >= 1 && ret->limit <= LIMIT_MAX)
			return true;
	}
	reply_error(x, PROBLEM_MALFORMED, "'limit' must be 1 to %d", LIMIT_MAX);
	return false;
}

/* A page of chats in the making. */
struct chat_page {
	struct exchange *exchange;
	cJSON *chats, *users, *messages, *attachments, *removed;
};

static void chat_page_start(struct chat_page *page, struct exchange *x)
{
	page->exchange = x;
	page->chats = cJSON_CreateArray();
	page->users = cJSON_CreateArray();
	page->messages = cJSON_CreateArray();
	page->attachments = cJSON_CreateArray();
	page->removed = NULL;
	cJSON_AddItemToArray(page->users, view_user(x->user));
}

static void chat_page_add(struct chat_page *page, struct member *m)
{
	struct server *server = page->exchange->server;
	struct message last;

	if (m->hidden) {
		cJSON_AddItemToArray(page->removed, cJSON_CreateString(m->chat->id));
		return;
	}
	cJSON_AddItemToArray(page->chats, view_chat(m));
	cJSON_AddItemToArray(page->users, view_user(chat_peer(m->chat, m->user)->user));
	if (m->chat->last_seq == 0 || message_at(server, m->chat, m->chat->last_seq, &last) < 0)
		return;
	cJSON_AddItemToArray(page->messages, view_message(&last));
	view_attachments_of(server, last.attachments, page->attachments);
}

static void chat_page_reply(struct chat_page *page, bool more, int64_t state)
{
	cJSON *o = cJSON_CreateObject();
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, state);
	cJSON_AddItemToObject(o, "chats", page->chats);
	cJSON_AddItemToObject(o, "users", page->users);
	cJSON_AddItemToObject(o, "messages", page->messages);
	cJSON_AddItemToObject(o, "attachments", page->attachments);
	if (page->removed)
		cJSON_AddItemToObject(o, "removed", page->removed);
	cJSON_AddBoolToObject(o, "more", more);
	cJSON_AddStringToObject(o, "state", text);
	reply_json(page->exchange, 200, o);
}

/* The user's view of the chat that a cursor names; false when the request was answered instead. */
static bool find_cursor(struct exchange *x, const char *name, const char *id, struct member **ret)
{
	struct chat *chat = *id ? chats_find(x->server->chats, id) : NULL;
	struct member *m = chat ? chat_member(chat, x->user) : NULL;

	if (*id && (!m || m->hidden)) {
		reply_unknown_cursor(x, name);
		return false;
	}
	*ret = m;
	return true;
}

/* The first of the page that ends just before `before`. */
static struct member *page_before(struct member *before, int64_t limit, bool *ret_more)
{
	struct member *m = before;

	while (limit-- > 0 && TAILQ_PREV(m, member_list, by_activity))
		m = TAILQ_PREV(m, member_list, by_activity);
	*ret_more = TAILQ_PREV(m, member_list, by_activity) != NULL;
	return m;
}

static void answer_list(struct exchange *x, const struct page_query *q)
{
	struct member *after, *before, *m;
	struct chat_page page;
	int64_t n = 0;
	bool more = false;

	if (!find_cursor(x, "after_id", q->after_id, &after) ||
		!find_cursor(x, "before_id", q->before_id, &before))
		return;
	chat_page_start(&page, x);
	if (before && !after)
		m = page_before(before, q->limit, &more);
	else
		m = after ? TAILQ_NEXT(after, by_activity) : TAILQ_FIRST(&x->user->by_activity);
	for (; m && m != before && n < q->limit; m = TAILQ_NEXT(m, by_activity), n++)
		chat_page_add(&page, m);
	if (!before || after)
		more = m && m != before;
	chat_page_reply(&page, more, x->user->change);
}

/* The first view that changed after `state`. */
static struct member *first_changed(const struct user *user, int64_t state)
{
	struct member *m = TAILQ_LAST(&user->by_change, member_list), *first = NULL;

	for (; m && m->change > state; m = TAILQ_PREV(m, member_list, by_change))
		first = m;
	return first;
}

static void answer_changes(struct exchange *x, const struct page_query *q, int64_t state)
{
	struct chat *chat = *q->after_id ? chats_find(x->server->chats, q->after_id) : NULL;
	struct member *m = chat ? chat_member(chat, x->user) : NULL, *last = NULL;
	struct chat_page page;
	int64_t n = 0;

	/*
	 * A chat that changed since it ended a page stands elsewhere now; the place it had then is
	 * what counts.
	 */
	if (*q->after_id && (!m || m->page_end == 0)) {
		reply_unknown_cursor(x, "after_id");
		return;
	}
	if (m && m->page_end > state)
		state = m->page_end;
	chat_page_start(&page, x);
	page.removed = cJSON_CreateArray();
	for (m = first_changed(x->user, state); m && n < q->limit;
		m = TAILQ_NEXT(m, by_change), n++) {
		chat_page_add(&page, m);
		last = m;
	}
	if (last)
		last->page_end = last->change;
	chat_page_reply(&page, m != NULL, m && last ? last->change : x->user->change);
}

void handle_chats(struct exchange *x)
{
	struct page_query q;
	char state[24];
	int r = http_query(x, "changed_after", state, sizeof(state));
	int64_t number;

	if (!read_page_query(x, &q))
		return;
	if (r == -ENOENT) {
		answer_list(x, &q);
		return;
	}
	number = r == 0 && *state && strspn(state, "0123456789") == strlen(state)
		? strtoll(state, NULL, 10)
		: -1;
	if (*q.before_id)
		reply_error(x, PROBLEM_MALFORMED, "'before_id' does not go with 'changed_after'");
	else if (number < 0 || number > x->user->change)
		reply_unknown_cursor(x, "changed_after");
	else
		answer_changes(x, &q, number);
}

struct chat_request {
	const char *user_id;
};

static const struct json_field chat_request_fields[] = {
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct chat_request, user_id) },
	{ NULL },
};

void handle_chat_create(struct exchange *x)
{
	_cleanup_(cJSON_Deletep) cJSON *o = http_json(x);
	struct chat_request request;
	struct json_error e;
	struct user *peer;
	struct chat *chat;
	bool created;

	if (json_fields_decode(chat_request_fields, o, false, &request, &e) < 0) {
		reply_error(x, PROBLEM_MALFORMED, "%s", e.text);
		return;
	}
	peer = users_find(x->server->users, request.user_id);
	if (peer == x->user)
		reply_error(x, PROBLEM_MALFORMED, "A chat has two different users");
	else if (!peer)
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such user");
	else if (chats_between(x->server->chats, x->user, peer, &chat, &created) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The chat could not be made");
	else
		reply_json(x, created ? 201 : 200, view_chat(chat_member(chat, x->user)));
}

/* The user's view of the chat in the path; NULL when the request was answered instead. */
static struct member *find_member(struct exchange *x)
{
	struct chat *chat = chats_find(x->server->chats, x->parameters[0]);
	struct member *m = chat ? chat_member(chat, x->user) : NULL;

	if (!chat)
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such chat");
	else if (!m)
		reply_error(x, PROBLEM_FORBIDDEN, "The chat is between others");
	return m;
}

void handle_chat_delete(struct exchange *x)
{
	struct member *m = find_member(x);

	if (!m)
		return;
	if (chat_hide(x->server->chats, m) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The chat could not be removed");
	else
		reply_empty(x, 204);
}

struct message_page {
	struct server *server;
	cJSON *messages, *attachments;
	bool upward;
	int64_t left; /* how many more the page takes; one beyond shows that there are more */
	bool more;
};

static void message_page_add(void *userdata, const struct message *m)
{
	struct message_page *page = userdata;

	if (page->left-- == 0) {
		page->more = true;
		return;
	}
	cJSON_InsertItemInArray(page->messages,
		page->upward ? cJSON_GetArraySize(page->messages) : 0, view_message(m));
	view_attachments_of(page->server, m->attachments, page->attachments);
}

/* The place of the message that a cursor names; false when the request was answered instead. */
static bool find_place(
	struct exchange *x, struct chat *chat, const char *name, const char *id, int64_t *ret)
{
	int r = *id ? message_place(x->server, chat, id, ret) : 0;

	if (r == -ENOENT)
		reply_unknown_cursor(x, name);
	else if (r < 0)
		reply_error(x, PROBLEM_INTERNAL, "The messages could not be read");
	return r == 0;
}

static void answer_messages(struct exchange *x, struct member *m, struct message_page *page)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *users = cJSON_AddArrayToObject(o, "users");

	cJSON_AddItemToArray(users, view_user(m->user));
	cJSON_AddItemToArray(users, view_user(chat_peer(m->chat, m->user)->user));
	cJSON_AddItemToObject(o, "messages", page->messages);
	cJSON_AddItemToObject(o, "attachments", page->attachments);
	cJSON_AddBoolToObject(o, "more", page->more);
	reply_json(x, 200, o);
}

void handle_messages(struct exchange *x)
{
	struct member *m = find_member(x);
	int64_t after = 0, before = INT64_MAX;
	struct message_page page = { .server = x->server };
	struct page_query q;

	if (!m || !read_page_query(x, &q) ||
		!find_place(x, m->chat, "after_id", q.after_id, &after) ||
		!find_place(x, m->chat, "before_id", q.before_id, &before))
		return;
	page.upward = *q.after_id;
	page.left = q.limit;
	page.messages = cJSON_CreateArray();
	page.attachments = cJSON_CreateArray();
	if (messages_read(x->server, m->chat, after, before, q.limit + 1, page.upward,
		    message_page_add, &page) == 0) {
		answer_messages(x, m, &page);
		return;
	}
	cJSON_Delete(page.messages);
	cJSON_Delete(page.attachments);
	reply_error(x, PROBLEM_INTERNAL, "The messages could not be read");
}
