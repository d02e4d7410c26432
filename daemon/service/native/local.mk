# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-native.la
libchatd_native_la_SOURCES = \
	daemon/service/native/auth.c \
	daemon/service/native/calls.c \
	daemon/service/native/convert-outgoing.c \
	daemon/service/native/convert-pages.c \
	daemon/service/native/convert.c daemon/service/native/convert.h \
	daemon/service/native/downloads.c \
	daemon/service/native/frames.c \
	daemon/service/native/headers.c daemon/service/native/headers.h \
	daemon/service/native/native-private.h \
	daemon/service/native/native.c daemon/service/native/native.h \
	daemon/service/native/problems.c daemon/service/native/problems.h \
	daemon/service/native/push.c \
	daemon/service/native/requests.c \
	daemon/service/native/session.c \
	daemon/service/native/uploads.c
libchatd_native_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS)
libchatd_native_la_LIBADD = $(CJSON_LIBS) $(SODIUM_LIBS)
