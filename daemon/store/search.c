/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "store/rows.h"

/*
 * The row of a message in the index: its second, and within that its place in the order of adding.
 * Times that no clock shows are cut off.
 */
#define DOC "(min(max(created_at / 1000, 0), 4294967295) << 30 | (added & 1073741823))"

void search_load(struct store *s)
{
	s->search_progress = s->committed_search_progress =
		db_get_int(s->chat, 0, "SELECT added FROM search_progress", "");
}

int64_t store_search_lag(const struct store *s)
{
	return s->last_change - s->search_progress;
}

/*
 * The last number of the next `limit` messages; where there are no more, that of the last change.
 */
static int64_t slice_end(struct store *s, int64_t limit)
{
	return db_get_int(s->chat, s->last_change,
		"SELECT added FROM message WHERE added > ?1 ORDER BY added LIMIT 1 OFFSET ?2", "ii",
		s->search_progress, limit - 1);
}

/* What was numbered anew is in the index already. */
static int index_slice(struct store *s, int64_t end)
{
	int r = db_write(s->chat,
		"INSERT INTO search(rowid, text, chat) SELECT " DOC
		", text, chat FROM message WHERE added > ?1 AND added <= ?2 AND doc IS NULL",
		"ii", s->search_progress, end);

	if (r > 0)
		r = db_write(s->chat,
			"UPDATE message SET doc = " DOC
			" WHERE added > ?1 AND added <= ?2 AND doc IS NULL",
			"ii", s->search_progress, end);
	if (r >= 0)
		r = db_write(s->chat, "UPDATE search_progress SET added = ?1", "i", end);
	return r;
}

int store_search_index(struct store *s, int64_t limit)
{
	int64_t end = slice_end(s, limit);
	int r = store_begin(s);

	if (r < 0)
		return r;
	r = index_slice(s, end);
	store_end(s, r < 0);
	if (r < 0)
		return r;
	s->search_progress = end;
	return 0;
}

/* A word or a phrase, as FTS5 writes a string: nothing in it has a meaning of its own. */
static int add_term(struct buffer *b, const char *p, size_t n, bool phrase)
{
	int r = buffer_append(b, "\"", 1);

	r = r < 0 ? r : buffer_append(b, p, n);
	return r < 0 ? r : buffer_append(b, phrase ? "\" " : "\"* ", phrase ? 2 : 3);
}

/* All of the words must be there, the last letters of each may be missing. -EINVAL: how many. */
static int add_words(struct buffer *b, const char *p)
{
	int r = 0;

	for (unsigned i = 0; r == 0; i++) {
		bool phrase;
		size_t n;

		p += strspn(p, " \t\r\n");
		if (!*p)
			return i > 0 ? 0 : -EINVAL;
		if (i == SEARCH_WORDS_MAX)
			return -EINVAL;
		phrase = *p == '"';
		p += phrase;
		n = strcspn(p, phrase ? "\"" : " \t\r\n\"");
		r = add_term(b, p, n, phrase);
		p += n;
		if (phrase && *p)
			p++;
	}
	return r;
}

static int make_match(struct buffer *b, const char *text, int64_t chat)
{
	char in_chat[64];
	int r = buffer_append(b, "{text}:(", 8);

	r = r < 0 ? r : add_words(b, text);
	r = r < 0 ? r : buffer_append(b, ")", 1);
	if (r == 0 && chat >= 0) {
		snprintf(in_chat, sizeof(in_chat), " AND {chat}:\"%" PRId64 "\"", chat);
		r = buffer_append(b, in_chat, strlen(in_chat));
	}
	return r < 0 ? r : buffer_append(b, "", 1);
}

struct found {
	store_search_fn fn;
	void *userdata;
	const char *snippet;
};

static int emit_found(void *userdata, const struct message *m)
{
	const struct found *f = userdata;

	return f->fn(f->userdata, m, f->snippet);
}

/* Columns: doc, message id, snippet. */
static int walk_found(struct store *s, struct db_stmt *q, const struct search_query *query,
	struct found *f, char **ret_cursor)
{
	int64_t n = 0, last = 0;
	char cursor[24];
	int r;

	while ((r = db_step(q)) > 0) {
		if (n++ == query->limit)
			break;
		last = db_column_int(q, 0);
		f->snippet = db_column_text(q, 2);
		r = store_message_get(s, db_column_text(q, 1), emit_found, f);
		if (r != 0)
			break;
	}
	if (r <= 0)
		return r;
	snprintf(cursor, sizeof(cursor), "%" PRId64, last);
	*ret_cursor = strdup(cursor);
	return *ret_cursor ? 0 : -ENOMEM;
}

static int parse_cursor(const char *cursor, int64_t *ret)
{
	char *end;

	*ret = INT64_MAX;
	if (!cursor)
		return 0;
	errno = 0;
	*ret = strtoll(cursor, &end, 10);
	return errno || end == cursor || *end ? -EBADMSG : 0;
}

int store_search(struct store *s, const struct search_query *query, store_search_fn fn,
	void *userdata, char **ret_cursor)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	_cleanup_(buffer_clear) struct buffer match = { 0 };
	struct found f = { .fn = fn, .userdata = userdata };
	int64_t chat = -1, below;
	int r = parse_cursor(query->cursor, &below);

	if (r == 0 && query->chat_id) {
		chat = chat_number(s, query->chat_id);
		r = chat < 0 ? (int)chat : 0;
	}
	r = r < 0 ? r : make_match(&match, query->text, chat);
	if (r < 0)
		return r;
	*ret_cursor = NULL;
	r = db_query(s->chat, &q,
		"SELECT m.doc, m.id, snippet(search, 0, CAST(x'fe' AS TEXT), CAST(x'ff' AS TEXT), "
		"'…', 16)"
		" FROM search JOIN message m ON m.doc = search.rowid"
		" WHERE search MATCH ?1 AND search.rowid < ?2 ORDER BY search.rowid DESC LIMIT ?3",
		"sii", (const char *)buffer_bytes(&match), below, query->limit + 1);
	return r < 0 ? r : walk_found(s, q, query, &f, ret_cursor);
}
