-- SPDX-License-Identifier: GPL-3.0-or-later
-- A store as version 1 of the schema left it: all but the photos. Never to be changed.
CREATE TABLE account(	only INTEGER PRIMARY KEY CHECK(only = 1), server TEXT NOT NULL,	user_id TEXT NOT NULL, user_name TEXT NOT NULL, password TEXT NOT NULL,	device_id TEXT NOT NULL, token TEXT, token_expires_at INTEGER NOT NULL DEFAULT 0,	sync_state TEXT, refused INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE user(	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, picture_url TEXT) STRICT;
CREATE INDEX user_unknown ON user(n) WHERE name IS NULL;
CREATE TABLE chat(	n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, former_id TEXT UNIQUE,	user INTEGER NOT NULL REFERENCES user, provisional INTEGER NOT NULL DEFAULT 0,	created_at INTEGER NOT NULL, last_position INTEGER, last_at INTEGER NOT NULL,	unread INTEGER NOT NULL DEFAULT 0,	floor_seq INTEGER NOT NULL DEFAULT 0, last_seq INTEGER NOT NULL DEFAULT 0,	server_seq INTEGER NOT NULL DEFAULT 0,	received_seq INTEGER NOT NULL DEFAULT 0, received_told INTEGER NOT NULL DEFAULT 0,	read_seq INTEGER NOT NULL DEFAULT 0, read_told INTEGER NOT NULL DEFAULT 0,	peer_received_seq INTEGER NOT NULL DEFAULT 0,	peer_read_seq INTEGER NOT NULL DEFAULT 0, change INTEGER NOT NULL) STRICT;
CREATE INDEX chat_user ON chat(user);
CREATE INDEX chat_recent ON chat(last_at, n);
CREATE INDEX chat_change ON chat(change);
CREATE INDEX chat_receipts_due ON chat(n)	WHERE read_seq > read_told OR received_seq > received_told;
CREATE INDEX chat_gap ON chat(last_at) WHERE server_seq > last_seq;
CREATE INDEX chat_unread ON chat(unread) WHERE unread > 0;
CREATE INDEX chat_provisional ON chat(n) WHERE provisional = 1;
CREATE TABLE message(	chat INTEGER NOT NULL REFERENCES chat, position INTEGER NOT NULL,	id TEXT NOT NULL UNIQUE, user INTEGER NOT NULL REFERENCES user,	outgoing INTEGER NOT NULL, text TEXT NOT NULL, status INTEGER NOT NULL,	error_title TEXT, error_detail TEXT, created_at INTEGER NOT NULL,	attachments INTEGER NOT NULL DEFAULT 0, added INTEGER NOT NULL,	change INTEGER NOT NULL, doc INTEGER,	PRIMARY KEY(chat, position)) STRICT, WITHOUT ROWID;
CREATE INDEX message_added ON message(added);
CREATE INDEX message_change ON message(change) WHERE change > added;
CREATE UNIQUE INDEX message_doc ON message(doc) WHERE doc IS NOT NULL;
CREATE INDEX message_outbox ON message(added) WHERE status IN (0, 4);
CREATE TABLE attachment(	id TEXT PRIMARY KEY, message TEXT NOT NULL, ordinal INTEGER NOT NULL,	mime TEXT NOT NULL, name TEXT, sha256 TEXT, url TEXT, preview_url TEXT,	size INTEGER NOT NULL, preview_size INTEGER NOT NULL,	width INTEGER NOT NULL, height INTEGER NOT NULL,	progress INTEGER NOT NULL DEFAULT 0, status INTEGER NOT NULL,	outgoing INTEGER NOT NULL, full_stored INTEGER NOT NULL DEFAULT 0,	preview_stored INTEGER NOT NULL DEFAULT 0,	change INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_message ON attachment(message, ordinal);
CREATE INDEX attachment_change ON attachment(change) WHERE change > 0;
CREATE INDEX attachment_moving ON attachment(id) WHERE status IN (1, 2) OR	(outgoing = 0 AND preview_stored = 0 AND status <> 3);
CREATE TABLE tombstone(	change INTEGER PRIMARY KEY, kind INTEGER NOT NULL,	id TEXT NOT NULL, chat_id TEXT NOT NULL) STRICT;
CREATE TABLE consumer(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5(text, chat, content=message, content_rowid=doc,	tokenize='unicode61 remove_diacritics 2',	prefix='1 2 3');
CREATE TRIGGER search_removed AFTER DELETE ON message WHEN old.doc IS NOT NULL BEGIN	INSERT INTO search(search, rowid, text, chat)	VALUES('delete', old.doc, old.text, old.chat); END;
CREATE TABLE search_progress(	only INTEGER PRIMARY KEY CHECK(only = 1), added INTEGER NOT NULL) STRICT;
INSERT INTO search_progress VALUES(1, 0);
INSERT INTO account VALUES(1,'https://chat.example','alice','Alice','secret','device-1',NULL,0,'state-9',0);
INSERT INTO user VALUES(1,'alice','Alice',NULL),(2,'bob','Bob',NULL);
INSERT INTO chat(n,id,user,created_at,last_position,last_at,unread,floor_seq,last_seq,server_seq,received_seq,read_seq,peer_received_seq,peer_read_seq,change)
 VALUES(1,'c1',2,1700000000000,281474976710656,1700000004000,1,2,4,4,4,3,2,2,9);
INSERT INTO message(chat,position,id,user,outgoing,text,status,created_at,attachments,added,change,doc) VALUES
 (1,2,'m2',1,1,'where are you',3,1700000001000,0,1,5,1),
 (1,3,'m3',2,0,'on my way',3,1700000002000,0,2,6,2),
 (1,4,'m4',2,0,'a photo of the harbour',2,1700000003000,1,3,3,NULL),
 (1,281474976710656,'m5',1,1,'not sent yet',0,1700000004000,0,4,4,NULL);
INSERT INTO search(rowid,text,chat) VALUES(1,'where are you',1),(2,'on my way',1);
UPDATE search_progress SET added = 2;
INSERT INTO attachment(id,message,ordinal,mime,name,url,preview_url,size,preview_size,width,height,status,outgoing,full_stored,preview_stored,change)
 VALUES('a1','m4',0,'image/jpeg','harbour.jpg','https://chat.example/a1','https://chat.example/a1/preview',9,0,4,3,4,0,1,0,7);
INSERT INTO tombstone VALUES(8,2,'m1','c1');
INSERT INTO consumer VALUES('bot',4);
INSERT INTO setting VALUES('transfers.max_active','2');
