/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Uploads by tus 1.0 (core, creation, checksum): POST makes a slot, PATCH fills it from the offset
 * that the server knows, HEAD asks for that offset when an earlier attempt is resumed and when the
 * two sides disagree.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "service/native/headers.h"
#include "service/native/native-private.h"

#define CHUNK (1u << 20)
#define MAX_NAME 255

/* How often one call asks anew after a disagreement, before it leaves the matter to its owner. */
#define MAX_RECOVERIES 3

struct upload_call {
	struct service_call call;
	struct attachment attachment;
	enum attachment_variant variant;
	char *mime;
	int64_t size;
	char *slot; /* an absolute URL on the API's origin; NULL: none yet */
	service_source_fn source;
	service_progress_fn progress;
	void (*on_slot)(void *userdata, const char *slot);
	service_done_fn done;
	int64_t offset; /* that the server has */
	size_t sending;
	unsigned recoveries;
};

static struct upload_call *upload_from(struct service_call *c)
{
	return (struct upload_call *)c;
}

static void destroy(struct service_call *c)
{
	struct upload_call *u = upload_from(c);

	attachment_clear(&u->attachment);
	free(u->mime);
	free(u->slot);
}

static void finish(struct upload_call *u, const struct problem *p)
{
	call_end(&u->call);
	u->done(u->call.userdata, p);
}

static void finish_with(struct upload_call *u, enum problem_class class, const char *title)
{
	struct problem p;

	problem_set(&p, class, 0, title, NULL);
	finish(u, &p);
	problem_clear(&p);
}

/* The owner may cancel from inside what it is told: then the call is over. */
static bool is_over(const struct upload_call *u)
{
	return u->call.state == CALL_OVER;
}

static char *base64(const void *data, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	char *text = malloc(size);

	return text ? sodium_bin2base64(text, size, data, len, sodium_base64_VARIANT_ORIGINAL)
		    : NULL;
}

static int add_metadata(struct buffer *b, const char *key, const char *value)
{
	_cleanup_free_ char *encoded = base64(value, strlen(value));
	_cleanup_free_ char *pair = NULL;

	if (!encoded || asprintf(&pair, "%s%s %s", buffer_size(b) ? "," : "", key, encoded) < 0)
		pair = NULL;
	return pair ? buffer_append(b, pair, strlen(pair)) : -ENOMEM;
}

static int add_dimension(struct buffer *b, const char *key, int64_t value)
{
	char text[24];

	if (value <= 0)
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, value);
	return add_metadata(b, key, text);
}

/* The Upload-Metadata header, owned; NULL when memory is short. */
static char *compose_metadata(const struct upload_call *u)
{
	const struct attachment *a = &u->attachment;
	struct buffer b = { 0 };
	char *header = NULL;
	int r;

	r = add_metadata(&b, "attachment_id", a->id);
	if (r == 0)
		r = add_metadata(&b, "variant", attachment_variant_to_string(u->variant));
	if (r == 0)
		r = add_metadata(&b, "mime", u->mime);
	if (r == 0 && a->name && strlen(a->name) <= MAX_NAME)
		r = add_metadata(&b, "name", a->name);
	if (r == 0)
		r = add_dimension(&b, "width", a->width);
	if (r == 0)
		r = add_dimension(&b, "height", a->height);
	if (r == 0 &&
		asprintf(&header, "Upload-Metadata: %.*s", (int)buffer_size(&b),
			(const char *)buffer_bytes(&b)) < 0)
		header = NULL;
	buffer_clear(&b);
	return header;
}

static void on_created(struct service_call *c, const struct answer *a);
static void on_offset(struct service_call *c, const struct answer *a);
static void on_patched(struct service_call *c, const struct answer *a);

static void send(struct upload_call *u, struct call_request *r,
	void (*answered)(struct service_call *, const struct answer *))
{
	r->headers[0] = "Tus-Resumable: 1.0.0";
	u->call.answered = answered;
	call_send(&u->call, r);
}

static void create(struct upload_call *u)
{
	_cleanup_free_ char *url = account_url(&u->call.native->account, "/uploads");
	_cleanup_free_ char *metadata = compose_metadata(u);
	char length[48];
	struct call_request r = {
		.method = "POST", .url = url, .headers = { NULL, length, metadata }
	};

	u->offset = 0;
	snprintf(length, sizeof(length), "Upload-Length: %" PRId64, u->size);
	if (!url || !metadata)
		call_fail(&u->call, PROBLEM_TRANSIENT, "memory is short");
	else
		send(u, &r, on_created);
}

static void ask_offset(struct upload_call *u)
{
	struct call_request r = { .method = "HEAD", .url = u->slot };

	send(u, &r, on_offset);
}

/* Reads the next piece from the owner; 0 and its length, or negative. */
static ssize_t read_chunk(struct upload_call *u, char *buf, size_t want)
{
	size_t have = 0;

	while (have < want) {
		ssize_t n = u->source(
			u->call.userdata, u->offset + (int64_t)have, buf + have, want - have);

		if (n < 0 || is_over(u))
			return n < 0 ? n : -ECANCELED;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static void send_chunk(struct upload_call *u, char *chunk, size_t len)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	_cleanup_free_ char *sum = NULL;
	char offset[48], checksum[100];
	struct call_request r = {
		.method = "PATCH",
		.url = u->slot,
		.headers = { NULL, "Content-Type: application/offset+octet-stream", offset,
			checksum },
		.body = chunk,
		.body_len = len,
	};

	crypto_hash_sha256(digest, (const unsigned char *)chunk, len);
	sum = base64(digest, sizeof(digest));
	if (!sum) {
		free(chunk);
		finish_with(u, PROBLEM_TRANSIENT, "memory is short");
		return;
	}
	snprintf(offset, sizeof(offset), "Upload-Offset: %" PRId64, u->offset);
	snprintf(checksum, sizeof(checksum), "Upload-Checksum: sha256 %s", sum);
	u->sending = len;
	send(u, &r, on_patched);
}

static void go_on(struct upload_call *u)
{
	int64_t left = u->size - u->offset;
	size_t want = left < CHUNK ? (size_t)left : CHUNK;
	_cleanup_free_ char *chunk = NULL;
	ssize_t n;

	if (left == 0) {
		finish(u, NULL);
		return;
	}
	chunk = malloc(want);
	if (!chunk) {
		finish_with(u, PROBLEM_TRANSIENT, "memory is short");
		return;
	}
	n = read_chunk(u, chunk, want);
	if (is_over(u))
		return;
	if (n <= 0)
		finish_with(u, PROBLEM_PERMANENT,
			n < 0 ? "the attachment cannot be read"
			      : "the attachment is shorter than it was");
	else
		send_chunk(u, TAKE_PTR(chunk), (size_t)n);
}

static void advance(struct upload_call *u, int64_t offset)
{
	u->offset = offset;
	if (u->progress)
		u->progress(u->call.userdata, offset, u->size);
	if (!is_over(u))
		go_on(u);
}

/* A header's number; -1 when it is missing or none. */
static int64_t number_header(const struct answer *a, const char *name)
{
	return header_number(http_request_header(a->request, name));
}

static void complain(struct upload_call *u, const char *what)
{
	struct problem p;

	problem_malformed(what, &p);
	finish(u, &p);
	problem_clear(&p);
}

/* The slot's URL goes back to its owner, so it is whole, and the token goes there, so it is the
 * API's own. */
static char *take_location(struct upload_call *u, const struct answer *a)
{
	const struct account *account = &u->call.native->account;
	_cleanup_free_ char *base = account_url(account, "/uploads");
	const char *location = http_request_header(a->request, "Location");
	_cleanup_free_ char *slot = NULL;
	_cleanup_url_ struct url url = { 0 };

	if (!base || !location || url_resolve(base, location, &slot) < 0 ||
		url_parse(slot, &url) < 0)
		return NULL;
	return url_same_origin(&url, &account->origin) ? TAKE_PTR(slot) : NULL;
}

static void on_created(struct service_call *c, const struct answer *a)
{
	struct upload_call *u = upload_from(c);

	if (a->problem) {
		finish(u, a->problem);
		return;
	}
	free(u->slot);
	u->slot = take_location(u, a);
	if (!u->slot) {
		complain(u, "no place on the server itself to upload to");
		return;
	}
	if (u->on_slot)
		u->on_slot(c->userdata, u->slot);
	if (!is_over(u))
		go_on(u);
}

static bool is_gone(const struct answer *a)
{
	return a->status == 404 || a->status == 410;
}

static bool may_recover(struct upload_call *u)
{
	return u->recoveries++ < MAX_RECOVERIES;
}

static void on_offset(struct service_call *c, const struct answer *a)
{
	struct upload_call *u = upload_from(c);
	int64_t offset, length;

	if (is_gone(a) && may_recover(u)) {
		create(u);
		return;
	}
	if (a->problem) {
		finish(u, a->problem);
		return;
	}
	offset = number_header(a, "Upload-Offset");
	length = number_header(a, "Upload-Length");
	if (offset < 0 || offset > u->size || (length >= 0 && length != u->size))
		complain(u, "the upload is not at an offset within its length");
	else
		advance(u, offset);
}

static void on_patched(struct service_call *c, const struct answer *a)
{
	struct upload_call *u = upload_from(c);
	bool disagrees = a->status == 409 || a->status == 460;
	int64_t offset;

	if (is_gone(a) && may_recover(u)) {
		create(u);
		return;
	}
	if (disagrees && may_recover(u)) {
		ask_offset(u);
		return;
	}
	if (a->problem) {
		finish(u, a->problem);
		return;
	}
	offset = number_header(a, "Upload-Offset");
	if (offset <= u->offset || offset > u->offset + (int64_t)u->sending)
		complain(u, "an upload's offset that does not follow from what was sent");
	else
		advance(u, offset);
}

static bool is_own(const struct account *a, const char *slot)
{
	_cleanup_url_ struct url url = { 0 };

	return url_parse(slot, &url) == 0 && url_same_origin(&url, &a->origin);
}

static int fill(struct upload_call *u, const struct upload_request *r)
{
	u->variant = r->variant;
	u->size = r->size;
	u->source = r->source;
	u->progress = r->progress;
	u->on_slot = r->on_slot;
	u->done = r->done;
	u->mime = strdup(r->mime);
	if (!u->mime || attachment_copy(r->attachment, &u->attachment) < 0)
		return -ENOMEM;
	if (!r->slot || !u->call.native->account.server ||
		!is_own(&u->call.native->account, r->slot))
		return 0;
	u->slot = strdup(r->slot);
	return u->slot ? 0 : -ENOMEM;
}

int native_upload(struct service *s, const struct upload_request *r, struct service_call **ret)
{
	struct upload_call *u;

	if (!r->attachment->id || !r->mime || r->size < 0)
		return -EINVAL;
	u = call_new(s, sizeof(*u), on_created, destroy, r->userdata);
	if (!u)
		return -ENOMEM;
	if (fill(u, r) < 0) {
		call_end(&u->call);
		return -ENOMEM;
	}
	if (u->slot)
		ask_offset(u);
	else
		create(u);
	if (ret)
		*ret = &u->call;
	return 0;
}
