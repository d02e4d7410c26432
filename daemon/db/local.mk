# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-db.la
libchatd_db_la_SOURCES = \
	daemon/db/barrier.c daemon/db/barrier.h \
	daemon/db/db.c daemon/db/db.h \
	daemon/db/internal.h \
	daemon/db/key-box.c daemon/db/key-box.h \
	daemon/db/key.c daemon/db/key.h \
	daemon/db/rescue.c daemon/db/rescue.h \
	daemon/db/statement.c \
	daemon/db/upkeep.c daemon/db/upkeep.h
libchatd_db_la_CFLAGS = $(AM_CFLAGS) $(SQLCIPHER_CFLAGS) $(SODIUM_CFLAGS)
libchatd_db_la_LIBADD = $(SQLCIPHER_LIBS) $(SODIUM_LIBS)
