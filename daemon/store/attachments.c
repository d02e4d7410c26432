/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/rows.h"

static int emit_attachment(struct db_stmt *q, store_attachment_fn fn, void *userdata)
{
	struct attachment a = {
		.id = (char *)db_column_text(q, 0),
		.message_id = (char *)db_column_text(q, 1),
		.chat_id = (char *)db_column_text(q, 2),
		.mime = (char *)db_column_text(q, 3),
		.name = (char *)db_column_text(q, 4),
		.sha256 = (char *)db_column_text(q, 5),
		.url = (char *)db_column_text(q, 6),
		.preview_url = (char *)db_column_text(q, 7),
		.size = db_column_int(q, 8),
		.preview_size = db_column_int(q, 9),
		.width = db_column_int(q, 10),
		.height = db_column_int(q, 11),
		.progress = db_column_int(q, 12),
		.status = (enum attachment_status)db_column_int(q, 13),
		.outgoing = db_column_int(q, 14),
		.full_stored = db_column_int(q, 15),
		.preview_stored = db_column_int(q, 16),
		.priority = (enum attachment_priority)db_column_int(q, 17),
	};

	return fn(userdata, &a);
}

int each_attachment(struct db_stmt *q, store_attachment_fn fn, void *userdata)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = emit_attachment(q, fn, userdata);
		if (r < 0)
			return r;
	}
	return r;
}

int store_attachment_get(
	struct store *s, const char *attachment_id, store_attachment_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q, SELECT_ATTACHMENT FROM_ATTACHMENT "WHERE a.id = ?1", "s",
		attachment_id);

	if (r < 0)
		return r;
	r = db_step(q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return emit_attachment(q, fn, userdata);
}

/* The words of the index attachment_moving. */
#define WHERE_MOVING                                                     \
	"WHERE status IN (1, 2) OR (outgoing = 0 AND preview_stored = 0" \
	" AND preview_url IS NOT NULL AND status <> 3)"
#define RANK                                                   \
	"CASE WHEN priority = 0 THEN 0 WHEN status = 1 THEN 1" \
	" WHEN preview_stored = 0 AND preview_url IS NOT NULL" \
	" THEN 2 ELSE priority END"

int64_t store_attachment_count_moving(struct store *s)
{
	return db_get_int(s->chat, 0, "SELECT count(*) FROM attachment " WHERE_MOVING, "");
}

int store_attachment_moving(struct store *s, store_attachment_fn fn, void *userdata)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(s->chat, &q,
		SELECT_ATTACHMENT
		"FROM (SELECT * FROM attachment " WHERE_MOVING " ORDER BY " RANK ", id) a"
		" CROSS JOIN message m ON m.id = a.message CROSS JOIN chat c ON c.n = m.chat",
		"");

	return r < 0 ? r : each_attachment(q, fn, userdata);
}

/* An id that is here already, which the network promises not to use again, keeps its first row. */
static int insert_attachment(struct store *s, const struct message *m, size_t ordinal)
{
	const struct attachment *a = &m->attachments[ordinal];

	return db_write(s->chat,
		"INSERT OR IGNORE INTO attachment(id, message, ordinal, mime, name, sha256, url, "
		"preview_url,"
		" size, preview_size, width, height, status, outgoing, full_stored, "
		"preview_stored, "
		"priority)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17)",
		"ssisssssiiiiiiiii", a->id, m->id, (int64_t)ordinal, a->mime ? a->mime : "",
		a->name, a->sha256, a->url, a->preview_url, a->size, a->preview_size, a->width,
		a->height, (int64_t)a->status, (int64_t)a->outgoing, (int64_t)a->full_stored,
		(int64_t)a->preview_stored, (int64_t)a->priority);
}

int attachments_insert(struct store *s, const struct message *m)
{
	int r = 0;

	for (size_t i = 0; i < m->n_attachments && r >= 0; i++)
		r = insert_attachment(s, m, i);
	return r < 0 ? r : 0;
}

/* 0 when the row changed, -ENOENT when there is none. */
static int changed(int r)
{
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

static int stamped(struct store *s, int r)
{
	return changed(stamp_if_written(s, r));
}

int store_attachment_set_status(
	struct store *s, const char *attachment_id, enum attachment_status status)
{
	return stamped(s,
		db_write(s->chat, "UPDATE attachment SET status = ?2, change = ?3 WHERE id = ?1",
			"sii", attachment_id, (int64_t)status, s->last_change + 1));
}

int store_attachment_want(struct store *s, const char *attachment_id, enum attachment_status status,
	enum attachment_priority priority)
{
	return stamped(s,
		db_write(s->chat,
			"UPDATE attachment SET status = ?2, priority = ?3, change = ?4 WHERE id = "
			"?1",
			"siii", attachment_id, (int64_t)status, (int64_t)priority,
			s->last_change + 1));
}

int store_attachment_evict(struct store *s, const char *attachment_id)
{
	int r = stamped(s,
		db_write(s->chat,
			"UPDATE attachment SET full_stored = 0, status = 0, progress = 0,"
			" priority = 3, change = ?2"
			" WHERE id = ?1 AND url IS NOT NULL AND status = 4",
			"si", attachment_id, s->last_change + 1));

	return r < 0 ? r : store_media_drop(s, attachment_id, VARIANT_FULL);
}

int store_attachment_set_progress(struct store *s, const char *attachment_id, int64_t progress)
{
	return changed(db_write(s->chat, "UPDATE attachment SET progress = ?2 WHERE id = ?1", "si",
		attachment_id, progress));
}

int store_attachment_set_stored(
	struct store *s, const char *attachment_id, enum attachment_variant v, bool stored)
{
	const char *sql = v == VARIANT_FULL
		? "UPDATE attachment SET full_stored = ?2, change = ?3 WHERE id = ?1"
		: "UPDATE attachment SET preview_stored = ?2, change = ?3 WHERE id = ?1";

	return stamped(s,
		db_write(s->chat, sql, "sii", attachment_id, (int64_t)stored, s->last_change + 1));
}

int store_attachment_set_remote(
	struct store *s, const char *attachment_id, const char *url, const char *preview_url)
{
	return changed(
		db_write(s->chat, "UPDATE attachment SET url = ?2, preview_url = ?3 WHERE id = ?1",
			"sss", attachment_id, url, preview_url));
}

bool store_message_awaits_upload(struct store *s, const char *message_id)
{
	return db_get_int(s->chat, 0,
		"SELECT EXISTS(SELECT 1 FROM attachment WHERE message = ?1 AND outgoing = 1 AND "
		"url IS NULL)",
		"s", message_id);
}
