# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-net.la
libchatd_net_la_SOURCES = \
	daemon/net/heartbeat.c daemon/net/heartbeat.h \
	daemon/net/http-client.c daemon/net/http-client.h \
	daemon/net/proxy.c daemon/net/proxy.h \
	daemon/net/url.c daemon/net/url.h \
	daemon/net/web-push.c daemon/net/web-push.h \
	daemon/net/ws-client.c daemon/net/ws-client.h \
	daemon/net/ws-thread.c \
	daemon/net/ws-worker.c daemon/net/ws-worker.h
libchatd_net_la_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(LWS_CFLAGS) $(CRYPTO_CFLAGS)
# libssl comes with libcrypto, from the same package.
libchatd_net_la_LIBADD = $(CURL_LIBS) $(LWS_LIBS) -lssl $(CRYPTO_LIBS) -lpthread
