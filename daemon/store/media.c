/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "store/rows.h"

/* A blob's chunks are keyed by its row number and their own, all full but the last. */
#define CHUNK_SIZE INT64_C(262144)
#define CHUNKS_BITS 20
#define USE_STEP_S 86400 /* uses are told apart by days, so that looking seldom writes */

static int64_t chunk_key(int64_t blob, int64_t number)
{
	return blob << CHUNKS_BITS | number;
}

struct blob {
	int64_t number, size;
};

static int find_blob(
	struct store *s, const char *attachment_id, enum attachment_variant v, struct blob *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->media, &q,
		"SELECT n, size FROM blob WHERE attachment = ?1 AND variant = ?2", "si",
		attachment_id, (int64_t)v);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = (struct blob){ .number = db_column_int(q, 0), .size = db_column_int(q, 1) };
	return 0;
}

static int64_t blob_number(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	struct blob blob;
	int r = find_blob(s, attachment_id, v, &blob);

	return r < 0 ? r : blob.number;
}

int64_t store_media_size(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	return db_get_int(s->media, 0,
		"SELECT size FROM blob WHERE attachment = ?1 AND variant = ?2", "si", attachment_id,
		(int64_t)v);
}

static ssize_t read_chunk(struct store *s, int64_t blob, int64_t offset, void *buf, size_t len)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	size_t skip = (size_t)(offset % CHUNK_SIZE), size;
	const uint8_t *bytes;
	int r = db_query(s->media, &q, "SELECT bytes FROM chunk WHERE n = ?1", "i",
		chunk_key(blob, offset / CHUNK_SIZE));

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r;
	bytes = db_column_blob(q, 0, &size);
	if (skip >= size)
		return 0;
	if (len > size - skip)
		len = size - skip;
	memcpy(buf, bytes + skip, len);
	return (ssize_t)len;
}

ssize_t store_media_read(struct store *s, const char *attachment_id, enum attachment_variant v,
	int64_t offset, void *buf, size_t len)
{
	struct blob blob;
	size_t done = 0;
	int r = find_blob(s, attachment_id, v, &blob);

	if (r < 0)
		return r;
	if (offset >= blob.size)
		return 0;
	if ((uint64_t)(blob.size - offset) < len)
		len = (size_t)(blob.size - offset);
	while (done < len) {
		ssize_t n = read_chunk(
			s, blob.number, offset + (int64_t)done, (uint8_t *)buf + done, len - done);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int ensure_blob(struct store *s, const char *attachment_id, enum attachment_variant v,
	bool linked, struct blob *ret)
{
	int r = db_write(s->media,
		"INSERT OR IGNORE INTO blob(attachment, variant, linked) VALUES(?1, ?2, ?3)", "sii",
		attachment_id, (int64_t)v, (int64_t)linked);

	return r < 0 ? r : find_blob(s, attachment_id, v, ret);
}

static int write_chunk(struct store *s, int64_t blob, int64_t offset, const void *data, size_t len)
{
	int64_t key = chunk_key(blob, offset / CHUNK_SIZE);

	if (offset % CHUNK_SIZE == 0)
		return db_write(s->media, "INSERT OR REPLACE INTO chunk(n, bytes) VALUES(?1, ?2)",
			"ib", key, data, len);
	return db_write(s->media, "UPDATE chunk SET bytes = CAST(bytes || ?2 AS BLOB) WHERE n = ?1",
		"ib", key, data, len);
}

int store_media_append(struct store *s, const char *attachment_id, enum attachment_variant v,
	const void *data, size_t len, bool linked)
{
	struct blob blob;
	int r = ensure_blob(s, attachment_id, v, linked, &blob);

	for (size_t done = 0; done < len && r >= 0;) {
		int64_t at = blob.size + (int64_t)done;
		size_t n = (size_t)(CHUNK_SIZE - at % CHUNK_SIZE);

		if (n > len - done)
			n = len - done;
		r = write_chunk(s, blob.number, at, (const uint8_t *)data + done, n);
		done += n;
	}
	if (r >= 0)
		r = db_write(s->media, "UPDATE blob SET size = size + ?2 WHERE n = ?1", "ii",
			blob.number, (int64_t)len);
	return r < 0 ? r : 0;
}

static int drop_chunks(struct store *s, int64_t blob)
{
	return db_write(s->media, "DELETE FROM chunk WHERE n >= ?1 AND n < ?2", "ii",
		chunk_key(blob, 0), chunk_key(blob + 1, 0));
}

int store_media_truncate(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	int64_t blob = blob_number(s, attachment_id, v);
	int r;

	if (blob < 0)
		return blob == -ENOENT ? 0 : (int)blob;
	r = drop_chunks(s, blob);
	r = r < 0 ? r
		  : db_write(s->media,
			    "UPDATE blob SET size = 0, etag = NULL, hash = NULL WHERE n = ?1", "i",
			    blob);
	return r < 0 ? r : 0;
}

int store_media_drop(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	int64_t blob = blob_number(s, attachment_id, v);
	int r;

	if (blob < 0)
		return blob == -ENOENT ? 0 : (int)blob;
	r = drop_chunks(s, blob);
	r = r < 0 ? r : db_write(s->media, "DELETE FROM blob WHERE n = ?1", "i", blob);
	return r < 0 ? r : 0;
}

int store_media_set_etag(
	struct store *s, const char *attachment_id, enum attachment_variant v, const char *etag)
{
	struct blob blob;
	int r = ensure_blob(s, attachment_id, v, true, &blob);

	r = r < 0 ? r
		  : db_write(s->media, "UPDATE blob SET etag = ?2 WHERE n = ?1", "is", blob.number,
			    etag);
	return r < 0 ? r : 0;
}

int store_media_set_slot(
	struct store *s, const char *attachment_id, enum attachment_variant v, const char *slot)
{
	int r = db_write(s->media,
		"UPDATE blob SET slot = ?3 WHERE attachment = ?1 AND variant = ?2", "sis",
		attachment_id, (int64_t)v, slot);

	return r < 0 ? r : 0;
}

int store_media_set_hash(struct store *s, const char *attachment_id, enum attachment_variant v,
	const void *state, size_t size)
{
	int r = db_write(s->media,
		"UPDATE blob SET hash = ?3 WHERE attachment = ?1 AND variant = ?2", "sib",
		attachment_id, (int64_t)v, state, size);

	return r < 0 ? r : 0;
}

int store_media_get_hash(struct store *s, const char *attachment_id, enum attachment_variant v,
	void *ret_state, size_t size)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	const void *state;
	size_t n;
	int r = db_query(s->media, &q,
		"SELECT hash FROM blob WHERE attachment = ?1 AND variant = ?2", "si", attachment_id,
		(int64_t)v);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	state = db_column_blob(q, 0, &n);
	if (!state || n != size)
		return -ENOENT;
	memcpy(ret_state, state, size);
	return 0;
}

int store_media_set_used(
	struct store *s, const char *attachment_id, enum attachment_variant v, int64_t used_at)
{
	int64_t before = db_get_int(s->media, 0,
		"SELECT used_at FROM blob WHERE attachment = ?1 AND variant = ?2", "si",
		attachment_id, (int64_t)v);
	int r;

	if (used_at >= before && used_at - before < USE_STEP_S)
		return 0;
	r = db_write(s->media,
		"UPDATE blob SET used_at = ?3 WHERE attachment = ?1 AND variant = ?2", "sii",
		attachment_id, (int64_t)v, used_at);
	return r < 0 ? r : 0;
}

int64_t store_media_total(struct store *s)
{
	return db_get_int(s->media, 0, "SELECT bytes FROM usage", "");
}

int store_media_by_use(struct store *s, int64_t after_at, int64_t after_n, int64_t limit,
	store_media_use_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->media, &q,
		"SELECT attachment, used_at, n, size FROM blob WHERE variant = 0"
		" AND (used_at, n) > (?1, ?2) ORDER BY used_at, n LIMIT ?3",
		"iii", after_at, after_n, limit);

	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0) {
		r = fn(userdata,
			&(struct store_media_use){
				.attachment_id = db_column_text(q, 0),
				.used_at = db_column_int(q, 1),
				.n = db_column_int(q, 2),
				.size = db_column_int(q, 3),
			});
		if (r < 0)
			return r;
	}
	return r;
}

static char *get_text(
	struct store *s, const char *sql, const char *attachment_id, enum attachment_variant v)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	const char *text;

	if (db_query(s->media, &q, sql, "si", attachment_id, (int64_t)v) < 0 || db_step(q) <= 0)
		return NULL;
	text = db_column_text(q, 0);
	return text ? strdup(text) : NULL;
}

char *store_media_get_etag(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	return get_text(s, "SELECT etag FROM blob WHERE attachment = ?1 AND variant = ?2",
		attachment_id, v);
}

char *store_media_get_slot(struct store *s, const char *attachment_id, enum attachment_variant v)
{
	return get_text(s, "SELECT slot FROM blob WHERE attachment = ?1 AND variant = ?2",
		attachment_id, v);
}

static bool has_row(struct store *s, const char *attachment_id)
{
	return db_get_int(s->chat, 0, "SELECT EXISTS(SELECT 1 FROM attachment WHERE id = ?1)", "s",
		attachment_id);
}

struct lost {
	char *id, *message_id;
	bool unsent; /* the only copy there was */
};

static void lost_clear(struct lost *l)
{
	free(l->id);
	free(l->message_id);
}

/* The next row after `after` that tells of bytes; 1, 0 when there is none, or negative errno. */
static int next_stored(struct store *s, const char *after, struct lost *ret)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		"SELECT id, message, outgoing = 1 AND url IS NULL FROM attachment"
		" WHERE id > ?1 AND (full_stored = 1 OR preview_stored = 1) ORDER BY id LIMIT 1",
		"s", after);

	r = r < 0 ? r : db_step(q);
	if (r <= 0)
		return r;
	*ret = (struct lost){
		.id = strdup(db_column_text(q, 0)),
		.message_id = strdup(db_column_text(q, 1)),
		.unsent = db_column_int(q, 2),
	};
	return ret->id && ret->message_id ? 1 : -ENOMEM;
}

static int forget_bytes(struct store *s, const struct lost *l)
{
	int r = stamp_if_written(s,
		db_write(s->chat,
			"UPDATE attachment SET full_stored = 0, preview_stored = 0, progress = 0,"
			" status = ?2, change = ?3 WHERE id = ?1",
			"sii", l->id, (int64_t)(l->unsent ? ATTACHMENT_FAILED : ATTACHMENT_WAITING),
			s->last_change + 1));

	if (r >= 0 && l->unsent)
		r = store_message_fail(s, l->message_id, "the photo is lost",
			"its bytes were in a file that is not there any more");
	return r == -ENOENT ? 0 : r;
}

/*
 * Rows whose bytes are not there any more, as after the loss of the media database alone, say so
 * again, and what can never be sent now is not waited for.
 */
static int forget_lost(struct store *s)
{
	_cleanup_free_ char *after = strdup("");
	int r;

	/* What cannot be read is not lost yet. */
	if (db_get_int(s->media, 1, "SELECT EXISTS(SELECT 1 FROM blob)", ""))
		return 0;
	do {
		_cleanup_(lost_clear) struct lost l = { 0 };

		r = after ? next_stored(s, after, &l) : -ENOMEM;
		if (r <= 0)
			return r;
		r = forget_bytes(s, &l);
		free(after);
		after = TAKE_PTR(l.id);
	} while (r >= 0);
	return r;
}

int store_media_sweep(struct store *s)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->media, &q, "SELECT attachment, variant FROM blob WHERE linked = 0", "");

	if (r < 0)
		return r;
	while ((r = db_step(q)) > 0) {
		_cleanup_free_ char *id = strdup(db_column_text(q, 0));
		enum attachment_variant v = (enum attachment_variant)db_column_int(q, 1);

		if (!id)
			return -ENOMEM;
		if (!has_row(s, id))
			r = store_media_drop(s, id, v);
		else
			r = db_write(s->media, "UPDATE blob SET linked = 1 WHERE attachment = ?1",
				"s", id);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : forget_lost(s);
}
