/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "repository/parts.h"

#define LEARN_BASE_MS 1000
#define LEARN_CAP_MS 300000

enum question {
	QUESTION_CHAT, /* with a user */
	QUESTION_USER,
	QUESTION_DELETION, /* of a chat */
};

/*
 * A question to the server on a frontend's behalf. Whoever asks the same meanwhile waits along,
 * without a call.
 */
struct lobby_call {
	struct repository *repository;
	struct service_call *call;
	enum question question;
	char subject[ID_SIZE]; /* the user or the chat */
	int64_t last_seq;      /* of the chat that is to go, when the server was asked */
	bool asked;            /* of the server, not answered yet */
	bool answered;
	repository_id_fn id_fn;
	repository_done_fn done_fn;
	void *userdata;
	TAILQ_ENTRY(lobby_call) entry;
};

static struct lobby_call *call_new(
	struct repository *r, enum question question, const char *subject, void *userdata)
{
	struct lobby_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->repository = r;
	c->question = question;
	snprintf(c->subject, sizeof(c->subject), "%s", subject);
	c->userdata = userdata;
	TAILQ_INSERT_TAIL(&r->lobby_calls, c, entry);
	return c;
}

static void call_end(struct lobby_call *c, const struct failure *f, const char *id)
{
	struct lobby_call ended = *c;

	TAILQ_REMOVE(&c->repository->lobby_calls, c, entry);
	free(c);
	if (ended.id_fn)
		ended.id_fn(ended.userdata, f, id);
	else
		ended.done_fn(ended.userdata, f);
}

static bool is_same(const struct lobby_call *a, const struct lobby_call *b)
{
	return a->question == b->question && strcmp(a->subject, b->subject) == 0;
}

/* True if the server is being asked that already. */
static bool waits_along(const struct lobby_call *c)
{
	const struct lobby_call *other;

	TAILQ_FOREACH(other, &c->repository->lobby_calls, entry)
		if (other != c && other->asked && is_same(other, c))
			return true;
	return false;
}

static struct lobby_call *next_answered(struct repository *r)
{
	struct lobby_call *c;

	TAILQ_FOREACH(c, &r->lobby_calls, entry)
		if (c->answered)
			return c;
	return NULL;
}

/* The one that was answered, and those who waited along. `p`: why there was no answer, or NULL. */
static void end_all(struct lobby_call *answered, const struct problem *p, const struct failure *f,
	const char *id)
{
	struct repository *r = answered->repository;
	struct lobby_call *c;

	if (p && p->class == PROBLEM_TRANSIENT)
		hold_begin(&r->lobby_hold, p);
	else
		hold_over(&r->lobby_hold);
	TAILQ_FOREACH(c, &r->lobby_calls, entry)
		c->answered |= is_same(c, answered);
	while ((c = next_answered(r)))
		call_end(c, f, id);
	catchup_fill_gaps(r);
}

void lobby_session_ended(struct repository *r)
{
	r->learning = service_call_cancel(r->service, r->learning);
}

void lobby_done(struct repository *r)
{
	struct lobby_call *c;

	lobby_session_ended(r);
	r->learn_retry = loop_timer_free(r->learn_retry);
	while ((c = TAILQ_FIRST(&r->lobby_calls))) {
		service_call_cancel(r->service, c->call);
		TAILQ_REMOVE(&r->lobby_calls, c, entry);
		free(c);
	}
}

int lobby_put_users(struct repository *r, const struct user *users, size_t n)
{
	int e = 0;

	for (size_t i = 0; i < n && e == 0; i++)
		e = store_user_put(r->store, &users[i]);
	return e;
}

static void learn_later(struct repository *r, uint32_t floor_ms)
{
	loop_timer_start_us(
		r->learn_retry, (uint64_t)backoff_next(&r->learn_backoff, floor_ms) * 1000);
}

/* Whoever the server does not describe either goes by the id from now on. */
static void on_learned(void *userdata, const struct problem *p, const struct user *user)
{
	struct repository *r = userdata;
	struct user nameless = { .id = r->learning_id, .name = r->learning_id };

	r->learning = NULL;
	if (p && p->class == PROBLEM_TRANSIENT)
		learn_later(r, p->retry_after_ms);
	if (p && (p->class == PROBLEM_TRANSIENT || p->class == PROBLEM_UNAUTHORISED))
		return;
	backoff_reset(&r->learn_backoff);
	if (store_user_put(r->store, p || !user->name ? &nameless : user) == 0)
		lobby_learn_users(r);
}

void lobby_learn_users(struct repository *r)
{
	if (r->learning || !session_is_up(r) || loop_timer_is_running(r->learn_retry) ||
		store_user_next_unknown(r->store, r->learning_id) < 0)
		return;
	if (r->service->lobby->get_user(r->service, r->learning_id, on_learned, r, &r->learning) <
		0)
		learn_later(r, 0);
}

static void on_learn_retry(void *userdata)
{
	lobby_learn_users(userdata);
}

int lobby_init(struct repository *r, uint64_t seed)
{
	backoff_init(&r->learn_backoff, LEARN_BASE_MS, LEARN_CAP_MS, seed);
	hold_init(&r->lobby_hold, seed + 11);
	r->learn_retry = loop_timer_new(r->loop, on_learn_retry, r);
	return r->learn_retry ? 0 : -ENOMEM;
}

/* 0 when the server may be asked, else a filled failure. */
static int check_online(struct repository *r, struct failure *f)
{
	uint32_t wait = hold_left_ms(&r->lobby_hold);
	int e;

	if (!r->account.signed_in || r->account.refused)
		return failure_from_errno(f, -EKEYEXPIRED);
	if (!session_is_up(r))
		return failure_from_errno(f, -ENOTCONN);
	if (wait == 0)
		return 0;
	e = failure_set(f, FAILURE_OFFLINE, "the server asked to wait, or has trouble");
	f->retry_after_ms = wait;
	return e;
}

/* A question that may be asked now; NULL, and why not. */
static struct lobby_call *begin(struct repository *r, enum question question, const char *subject,
	void *userdata, struct failure *ret_failure)
{
	int e = check_online(r, ret_failure);
	struct lobby_call *c = e < 0 ? NULL : call_new(r, question, subject, userdata);

	if (!c && e == 0)
		failure_from_errno(ret_failure, -ENOMEM);
	return c;
}

/* False where the server is being asked that already. */
static bool takes_lead(struct lobby_call *c)
{
	if (waits_along(c))
		return false;
	c->asked = true;
	return true;
}

static void end_unasked(struct lobby_call *c, int e)
{
	struct failure f;

	failure_from_errno(&f, e);
	call_end(c, &f, NULL);
}

static int store_chat(struct repository *r, const struct chat *chat, const struct user *peer)
{
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	if (peer)
		e = store_user_put(r->store, peer);
	e = e < 0 ? e : store_chat_put(r->store, chat);
	store_end(r->store, e < 0);
	return e;
}

static void on_chat(
	void *userdata, const struct problem *p, const struct chat *chat, const struct user *peer)
{
	struct lobby_call *c = userdata;
	struct repository *r = c->repository;
	struct failure failure;
	int e = 0;

	if (p) {
		failure_from_problem(&failure, p);
	} else {
		e = store_chat(r, chat, peer);
		if (e < 0)
			failure_from_errno(&failure, e);
	}
	end_all(c, p, p || e < 0 ? &failure : NULL, p ? NULL : chat->id);
	lobby_learn_users(r);
}

static int known_chat(void *userdata, const struct chat_info *c)
{
	if (c->provisional)
		return -ENOENT;
	snprintf(userdata, ID_SIZE, "%s", c->id);
	return 0;
}

void lobby_create_chat(
	struct repository *r, const char *user_id, repository_id_fn fn, void *userdata)
{
	char chat_id[ID_SIZE];
	struct lobby_call *c;
	struct failure f;
	int e;

	if (store_chat_get_by_user(r->store, user_id, known_chat, chat_id) == 0) {
		fn(userdata, NULL, chat_id);
		return;
	}
	c = begin(r, QUESTION_CHAT, user_id, userdata, &f);
	if (!c) {
		fn(userdata, &f, NULL);
		return;
	}
	c->id_fn = fn;
	if (!takes_lead(c))
		return;
	e = r->service->lobby->create_chat(r->service, user_id, on_chat, c, &c->call);
	if (e < 0)
		end_unasked(c, e);
}

struct doomed {
	char id[ID_SIZE];
	bool provisional;
};

static int look_at(void *userdata, const struct chat_info *c)
{
	struct doomed *d = userdata;

	snprintf(d->id, sizeof(d->id), "%s", c->id);
	d->provisional = c->provisional;
	return 0;
}

static int64_t last_seq_of(struct repository *r, const char *chat_id)
{
	struct store_chat_sync known;

	return store_chat_sync(r->store, chat_id, &known) < 0 ? 0 : known.last_seq;
}

static int delete_here(struct repository *r, const char *chat_id)
{
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	e = store_chat_delete(r->store, chat_id);
	store_end(r->store, e < 0);
	unsent_sweep(r);
	return e;
}

/* What came in since the server was asked has brought the chat back already. */
static void on_deleted(void *userdata, const struct problem *p)
{
	struct lobby_call *c = userdata;
	struct repository *r = c->repository;
	struct failure failure;
	int e = 0;

	if (p && p->status != 404) {
		failure_from_problem(&failure, p);
		end_all(c, p, &failure, NULL);
		return;
	}
	if (last_seq_of(r, c->subject) == c->last_seq)
		e = delete_here(r, c->subject);
	if (e < 0)
		failure_from_errno(&failure, e);
	end_all(c, NULL, e < 0 ? &failure : NULL, NULL);
}

/* 0 when the server is to be asked, 1 when it does not know the chat, else a filled failure. */
static int check_doomed(
	struct repository *r, const char *chat_id, struct doomed *d, struct failure *f)
{
	int e = store_chat_get(r->store, chat_id, look_at, d);

	if (e == -ENOENT)
		return failure_set(f, FAILURE_NOT_FOUND, "there is no such chat here");
	if (e < 0)
		return failure_from_errno(f, e);
	if (store_chat_has_pending(r->store, d->id))
		return failure_set(f, FAILURE_CONFLICT,
			"messages in this chat still wait to be sent; cancel them first");
	return d->provisional;
}

void lobby_delete_chat(
	struct repository *r, const char *chat_id, repository_done_fn fn, void *userdata)
{
	struct lobby_call *c;
	struct failure f;
	struct doomed d;
	int e = check_doomed(r, chat_id, &d, &f);

	if (e == 1) {
		e = delete_here(r, d.id);
		if (e < 0)
			failure_from_errno(&f, e);
		fn(userdata, e < 0 ? &f : NULL);
		return;
	}
	c = e < 0 ? NULL : begin(r, QUESTION_DELETION, d.id, userdata, &f);
	if (!c) {
		fn(userdata, &f);
		return;
	}
	c->done_fn = fn;
	if (!takes_lead(c))
		return;
	c->last_seq = last_seq_of(r, d.id);
	e = r->service->lobby->delete_chat(r->service, d.id, on_deleted, c, &c->call);
	if (e < 0)
		end_unasked(c, e);
}

static void on_user(void *userdata, const struct problem *p, const struct user *user)
{
	struct lobby_call *c = userdata;
	struct failure failure;
	int e = 0;

	if (p) {
		failure_from_problem(&failure, p);
	} else {
		e = store_user_put(c->repository->store, user);
		if (e < 0)
			failure_from_errno(&failure, e);
	}
	end_all(c, p, p || e < 0 ? &failure : NULL, NULL);
}

void lobby_fetch_user(
	struct repository *r, const char *user_id, repository_done_fn fn, void *userdata)
{
	struct lobby_call *c;
	struct failure f;
	int e;

	if (store_user_is_known(r->store, user_id)) {
		fn(userdata, NULL);
		return;
	}
	c = begin(r, QUESTION_USER, user_id, userdata, &f);
	if (!c) {
		fn(userdata, &f);
		return;
	}
	c->done_fn = fn;
	if (!takes_lead(c))
		return;
	e = r->service->lobby->get_user(r->service, user_id, on_user, c, &c->call);
	if (e < 0)
		end_unasked(c, e);
}
