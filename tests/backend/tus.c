/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tus 1.0 upload protocol: core, creation, termination, checksum.
 */
#include "tus.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/json-fields.h"
#include "base/uuid.h"
#include "http.h"
#include "router.h"
#include "server.h"
#include "uploads.h"

#define TUS_VERSION "1.0.0"

struct patch {
	struct exchange *exchange;
	struct upload upload;
	int fd;
	int64_t received;
	int error;       /* the first one that writing met, or 0 */
	EVP_MD_CTX *sum; /* NULL without a checksum */
	unsigned char expected[EVP_MAX_MD_SIZE];
	size_t expected_length;
};

static void tus_headers(struct exchange *x)
{
	reply_header(x, "tus-resumable", TUS_VERSION);
	reply_header(x, "cache-control", "no-store");
}

/* Every request but OPTIONS names the version; false when it was answered. */
static bool check_version(struct exchange *x)
{
	char version[16];

	tus_headers(x);
	if (http_header(x, "tus-resumable:", version, sizeof(version)) == 0 &&
		strcmp(version, TUS_VERSION) == 0)
		return true;
	reply_header(x, "tus-version", TUS_VERSION);
	reply_error(x, PROBLEM_TUS_VERSION, "Tus-Resumable: " TUS_VERSION " is expected");
	return false;
}

/* A header that holds a number from 0 on; -1 when it is missing or holds something else. */
static int64_t number_header(struct exchange *x, const char *name)
{
	char text[24], *end;
	int64_t n;

	if (http_header(x, name, text, sizeof(text)) < 0 ||
		strspn(text, "0123456789") != strlen(text) || !*text)
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	return errno == 0 ? n : -1;
}

void handle_uploads_options(struct exchange *x)
{
	reply_header(x, "tus-resumable", TUS_VERSION);
	reply_header(x, "tus-version", TUS_VERSION);
	reply_header(x, "tus-extension", "creation,termination,checksum");
	reply_header(x, "tus-checksum-algorithm", "sha1,sha256");
	reply_header(x, "tus-max-size", "%d", UPLOAD_MAX_BYTES);
	reply_empty(x, 204);
}

/* Decodes the value of one key of Upload-Metadata. 0, -ENOENT, or -EINVAL when it does not fit. */
static int metadata(const char *all, const char *key, char *ret, size_t size)
{
	size_t len = strlen(key);

	while (*all) {
		const char *value = all + len;
		size_t end = strcspn(all, ","), n;

		if (end > len && strncmp(all, key, len) == 0 && *value == ' ') {
			value++;
			if (sodium_base642bin((unsigned char *)ret, size - 1, value,
				    (size_t)(all + end - value), NULL, &n, NULL,
				    sodium_base64_VARIANT_ORIGINAL) != 0)
				return -EINVAL;
			ret[n] = '\0';
			return strlen(ret) == n ? 0 : -EINVAL;
		}
		all += end;
		all += strspn(all, ", ");
	}
	return -ENOENT;
}

static bool mime_is_valid(const char *mime)
{
	const char *slash = strchr(mime, '/');

	if (!slash || slash == mime || !slash[1] || strchr(slash + 1, '/'))
		return false;
	for (; *mime; mime++)
		if (*mime <= ' ' || *mime > '~' || strchr("\"(),;<=>?@[\\]{}", *mime))
			return false;
	return true;
}

static int dimension(const char *all, const char *key, int64_t *ret)
{
	char text[8];
	int r = metadata(all, key, text, sizeof(text));

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	*ret = strtol(text, NULL, 10);
	return 0;
}

/* Reads Upload-Metadata into `u`; NULL, or what is wrong with it. */
static const char *read_metadata(struct exchange *x, struct upload *u)
{
	char variant[16];
	int v, r;

	if (http_header(x, "upload-metadata:", u->metadata, sizeof(u->metadata)) < 0)
		return "Upload-Metadata is missing or longer than 1023 bytes";
	if (metadata(u->metadata, "attachment_id", u->attachment, sizeof(u->attachment)) < 0 ||
		!id_is_valid(u->attachment) || strpbrk(u->attachment, ",/?#%"))
		return "'attachment_id' must be an id without any of ,/?#%";
	if (metadata(u->metadata, "variant", variant, sizeof(variant)) < 0)
		return "'variant' must be full or preview";
	v = variant_from_string(variant);
	if (v < 0)
		return "'variant' must be full or preview";
	u->variant = (enum variant)v;
	if (metadata(u->metadata, "mime", u->mime, sizeof(u->mime)) < 0 || !mime_is_valid(u->mime))
		return "'mime' must be a media type without parameters";
	r = metadata(u->metadata, "name", u->name, sizeof(u->name));
	if ((r < 0 && r != -ENOENT) || !utf8_is_valid(u->name, strlen(u->name)))
		return "'name' must be at most 255 bytes of UTF-8";
	if (dimension(u->metadata, "width", &u->width) < 0 ||
		dimension(u->metadata, "height", &u->height) < 0)
		return "'width' and 'height' must be numbers of at most 7 digits";
	return NULL;
}

void handle_upload_create(struct exchange *x)
{
	struct upload u = { .length = number_header(x, "upload-length:") };
	const char *wrong;
	int r;

	if (!check_version(x))
		return;
	wrong = u.length < 0 ? "Upload-Length must be a number" : read_metadata(x, &u);
	if (wrong) {
		reply_error(x, PROBLEM_MALFORMED, "%s", wrong);
		return;
	}
	if (u.length > UPLOAD_MAX_BYTES) {
		reply_error(x, PROBLEM_TOO_LARGE, "An attachment has at most %d bytes",
			UPLOAD_MAX_BYTES);
		return;
	}
	snprintf(u.owner, sizeof(u.owner), "%s", x->user->id);
	r = upload_create(x->server->store, x->server->config.data_directory, &u);
	if (r == -EEXIST) {
		reply_error(x, PROBLEM_ID_CONFLICT,
			"The attachment id is taken, or its message is sent");
		return;
	}
	if (r < 0) {
		reply_error(x, PROBLEM_INTERNAL, "The upload could not be made");
		return;
	}
	reply_header(x, "location", "/uploads/%s", u.id);
	reply_empty(x, 201);
}

/*
 * A request for an upload that another connection still feeds means that the other one is dead: it
 * makes way, and what it brought counts. True when there was one.
 */
static bool take_over(struct exchange *x)
{
	struct exchange *other;

	TAILQ_FOREACH(other, &x->server->exchanges, by_server) {
		if (!other->patch || strcmp(other->patch->upload.id, x->parameters[0]) != 0)
			continue;
		patch_abort(other->patch);
		exchange_drop(other);
		return true;
	}
	return false;
}

/* The user's upload that the path names; false when the request was answered instead. */
static bool find_own(struct exchange *x, struct upload *ret)
{
	int r;

	if (!check_version(x))
		return false;
	r = upload_find(x->server->store, x->parameters[0], ret);
	if (r == 0 && strcmp(ret->owner, x->user->id) != 0) {
		reply_error(x, PROBLEM_FORBIDDEN, "The upload is somebody else's");
		return false;
	}
	if (r == 0 && take_over(x))
		r = upload_find(x->server->store, x->parameters[0], ret);
	if (r == -ENOENT)
		reply_error(x, PROBLEM_NOT_FOUND, "There is no such upload");
	else if (r < 0)
		reply_error(x, PROBLEM_INTERNAL, "The upload could not be read");
	return r == 0;
}

void handle_upload_head(struct exchange *x)
{
	struct upload u;

	if (!find_own(x, &u))
		return;
	reply_header(x, "upload-offset", "%" PRId64, u.received);
	reply_header(x, "upload-length", "%" PRId64, u.length);
	reply_header(x, "upload-metadata", "%s", u.metadata);
	reply_empty(x, 200);
}

void handle_upload_delete(struct exchange *x)
{
	struct upload u;
	char message[65];
	int64_t chat;

	if (!find_own(x, &u))
		return;
	if (attachment_use(x->server->store, u.attachment, &chat, message) != -ENOENT)
		reply_error(x, PROBLEM_ID_CONFLICT, "The attachment's message is sent");
	else if (upload_remove(x->server->store, x->server->config.data_directory, &u) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The upload could not be removed");
	else
		reply_empty(x, 204);
}

static void patch_free(struct patch *p)
{
	p->exchange->patch = NULL;
	if (p->fd >= 0)
		close(p->fd);
	EVP_MD_CTX_free(p->sum);
	free(p);
}

/* Reads "ALGORITHM BASE64" and starts the sum; false when the request was answered instead. */
static bool start_checksum(struct exchange *x, struct patch *p)
{
	char header[160], *encoded;
	const EVP_MD *algorithm = NULL;
	int r = http_header(x, "upload-checksum:", header, sizeof(header));

	if (r == -ENOENT)
		return true;
	encoded = r == 0 ? strchr(header, ' ') : NULL;
	if (encoded)
		*encoded++ = '\0';
	if (encoded && strcmp(header, "sha1") == 0)
		algorithm = EVP_sha1();
	else if (encoded && strcmp(header, "sha256") == 0)
		algorithm = EVP_sha256();
	if (!algorithm) {
		reply_error(x, PROBLEM_CHECKSUM_ALGORITHM, "sha1 and sha256 are known");
		return false;
	}
	if (sodium_base642bin(p->expected, sizeof(p->expected), encoded, strlen(encoded), NULL,
		    &p->expected_length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
		p->expected_length != (size_t)EVP_MD_size(algorithm)) {
		reply_error(x, PROBLEM_CHECKSUM_ALGORITHM,
			"The checksum is not of its algorithm's length");
		return false;
	}
	p->sum = EVP_MD_CTX_new();
	if (p->sum && EVP_DigestInit_ex(p->sum, algorithm, NULL) == 1)
		return true;
	reply_error(x, PROBLEM_INTERNAL, "No checksum could be started");
	return false;
}

static bool check_patch(struct exchange *x, const struct upload *u)
{
	char type[64];

	if (http_header(x, "content-type:", type, sizeof(type)) < 0 ||
		strcmp(type, "application/offset+octet-stream") != 0) {
		reply_error(x, PROBLEM_MEDIA_TYPE, "application/offset+octet-stream is expected");
		return false;
	}
	if (number_header(x, "upload-offset:") != u->received) {
		reply_header(x, "upload-offset", "%" PRId64, u->received);
		reply_error(x, PROBLEM_OFFSET_CONFLICT, "The upload is at %" PRId64, u->received);
		return false;
	}
	if (x->content_length > u->length - u->received) {
		reply_error(x, PROBLEM_TOO_LARGE, "Only %" PRId64 " bytes are left",
			u->length - u->received);
		return false;
	}
	return true;
}

void handle_upload_patch(struct exchange *x)
{
	struct patch *p;

	p = calloc(1, sizeof(*p));
	if (!p) {
		reply_error(x, PROBLEM_INTERNAL, "Memory is short");
		return;
	}
	p->exchange = x;
	p->fd = -1;
	if (!find_own(x, &p->upload) || !check_patch(x, &p->upload) || !start_checksum(x, p)) {
		patch_free(p);
		return;
	}
	p->fd = upload_open(x->server->config.data_directory, p->upload.id, true);
	p->error = p->fd < 0 ? p->fd : 0;
	x->patch = p;
	if (x->content_length == 0)
		patch_end(p);
}

void patch_data(struct patch *p, const void *data, size_t n)
{
	if (p->error == 0)
		p->error = upload_write(p->fd, &p->upload, p->received, data, n);
	if (p->error == 0 && p->sum)
		EVP_DigestUpdate(p->sum, data, n);
	p->received += (int64_t)n;
	p->exchange->server->stats.bytes_uploaded += n;
}

static bool sum_is_right(struct patch *p)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int length;

	return !p->sum ||
		(EVP_DigestFinal_ex(p->sum, sum, &length) == 1 && length == p->expected_length &&
			memcmp(sum, p->expected, length) == 0);
}

void patch_end(struct patch *p)
{
	struct exchange *x = p->exchange;

	if (p->error == 0 && !sum_is_right(p))
		reply_error(x, PROBLEM_CHECKSUM_MISMATCH, "The bytes were discarded");
	else if (p->error < 0 ||
		upload_advance(x->server->store, p->fd, &p->upload, p->received) < 0)
		reply_error(x, PROBLEM_INTERNAL, "The bytes could not be stored");
	else {
		reply_header(x, "upload-offset", "%" PRId64, p->upload.received);
		reply_empty(x, 204);
	}
	patch_free(p);
}

void patch_abort(struct patch *p)
{
	if (p->error == 0 && !p->sum && p->received > 0)
		(void)upload_advance(p->exchange->server->store, p->fd, &p->upload, p->received);
	patch_free(p);
}
