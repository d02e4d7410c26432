/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes coming in. They are stored in pieces, each with the progress and the hash so far in one
 * commit, so that whatever ends the process costs one piece.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "repository/transfer.h"

#define PIECE_SIZE 262144u

static int append(struct transfer_job *j, size_t n)
{
	struct store *store = j->repository->store;
	enum attachment_variant v = job_variant(j);
	int e = store_media_append(store, j->attachment.id, v, buffer_bytes(&j->piece), n, true);

	return e < 0 ? e
		     : store_media_set_hash(store, j->attachment.id, v, &j->hash, sizeof(j->hash));
}

int download_flush(struct transfer_job *j)
{
	struct store *store = j->repository->store;
	size_t n = buffer_size(&j->piece);
	bool full = j->stage == STAGE_DOWNLOAD_FULL;
	int e;

	if (n == 0)
		return 0;
	/* First the row: where it is gone, no bytes are left behind. */
	e = store_attachment_set_progress(
		store, j->attachment.id, full ? j->stored + (int64_t)n : j->attachment.progress);
	if (e < 0)
		return e;
	crypto_hash_sha256_update(&j->hash, buffer_bytes(&j->piece), n);
	e = append(j, n);
	if (e < 0)
		return e;
	j->stored += (int64_t)n;
	buffer_consume(&j->piece, n);
	if (full)
		job_tell_progress(j, j->stored);
	return 0;
}

static int start_over(struct transfer_job *j)
{
	buffer_clear(&j->piece);
	crypto_hash_sha256_init(&j->hash);
	j->stored = 0;
	j->resumed = false;
	return store_media_truncate(j->repository->store, j->attachment.id, job_variant(j));
}

static int on_bytes(void *userdata, int64_t offset, const void *data, size_t len)
{
	struct transfer_job *j = userdata;
	int64_t limit =
		j->stage == STAGE_DOWNLOAD_FULL ? j->attachment.size : j->attachment.preview_size;
	int e = 0;

	if (offset == 0 && j->stored + (int64_t)buffer_size(&j->piece) > 0)
		e = start_over(j);
	if (e == 0 && limit > 0 && offset + (int64_t)len > limit)
		return -EMSGSIZE;
	e = e < 0 ? e : buffer_append(&j->piece, data, len);
	if (e == 0 && buffer_size(&j->piece) >= PIECE_SIZE)
		e = download_flush(j);
	return e;
}

static void on_etag(void *userdata, const char *etag, int64_t total)
{
	struct transfer_job *j = userdata;

	store_media_set_etag(j->repository->store, j->attachment.id, job_variant(j), etag);
}

static bool is_intact(struct transfer_job *j)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char hex[SHA256_HEX_SIZE];

	if (store_media_size(j->repository->store, j->attachment.id, job_variant(j)) != j->stored)
		return false;
	if (j->stage == STAGE_DOWNLOAD_PREVIEW)
		return j->stored > 0;
	if (!j->attachment.sha256 || !j->attachment.sha256[0])
		return j->stored == j->attachment.size;
	crypto_hash_sha256_final(&j->hash, digest);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	return strcmp(hex, j->attachment.sha256) == 0;
}

/* What was put together from several attempts is given one more, from its start. */
static void take_damage(struct transfer_job *j)
{
	struct store *store = j->repository->store;
	bool again = j->resumed;

	start_over(j);
	store_attachment_set_progress(store, j->attachment.id, 0);
	if (again)
		job_retry(j, 0);
	else
		job_fail(j, "damaged", "the bytes are not those that were announced");
}

static int store_end_of_download(struct transfer_job *j)
{
	struct store *store = j->repository->store;
	enum attachment_variant v = job_variant(j);
	const char *id = j->attachment.id;
	int e = store_attachment_set_stored(store, id, v, true);

	e = e < 0 ? e : store_media_set_used(store, id, v, clock_wall_ms() / 1000);
	if (e == 0 && v == VARIANT_FULL)
		e = store_attachment_set_status(store, id, ATTACHMENT_READY);
	return e;
}

static void finish_download(struct transfer_job *j)
{
	int e;

	if (!is_intact(j)) {
		take_damage(j);
		return;
	}
	e = store_end_of_download(j);
	if (e < 0) {
		job_take_store_error(j, e);
	} else {
		retention_schedule(j->repository);
		job_succeed(j);
	}
}

static void on_downloaded(void *userdata, const struct problem *p)
{
	struct transfer_job *j = userdata;
	int e = download_flush(j);

	j->call = NULL;
	if (e < 0)
		job_take_store_error(j, e);
	else if (p)
		job_take_problem(j, p);
	else
		finish_download(j);
}

/* Without the tag that they belong to, the bytes of an earlier attempt are worth nothing. */
static int resume(struct transfer_job *j, const char *etag)
{
	struct store *store = j->repository->store;
	enum attachment_variant v = job_variant(j);
	int64_t size = store_media_size(store, j->attachment.id, v);

	crypto_hash_sha256_init(&j->hash);
	if (size == 0)
		return 0;
	if (!etag || !*etag ||
		store_media_get_hash(store, j->attachment.id, v, &j->hash, sizeof(j->hash)) < 0)
		return start_over(j);
	j->stored = size;
	j->resumed = true;
	return 0;
}

int download_begin(struct transfer_job *j)
{
	struct repository *r = j->repository;
	enum attachment_variant v = job_variant(j);
	_cleanup_free_ char *etag = store_media_get_etag(r->store, j->attachment.id, v);
	int e = resume(j, etag);
	struct download_request request = {
		.attachment = &j->attachment,
		.variant = v,
		.offset = j->stored,
		.etag = j->stored > 0 ? etag : NULL,
		.sink = on_bytes,
		.on_etag = on_etag,
		.done = on_downloaded,
		.userdata = j,
	};

	return e < 0 ? e : r->service->attachments->download(r->service, &request, &j->call);
}
