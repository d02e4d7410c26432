# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-fake.la
libchatd_fake_la_SOURCES = \
	daemon/service/fake/fake-actions.c \
	daemon/service/fake/fake-calls.c \
	daemon/service/fake/fake-control.c \
	daemon/service/fake/fake-events.c \
	daemon/service/fake/fake-lobby.c \
	daemon/service/fake/fake-private.h \
	daemon/service/fake/fake-room.c \
	daemon/service/fake/fake-session.c \
	daemon/service/fake/fake-transfer.c \
	daemon/service/fake/fake.c daemon/service/fake/fake.h \
	daemon/service/fake/schedule.c daemon/service/fake/schedule.h \
	daemon/service/fake/world-load.c \
	daemon/service/fake/world.c daemon/service/fake/world.h
libchatd_fake_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
libchatd_fake_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS)
libchatd_fake_la_LIBADD = $(SODIUM_LIBS)

# The world that `chatd --demo` shows. Its photos are looked for beside it.
demodir = $(pkgdatadir)
dist_demo_DATA = daemon/service/fake/demo.json
demophotosdir = $(pkgdatadir)/demo
dist_demophotos_DATA = \
	daemon/service/fake/demo/harbour-preview.jpg \
	daemon/service/fake/demo/harbour.jpg \
	daemon/service/fake/demo/mountains-preview.jpg \
	daemon/service/fake/demo/mountains.jpg
EXTRA_DIST += daemon/service/fake/demo/make-photos
