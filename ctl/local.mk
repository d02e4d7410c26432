# SPDX-License-Identifier: GPL-3.0-or-later
# What a unit test reaches is a convenience library; main.c has the verbs' table and main().
noinst_LTLIBRARIES += libchatctl.la
libchatctl_la_SOURCES = \
	ctl/call.c \
	ctl/chats.c \
	ctl/ctl.h \
	ctl/help.c ctl/help.h \
	ctl/history.c ctl/history.h \
	ctl/login.c \
	ctl/messages.c ctl/messages.h \
	ctl/options.c ctl/options.h \
	ctl/outbox.c \
	ctl/photo.c \
	ctl/photo-list.c \
	ctl/report.c \
	ctl/resolve.c ctl/resolve.h \
	ctl/save.c ctl/save.h \
	ctl/search.c \
	ctl/send.c \
	ctl/status.c \
	ctl/terminal.c ctl/terminal.h \
	ctl/text.c ctl/text.h \
	ctl/wait.c ctl/wait.h \
	ctl/watch.c
libchatctl_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
libchatctl_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS)
libchatctl_la_LIBADD = $(CJSON_LIBS)

bin_PROGRAMS += chatctl
chatctl_SOURCES = ctl/main.c
chatctl_CPPFLAGS = $(AM_CPPFLAGS)
chatctl_LDADD = libchatctl.la libchatclient.la $(CJSON_LIBS)
chatctl_LDFLAGS = $(AM_LDFLAGS) -pie
