# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-store.la
libchatd_store_la_SOURCES = \
	daemon/store/account.c \
	daemon/store/attachments.c \
	daemon/store/backup.c \
	daemon/store/changes.c \
	daemon/store/chats-delete.c \
	daemon/store/chats.c \
	daemon/store/consumers.c \
	daemon/store/damage.c daemon/store/damage.h \
	daemon/store/evict.c \
	daemon/store/media.c \
	daemon/store/messages.c \
	daemon/store/messages-write.c \
	daemon/store/open.c \
	daemon/store/outbox.c \
	daemon/store/push.c \
	daemon/store/receipts.c \
	daemon/store/reserve.c \
	daemon/store/rows.h \
	daemon/store/salvage.c daemon/store/salvage.h \
	daemon/store/schema.c daemon/store/schema.h \
	daemon/store/search.c \
	daemon/store/settings.c \
	daemon/store/stats.c \
	daemon/store/store.c daemon/store/store.h \
	daemon/store/successor.c \
	daemon/store/users.c \
	daemon/store/write.h
