# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-convert \
	tests/unit/test-heartbeat \
	tests/unit/test-http-client \
	tests/unit/test-native \
	tests/unit/test-native-backend \
	tests/unit/test-proxy \
	tests/unit/test-web-push \
	tests/unit/test-ws-client

net_test_server = tests/unit/net-server.c tests/unit/net-server.h
net_test_libs = libchatd-net.la libchatd-base.la $(CMOCKA_LIBS) -lssl $(CRYPTO_LIBS) -lpthread
native_test_libs = libchatd-native.la libchatd-service.la libchatd-model.la $(net_test_libs)

tests_unit_test_convert_LDADD = $(native_test_libs)

tests_unit_test_heartbeat_LDADD = $(net_test_libs)

tests_unit_test_http_client_SOURCES = tests/unit/test-http-client.c $(net_test_server)
tests_unit_test_http_client_LDADD = $(net_test_libs)

tests_unit_test_proxy_LDADD = $(net_test_libs)

# What the backend seals the daemon opens.
tests_unit_test_web_push_SOURCES = tests/unit/test-web-push.c tests/backend/web-push.c tests/backend/web-push.h
tests_unit_test_web_push_LDADD = $(net_test_libs)

tests_unit_test_ws_client_SOURCES = tests/unit/test-ws-client.c $(net_test_server)
tests_unit_test_ws_client_LDADD = $(net_test_libs)

tests_unit_test_native_SOURCES = tests/unit/test-native.c $(net_test_server) \
	tests/backend/web-push.c tests/backend/web-push.h
tests_unit_test_native_LDADD = $(native_test_libs)

tests_unit_test_native_backend_LDADD = $(native_test_libs)
