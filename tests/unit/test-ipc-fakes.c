/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "ipc/hub.h"
#include "test-ipc-fakes.h"

struct fake fake;

/* The barrier. */

struct barrier {
	struct {
		barrier_fn fn;
		void *userdata;
	} listeners[4];
	unsigned n_listeners;
	TAILQ_HEAD(, barrier_effect) effects;
};

static struct barrier barrier;

int barrier_commit(struct barrier *b)
{
	struct barrier_effect mark = { .queued = true }, *e;
	bool wrote = fake.wrote;
	int r = wrote ? fake.disk_is_full ? -ENOSPC : fake.commit_error : 0;

	if (wrote) {
		fake.commit_error = 0;
		fake.wrote = false;
		fake.commits++;
		if (r == 0)
			fake.committed_change = fake.last_change;
		for (; r < 0 && fake.last_change > fake.committed_change; fake.last_change--)
			fake.n_rows--;
	}
	TAILQ_INSERT_TAIL(&b->effects, &mark, entry);
	while ((e = TAILQ_FIRST(&b->effects)) != &mark) {
		barrier_forget(b, e);
		e->fn(e->userdata, r);
	}
	barrier_forget(b, &mark);
	for (unsigned i = 0; wrote && i < b->n_listeners; i++)
		b->listeners[i].fn(b->listeners[i].userdata, r);
	return r;
}

static void on_turn_end(void *userdata)
{
	for (int round = 0; round < 8 && (fake.wrote || !TAILQ_EMPTY(&barrier.effects)); round++)
		barrier_commit(&barrier);
}

void barrier_after_commit(struct barrier *b, struct barrier_effect *e)
{
	if (e->queued)
		return;
	e->queued = true;
	TAILQ_INSERT_TAIL(&b->effects, e, entry);
}

void barrier_forget(struct barrier *b, struct barrier_effect *e)
{
	if (!e->queued)
		return;
	e->queued = false;
	TAILQ_REMOVE(&b->effects, e, entry);
}

void barrier_add_listener(
	struct barrier *b, enum barrier_place place, barrier_fn fn, void *userdata)
{
	assert_int_equal(place, BARRIER_AFTER_EFFECTS);
	assert_true(b->n_listeners < 4);
	b->listeners[b->n_listeners].fn = fn;
	b->listeners[b->n_listeners++].userdata = userdata;
}

void barrier_remove_listener(struct barrier *b, void *userdata)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < b->n_listeners; i++)
		if (b->listeners[i].userdata != userdata)
			b->listeners[kept++] = b->listeners[i];
	b->n_listeners = kept;
}

/* The store. */

int64_t store_last_change(const struct store *s)
{
	return fake.last_change;
}

int64_t store_committed_change(const struct store *s)
{
	return fake.committed_change;
}

bool store_is_committed(const struct store *s)
{
	return !fake.wrote;
}

int64_t store_size(struct store *s)
{
	return 4096;
}

int store_write_state(const struct store *s)
{
	return 0;
}

bool store_has_met_damage(const struct store *s)
{
	return false;
}

const char *store_put_aside(const struct store *s)
{
	return NULL;
}

const struct store_salvaged *store_get_salvaged(const struct store *s)
{
	return NULL;
}

int64_t store_unread_total(struct store *s)
{
	return 3;
}

static void fill_message(struct message *m, const char *chat_id, const char *id)
{
	*m = (struct message){
		.id = (char *)(uintptr_t)id,
		.chat_id = (char *)(uintptr_t)chat_id,
		.user_id = (char *)(uintptr_t) "ana",
		.text = (char *)(uintptr_t)(fake.text ? fake.text : "hello"),
		.seq = 1,
		.created_at = 1000,
		.status = MESSAGE_RECEIVED,
	};
}

static void fill_chat(struct chat_info *c, const char *id)
{
	*c = (struct chat_info){
		.id = (char *)(uintptr_t)id,
		.user_id = (char *)(uintptr_t) "ana",
		.username = (char *)(uintptr_t) "Ana",
		.last_username = (char *)(uintptr_t) "Ana",
		.last_message_id = (char *)(uintptr_t) "m1",
		.last_message_text = (char *)(uintptr_t)(fake.text ? fake.text : "hello"),
		.last_message_at = 1000,
		.last_message_status = MESSAGE_RECEIVED,
		.unread = 2,
	};
}

static void fill_attachment(struct attachment *a, const char *id)
{
	*a = (struct attachment){
		.id = (char *)(uintptr_t)id,
		.message_id = (char *)(uintptr_t) "m1",
		.chat_id = (char *)(uintptr_t) "c1",
		.mime = (char *)(uintptr_t) "image/jpeg",
		.size = 10,
		.width = 4,
		.height = 3,
		.status = ATTACHMENT_READY,
		.full_stored = fake.stored,
		.preview_stored = fake.stored,
	};
}

static int tell_row(const struct fake_row *row, int64_t seq, enum change_topic topic,
	store_change_fn fn, void *userdata)
{
	struct change c = {
		.seq = seq,
		.added = row->added,
		.topic = topic,
		.chat_id = row->chat_id,
		.message_id = row->id,
	};
	struct attachment attachment;
	struct chat_info chat;
	struct message message;

	fill_message(&message, row->chat_id, row->id);
	fill_chat(&chat, row->chat_id);
	fill_attachment(&attachment, row->id);
	c.message = &message;
	c.chat = &chat;
	c.attachment = &attachment;
	fake.encoded++;
	return fn(userdata, &c);
}

static int by_seq(const void *key, const void *row)
{
	int64_t seq = *(const int64_t *)key, at = ((const struct fake_row *)row)->seq;

	return (seq > at) - (seq < at);
}

static const struct fake_row *row_added_at(int64_t seq)
{
	for (size_t i = 0; fake.repeated && i < fake.n_rows; i++)
		if (fake.rows[i].topic == CHANGE_MESSAGE_ADDED && fake.rows[i].added == seq)
			return &fake.rows[i];
	return NULL;
}

/* The row that stands at a number, and as what: a message that has changed stands at two. */
static const struct fake_row *row_at(int64_t seq, enum change_topic *ret_topic)
{
	const struct fake_row *row =
		bsearch(&seq, fake.rows, fake.n_rows, sizeof(fake.rows[0]), by_seq);

	if (!row) {
		*ret_topic = CHANGE_MESSAGE_ADDED;
		return row_added_at(seq);
	}
	*ret_topic = row->topic == CHANGE_MESSAGE_ADDED && row->added != seq
		? CHANGE_MESSAGE_UPDATED
		: row->topic;
	return row;
}

int store_change_list(struct store *s, int64_t since, unsigned topics, int64_t limit,
	store_change_fn fn, void *userdata, int64_t *ret_last)
{
	int64_t rows = 0, last = since;

	fake.change_queries++;
	if (fake.change_error < 0)
		return fake.change_error;
	for (int64_t seq = since + 1; seq <= fake.last_change && rows < limit; seq++) {
		enum change_topic topic;
		const struct fake_row *row = row_at(seq, &topic);
		int r;

		if (!row || !(topics & 1u << topic))
			continue;
		r = tell_row(row, seq, topic, fn, userdata);
		if (r < 0)
			return r;
		last = seq;
		rows++;
	}
	*ret_last = rows < limit ? fake.last_change : last;
	return 0;
}

int store_user_get(struct store *s, const char *user_id, store_user_fn fn, void *userdata)
{
	struct user u = { .id = (char *)(uintptr_t)user_id, .name = (char *)(uintptr_t) "Ana" };

	return strcmp(user_id, "nobody") == 0 ? -ENOENT : fn(userdata, &u);
}

int store_chat_list(struct store *s, const char *cursor, int64_t limit, store_chat_info_fn fn,
	void *userdata, char **ret_cursor)
{
	if (cursor && strcmp(cursor, "next") != 0)
		return -EINVAL;
	for (int64_t i = 0; i < limit && i < 3; i++) {
		struct chat_info c;
		char id[24];
		int r;

		snprintf(id, sizeof(id), "c%" PRId64, i + 1);
		fill_chat(&c, id);
		r = fn(userdata, &c);
		if (r < 0)
			return r;
	}
	*ret_cursor = cursor ? NULL : strdup("next");
	return 0;
}

int store_chat_get(struct store *s, const char *chat_id, store_chat_info_fn fn, void *userdata)
{
	struct chat_info c;

	if (fake.renamed && strcmp(chat_id, "old") == 0)
		chat_id = fake.renamed;
	fill_chat(&c, chat_id);
	return chat_id[0] == 'c' ? fn(userdata, &c) : -ENOENT;
}

int store_chat_get_by_user(
	struct store *s, const char *user_id, store_chat_info_fn fn, void *userdata)
{
	return strcmp(user_id, "ana") == 0 ? store_chat_get(s, "c1", fn, userdata) : -ENOENT;
}

int store_message_page(struct store *s, const char *chat_id, enum page_direction direction,
	const char *anchor, int64_t limit, store_message_fn fn, void *userdata, bool *ret_more)
{
	if (chat_id[0] != 'c' || (anchor && anchor[0] != 'm'))
		return -ENOENT;
	for (int64_t i = 0; i < limit && i < fake.page_size; i++) {
		struct message m;
		char id[24];
		int r;

		snprintf(id, sizeof(id), "m%" PRId64, i);
		fill_message(&m, chat_id, id);
		r = fn(userdata, &m);
		if (r < 0)
			return r;
	}
	*ret_more = fake.more;
	return 0;
}

int store_message_get(struct store *s, const char *message_id, store_message_fn fn, void *userdata)
{
	struct message m;

	fill_message(&m, "c1", message_id);
	return message_id[0] == 'm' ? fn(userdata, &m) : -ENOENT;
}

int store_attachment_get(
	struct store *s, const char *attachment_id, store_attachment_fn fn, void *userdata)
{
	struct attachment a;

	fill_attachment(&a, attachment_id);
	return attachment_id[0] == 'a' ? fn(userdata, &a) : -ENOENT;
}

int64_t store_media_size(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	return 10;
}

ssize_t store_media_read(struct store *s, const char *attachment_id, enum attachment_variant v,
	int64_t offset, void *buf, size_t len)
{
	const char *bytes = v == VARIANT_FULL ? "0123456789" : "abcdefghij";
	size_t left = offset < 10 ? (size_t)(10 - offset) : 0;

	if (len > left)
		len = left;
	memcpy(buf, bytes + 10 - left, len);
	return (ssize_t)len;
}

/* The repository. */

const char *session_state_to_string(enum session_state s)
{
	static const char *const names[] = { "OFFLINE", "CONNECTING", "GREETING", "CATCHING_UP",
		"LIVE", "BACKOFF", "LOGIN_REQUIRED", "LOCKED", "SUSPENDED" };

	return names[s];
}

void repository_get_status(struct repository *r, struct repository_status *ret)
{
	*ret = (struct repository_status){
		.connection = { .state = SESSION_LIVE, .since = 5 },
		.server = "https://chat.example",
		.user_id = "me",
		.signed_in = true,
		.outbox_pending = 1,
	};
}

void repository_add_observer(
	struct repository *r, const struct repository_observer *o, void *userdata)
{
	fake.observer = o;
	fake.observer_data = userdata;
}

void repository_remove_observer(struct repository *r, const void *userdata)
{
	assert_ptr_equal(userdata, fake.observer_data);
	fake.observer = NULL;
}

static void end_call(const struct fake_pending *p, const struct failure *f)
{
	if (p->done)
		p->done(p->userdata, f);
	else
		p->with_id(p->userdata, f, f ? NULL : p->id);
}

static void call(struct fake_pending p)
{
	if (!fake.asynchronous) {
		end_call(&p, fake.failure);
		return;
	}
	assert_true(fake.n_pending < FAKE_PENDING_MAX);
	fake.pending[fake.n_pending++] = p;
}

void fake_answer(const struct failure *f)
{
	struct fake_pending p = fake.pending[0];

	assert_true(fake.n_pending > 0);
	memmove(fake.pending, fake.pending + 1, --fake.n_pending * sizeof(fake.pending[0]));
	end_call(&p, f);
}

void account_login(struct repository *r, const char *server, const char *user_id,
	const char *password, repository_done_fn fn, void *userdata)
{
	snprintf(fake.secret, sizeof(fake.secret), "%s", password);
	fake.wrote = true;
	call((struct fake_pending){ .done = fn, .userdata = userdata });
}

void lobby_create_chat(
	struct repository *r, const char *user_id, repository_id_fn fn, void *userdata)
{
	fake.wrote = true;
	call((struct fake_pending){ .with_id = fn, .userdata = userdata, .id = "c9" });
}

void lobby_delete_chat(
	struct repository *r, const char *chat_id, repository_done_fn fn, void *userdata)
{
	fake.wrote = true;
	call((struct fake_pending){ .done = fn, .userdata = userdata });
}

void lobby_fetch_user(
	struct repository *r, const char *user_id, repository_done_fn fn, void *userdata)
{
	call((struct fake_pending){ .done = fn, .userdata = userdata });
}

void room_send(struct repository *r, const struct room_send *m, repository_id_fn fn, void *userdata)
{
	struct fake_pending p = { .with_id = fn, .userdata = userdata };

	snprintf(p.id, sizeof(p.id), "%s", m->message_id ? m->message_id : "m-made");
	snprintf(fake.sent[fake.sends++ % 8], sizeof(fake.sent[0]), "%s", p.id);
	if (m->n_photos > 0 && m->photos[0].fd >= 0)
		assert_true(pread(m->photos[0].fd, fake.photo, sizeof(fake.photo) - 1, 0) >= 0);
	if (!fake.failure)
		fake_change(CHANGE_MESSAGE_ADDED, m->chat_id ? m->chat_id : "c1", p.id);
	call(p);
}

void room_load_history(struct repository *r, const char *chat_id, const char *before_id,
	int64_t limit, repository_done_fn fn, void *userdata)
{
	call((struct fake_pending){ .done = fn, .userdata = userdata });
}

bool room_has_older_history(struct repository *r, const char *chat_id)
{
	return fake.older_history;
}

int room_mark_read(struct repository *r, const char *chat_id, const char *message_id,
	struct failure *ret_failure)
{
	if (message_id[0] != 'm')
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "no such message");
	fake_change(CHANGE_CHAT_UPDATED, chat_id, chat_id);
	return 0;
}

int transfer_download(struct repository *r, const char *attachment_id, struct failure *ret_failure)
{
	if (attachment_id[0] == 'a')
		return 0;
	return failure_set(ret_failure, FAILURE_NOT_FOUND, "no such attachment");
}

int transfer_cancel(struct repository *r, const char *attachment_id, struct failure *ret_failure)
{
	if (attachment_id[0] == 'a')
		return 0;
	return failure_set(ret_failure, FAILURE_NOT_FOUND, "no such attachment");
}

void transfer_note_use(struct repository *r, const char *attachment_id, enum attachment_variant v)
{
	fake.wrote |= fake.notes_use;
}

int transfer_open(struct repository *r, const char *attachment_id, enum attachment_variant v,
	int *ret_fd, int64_t *ret_size, struct failure *ret_failure)
{
	const char *bytes = v == VARIANT_FULL ? "0123456789" : "abcdefghij";
	int fd;

	if (attachment_id[0] != 'a')
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "no such attachment");
	if (!fake.stored)
		return failure_set(ret_failure, FAILURE_BUSY, "not all of it is here");
	fd = memfd_create("photo", MFD_CLOEXEC);
	assert_true(fd >= 0 && write(fd, bytes, 10) == 10);
	*ret_fd = fd;
	*ret_size = fake.media_size ? fake.media_size : 10;
	assert_int_equal(ftruncate(fd, *ret_size), 0);
	return 0;
}

int store_search(struct store *s, const struct search_query *q, store_search_fn fn, void *userdata,
	char **ret_cursor)
{
	struct message m;

	if (q->cursor)
		return -EBADMSG;
	if (q->chat_id && strcmp(q->chat_id, "c1") != 0)
		return -ENOENT;
	fill_message(&m, "c1", "m1");
	fn(userdata, &m, fake.snippet ? fake.snippet : "say \xfehello\xff \xfeyou\xff");
	*ret_cursor = strdup("17");
	return 0;
}

void search_prepare(struct repository *r, repository_done_fn fn, void *userdata)
{
	call((struct fake_pending){ .done = fn, .userdata = userdata });
}

int store_consumer_list(struct store *s, store_consumer_fn fn, void *userdata)
{
	return fake.consumer_seq >= 0 ? fn(userdata, "bot", fake.consumer_seq) : 0;
}

int consumer_open(
	struct repository *r, const char *name, int64_t since, int64_t *ret_seq, struct failure *f)
{
	if (fake.failure) {
		*f = *fake.failure;
		return -EINVAL;
	}
	if (fake.consumer_seq < 0)
		fake.consumer_seq = since < 0 ? fake.last_change : since;
	*ret_seq = fake.consumer_seq;
	return 0;
}

int consumer_ack(
	struct repository *r, const char *name, int64_t seq, int64_t *ret_seq, struct failure *f)
{
	if (fake.consumer_seq < 0)
		return failure_set(f, FAILURE_NOT_FOUND, "no such consumer");
	fake.consumer_seq = *ret_seq = seq;
	return 0;
}

int consumer_forget(struct repository *r, const char *name, struct failure *f)
{
	if (fake.consumer_seq < 0)
		return failure_set(f, FAILURE_NOT_FOUND, "no such consumer");
	fake.consumer_seq = -1;
	return 0;
}

/* The tests' own. */

void fake_change(enum change_topic topic, const char *chat_id, const char *id)
{
	struct fake_row row = {
		.seq = fake.last_change + 1, .added = fake.last_change + 1, .topic = topic
	};
	size_t kept = 0;

	snprintf(row.chat_id, sizeof(row.chat_id), "%s", chat_id);
	snprintf(row.id, sizeof(row.id), "%.15s", id);
	for (size_t i = 0; i < fake.n_rows; i++) {
		if (fake.rows[i].topic == topic && strcmp(fake.rows[i].id, row.id) == 0) {
			row.added = fake.rows[i].added;
			fake.repeated = true;
			continue;
		}
		fake.rows[kept++] = fake.rows[i];
	}
	assert_true(kept < FAKE_ROWS_MAX);
	fake.rows[kept++] = row;
	fake.n_rows = kept;
	fake.last_change++;
	fake.wrote = true;
}

void fake_settle(void)
{
	for (int i = 0; i < 12; i++)
		event_loop_turn(fake.loop, false);
}

void fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.consumer_seq = -1;
	memset(&barrier, 0, sizeof(barrier));
	TAILQ_INIT(&barrier.effects);
	fake.loop = event_loop_new();
	assert_non_null(fake.loop);
	event_loop_add_turn_end(fake.loop, on_turn_end, NULL);
}

void fake_stop(void)
{
	fake.loop = event_loop_free(fake.loop);
}

struct api *test_api_new(void)
{
	static const struct ipc_version versions[] = { { "cjson", "1.7" } };
	struct api *api = calloc(1, sizeof(*api));

	assert_non_null(api);
	*api = (struct api){
		.loop = fake.loop,
		.barrier = &barrier,
		.account = strdup("default"),
		.key_source = KEY_SOURCE_FILE,
		.versions = versions,
		.n_versions = 1,
		.stall_us = 60000000,
		.instance_id = "i1",
	};
	TAILQ_INIT(&api->queues);
	TAILQ_INIT(&api->orphans);
	api->hub = hub_new(fake.loop, &barrier);
	assert_non_null(api->hub);
	hub_open(api->hub, NULL);
	return api;
}

struct api *test_api_free(struct api *api)
{
	calls_free_orphans(&api->orphans);
	hub_free(api->hub);
	free(api->account);
	free(api);
	return NULL;
}

static void on_gone(void *userdata, struct peer *p)
{
	struct test_client *c = userdata;

	c->peer = peer_free(p);
}

void test_client_open(struct test_client *c, struct api *api, unsigned scopes)
{
	struct peer_options o = { .api = api, .scopes = scopes, .on_gone = on_gone, .userdata = c };
	int pair[2];

	*c = (struct test_client){ 0 };
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	c->fd = pair[0];
	o.fd = pair[1];
	assert_int_equal(peer_new(&o, &c->peer), 0);
}

void test_client_close(struct test_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->peer = peer_free(c->peer);
	for (unsigned i = 0; i < c->n_fds; i++)
		close(c->fds[i]);
	c->n_fds = 0;
	buffer_clear(&c->input);
}

void test_client_send(
	struct test_client *c, const char *data, size_t n, const int *fds, unsigned n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
		struct cmsghdr align;
	} control = { 0 };

	while (n > 0) {
		struct iovec iov = { (void *)(uintptr_t)data, n };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t sent;

		if (n_fds > 0) {
			m.msg_control = control.bytes;
			m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
			CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(int) * n_fds);
		}
		sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			fake_settle();
			continue;
		}
		assert_true(sent > 0);
		n_fds = 0;
		data += sent;
		n -= (size_t)sent;
	}
}

void test_client_line(struct test_client *c, const char *line)
{
	test_client_send(c, line, strlen(line), NULL, 0);
	test_client_send(c, "\n", 1, NULL, 0);
}

/* What came with a descriptor must end with the line that it belongs to. */
static void check_owner(const struct test_client *c)
{
	const char *start = (const char *)buffer_bytes(&c->input);
	const char *end = start + buffer_size(&c->input) - 1, *line;

	assert_int_equal(*end, '\n');
	line = memrchr(start, '\n', (size_t)(end - start));
	line = line ? line + 1 : start;
	assert_non_null(memmem(line, (size_t)(end - line), "\"fd\":0", 6));
}

static bool receive(struct test_client *c)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buffer_reserve(&c->input, 65536), 65536 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	c->eof |= n == 0 || (n < 0 && errno == ECONNRESET);
	if (n <= 0)
		return false;
	buffer_commit(&c->input, (size_t)n);
	if (h)
		check_owner(c);
	for (size_t i = 0; h && i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
		memcpy(&c->fds[c->n_fds++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	return true;
}

char *test_client_read_text(struct test_client *c)
{
	for (int i = 0; i < 4000; i++) {
		char *start = buffer_size(&c->input) ? (char *)buffer_bytes(&c->input) : NULL;
		char *newline = start ? memchr(start, '\n', buffer_size(&c->input)) : NULL;
		char *text;

		if (newline) {
			text = strndup(start, (size_t)(newline - start));
			buffer_consume(&c->input, (size_t)(newline - start) + 1);
			return text;
		}
		if (!receive(c)) {
			if (c->eof || i > 100)
				return NULL;
			event_loop_turn(fake.loop, false);
		}
	}
	return NULL;
}

cJSON *test_client_read(struct test_client *c)
{
	_cleanup_free_ char *text = test_client_read_text(c);
	cJSON *value = text ? cJSON_Parse(text) : NULL;

	assert_true(!text || value);
	return value;
}

void test_expect(struct test_client *c, const char *text)
{
	_cleanup_free_ char *line = test_client_read_text(c);

	assert_non_null(line);
	assert_string_equal(line, text);
}

cJSON *test_call(struct test_client *c, const char *method, const char *params, int *ret_code)
{
	_cleanup_(cJSON_Deletep) cJSON *reply = NULL;
	char line[4096];
	cJSON *error;

	snprintf(line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}", method, params);
	test_client_line(c, line);
	reply = test_client_read(c);
	assert_non_null(reply);
	assert_int_equal(cJSON_GetObjectItem(reply, "id")->valueint, 7);
	error = cJSON_GetObjectItem(reply, "error");
	*ret_code = error ? cJSON_GetObjectItem(error, "code")->valueint : 0;
	return cJSON_DetachItemFromObject(reply, error ? "error" : "result");
}

static bool is_one_of(const char *const *values, const char *s)
{
	for (size_t i = 0; values[i]; i++)
		if (strcmp(values[i], s) == 0)
			return true;
	return false;
}

static void check_value(const struct schema_field *f, const cJSON *v)
{
	switch (f->kind) {
	case SCHEMA_STRING:
		assert_true(cJSON_IsString(v));
		return;
	case SCHEMA_ID:
		assert_true(cJSON_IsString(v) && id_is_valid(v->valuestring));
		return;
	case SCHEMA_INTEGER:
	case SCHEMA_TIME:
		assert_true(cJSON_IsNumber(v));
		return;
	case SCHEMA_BOOLEAN:
		assert_true(cJSON_IsBool(v));
		return;
	case SCHEMA_ENUM:
		assert_true(cJSON_IsString(v) && is_one_of(f->values, v->valuestring));
		return;
	case SCHEMA_OBJECT:
		test_conforms(f->object, v);
		return;
	}
}

static void check_field(const struct schema_field *f, const cJSON *v)
{
	const cJSON *item;

	if (cJSON_IsNull(v) && (f->flags & SCHEMA_NULLABLE))
		return;
	if (!(f->flags & SCHEMA_LIST)) {
		check_value(f, v);
		return;
	}
	assert_true(cJSON_IsArray(v));
	cJSON_ArrayForEach(item, v)
		check_value(f, item);
}

void test_conforms(const struct schema *schema, const cJSON *value)
{
	const struct schema_field *f;
	const cJSON *v;

	assert_true(cJSON_IsObject(value));
	for (f = schema->fields; f->name; f++) {
		v = cJSON_GetObjectItemCaseSensitive(value, f->name);
		if (!v && !(f->flags & SCHEMA_OPTIONAL))
			fail_msg("member %s is missing", f->name);
		if (v)
			check_field(f, v);
	}
	cJSON_ArrayForEach(v, value) {
		for (f = schema->fields; f->name && strcmp(f->name, v->string) != 0; f++)
			;
		if (!f->name)
			fail_msg("member %s is not described", v->string);
	}
}

unsigned test_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
