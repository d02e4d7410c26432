# SPDX-License-Identifier: GPL-3.0-or-later
# One convenience library per layer; together they are libchatd-core.la.
include daemon/base/local.mk
include daemon/model/local.mk
include daemon/net/local.mk
include daemon/service/local.mk
include daemon/db/local.mk
include daemon/store/local.mk
include daemon/repository/local.mk
include daemon/ipc/local.mk
include daemon/desktop/local.mk
include daemon/preview/local.mk

noinst_LTLIBRARIES += libchatd-core.la
libchatd_core_la_SOURCES = \
	daemon/keys.c daemon/keys.h \
	daemon/keys-internal.h \
	daemon/keys-keyring.c \
	daemon/keys-recovery.c \
	daemon/manager-account.c \
	daemon/manager-desktop.c \
	daemon/manager-idle.c \
	daemon/manager-internal.h \
	daemon/manager-lock.c \
	daemon/manager.c daemon/manager.h \
	daemon/notify.c daemon/notify.h \
	daemon/settings.c daemon/settings.h
libchatd_core_la_CPPFLAGS = $(AM_CPPFLAGS) -DPREVIEW_HELPER='"$(chatdlibexecdir)/chatd-preview"' -DPACKAGE_VERSION='"$(PACKAGE_VERSION)"'
libchatd_core_la_CFLAGS = $(AM_CFLAGS) $(INIH_CFLAGS) $(SODIUM_CFLAGS) $(SYSTEMD_CFLAGS) $(CJSON_CFLAGS)
libchatd_core_la_LIBADD = \
	libchatd-ipc.la \
	libchatd-desktop.la \
	libchatd-repository.la \
	libchatd-store.la \
	libchatd-db.la \
	libchatd-native.la \
	libchatd-net.la \
	libchatd-fake.la \
	libchatd-service.la \
	libchatd-preview.la \
	libchatd-model.la \
	libchatd-base.la \
	$(INIH_LIBS) $(SODIUM_LIBS) $(SYSTEMD_LIBS)

bin_PROGRAMS += chatd
chatd_SOURCES = daemon/main.c
chatd_CPPFLAGS = $(AM_CPPFLAGS) -DDEMO_FILE='"$(pkgdatadir)/demo.json"' -DPACKAGE_VERSION='"$(PACKAGE_VERSION)"'
chatd_LDADD = libchatd-core.la
chatd_LDFLAGS = $(AM_LDFLAGS) -pie
