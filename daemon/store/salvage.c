/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/salvage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/rows.h"

/* Numbers that may have been given to rows that are lost, beside those of a page full of rows. */
#define NUMBERS_LOST (INT64_C(1) << 20)
#define NUMBERS_A_PAGE 64

/* As POSITION_PENDING. */
#define PENDING "(1 << 48)"

/* Columns of a message and of an attachment that are looked at here. */
#define MESSAGE_STATUS 6
#define ATTACHMENT_URL 6
#define ATTACHMENT_OUTGOING 14

struct salvage {
	struct db_rescue *from;
	struct db *to;
	bool chats_are_whole;
};

/* What a row looks like, and how it is taken over. */
struct kind {
	const char *root; /* the table or index; NULL: its rows are known by their looks anywhere */
	enum db_tree tree;
	const char *shape; /* as db_row_is() has it */
	const char *insert;
	const char *drop_older; /* of two versions of a row the newer one counts; NULL: the first */
	bool (*is_unsent)(const struct db_row *row); /* NULL: none is */
};

static bool is_unsent_message(const struct db_row *row)
{
	int64_t status = db_row_int(row, MESSAGE_STATUS);

	return status == MESSAGE_PENDING || status == MESSAGE_FAILED;
}

static bool is_unsent_attachment(const struct db_row *row)
{
	return db_row_int(row, ATTACHMENT_OUTGOING) && db_row_is_null(row, ATTACHMENT_URL);
}

static const struct kind page_kinds[] = {
	{
		.tree = DB_TREE_KEYED,
		.shape = "iitiitiTTiiiiII",
		.insert = "INSERT OR IGNORE INTO message(chat, position, id, user, outgoing, text,"
			  " status, error_title, error_detail, created_at, attachments, added,"
			  " change, handed_over) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
			  " ?11, ?12, ?13, ifnull(?15, 0))",
		.drop_older = "DELETE FROM message WHERE (id = ?3 OR (chat = ?1 AND position = ?2))"
			      " AND max(added, change) < max(?12, ?13)",
		.is_unsent = is_unsent_message,
	},
	{
		.tree = DB_TREE_KEYED,
		.shape = "ttitTTTTiiiiiiiiiiI",
		.insert = "INSERT OR IGNORE INTO attachment(id, message, ordinal, mime, name,"
			  " sha256, url, preview_url, size, preview_size, width, height, progress,"
			  " status, outgoing, full_stored, preview_stored, change, priority)"
			  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
			  " ?15, ?16, ?17, ?18, ifnull(?19, 3))",
		.drop_older = "DELETE FROM attachment WHERE id = ?1 AND change < ?18",
		.is_unsent = is_unsent_attachment,
	},
	{
		.tree = DB_TREE_ROWID,
		.shape = "itTT",
		.insert = "INSERT OR IGNORE INTO user(n, id, name, picture_url)"
			  " VALUES(?1, ?2, ?3, ?4)",
	},
	{
		.tree = DB_TREE_ROWID,
		.shape = "itTiiiIiiiiiiiiiiii",
		.insert = "INSERT OR IGNORE INTO chat(n, id, former_id, user, provisional,"
			  " created_at, last_position, last_at, unread, floor_seq, last_seq,"
			  " server_seq, received_seq, received_told, read_seq, read_told,"
			  " peer_received_seq, peer_read_seq, change) VALUES(?1, ?2, ?3, ?4, ?5,"
			  " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
		.drop_older = "DELETE FROM chat WHERE (n = ?1 OR id = ?2) AND change < ?19",
	},
	{
		.tree = DB_TREE_ROWID,
		.shape = "iitt",
		.insert = "INSERT OR IGNORE INTO tombstone(change, kind, id, chat_id)"
			  " VALUES(?1, ?2, ?3, ?4)",
	},
};

/*
 * Tables are made in one order by the schema's steps, so that their roots are the same pages in all
 * databases. The rows of the first look like others'; what the indexes hold of rows that are lost
 * is kept aside.
 */
static const struct kind root_kinds[] = {
	{ "account", DB_TREE_ROWID,
		"itttttTiTi",
		"INSERT OR IGNORE INTO account VALUES(1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)" },
	{ "setting", DB_TREE_KEYED, "tt", "INSERT OR IGNORE INTO setting VALUES(?1, ?2)" },
	{ "consumer", DB_TREE_KEYED, "ti", "INSERT OR IGNORE INTO consumer VALUES(?1, ?2)" },
	{ "push", DB_TREE_ROWID, "ittttTTi",
		"INSERT OR IGNORE INTO push VALUES(1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)" },
	{ "sqlite_autoindex_user_1", DB_TREE_KEYED, "ti",
		"INSERT OR IGNORE INTO indexed_user VALUES(?2, ?1)" },
	{ "chat_user", DB_TREE_KEYED, "ii",
		"INSERT OR IGNORE INTO indexed_chat_user VALUES(?2, ?1)" },
	{ "chat_provisional", DB_TREE_KEYED, "ii",
		"INSERT OR IGNORE INTO indexed_provisional VALUES(?1)" },
	{ "message_outbox", DB_TREE_KEYED, "iiii",
		"INSERT OR IGNORE INTO indexed_outbox VALUES(?1)" },
};

/* Whether these two can be read through tells whether a chat is missing. */
static const struct kind chat_ids = { "sqlite_autoindex_chat_1", DB_TREE_KEYED, "ti",
	"INSERT OR IGNORE INTO indexed_chat VALUES(?2, ?1)" };
static const struct kind chats = { "chat", DB_TREE_ROWID, "", NULL };

static const char *const preparations[] = {
	"PRAGMA defer_foreign_keys = ON",
	"CREATE TEMP TABLE indexed_user(n INTEGER PRIMARY KEY, id TEXT)",
	"CREATE TEMP TABLE indexed_chat(n INTEGER PRIMARY KEY, id TEXT)",
	"CREATE TEMP TABLE indexed_chat_user(n INTEGER PRIMARY KEY, user INTEGER)",
	"CREATE TEMP TABLE indexed_provisional(n INTEGER PRIMARY KEY)",
	"CREATE TEMP TABLE indexed_outbox(added INTEGER PRIMARY KEY)",
};

#define NEWEST_SEQ \
	"(SELECT max(position) FROM message m WHERE m.chat = chat.n AND m.position < " PENDING ")"
#define NEWEST_SEQ_WITH(what)                                                               \
	"ifnull((SELECT max(position) FROM message m WHERE m.chat = chat.n AND m.position " \
	"< " PENDING " AND " what "), 0)"
#define N_ATTACHMENTS "(SELECT count(*) FROM attachment a WHERE a.message = message.id)"

/* clang-format off */
/* In this order. */
static const char *const repairs[] = {
	/* What the indexes know of users and chats whose rows are lost; 0 marks the chats. */
	"INSERT OR IGNORE INTO user(n, id) SELECT n, id FROM indexed_user",
	"INSERT OR IGNORE INTO chat(n, id, user, provisional, created_at, last_at, change)"
	" SELECT n, id, user, n IN (SELECT n FROM indexed_provisional),"
	" ifnull((SELECT min(created_at) FROM message m WHERE m.chat = n), 0), 0, 0"
	" FROM indexed_chat JOIN indexed_chat_user USING(n)",
	"UPDATE chat SET server_seq = ifnull(" NEWEST_SEQ ", 0),"
	" read_seq = " NEWEST_SEQ_WITH("m.outgoing = 0 AND m.status = 3") ","
	" peer_received_seq = " NEWEST_SEQ_WITH("m.outgoing = 1 AND m.status IN (2, 3)") ","
	" peer_read_seq = " NEWEST_SEQ_WITH("m.outgoing = 1 AND m.status = 3")
	" WHERE change = 0",
	"DELETE FROM chat WHERE user NOT IN (SELECT n FROM user)",

	/* Messages: one chat has two people in it. */
	"DELETE FROM message WHERE chat NOT IN (SELECT n FROM chat)",
	"INSERT OR IGNORE INTO user(n, id, name) SELECT 1 + max("
	"(SELECT ifnull(max(n), 0) FROM user), (SELECT ifnull(max(user), 0) FROM message)),"
	" user_id, user_name FROM account",
	"UPDATE message SET user = CASE WHEN outgoing = 0"
	" THEN (SELECT c.user FROM chat c WHERE c.n = message.chat)"
	" ELSE ifnull((SELECT u.n FROM user u JOIN account a ON a.user_id = u.id), user) END"
	" WHERE user NOT IN (SELECT n FROM user)",
	"DELETE FROM message WHERE user NOT IN (SELECT n FROM user)",

	/* Photos. */
	"DELETE FROM message WHERE position < " PENDING " AND attachments > " N_ATTACHMENTS,
	"UPDATE message SET status = 4, error_title = 'a photo is lost',"
	" error_detail = 'the database was damaged where it told of the photo',"
	" attachments = " N_ATTACHMENTS " WHERE attachments > " N_ATTACHMENTS,
	"DELETE FROM attachment WHERE outgoing = 1 AND url IS NULL"
	" AND message NOT IN (SELECT id FROM message)",

	/* The run of history ends where the first message is missing; the rest is a gap. */
	"UPDATE chat SET floor_seq = ifnull((SELECT min(position) FROM message m"
	" WHERE m.chat = chat.n AND m.position >= max(chat.floor_seq, 1)"
	" AND m.position < " PENDING "), 0)",
	"UPDATE chat SET last_seq = ifnull((SELECT min(position) FROM message m"
	" WHERE m.chat = chat.n AND m.position >= chat.floor_seq AND m.position < " PENDING
	" AND NOT EXISTS(SELECT 1 FROM message o WHERE o.chat = m.chat"
	" AND o.position = m.position + 1)), 0)",
	"UPDATE chat SET server_seq = max(server_seq, ifnull(" NEWEST_SEQ ", 0))",
	"UPDATE chat SET unread = max(0, floor_seq - 1 - read_seq) + (SELECT count(*)"
	" FROM message m WHERE m.chat = chat.n AND m.position > chat.read_seq"
	" AND m.position >= chat.floor_seq AND m.position < " PENDING " AND m.outgoing = 0)",
	"UPDATE chat SET last_position ="
	" (SELECT max(position) FROM message m WHERE m.chat = chat.n)",
	"UPDATE chat SET last_at = ifnull((SELECT created_at FROM message m"
	" WHERE m.chat = chat.n AND m.position = chat.last_position), created_at)",
};
/* clang-format on */

static int run(struct salvage *s, const char *const *statements, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = db_write(s->to, statements[i], "");
	return r < 0 ? r : 0;
}

static int put(struct salvage *s, const struct kind *k, const struct db_row *row)
{
	int r = db_write_row(s->to, k->insert, row, DB_ROW_COLUMNS);

	if (r == 0 && k->drop_older) {
		r = db_write_row(s->to, k->drop_older, row, DB_ROW_COLUMNS);
		if (r > 0)
			r = db_write_row(s->to, k->insert, row, DB_ROW_COLUMNS);
	}
	return r < 0 ? r : 0;
}

struct walk {
	struct salvage *salvage;
	const struct kind *kind; /* of a root; NULL: of a page */
	enum db_tree tree;
	bool unsent;
};

static int on_page_row(void *userdata, const struct db_row *row)
{
	const struct walk *w = userdata;

	for (size_t i = 0; i < ARRAY_SIZE(page_kinds); i++) {
		const struct kind *k = &page_kinds[i];

		if (k->tree != w->tree || !db_row_is(row, k->shape))
			continue;
		if (w->unsent && !(k->is_unsent && k->is_unsent(row)))
			return 0;
		return put(w->salvage, k, row);
	}
	return 0;
}

static int on_root_row(void *userdata, const struct db_row *row)
{
	const struct walk *w = userdata;

	return w->kind->insert && db_row_is(row, w->kind->shape) ? put(w->salvage, w->kind, row)
								 : 0;
}

static int walk_pages(struct salvage *s, bool unsent)
{
	int64_t pages = db_rescue_pages(s->from);
	int r = 0;

	for (int64_t page = 2; page <= pages && r >= 0; page++) {
		struct walk w = { .salvage = s, .unsent = unsent };

		for (w.tree = DB_TREE_ROWID; w.tree <= DB_TREE_KEYED && r >= 0; w.tree++)
			r = db_rescue_walk(s->from, page, w.tree, on_page_row, &w);
	}
	return r < 0 ? r : 0;
}

/* 1: not all could be read. */
static int walk_root(struct salvage *s, const struct kind *k)
{
	struct walk w = { .salvage = s, .kind = k };
	int64_t root = db_get_int(
		s->to, 0, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", "s", k->root);

	return root > 0 ? db_rescue_walk(s->from, root, k->tree, on_root_row, &w) : -EIO;
}

static int walk_roots(struct salvage *s)
{
	int r = 0, whole, whole_ids;

	for (size_t i = 0; i < ARRAY_SIZE(root_kinds) && r >= 0; i++)
		r = walk_root(s, &root_kinds[i]);
	if (r < 0)
		return r;
	whole = walk_root(s, &chats);
	whole_ids = whole < 0 ? whole : walk_root(s, &chat_ids);
	s->chats_are_whole = whole == 0 && whole_ids == 0;
	return whole_ids < 0 ? whole_ids : 0;
}

static int carry_over(struct salvage *s)
{
	int r = run(s, preparations, ARRAY_SIZE(preparations));

	r = r < 0 ? r : walk_pages(s, true);
	r = r < 0 ? r : walk_roots(s);
	r = r < 0 ? r : walk_pages(s, false);
	r = r < 0 ? r : run(s, repairs, ARRAY_SIZE(repairs));
	if (r >= 0 && !s->chats_are_whole)
		r = db_write(s->to, "UPDATE account SET sync_state = NULL", "");
	return r < 0 ? r : 0;
}

/*
 * Above all numbers that were given: of a database of which nothing is left these cannot be known,
 * but there is less than one a millisecond.
 */
static int64_t first_number(struct salvage *s)
{
	int64_t newest = db_get_int(s->to, 0,
		"SELECT max(ifnull((SELECT max(max(added, change)) FROM message), 0),"
		" ifnull((SELECT max(change) FROM chat), 0),"
		" ifnull((SELECT max(change) FROM attachment), 0),"
		" ifnull((SELECT max(change) FROM tombstone), 0),"
		" ifnull((SELECT max(seq) FROM consumer), 0))",
		"");

	if (newest == 0)
		return clock_wall_ms();
	return newest + NUMBERS_LOST + NUMBERS_A_PAGE * db_rescue_pages(s->from);
}

/* Each chat may look different now. */
static int stamp(struct salvage *s, const char *aside)
{
	int64_t first = first_number(s), lost = 0;
	char text[24];
	int r = db_write(s->to, "UPDATE chat SET change = ?1 + n", "i", first);

	if (s->from)
		lost = db_get_int(s->to, 0,
			"SELECT count(*) FROM indexed_outbox WHERE added NOT IN"
			" (SELECT added FROM message WHERE status IN (0, 4))",
			"");
	snprintf(text, sizeof(text), "%" PRId64, lost);
	return r < 0 ? r
		     : db_write(s->to,
			       "INSERT INTO tombstone(change, kind, id, chat_id)"
			       " SELECT ?1 + 1 + ifnull(max(n), 0), ?2, ?4, ?3 FROM chat",
			       "iiss", first, (int64_t)TOMBSTONE_SALVAGED, text, aside);
}

int salvage_rows(struct db_rescue *from, struct db *to, const char *aside)
{
	struct salvage s = { .from = from, .to = to };
	int r = from ? carry_over(&s) : 0;

	r = r < 0 ? r : stamp(&s, aside);
	if (r < 0) {
		db_rollback(to);
		return r;
	}
	return db_commit(to);
}
