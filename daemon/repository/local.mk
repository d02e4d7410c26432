# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-repository.la
libchatd_repository_la_SOURCES = \
	daemon/repository/account.c \
	daemon/repository/catchup.c \
	daemon/repository/consumers.c \
	daemon/repository/history-retention.c \
	daemon/repository/leave.c \
	daemon/repository/lobby.c \
	daemon/repository/media-open.c daemon/repository/media-open.h \
	daemon/repository/network.c \
	daemon/repository/notice.h \
	daemon/repository/notices.c \
	daemon/repository/outbox.c \
	daemon/repository/parts.h \
	daemon/repository/photos.c \
	daemon/repository/presence.c \
	daemon/repository/push.c \
	daemon/repository/push-link.h \
	daemon/repository/receipts.c \
	daemon/repository/repository.c daemon/repository/repository.h \
	daemon/repository/retention.c \
	daemon/repository/room.c \
	daemon/repository/search.c \
	daemon/repository/session.c \
	daemon/repository/settings.c \
	daemon/repository/surroundings.h \
	daemon/repository/storage.c \
	daemon/repository/transfer.c daemon/repository/transfer.h \
	daemon/repository/transfer-download.c \
	daemon/repository/transfer-queue.c \
	daemon/repository/transfer-upload.c \
	daemon/repository/unsent.c
libchatd_repository_la_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
libchatd_repository_la_LIBADD = $(SODIUM_LIBS)
