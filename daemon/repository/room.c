/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "repository/parts.h"

#define MIN_PAGE 50

/*
 * A page of older history asked of the server for a frontend. Whoever asks for the same meanwhile
 * waits along, without a call.
 */
struct history_load {
	struct repository *repository;
	struct service_call *call;
	int64_t limit;
	bool answered;
	char chat_id[ID_SIZE];
	repository_done_fn fn;
	void *userdata;
	TAILQ_ENTRY(history_load) entry;
};

/*
 * The id that a chat goes by now; it may have been named by the server since the caller learnt it.
 */
static int resolve_chat(
	struct repository *r, const char *chat_id, char ret_id[ID_SIZE], struct failure *f)
{
	int e = store_chat_id(r->store, chat_id, ret_id);

	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no chat with this id");
	return e < 0 ? failure_from_errno(f, e) : 0;
}

struct twin {
	const struct room_send *m;
	bool same;
};

/*
 * The same request again: the same words and as many photos, to the same chat where one was named.
 */
static int compare(void *userdata, const struct message *m)
{
	struct twin *t = userdata;

	t->same = m->outgoing && strcmp(m->text, t->m->text) == 0 &&
		m->n_attachments == t->m->n_photos &&
		(!t->m->chat_id || strcmp(m->chat_id, t->m->chat_id) == 0);
	return 0;
}

/* 1: the message is here already; 0: it is new; negative: a failure. */
static int check_repeat(struct repository *r, const struct room_send *m, struct failure *f)
{
	struct twin t = { .m = m };
	int e;

	if (!m->message_id)
		return 0;
	if (photos_importing(r, m->message_id))
		return failure_set(f, FAILURE_BUSY, "this message is being prepared");
	e = store_message_get(r->store, m->message_id, compare, &t);
	if (e == -ENOENT)
		return 0;
	if (e < 0)
		return failure_from_errno(f, e);
	if (!t.same)
		return failure_set(f, FAILURE_CONFLICT, "another message has this message_id");
	return 1;
}

static int check_content(const struct room_send *m, struct failure *f)
{
	if ((m->chat_id != NULL) == (m->user_id != NULL))
		return failure_set(f, FAILURE_INVALID, "one of chat_id and user_id is needed");
	if (strlen(m->text) > ROOM_TEXT_MAX)
		return failure_set(
			f, FAILURE_TOO_LARGE, "the text is longer than %d bytes", ROOM_TEXT_MAX);
	if (m->n_photos > ROOM_PHOTOS_MAX)
		return failure_set(f, FAILURE_TOO_LARGE, "a message carries at most %d photos",
			ROOM_PHOTOS_MAX);
	if (!m->text[0] && m->n_photos == 0)
		return failure_set(f, FAILURE_INVALID, "a message needs a text or a photo");
	if (m->message_id && !id_is_valid(m->message_id))
		return failure_set(f, FAILURE_INVALID,
			"message_id must be 1 to 64 printable ASCII characters");
	return 0;
}

/*
 * The chat is begun here if the server does not know one with that user yet, together with its
 * first message.
 */
static int store_in_chat(struct repository *r, struct message *m, const char *user_id)
{
	char chat_id[ID_SIZE];
	int e;

	if (m->chat_id)
		return store_message_add(r->store, m);
	e = store_chat_provisional(r->store, user_id, chat_id);
	if (e < 0)
		return e;
	m->chat_id = chat_id;
	e = store_message_add(r->store, m);
	m->chat_id = NULL;
	return e;
}

int room_store_pending(
	struct repository *r, struct message *m, const char *user_id, struct failure *f)
{
	/* A plain message fails before it has written anything, or with it the whole turn. */
	bool in_parts = !m->chat_id || m->n_attachments > 0;
	int e = in_parts ? store_begin(r->store) : 0;

	if (e < 0)
		return failure_from_errno(f, e);
	m->handed_over = !in_parts && outbox_is_open(r);
	e = store_in_chat(r, m, user_id);
	if (in_parts)
		store_end(r->store, e < 0);
	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no chat with this id");
	if (e < 0)
		return failure_from_errno(f, e);
	outbox_schedule(r, false);
	transfers_schedule(r);
	presence_review(r);
	return 0;
}

static int send_text(
	struct repository *r, const struct room_send *m, char *message_id, struct failure *f)
{
	struct message out = {
		.id = message_id,
		.chat_id = (char *)m->chat_id,
		.user_id = r->account.user_id,
		.text = (char *)m->text,
		.created_at = clock_wall_ms(),
		.outgoing = true,
	};

	return room_store_pending(r, &out, m->user_id, f);
}

/* 1: `fn` will be called later; 0: the message is stored; negative: a failure. */
static int take(struct repository *r, struct room_send *m, char *message_id, repository_id_fn fn,
	void *userdata, struct failure *f)
{
	char chat_id[ID_SIZE];
	int e;

	if (!r->account.signed_in)
		return failure_from_errno(f, -EKEYEXPIRED);
	e = check_content(m, f);
	if (e == 0 && m->chat_id) {
		e = resolve_chat(r, m->chat_id, chat_id, f);
		m->chat_id = chat_id;
	}
	e = e < 0 ? e : check_repeat(r, m, f);
	if (e != 0)
		return e < 0 ? e : 0;
	if (m->n_photos == 0)
		return send_text(r, m, message_id, f);
	if (!m->message_id)
		m->message_id = message_id;
	photos_import(r, m, fn, userdata);
	return 1;
}

void room_send(struct repository *r, const struct room_send *m, repository_id_fn fn, void *userdata)
{
	struct room_send copy = *m;
	char message_id[ID_SIZE];
	struct failure failure;
	int e;

	if (m->message_id)
		snprintf(message_id, sizeof(message_id), "%s", m->message_id);
	else
		uuid7_generate(message_id);
	e = take(r, &copy, message_id, fn, userdata, &failure);
	if (e <= 0)
		fn(userdata, e < 0 ? &failure : NULL, e < 0 ? NULL : message_id);
}

static struct history_load *load_new(
	struct repository *r, const char *chat_id, repository_done_fn fn, void *userdata)
{
	struct history_load *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct history_load){ .repository = r, .fn = fn, .userdata = userdata };
	snprintf(l->chat_id, sizeof(l->chat_id), "%s", chat_id);
	TAILQ_INSERT_TAIL(&r->history_loads, l, entry);
	return l;
}

static void load_end(struct history_load *l, const struct failure *f)
{
	struct history_load ended = *l;

	TAILQ_REMOVE(&l->repository->history_loads, l, entry);
	free(l);
	ended.fn(ended.userdata, f);
}

void room_done(struct repository *r)
{
	struct history_load *l;

	while ((l = TAILQ_FIRST(&r->history_loads))) {
		service_call_cancel(r->service, l->call);
		TAILQ_REMOVE(&r->history_loads, l, entry);
		free(l);
	}
}

static int store_history(struct repository *r, const char *chat_id, struct message_page *page)
{
	struct store_put put = { 0 };
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	e = lobby_put_users(r, page->users, page->n_users);
	for (size_t i = 0; i < page->n_messages; i++)
		transfers_plan(r, &page->messages[i], false);
	if (e == 0)
		e = store_messages_put(
			r->store, chat_id, page->messages, page->n_messages, true, &put);
	store_end(r->store, e < 0);
	return e;
}

static struct history_load *next_answered(struct repository *r)
{
	struct history_load *l;

	TAILQ_FOREACH(l, &r->history_loads, entry)
		if (l->answered)
			return l;
	return NULL;
}

/* The one that was answered, and those who waited along. */
static void end_all(
	struct repository *r, const char *chat_id, int64_t limit, const struct failure *f)
{
	struct history_load *l;

	TAILQ_FOREACH(l, &r->history_loads, entry)
		l->answered |= !l->call && l->limit <= limit && strcmp(l->chat_id, chat_id) == 0;
	while ((l = next_answered(r)))
		load_end(l, f);
}

/* What the server cannot give now is left out: the frontend gets what is here. */
static void on_history(void *userdata, const struct problem *p, struct message_page *page)
{
	struct history_load *l = userdata;
	struct repository *r = l->repository;
	struct failure failure;
	int e = p ? 0 : store_history(r, l->chat_id, page);

	l->call = NULL;
	if (p && p->class == PROBLEM_TRANSIENT)
		hold_begin(&r->history_hold, p);
	else
		hold_over(&r->history_hold);
	if (e < 0)
		failure_from_errno(&failure, e);
	else
		transfers_schedule(r);
	end_all(r, l->chat_id, l->limit, e < 0 ? &failure : NULL);
	catchup_fill_gaps(r);
}

static struct history_load *find_load(struct repository *r, const char *chat_id, int64_t limit)
{
	struct history_load *l;

	TAILQ_FOREACH(l, &r->history_loads, entry)
		if (l->call && l->limit >= limit && strcmp(l->chat_id, chat_id) == 0)
			return l;
	return NULL;
}

static int ask_history(struct repository *r, const struct store_chat_sync *known, int64_t limit,
	repository_done_fn fn, void *userdata)
{
	struct history_load *l;
	bool is_asked;
	int e;

	limit = limit > MIN_PAGE ? limit : MIN_PAGE;
	is_asked = find_load(r, known->id, limit);
	l = load_new(r, known->id, fn, userdata);
	if (!l)
		return -ENOMEM;
	l->limit = limit;
	if (is_asked)
		return 0;
	e = r->service->room->list_messages(r->service,
		&(struct message_page_query){
			.chat_id = known->id,
			.before_id = known->floor_id[0] ? known->floor_id : NULL,
			.limit = limit,
		},
		on_history, l, &l->call);
	if (e < 0) {
		TAILQ_REMOVE(&r->history_loads, l, entry);
		free(l);
	}
	return e;
}

static bool older_exists(const struct store_chat_sync *known)
{
	return known->floor_seq > 1 || (known->floor_seq == 0 && known->server_seq > 0);
}

bool room_has_older_history(struct repository *r, const char *chat_id)
{
	struct store_chat_sync known;

	return store_chat_sync(r->store, chat_id, &known) == 0 && older_exists(&known);
}

void room_load_history(struct repository *r, const char *chat_id, const char *before_id,
	int64_t limit, repository_done_fn fn, void *userdata)
{
	struct store_chat_sync known;
	struct failure f;
	int64_t here = store_message_count_before(r->store, chat_id, before_id, limit);
	int e = here < 0 ? (int)here : store_chat_sync(r->store, chat_id, &known);

	if (e < 0) {
		failure_from_errno(&f, e);
		if (e == -ENOENT)
			failure_set(&f, FAILURE_NOT_FOUND,
				"there is no such chat, or no such message in it");
		fn(userdata, &f);
		return;
	}
	if (here < limit && older_exists(&known) && session_is_up(r) &&
		hold_left_ms(&r->history_hold) == 0 &&
		(r->service->capabilities & SERVICE_HISTORY_PAGING) &&
		ask_history(r, &known, limit, fn, userdata) == 0)
		return;
	fn(userdata, NULL);
}

int room_mark_read(
	struct repository *r, const char *chat_id, const char *message_id, struct failure *f)
{
	int e = store_receipt_own(r->store, chat_id, message_id, false);

	if (e == -ENOENT)
		return failure_set(
			f, FAILURE_NOT_FOUND, "there is no such chat, or no such message in it");
	if (e < 0)
		return failure_from_errno(f, e);
	receipts_schedule(r);
	return 0;
}
