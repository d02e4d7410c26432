-- SPDX-License-Identifier: GPL-3.0-or-later
-- A store as version 1 of the schema left it: the photos. Never to be changed.
CREATE TABLE blob(	n INTEGER PRIMARY KEY, attachment TEXT NOT NULL, variant INTEGER NOT NULL,	size INTEGER NOT NULL DEFAULT 0, etag TEXT, slot TEXT,	linked INTEGER NOT NULL, UNIQUE(attachment, variant)) STRICT;
CREATE INDEX blob_loose ON blob(n) WHERE linked = 0;
CREATE TABLE chunk(n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
INSERT INTO blob VALUES(1,'a1',0,9,'etag-1',NULL,1);
INSERT INTO chunk VALUES(1048576,X'686172626f75722034');
