# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-base.la
libchatd_base_la_SOURCES = \
	daemon/base/backoff.c daemon/base/backoff.h \
	daemon/base/buffer.c daemon/base/buffer.h \
	daemon/base/bus-link.c daemon/base/bus-link.h \
	daemon/base/bus-watch.c daemon/base/bus-watch.h \
	daemon/base/cleanup.h \
	daemon/base/clock.c daemon/base/clock.h \
	daemon/base/event-loop.c daemon/base/event-loop.h \
	daemon/base/json-fields.c daemon/base/json-fields.h \
	daemon/base/log.c daemon/base/log.h \
	daemon/base/paths.c daemon/base/paths.h \
	daemon/base/text.c daemon/base/text.h \
	daemon/base/uuid.c daemon/base/uuid.h
libchatd_base_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS) $(SYSTEMD_CFLAGS)
libchatd_base_la_LIBADD = -lm $(EVENT_LIBS) $(CJSON_LIBS) $(SODIUM_LIBS) $(SYSTEMD_LIBS)
