/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "messages.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "server.h"

int each_attachment(const char *ids, int (*fn)(void *userdata, const char *id), void *userdata)
{
	char id[65];

	while (*ids) {
		size_t len = strcspn(ids, ",");
		int r;

		if (len == 0 || len >= sizeof(id))
			return -EINVAL;
		memcpy(id, ids, len);
		id[len] = '\0';
		r = fn(userdata, id);
		if (r != 0)
			return r;
		ids += len;
		if (*ids == ',' && *++ids == '\0')
			return -EINVAL;
	}
	return 0;
}

static void read_row(sqlite3_stmt *q, struct chat *chat, struct message *m)
{
	*m = (struct message){
		.id = column_text(q, 0),
		.user_id = column_text(q, 1),
		.text = column_text(q, 2),
		.created_at = sqlite3_column_int64(q, 3),
		.attachments = column_text(q, 4),
		.seq = sqlite3_column_int64(q, 5),
		.chat = chat,
	};
}

int message_place(struct server *server, const struct chat *chat, const char *id, int64_t *ret_seq)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_MESSAGE_BY_ID);
	int r;

	bind_text(q, 1, id);
	r = store_next(server->store, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = sqlite3_column_int64(q, 6) == chat->number ? 0 : -ENOENT;
	if (r == 0)
		*ret_seq = sqlite3_column_int64(q, 5);
	sqlite3_reset(q);
	return r;
}

int message_at(struct server *server, struct chat *chat, int64_t seq, struct message *ret)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_MESSAGE_BY_SEQ);
	int r;

	bind_int(q, 1, chat->number);
	bind_int(q, 2, seq);
	r = store_next(server->store, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	read_row(q, chat, ret);
	return 0;
}

int messages_read(struct server *server, struct chat *chat, int64_t after, int64_t before,
	int64_t limit, bool upward, void (*fn)(void *userdata, const struct message *message),
	void *userdata)
{
	sqlite3_stmt *q =
		store_query(server->store, upward ? QUERY_MESSAGE_UPWARD : QUERY_MESSAGE_DOWNWARD);
	struct message m;
	int r;

	bind_int(q, 1, chat->number);
	bind_int(q, 2, after);
	bind_int(q, 3, before);
	bind_int(q, 4, limit);
	while ((r = store_next(server->store, q)) > 0) {
		read_row(q, chat, &m);
		fn(userdata, &m);
	}
	return r;
}

struct attachment_check {
	struct server *server;
	struct problem *problem;
	const char *sender, *message_id, *all;
	int count;
};

static int refuse(struct problem *p, enum problem_kind kind, const char *detail)
{
	problem_set(p, kind, "%s", detail);
	return MESSAGE_REFUSED;
}

struct repetition {
	const char *id;
	int count;
};

static int count_same(void *userdata, const char *id)
{
	struct repetition *r = userdata;

	r->count += strcmp(id, r->id) == 0;
	return 0;
}

static bool is_repeated(const char *ids, const char *id)
{
	struct repetition r = { id, 0 };

	return each_attachment(ids, count_same, &r) < 0 || r.count > 1;
}

static int check_attachment(void *userdata, const char *id)
{
	struct attachment_check *c = userdata;
	struct attachment a;
	char message[65];
	int64_t chat;
	int r;

	if (++c->count > MESSAGE_ATTACHMENTS_MAX || !id_is_valid(id) || is_repeated(c->all, id))
		return refuse(c->problem, PROBLEM_MALFORMED,
			"At most 32 attachments, each a valid id, none twice");
	r = attachment_find(c->server->store, id, &a);
	if (r == -ENOENT)
		return refuse(c->problem, PROBLEM_ATTACHMENT_INCOMPLETE,
			"Both variants of every attachment are uploaded before the message is "
			"sent");
	if (r < 0)
		return r;
	if (strcmp(a.full.owner, c->sender) != 0)
		return refuse(c->problem, PROBLEM_FORBIDDEN,
			"The attachment was uploaded by somebody else");
	r = attachment_use(c->server->store, id, &chat, message);
	if (r == 0 && strcmp(message, c->message_id) != 0)
		return refuse(
			c->problem, PROBLEM_ID_CONFLICT, "The attachment is in another message");
	return r == -ENOENT ? 0 : r;
}

struct attachment_user {
	struct store *store;
	const struct message *message;
};

static int use_attachment(void *userdata, const char *id)
{
	struct attachment_user *u = userdata;

	return attachment_set_use(u->store, id, u->message->chat->number, u->message->id);
}

/* 0 when the message may be stored, MESSAGE_REFUSED when not, or -EIO. */
static int check_attachments(struct server *server, const struct user *sender,
	const struct message *m, struct problem *p)
{
	struct attachment_check c = { server, p, sender->id, m->id, m->attachments, 0 };
	int r = each_attachment(m->attachments, check_attachment, &c);

	return r == -EINVAL ? refuse(p, PROBLEM_MALFORMED, "'attachments' is no list of ids") : r;
}

/* What was stored under the id before: the same again, or somebody's other message. */
static int judge_known(struct server *server, sqlite3_stmt *q, const struct user *sender,
	struct message *m, struct problem *p)
{
	if (strcmp(column_text(q, 1), sender->id) != 0 ||
		sqlite3_column_int64(q, 6) != m->chat->number)
		return refuse(p, PROBLEM_ID_CONFLICT, "The message id is that of another message");
	m->created_at = sqlite3_column_int64(q, 3);
	m->seq = sqlite3_column_int64(q, 5);
	return MESSAGE_REPEATED;
}

/* A verdict on an id that is stored already, -ENOENT when it is not, or -EIO. */
static int look_up(
	struct server *server, const struct user *sender, struct message *m, struct problem *p)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_MESSAGE_BY_ID);
	int r;

	bind_text(q, 1, m->id);
	r = store_next(server->store, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = judge_known(server, q, sender, m, p);
	sqlite3_reset(q);
	return r;
}

/* 0, or -EEXIST when the id is stored already. */
static int insert(struct server *server, const struct message *m)
{
	sqlite3_stmt *q = store_query(server->store, QUERY_MESSAGE_INSERT);
	int r;

	bind_int(q, 1, m->chat->number);
	bind_int(q, 2, m->seq);
	bind_text(q, 3, m->id);
	bind_text(q, 4, m->user_id);
	bind_text(q, 5, m->text);
	bind_int(q, 6, m->created_at);
	bind_text(q, 7, m->attachments);
	r = store_run(server->store, q);
	if (r < 0)
		return r;
	return store_changes(server->store) == 1 ? 0 : -EEXIST;
}

static int check_text(const struct message *m, struct problem *p)
{
	if (strlen(m->text) > MESSAGE_TEXT_MAX)
		return refuse(p, PROBLEM_TOO_LARGE, "A text has at most 65536 bytes");
	if (*m->text == '\0' && *m->attachments == '\0')
		return refuse(p, PROBLEM_MALFORMED, "A message has a text or an attachment");
	return 0;
}

int message_accept(struct server *server, struct user *sender, struct message *m, struct problem *p)
{
	struct attachment_user use = { server->store, m };
	int r = check_text(m, p);

	/*
	 * The insert finds repeats by itself; with attachments, these are checked before and would
	 * be in the way.
	 */
	if (r == 0 && *m->attachments) {
		r = look_up(server, sender, m, p);
		if (r == -ENOENT)
			r = check_attachments(server, sender, m, p);
		else
			return r;
	}
	if (r != 0)
		return r;
	m->user_id = sender->id;
	m->seq = m->chat->last_seq + 1;
	m->created_at = clock_wall_ms();
	r = insert(server, m);
	if (r == -EEXIST)
		return look_up(server, sender, m, p);
	if (r == 0)
		r = each_attachment(m->attachments, use_attachment, &use);
	if (r == 0)
		r = chat_add_message(server->chats, m->chat, m->id, sender);
	return r < 0 ? -EIO : MESSAGE_ACCEPTED;
}
