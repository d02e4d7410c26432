# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-ipc.la
libchatd_ipc_la_SOURCES = \
	daemon/ipc/api.h \
	daemon/ipc/bus-call.c daemon/ipc/bus-call.h \
	daemon/ipc/bus-face.c daemon/ipc/bus-face.h \
	daemon/ipc/bus-introspect.c daemon/ipc/bus-introspect.h \
	daemon/ipc/bus-name.c daemon/ipc/bus-name.h \
	daemon/ipc/bus-peer.c daemon/ipc/bus-peer.h \
	daemon/ipc/bus-properties.c daemon/ipc/bus-properties.h \
	daemon/ipc/bus-value.c daemon/ipc/bus-value.h \
	daemon/ipc/call.c daemon/ipc/call.h \
	daemon/ipc/discover.c daemon/ipc/discover.h \
	daemon/ipc/encode.c daemon/ipc/encode.h \
	daemon/ipc/ephemeral.c daemon/ipc/ephemeral.h \
	daemon/ipc/hello.c daemon/ipc/hello.h \
	daemon/ipc/hub.c daemon/ipc/hub.h \
	daemon/ipc/ipc.c daemon/ipc/ipc.h \
	daemon/ipc/json-build.c daemon/ipc/json-build.h \
	daemon/ipc/json-text.c daemon/ipc/json-text.h \
	daemon/ipc/limits.h \
	daemon/ipc/line-call.c daemon/ipc/line-call.h \
	daemon/ipc/line-reader.c daemon/ipc/line-reader.h \
	daemon/ipc/method-table.c daemon/ipc/method.h \
	daemon/ipc/methods-account.c \
	daemon/ipc/methods-attachments.c \
	daemon/ipc/methods-changes.c \
	daemon/ipc/methods-chats.c \
	daemon/ipc/methods-consumers.c \
	daemon/ipc/methods-daemon.c \
	daemon/ipc/methods-events.c \
	daemon/ipc/methods-messages.c \
	daemon/ipc/methods-outbox.c \
	daemon/ipc/methods-rpc.c \
	daemon/ipc/methods-search.c \
	daemon/ipc/methods-settings.c \
	daemon/ipc/methods-storage.c \
	daemon/ipc/methods-users.c \
	daemon/ipc/names.c daemon/ipc/names.h \
	daemon/ipc/output.c daemon/ipc/output.h \
	daemon/ipc/page.c daemon/ipc/page.h \
	daemon/ipc/peer.c daemon/ipc/peer.h \
	daemon/ipc/request.c daemon/ipc/request.h \
	daemon/ipc/rpc-error.c daemon/ipc/rpc-error.h \
	daemon/ipc/rpc.c daemon/ipc/rpc.h \
	daemon/ipc/schema.c daemon/ipc/schema.h \
	daemon/ipc/server.c daemon/ipc/server.h \
	daemon/ipc/socket-path.c daemon/ipc/socket-path.h \
	daemon/ipc/subscribe.c daemon/ipc/subscribe.h \
	daemon/ipc/suggest.c daemon/ipc/suggest.h \
	daemon/ipc/topics.c daemon/ipc/topics.h \
	daemon/ipc/types.c \
	libclient/protocol.h
libchatd_ipc_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS) $(SYSTEMD_CFLAGS)
libchatd_ipc_la_LIBADD = $(CJSON_LIBS) $(SODIUM_LIBS) $(SYSTEMD_LIBS)
