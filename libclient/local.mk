# SPDX-License-Identifier: GPL-3.0-or-later
# The library proper is a convenience library, which the unit tests link to reach its insides.
noinst_LTLIBRARIES += libchatclient-core.la
libchatclient_core_la_SOURCES = \
	libclient/chatclient.h \
	libclient/client-internal.h \
	libclient/client.c \
	libclient/connection.c \
	libclient/decode.c libclient/decode.h \
	libclient/error.c libclient/error.h \
	libclient/focus.c \
	libclient/lines.c \
	libclient/methods-account.c \
	libclient/methods.c libclient/methods.h \
	libclient/protocol.h \
	libclient/request.c \
	libclient/result.c libclient/result.h \
	libclient/subscription.c \
	libclient/util.c libclient/util.h
libchatclient_core_la_CPPFLAGS = -D_GNU_SOURCE -I$(top_srcdir)/libclient -I$(top_builddir)
libchatclient_core_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS)
libchatclient_core_la_LIBADD = $(CJSON_LIBS)

lib_LTLIBRARIES += libchatclient.la
include_HEADERS += libclient/chatclient.h
libchatclient_la_SOURCES =
libchatclient_la_LIBADD = libchatclient-core.la
libchatclient_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/libclient/libchatclient.sym
EXTRA_libchatclient_la_DEPENDENCIES = libclient/libchatclient.sym

pkgconfig_DATA += libclient/chatclient.pc
CLEANFILES += libclient/chatclient.pc
libclient/chatclient.pc: libclient/chatclient.pc.in Makefile
	$(AM_V_GEN)$(MKDIR_P) libclient && sed \
		-e 's|@prefix[@]|$(prefix)|' -e 's|@exec_prefix[@]|$(exec_prefix)|' \
		-e 's|@libdir[@]|$(libdir)|' -e 's|@includedir[@]|$(includedir)|' \
		-e 's|@PACKAGE_VERSION[@]|$(PACKAGE_VERSION)|' \
		$(top_srcdir)/libclient/chatclient.pc.in > $@.tmp && mv $@.tmp $@

EXTRA_DIST += libclient/chatclient.pc.in libclient/libchatclient.sym libclient/libchatclient.abi
