/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Downloads: a ranged GET that goes on where an earlier one broke off, as long as the server's copy
 * is the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "service/native/headers.h"
#include "service/native/native-private.h"

#define MAX_REDIRECTS 3

struct download_call {
	struct service_call call;
	char *url;
	char *etag;     /* of the bytes already here; NULL: none to go on from */
	int64_t offset; /* asked for */
	int64_t max;    /* more bytes than this are not taken; 0: not known */
	int64_t at;     /* where the next byte goes */
	int64_t total;  /* by the server; -1: it does not say */
	bool begun;
	bool restarted;
	unsigned redirects;
	struct problem abort; /* why this side stopped; its title is NULL when it did not */
	service_sink_fn sink;
	void (*on_etag)(void *userdata, const char *etag, int64_t total);
	service_done_fn done;
};

static struct download_call *download_from(struct service_call *c)
{
	return (struct download_call *)c;
}

static void destroy(struct service_call *c)
{
	struct download_call *d = download_from(c);

	free(d->url);
	free(d->etag);
	problem_clear(&d->abort);
}

static void finish(struct download_call *d, const struct problem *p)
{
	call_end(&d->call);
	d->done(d->call.userdata, p);
}

static int stop(struct download_call *d, enum problem_class class, const char *title)
{
	problem_clear(&d->abort);
	problem_set(&d->abort, class, 0, title, NULL);
	return -EIO;
}

/* Where the bytes of this answer go, and of how many. */
static int read_place(struct download_call *d, struct http_request *r)
{
	if (http_request_status(r) != 206) {
		d->at = 0;
		d->total = header_number(http_request_header(r, "Content-Length"));
		return 0;
	}
	if (!d->offset ||
		!header_content_range(
			http_request_header(r, "Content-Range"), &d->at, &d->total) ||
		d->at != d->offset)
		return stop(
			d, PROBLEM_TRANSIENT, "the server sent another part than it was asked for");
	return 0;
}

/* Only a strong validator tells that two copies are the same to the byte. */
static const char *strong_etag(struct http_request *r)
{
	const char *etag = http_request_header(r, "ETag");

	return etag && strncmp(etag, "W/", 2) != 0 ? etag : "";
}

static int begin(struct download_call *d, struct http_request *r)
{
	const char *etag = strong_etag(r);

	if (read_place(d, r) < 0)
		return -EIO;
	if (d->at > 0 && *etag && strcmp(etag, d->etag) != 0)
		return stop(d, PROBLEM_TRANSIENT, "the server mixed two copies");
	if (d->max && d->total > d->max)
		return stop(d, PROBLEM_PERMANENT, "the attachment is larger than announced");
	d->begun = true;
	if (d->on_etag)
		d->on_etag(d->call.userdata, etag, d->total);
	return d->call.state == CALL_OVER ? -ECANCELED : 0;
}

static int on_data(struct service_call *c, struct http_request *r, const void *data, size_t len)
{
	struct download_call *d = download_from(c);
	int ret;

	if (!d->begun && begin(d, r) < 0)
		return -EIO;
	if (d->max && (int64_t)len > d->max - d->at)
		return stop(d, PROBLEM_PERMANENT, "the attachment is larger than announced");
	ret = d->sink(c->userdata, d->at, data, len);
	if (c->state == CALL_OVER)
		return -ECANCELED;
	if (ret < 0)
		return stop(d, PROBLEM_PERMANENT, "the attachment cannot be stored");
	d->at += (int64_t)len;
	return 0;
}

static void send(struct download_call *d)
{
	char range[64];
	_cleanup_free_ char *if_range = NULL;
	struct call_request r = { .method = "GET", .url = d->url, .sink = on_data };

	r.without_token = d->redirects > 0;

	d->begun = false;
	if (d->offset > 0 && asprintf(&if_range, "If-Range: %s", d->etag) < 0)
		if_range = NULL;
	if (if_range) {
		snprintf(range, sizeof(range), "Range: bytes=%" PRId64 "-", d->offset);
		r.headers[0] = range;
		r.headers[1] = if_range;
	}
	call_send(&d->call, &r);
}

/* Nothing lies beyond: all is here, or the server has another copy than the one that was begun. */
static void on_range_refused(struct download_call *d, const struct answer *a)
{
	const char *range = http_request_header(a->request, "Content-Range");

	if (header_unsatisfied_range(range) == d->offset) {
		finish(d, NULL);
		return;
	}
	if (d->restarted) {
		finish(d, a->problem);
		return;
	}
	d->restarted = true;
	d->offset = 0;
	send(d);
}

/* The bytes may lie elsewhere, at a CDN; the token does not go along. */
static bool follow(struct download_call *d, const struct answer *a)
{
	const char *location = NULL;
	char *url;

	if (a->status == 301 || a->status == 302 || a->status == 303 || a->status == 307 ||
		a->status == 308)
		location = http_request_header(a->request, "Location");
	if (!location || d->redirects == MAX_REDIRECTS || url_resolve(d->url, location, &url) < 0)
		return false;
	d->redirects++;
	free(d->url);
	d->url = url;
	send(d);
	return true;
}

static void on_answer(struct service_call *c, const struct answer *a)
{
	struct download_call *d = download_from(c);

	if (!a->problem && !d->begun)
		begin(d, a->request);
	if (c->state == CALL_OVER)
		return;
	if (!d->abort.title && !a->problem && d->total >= 0 && d->at != d->total)
		stop(d, PROBLEM_TRANSIENT, "the server sent less than it announced");
	if (d->abort.title)
		finish(d, &d->abort);
	else if (follow(d, a))
		return;
	else if (a->status == 416 && d->offset > 0)
		on_range_refused(d, a);
	else
		finish(d, a->problem);
}

static int fill(struct download_call *d, const struct download_request *r, const char *url)
{
	const struct account *a = &d->call.native->account;
	_cleanup_free_ char *base = account_url(a, "/");

	d->max = r->variant == VARIANT_FULL ? r->attachment->size : r->attachment->preview_size;
	d->sink = r->sink;
	d->on_etag = r->on_etag;
	d->done = r->done;
	if (!base)
		return -ENOMEM;
	if (r->offset > 0 && r->etag && *r->etag) {
		d->offset = r->offset;
		d->etag = strdup(r->etag);
		if (!d->etag)
			return -ENOMEM;
	}
	/* Whatever cannot be resolved is refused when it is sent, as a problem of the server's. */
	if (url_resolve(base, url, &d->url) < 0)
		d->url = strdup(url);
	return d->url ? 0 : -ENOMEM;
}

int native_download(struct service *s, const struct download_request *r, struct service_call **ret)
{
	const char *url =
		r->variant == VARIANT_FULL ? r->attachment->url : r->attachment->preview_url;
	struct download_call *d;
	int error;

	if (!url || !*url)
		return -EINVAL;
	d = call_new(s, sizeof(*d), on_answer, destroy, r->userdata);
	if (!d)
		return -ENOMEM;
	error = fill(d, r, url);
	if (error < 0) {
		call_end(&d->call);
		return error;
	}
	send(d);
	if (ret)
		*ret = &d->call;
	return 0;
}
