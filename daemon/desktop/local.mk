# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-desktop.la
libchatd_desktop_la_SOURCES = \
	daemon/desktop/bubble-text.c daemon/desktop/bubble-text.h \
	daemon/desktop/bubbles.c daemon/desktop/bubbles.h \
	daemon/desktop/desktop.c daemon/desktop/desktop.h \
	daemon/desktop/network.c daemon/desktop/network.h \
	daemon/desktop/notifications.c daemon/desktop/notifications.h \
	daemon/desktop/pushes.c daemon/desktop/pushes.h \
	daemon/desktop/pushes-serve.c daemon/desktop/pushes-serve.h \
	daemon/desktop/secret-service.c daemon/desktop/secret-service.h \
	daemon/desktop/sleep.c daemon/desktop/sleep.h
libchatd_desktop_la_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(SYSTEMD_CFLAGS)
libchatd_desktop_la_LIBADD = $(SODIUM_LIBS) $(SYSTEMD_LIBS)

# What the notifications belong to, for desktops that let people choose what may notify.
applicationsdir = $(datadir)/applications
dist_applications_DATA = daemon/desktop/org.chatd.Chat1.desktop
