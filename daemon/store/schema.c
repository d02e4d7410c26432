/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/schema.h"

/*
 * message is clustered by (chat, position), so that a page is one run of the tree. position is the
 * server's seq, or, while there is none, POSITION_PENDING and up in order of sending. change is the
 * account-wide number of the row's last change and added that of its first; both are never used
 * twice. A message that has not changed since it came stands in one of their two indexes only.
 *
 * chat: floor_seq to last_seq is the run of history stored without a gap; server_seq the newest
 * that exists. former_id is what a chat that began here was called before the server named it: who
 * has that id in hand may go on using it. received_seq is the newest incoming message of that run.
 * *_told is what the server was told.
 *
 * search holds the words of the messages that were added up to search_progress: it follows the
 * changes like anybody else, so that what comes in does not wait for it. A message's row there is
 * doc, which is in order of time; a chat's number is a word like others, so that a search in one
 * chat does not walk through all.
 */
/* clang-format off: a table reads better a few columns a line than filled up to the margin */
static const char chat_1[] =
	"CREATE TABLE account("
	"	only INTEGER PRIMARY KEY CHECK(only = 1), server TEXT NOT NULL,"
	"	user_id TEXT NOT NULL, user_name TEXT NOT NULL, password TEXT NOT NULL,"
	"	device_id TEXT NOT NULL, token TEXT, token_expires_at INTEGER NOT NULL DEFAULT 0,"
	"	sync_state TEXT, refused INTEGER NOT NULL DEFAULT 0) STRICT;"

	"CREATE TABLE user("
	"	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, picture_url TEXT) "
	"STRICT;"
	"CREATE INDEX user_unknown ON user(n) WHERE name IS NULL;"

	"CREATE TABLE chat("
	"	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, former_id TEXT UNIQUE,"
	"	user INTEGER NOT NULL REFERENCES user, provisional INTEGER NOT NULL DEFAULT 0,"
	"	created_at INTEGER NOT NULL, last_position INTEGER, last_at INTEGER NOT NULL,"
	"	unread INTEGER NOT NULL DEFAULT 0,"
	"	floor_seq INTEGER NOT NULL DEFAULT 0, last_seq INTEGER NOT NULL DEFAULT 0,"
	"	server_seq INTEGER NOT NULL DEFAULT 0,"
	"	received_seq INTEGER NOT NULL DEFAULT 0, received_told INTEGER NOT NULL DEFAULT 0,"
	"	read_seq INTEGER NOT NULL DEFAULT 0, read_told INTEGER NOT NULL DEFAULT 0,"
	"	peer_received_seq INTEGER NOT NULL DEFAULT 0,"
	"	peer_read_seq INTEGER NOT NULL DEFAULT 0, change INTEGER NOT NULL) STRICT;"
	"CREATE INDEX chat_user ON chat(user);"
	"CREATE INDEX chat_recent ON chat(last_at, n);"
	"CREATE INDEX chat_change ON chat(change);"
	"CREATE INDEX chat_receipts_due ON chat(n)"
	"	WHERE read_seq > read_told OR received_seq > received_told;"
	"CREATE INDEX chat_gap ON chat(last_at) WHERE server_seq > last_seq;"
	"CREATE INDEX chat_unread ON chat(unread) WHERE unread > 0;"
	"CREATE INDEX chat_provisional ON chat(n) WHERE provisional = 1;"

	"CREATE TABLE message("
	"	chat INTEGER NOT NULL REFERENCES chat, position INTEGER NOT NULL,"
	"	id TEXT NOT NULL UNIQUE, user INTEGER NOT NULL REFERENCES user,"
	"	outgoing INTEGER NOT NULL, text TEXT NOT NULL, status INTEGER NOT NULL,"
	"	error_title TEXT, error_detail TEXT, created_at INTEGER NOT NULL,"
	"	attachments INTEGER NOT NULL DEFAULT 0, added INTEGER NOT NULL,"
	"	change INTEGER NOT NULL, doc INTEGER,"
	"	PRIMARY KEY(chat, position)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX message_added ON message(added);"
	"CREATE INDEX message_change ON message(change) WHERE change > added;"
	"CREATE UNIQUE INDEX message_doc ON message(doc) WHERE doc IS NOT NULL;"
	"CREATE INDEX message_outbox ON message(added) WHERE status IN (0, 4);"

	"CREATE TABLE attachment("
	"	id TEXT PRIMARY KEY, message TEXT NOT NULL, ordinal INTEGER NOT NULL,"
	"	mime TEXT NOT NULL, name TEXT, sha256 TEXT, url TEXT, preview_url TEXT,"
	"	size INTEGER NOT NULL, preview_size INTEGER NOT NULL,"
	"	width INTEGER NOT NULL, height INTEGER NOT NULL,"
	"	progress INTEGER NOT NULL DEFAULT 0, status INTEGER NOT NULL,"
	"	outgoing INTEGER NOT NULL, full_stored INTEGER NOT NULL DEFAULT 0,"
	"	preview_stored INTEGER NOT NULL DEFAULT 0,"
	"	change INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
	"CREATE INDEX attachment_message ON attachment(message, ordinal);"
	"CREATE INDEX attachment_change ON attachment(change) WHERE change > 0;"
	"CREATE INDEX attachment_moving ON attachment(id) WHERE status IN (1, 2) OR"
	"	(outgoing = 0 AND preview_stored = 0 AND status <> 3);"

	"CREATE TABLE tombstone("
	"	change INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
	"	id TEXT NOT NULL, chat_id TEXT NOT NULL) STRICT;"

	"CREATE TABLE consumer(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE VIRTUAL TABLE search USING fts5(text, chat, content=message, content_rowid=doc,"
	"	tokenize='unicode61 remove_diacritics 2',"
	"	prefix='1 2 3');"
	"CREATE TRIGGER search_removed AFTER DELETE ON message WHEN old.doc IS NOT NULL BEGIN"
	"	INSERT INTO search(search, rowid, text, chat)"
	"	VALUES('delete', old.doc, old.text, old.chat); END;"
	"CREATE TABLE search_progress("
	"	only INTEGER PRIMARY KEY CHECK(only = 1), added INTEGER NOT NULL) STRICT;"
	"INSERT INTO search_progress VALUES(1, 0);";

/*
 * priority as enum attachment_priority. The index holds just what the transfer queue has to do, in
 * the order of doing it; its expressions stand again in attachments.c.
 */
static const char chat_2[] =
	"ALTER TABLE attachment ADD COLUMN priority INTEGER NOT NULL DEFAULT 3;"
	"DROP INDEX attachment_moving;"
	"CREATE INDEX attachment_moving ON attachment("
	"	CASE WHEN priority = 0 THEN 0 WHEN status = 1 THEN 1"
	"	WHEN preview_stored = 0 AND preview_url IS NOT NULL THEN 2 ELSE priority END, id)"
	"	WHERE status IN (1, 2) OR (outgoing = 0 AND preview_stored = 0"
	"	AND preview_url IS NOT NULL AND status <> 3);";

/* handed_over as in struct message: what survives a kill between a message and its answer. */
static const char chat_3[] =
	"ALTER TABLE message ADD COLUMN handed_over INTEGER NOT NULL DEFAULT 0;";

/*
 * The one subscription to pushes: the token that its distributor knows it by, the keys, and where
 * the server is to send to. told: the server knows of that.
 */
static const char chat_4[] =
	"CREATE TABLE push("
	"	only INTEGER PRIMARY KEY CHECK(only = 1), token TEXT NOT NULL,"
	"	private_key TEXT NOT NULL, p256dh TEXT NOT NULL, auth TEXT NOT NULL,"
	"	distributor TEXT, endpoint TEXT, told INTEGER NOT NULL) STRICT;";

/* The status stands in the index too, so that counting the outbox does not read its messages. */
static const char chat_5[] =
	"DROP INDEX message_outbox;"
	"CREATE INDEX message_outbox ON message(added, status) WHERE status IN (0, 4);";

/*
 * linked: the attachment's row is known to be in the other database; what is not is looked into at
 * the next start.
 */
static const char media_1[] =
	"CREATE TABLE blob("
	"	n INTEGER PRIMARY KEY, attachment TEXT NOT NULL, variant INTEGER NOT NULL,"
	"	size INTEGER NOT NULL DEFAULT 0, etag TEXT, slot TEXT,"
	"	linked INTEGER NOT NULL, UNIQUE(attachment, variant)) STRICT;"
	"CREATE INDEX blob_loose ON blob(n) WHERE linked = 0;"
	"CREATE TABLE chunk(n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;";

/*
 * hash: of the bytes so far, as its calculation stands. used_at: seconds since 1970 when somebody
 * opened it last, or when it came. usage: the bytes of all blobs.
 */
static const char media_2[] =
	"ALTER TABLE blob ADD COLUMN hash BLOB;"
	"ALTER TABLE blob ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX blob_used ON blob(used_at, n) WHERE variant = 0;"
	"CREATE TABLE usage(only INTEGER PRIMARY KEY CHECK(only = 1), bytes INTEGER NOT NULL)"
	"	STRICT;"
	"INSERT INTO usage SELECT 1, ifnull(sum(size), 0) FROM blob;"
	"CREATE TRIGGER blob_sized AFTER UPDATE OF size ON blob BEGIN"
	"	UPDATE usage SET bytes = bytes + new.size - old.size; END;"
	"CREATE TRIGGER blob_gone AFTER DELETE ON blob BEGIN"
	"	UPDATE usage SET bytes = bytes - old.size; END;";
/* clang-format on */

const struct db_migration chat_migrations[] = { { chat_1 }, { chat_2 }, { chat_3 }, { chat_4 },
	{ chat_5 } };
const unsigned n_chat_migrations = ARRAY_SIZE(chat_migrations);
const struct db_migration media_migrations[] = { { media_1 }, { media_2 } };
const unsigned n_media_migrations = ARRAY_SIZE(media_migrations);

int chat_db_open(const char *path, const struct db_key *key, unsigned cache_kib, struct db **ret)
{
	return db_open(
		&(struct db_options){
			.path = path,
			.key = key,
			.migrations = chat_migrations,
			.n_migrations = n_chat_migrations,
			.cache_kib = cache_kib,
			.zeroes_pages = true,
		},
		ret);
}
