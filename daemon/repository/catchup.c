/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Catching up. The changed chats are paged first, each page stored with its state, which the next
 * one is asked from; the first sync lists all chats instead, newest first. From then
 * on what is missing is known to the store itself, as chats whose newest message on the server is
 * above the stored run, so that a crash costs nothing but the requests under way. Gaps that appear
 * in a live session are filled by the same code.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "repository/parts.h"

#define CHATS_PER_PAGE 100
#define MESSAGES_PER_PAGE 200
#define MAX_JOBS 4
#define SOON_MS 2000
#define FIRST_SYNC_CHATS \
	20 /* of these the newest page is fetched at once; of others, when somebody looks */
#define FIRST_SYNC_MESSAGES 50

/* The fetching of what one chat lacks. */
struct gap_job {
	struct repository *repository;
	struct service_call *call;
	char chat_id[ID_SIZE];
	int64_t last_seq; /* the run's end when the request was made */
	bool newest;      /* the newest page was asked for, not what follows the run */
	TAILQ_ENTRY(gap_job) entry;
};

static void request_chats(struct repository *r);

static struct gap_job *job_free(struct gap_job *j)
{
	TAILQ_REMOVE(&j->repository->sync.jobs, j, entry);
	j->repository->sync.n_jobs--;
	free(j);
	return NULL;
}

static void retry_later(struct repository *r, const struct problem *p)
{
	uint32_t wait = backoff_next(&r->sync.request_backoff, p ? p->retry_after_ms : 0);

	log_debug("catching up: trying again in %u ms", wait);
	loop_timer_start_us(r->sync.retry, (uint64_t)wait * 1000);
}

static void finish_if_done(struct repository *r)
{
	if (!r->sync.chats_done || r->sync.n_jobs > 0 || loop_timer_is_running(r->sync.retry))
		return;
	backoff_reset(&r->sync.request_backoff);
	if (r->sync.state == SESSION_CATCHING_UP)
		session_set_state(r, SESSION_LIVE, NULL);
	lobby_learn_users(r);
}

static int put_messages(struct repository *r, const char *chat_id, struct message *m, size_t n,
	bool live, struct store_put *ret)
{
	for (size_t i = 0; i < n; i++)
		transfers_plan(r, &m[i], live);
	return store_messages_put(r->store, chat_id, m, n, true, ret);
}

static int store_page(struct repository *r, const char *chat_id, struct message_page *page)
{
	struct store_put put = { 0 };
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	e = lobby_put_users(r, page->users, page->n_users);
	e = e < 0 ? e : put_messages(r, chat_id, page->messages, page->n_messages, true, &put);
	store_end(r->store, e < 0);
	receipts_schedule(r);
	transfers_schedule(r);
	return e;
}

/* The server announced more than it serves: believe what it serves, or this would never end. */
static int check_progress(
	struct repository *r, const struct gap_job *j, const struct message_page *page)
{
	struct store_chat_sync now;
	int e = store_chat_sync(r->store, j->chat_id, &now);

	if (e < 0)
		return e;
	if (now.server_seq > now.last_seq && now.last_seq <= j->last_seq &&
		!(page->more && page->n_messages > 0))
		return store_chat_close_gap(r->store, j->chat_id);
	return 0;
}

static void job_failed(struct repository *r, const struct gap_job *j, const struct problem *p)
{
	char field[ID_SIZE + 16];

	switch (p->class) {
	case PROBLEM_TRANSIENT:
		retry_later(r, p);
		break;
	case PROBLEM_PERMANENT:
		snprintf(field, sizeof(field), "CHAT_ID=%s", j->chat_id);
		log_full(LOG_WARNING, field, "the server does not serve a chat's messages: %s",
			p->title ? p->title : "no reason given");
		store_chat_close_gap(r->store, j->chat_id);
		break;
	case PROBLEM_CONFLICT: /* the cursor is not known there any more; the newest page needs none
				*/
		if (j->newest)
			retry_later(r, p);
		break;
	case PROBLEM_UNAUTHORISED:
		sync_refused(r, p);
		break;
	}
}

static int request_messages(struct repository *r, const char *chat_id, bool newest);

static void on_messages(void *userdata, const struct problem *problem, struct message_page *page)
{
	struct gap_job *j = userdata;
	struct repository *r = j->repository;
	bool from_newest = problem && problem->class == PROBLEM_CONFLICT && !j->newest;
	char chat_id[ID_SIZE];
	int e = 0;

	memcpy(chat_id, j->chat_id, sizeof(chat_id));
	if (problem) {
		job_failed(r, j, problem);
	} else {
		e = store_page(r, chat_id, page);
		e = e < 0 ? e : check_progress(r, j, page);
	}
	job_free(j);
	if (!session_is_up(r))
		return;
	if (from_newest)
		e = request_messages(r, chat_id, true);
	if (e < 0) {
		sync_restart(r, "messages could not be stored");
		return;
	}
	if (!loop_timer_is_running(r->sync.retry))
		catchup_fill_gaps(r);
	finish_if_done(r);
}

/* What follows the stored run, or the newest page where there is no run to continue. */
static int request_messages(struct repository *r, const char *chat_id, bool newest)
{
	struct store_chat_sync known;
	struct gap_job *j;
	int e = store_chat_sync(r->store, chat_id, &known);

	if (e < 0)
		return e;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->repository = r;
	snprintf(j->chat_id, sizeof(j->chat_id), "%s", chat_id);
	j->newest = newest || !known.last_id[0];
	j->last_seq = known.last_seq;
	TAILQ_INSERT_TAIL(&r->sync.jobs, j, entry);
	r->sync.n_jobs++;
	e = r->service->room->list_messages(r->service,
		&(struct message_page_query){
			.chat_id = chat_id,
			.after_id = j->newest ? NULL : known.last_id,
			.limit = j->newest ? FIRST_SYNC_MESSAGES : MESSAGES_PER_PAGE,
		},
		on_messages, j, &j->call);
	if (e < 0)
		job_free(j);
	return e;
}

static bool has_job(const struct repository *r, const char *chat_id)
{
	const struct gap_job *j;

	TAILQ_FOREACH(j, &r->sync.jobs, entry)
		if (strcmp(j->chat_id, chat_id) == 0)
			return true;
	return false;
}

static int fill_gap(void *userdata, const char *chat_id)
{
	struct repository *r = userdata;

	if (r->sync.n_jobs == MAX_JOBS || has_job(r, chat_id))
		return 0;
	return request_messages(r, chat_id, false);
}

void catchup_fill_gaps(struct repository *r)
{
	if (!session_is_up(r) || loop_timer_is_running(r->sync.retry) || repository_is_asked(r))
		return;
	if (store_chat_gaps(r->store, 2 * MAX_JOBS, fill_gap, r) < 0)
		retry_later(r, NULL);
}

/*
 * The first page of the first sync: each chat's last message is known and is all that the lobby
 * shows.
 */
static int put_last_message(struct repository *r, const struct chat *c, struct chat_page *page)
{
	struct store_put put;

	for (size_t i = 0; i < page->n_messages; i++) {
		struct message *m = &page->messages[i];

		if (strcmp(m->chat_id, c->id) == 0 && m->seq == c->last_seq)
			return put_messages(r, c->id, m, 1, false, &put);
	}
	return 0;
}

static int put_chat(
	struct repository *r, const struct chat *c, struct chat_page *page, bool last_only)
{
	struct store_chat_sync known;
	bool is_new = store_chat_sync(r->store, c->id, &known) == -ENOENT;
	int e = store_chat_put(r->store, c);

	return e == 0 && is_new && last_only ? put_last_message(r, c, page) : e;
}

static int delete_chats(struct repository *r, const struct chat_page *page)
{
	int e = 0;

	for (size_t i = 0; i < page->n_removed && e == 0; i++)
		e = store_chat_delete(r->store, page->removed[i]);
	if (page->n_removed > 0)
		unsent_sweep(r);
	return e;
}

static int store_chats(struct repository *r, struct chat_page *page, bool first_sync)
{
	bool first_page = !r->sync.after_chat[0];
	int e = lobby_put_users(r, page->users, page->n_users);

	e = e < 0 ? e : delete_chats(r, page);
	for (size_t i = 0; i < page->n_chats && e == 0; i++)
		e = put_chat(r, &page->chats[i], page,
			first_sync && !(first_page && i < FIRST_SYNC_CHATS));
	if (e < 0 || !first_sync)
		return e < 0 ? e : store_account_set_sync_state(r->store, page->state);
	if (first_page)
		e = replace_string(&r->sync.first_state, page->state);
	if (e == 0 && !page->more)
		e = store_account_set_sync_state(r->store, r->sync.first_state);
	return e;
}

struct sync_state {
	char text[256];
	bool known;
};

static int copy_state(void *userdata, const struct store_account *a)
{
	struct sync_state *s = userdata;

	s->known = a->sync_state &&
		snprintf(s->text, sizeof(s->text), "%s", a->sync_state) < (int)sizeof(s->text);
	return 0;
}

static struct sync_state load_state(struct repository *r)
{
	struct sync_state s = { .known = false };

	store_account_get(r->store, copy_state, &s);
	return s;
}

static void on_chats_failed(struct repository *r, const struct problem *p)
{
	switch (p->class) {
	case PROBLEM_TRANSIENT:
		retry_later(r, p);
		break;
	case PROBLEM_UNAUTHORISED:
		sync_refused(r, p);
		break;
	case PROBLEM_CONFLICT: /* the state is not known to the server any more */
		r->sync.after_chat[0] = '\0';
		if (load_state(r).known && store_account_set_sync_state(r->store, NULL) == 0)
			request_chats(r);
		else
			retry_later(r, p);
		break;
	case PROBLEM_PERMANENT:
		log_error("the server does not list the chats: %s",
			p->title ? p->title : "no reason given");
		sync_restart(r, p->title ? p->title : "the server does not list the chats");
		break;
	}
}

/*
 * Another page, or once more from where this one ended: something has happened since it was made
 * that it may not have, or a chat went that a frame on its way has brought back.
 */
static void list_on(struct repository *r, const struct chat_page *page, bool first_sync)
{
	bool more = page->more && page->n_chats + page->n_removed > 0;

	if (more && first_sync && page->n_chats > 0)
		snprintf(r->sync.after_chat, ID_SIZE, "%s", page->chats[page->n_chats - 1].id);
	if (!more && (r->sync.list_again || (page->n_removed > 0 && !r->sync.listed_twice))) {
		r->sync.listed_twice = !r->sync.list_again;
		r->sync.list_again = false;
		r->sync.after_chat[0] = '\0';
		more = true;
	}
	if (more)
		request_chats(r);
	else
		r->sync.chats_done = true;
}

static void on_chats(void *userdata, const struct problem *problem, struct chat_page *page)
{
	struct repository *r = userdata;
	bool first_sync = !load_state(r).known;
	int e;

	r->sync.chats_call = NULL;
	if (problem) {
		on_chats_failed(r, problem);
		return;
	}
	e = store_begin(r->store);
	if (e == 0) {
		e = store_chats(r, page, first_sync);
		store_end(r->store, e < 0);
	}
	if (e < 0) {
		sync_restart(r, "the chats could not be stored");
		return;
	}
	list_on(r, page, first_sync);
	receipts_schedule(r);
	outbox_schedule(r, true);
	catchup_fill_gaps(r);
	finish_if_done(r);
}

static void request_chats(struct repository *r)
{
	struct sync_state state = load_state(r);
	struct chat_page_query q = {
		.changed_after = state.known ? state.text : NULL,
		.after_id = r->sync.after_chat[0] ? r->sync.after_chat : NULL,
		.limit = CHATS_PER_PAGE,
	};

	if (r->service->lobby->list_chats(r->service, &q, on_chats, r, &r->sync.chats_call) < 0)
		retry_later(r, NULL);
}

void catchup_list_again(struct repository *r)
{
	struct sync *s = &r->sync;

	if (!session_is_up(r))
		return;
	if (s->chats_call || (loop_timer_is_running(s->retry) && !s->chats_done)) {
		s->list_again = true;
		return;
	}
	s->chats_done = s->listed_twice = false;
	s->after_chat[0] = '\0';
	if (!loop_timer_is_running(s->retry))
		request_chats(r);
}

void catchup_list_soon(struct repository *r)
{
	struct sync *s = &r->sync;

	if (!loop_timer_is_running(s->soon))
		loop_timer_start_us(
			s->soon, (uint64_t)backoff_jitter(&s->request_backoff, SOON_MS) * 1000);
}

void catchup_start_over(struct repository *r)
{
	r->sync.chats_call = service_call_cancel(r->service, r->sync.chats_call);
	r->sync.after_chat[0] = '\0';
	r->sync.list_again = false;
	r->sync.chats_done = true;
	catchup_list_again(r);
}

void catchup_start(struct repository *r)
{
	if (r->service->capabilities & SERVICE_CHAT_LIST) {
		catchup_list_again(r);
	} else {
		r->sync.chats_done = true;
		finish_if_done(r);
	}
}

void catchup_retry(void *userdata)
{
	struct repository *r = userdata;

	if (!session_is_up(r))
		return;
	if (!r->sync.chats_done && !r->sync.chats_call)
		request_chats(r);
	catchup_fill_gaps(r);
	finish_if_done(r);
}

void catchup_stop(struct repository *r)
{
	struct gap_job *j;

	loop_timer_stop(r->sync.retry);
	loop_timer_stop(r->sync.soon);
	r->sync.chats_call = service_call_cancel(r->service, r->sync.chats_call);
	r->sync.chats_done = r->sync.list_again = false;
	r->sync.after_chat[0] = '\0';
	replace_string(&r->sync.first_state, NULL);
	while ((j = TAILQ_FIRST(&r->sync.jobs))) {
		service_call_cancel(r->service, j->call);
		job_free(j);
	}
}
