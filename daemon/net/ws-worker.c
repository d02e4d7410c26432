/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/ws-worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include <sys/eventfd.h>

#include "net/proxy.h"

static void lock(struct ws_worker *w)
{
	pthread_mutex_lock(&w->lock);
}

static void unlock(struct ws_worker *w)
{
	pthread_mutex_unlock(&w->lock);
}

static void wake(struct ws_worker *w)
{
	if (w->context && !w->woken)
		ws_thread_wake(w->context);
	w->woken = true;
	pthread_cond_signal(&w->wake);
}

static void link_destroy(struct ws_link *l)
{
	struct ws_frame *f;

	while ((f = STAILQ_FIRST(&l->outbound))) {
		STAILQ_REMOVE_HEAD(&l->outbound, entry);
		free(f);
	}
	url_clear(&l->url);
	free(l->end);
	free(l->subprotocol);
	free(l->authorization);
	free(l->ca_file);
	free(l->proxy);
	free(l);
}

static void worker_destroy(struct ws_worker *w)
{
	struct ws_event *e;
	struct ws_link *l;

	while ((e = STAILQ_FIRST(&w->inbound))) {
		STAILQ_REMOVE_HEAD(&w->inbound, entry);
		free(e);
	}
	while ((l = TAILQ_FIRST(&w->links))) {
		TAILQ_REMOVE(&w->links, l, entry);
		link_destroy(l);
	}
	closep(&w->event_fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct ws_worker *ws_worker_new(void)
{
	struct ws_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	TAILQ_INIT(&w->links);
	STAILQ_INIT(&w->inbound);
	w->references = 1;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0) {
		worker_destroy(w);
		return NULL;
	}
	return w;
}

void ws_worker_unref(struct ws_worker *w)
{
	bool last;

	lock(w);
	last = --w->references == 0;
	unlock(w);
	if (last)
		worker_destroy(w);
}

static int copy(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

int ws_link_new(struct ws_worker *w, const struct ws_client_options *o, struct ws_link **ret)
{
	_cleanup_(ws_link_unrefp) struct ws_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->worker = w;
	l->references = 1;
	STAILQ_INIT(&l->outbound);
	l->max_message = o->max_message;
	l->max_queued = o->max_queued;
	r = url_parse(o->url, &l->url);
	if (r < 0)
		return r;
	if (strncmp(l->url.scheme, "ws", 2) != 0)
		return -EINVAL;
	r = proxy_find(&l->url, &l->proxy);
	if (r < 0 && r != -EPROTONOSUPPORT)
		return r;
	l->end = ws_event_new(WS_EVENT_CLOSED, NULL, WS_DETAIL_SIZE);
	if (!l->end || copy(&l->subprotocol, o->subprotocol) < 0 ||
		copy(&l->authorization, o->authorization) < 0 || copy(&l->ca_file, o->ca_file) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(l);
	return 0;
}

struct ws_link *ws_link_unref(struct ws_link *l)
{
	bool last;

	lock(l->worker);
	last = --l->references == 0;
	unlock(l->worker);
	if (last)
		link_destroy(l);
	return NULL;
}

/* Signals are the loop's: none is delivered to the thread. */
static int start_thread(struct ws_worker *w)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	w->references++;
	r = pthread_create(&w->thread, NULL, ws_thread_main, w);
	if (r != 0)
		w->references--;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = r == 0;
	return -r;
}

int ws_worker_run(struct ws_worker *w, struct ws_link *l)
{
	int r = 0;

	lock(w);
	if (!w->running)
		r = start_thread(w);
	if (r == 0) {
		l->references++;
		TAILQ_INSERT_TAIL(&w->links, l, entry);
		wake(w);
	}
	unlock(w);
	return r;
}

struct ws_event *ws_worker_take_event(struct ws_worker *w)
{
	struct ws_event *e;
	uint64_t count;

	lock(w);
	e = STAILQ_FIRST(&w->inbound);
	if (e) {
		STAILQ_REMOVE_HEAD(&w->inbound, entry);
		w->inbound_bytes -= sizeof(*e) + e->len;
	} else if (w->signalled) {
		w->signalled = read(w->event_fd, &count, sizeof(count)) < 0;
	}
	if (w->paused && w->inbound_bytes <= WS_INBOUND_LIMIT / 2) {
		w->paused = false;
		wake(w);
	}
	unlock(w);
	return e;
}

void ws_worker_stop(struct ws_worker *w)
{
	bool stuck;

	lock(w);
	w->quit = true;
	stuck = w->resolving;
	wake(w);
	unlock(w);
	if (w->running && stuck)
		pthread_detach(w->thread);
	else if (w->running)
		pthread_join(w->thread, NULL);
	ws_worker_unref(w);
}

int ws_link_send(struct ws_link *l, const char *data, size_t len)
{
	struct ws_frame *f = malloc(sizeof(*f) + WS_HEADROOM + len);
	bool fits;

	if (!f)
		return -ENOMEM;
	f->len = len;
	memcpy(f->data + WS_HEADROOM, data, len);
	lock(l->worker);
	fits = len <= l->max_queued - l->outbound_bytes;
	if (fits) {
		STAILQ_INSERT_TAIL(&l->outbound, f, entry);
		l->outbound_bytes += len;
		wake(l->worker);
	}
	unlock(l->worker);
	if (fits)
		return 0;
	free(f);
	return -ENOBUFS;
}

void ws_link_close(struct ws_link *l)
{
	lock(l->worker);
	l->closing = true;
	wake(l->worker);
	unlock(l->worker);
}

void ws_link_set_heartbeat(struct ws_link *l, unsigned interval_s, unsigned timeout_s)
{
	lock(l->worker);
	l->interval_s = interval_s;
	l->timeout_s = timeout_s;
	wake(l->worker);
	unlock(l->worker);
}

void ws_link_probe(struct ws_link *l)
{
	lock(l->worker);
	l->probe = true;
	wake(l->worker);
	unlock(l->worker);
}

struct ws_link *ws_worker_next_link(struct ws_worker *w)
{
	struct ws_link *l;

	lock(w);
	while (!w->quit && TAILQ_EMPTY(&w->links))
		pthread_cond_wait(&w->wake, &w->lock);
	l = w->quit ? NULL : TAILQ_FIRST(&w->links);
	if (l)
		TAILQ_REMOVE(&w->links, l, entry);
	w->paused = false;
	unlock(w);
	return l;
}

bool ws_worker_begin_resolving(struct ws_worker *w)
{
	bool go;

	lock(w);
	go = !w->quit;
	w->resolving = go;
	unlock(w);
	return go;
}

void ws_worker_end_resolving(struct ws_worker *w)
{
	lock(w);
	w->resolving = false;
	unlock(w);
}

void ws_worker_set_context(struct ws_worker *w, void *context)
{
	lock(w);
	w->context = context;
	w->woken = false;
	unlock(w);
}

struct ws_event *ws_event_new(enum ws_event_type type, const void *data, size_t len)
{
	struct ws_event *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return NULL;
	*e = (struct ws_event){ .type = type, .len = len };
	if (data)
		memcpy(e->data, data, len);
	e->data[len] = '\0';
	return e;
}

bool ws_link_post(struct ws_link *l, struct ws_event *e)
{
	static const uint64_t one = 1;
	struct ws_worker *w = l->worker;
	bool may_read;

	e->link_id = l->id;
	lock(w);
	STAILQ_INSERT_TAIL(&w->inbound, e, entry);
	w->inbound_bytes += sizeof(*e) + e->len;
	if (!w->signalled)
		w->signalled = write(w->event_fd, &one, sizeof(one)) == sizeof(one);
	if (w->inbound_bytes > WS_INBOUND_LIMIT)
		w->paused = true;
	may_read = !w->paused;
	unlock(w);
	return may_read;
}

struct ws_frame *ws_link_take_frame(struct ws_link *l)
{
	struct ws_frame *f;

	lock(l->worker);
	f = STAILQ_FIRST(&l->outbound);
	if (f) {
		STAILQ_REMOVE_HEAD(&l->outbound, entry);
		l->outbound_bytes -= f->len;
	}
	unlock(l->worker);
	return f;
}

struct ws_orders ws_link_get_orders(struct ws_link *l)
{
	struct ws_worker *w = l->worker;
	struct ws_orders o;

	lock(w);
	w->woken = false;
	o = (struct ws_orders){
		.close = l->closing || w->quit,
		.hurry = !TAILQ_EMPTY(&w->links),
		.quit = w->quit,
		.has_frames = !STAILQ_EMPTY(&l->outbound),
		.may_read = !w->paused,
		.probe = l->probe,
		.interval_s = l->interval_s,
		.timeout_s = l->timeout_s,
	};
	l->probe = false;
	unlock(w);
	return o;
}
