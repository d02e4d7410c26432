# SPDX-License-Identifier: GPL-3.0-or-later
# Unit tests of libchatclient and chatctl.
unit_tests += \
	tests/unit/test-client-calls \
	tests/unit/test-client-connection \
	tests/unit/test-client-decode \
	tests/unit/test-client-descriptors \
	tests/unit/test-client-lost \
	tests/unit/test-client-memory \
	tests/unit/test-client-subscription \
	tests/unit/test-client-text

client_test_cppflags = -D_GNU_SOURCE -I$(top_srcdir) -I$(top_srcdir)/libclient
client_test_cflags = $(AM_CFLAGS) $(CJSON_CFLAGS) $(CMOCKA_CFLAGS)
client_test_libs = libchatclient-core.la $(CJSON_LIBS) $(CMOCKA_LIBS)
client_server = tests/unit/client-server.c tests/unit/client-server.h

client_answer = tests/unit/client-answer.c tests/unit/client-answer.h $(client_server)

tests_unit_test_client_calls_SOURCES = tests/unit/test-client-calls.c $(client_answer)
tests_unit_test_client_calls_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_calls_CFLAGS = $(client_test_cflags)
tests_unit_test_client_calls_LDADD = $(client_test_libs)

tests_unit_test_client_connection_SOURCES = tests/unit/test-client-connection.c $(client_answer)
tests_unit_test_client_connection_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_connection_CFLAGS = $(client_test_cflags)
tests_unit_test_client_connection_LDADD = $(client_test_libs)

tests_unit_test_client_decode_SOURCES = tests/unit/test-client-decode.c $(client_server)
tests_unit_test_client_decode_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_decode_CFLAGS = $(client_test_cflags)
tests_unit_test_client_decode_LDADD = $(client_test_libs)

tests_unit_test_client_lost_SOURCES = tests/unit/test-client-lost.c $(client_answer)
tests_unit_test_client_lost_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_lost_CFLAGS = $(client_test_cflags)
tests_unit_test_client_lost_LDADD = $(client_test_libs)

tests_unit_test_client_descriptors_SOURCES = tests/unit/test-client-descriptors.c $(client_answer)
tests_unit_test_client_descriptors_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_descriptors_CFLAGS = $(client_test_cflags)
tests_unit_test_client_descriptors_LDADD = $(client_test_libs)

tests_unit_test_client_memory_SOURCES = tests/unit/test-client-memory.c $(client_server)
tests_unit_test_client_memory_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_memory_CFLAGS = $(client_test_cflags)
tests_unit_test_client_memory_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
tests_unit_test_client_memory_LDADD = $(client_test_libs)

tests_unit_test_client_subscription_SOURCES = tests/unit/test-client-subscription.c $(client_server)
tests_unit_test_client_subscription_CPPFLAGS = $(client_test_cppflags)
tests_unit_test_client_subscription_CFLAGS = $(client_test_cflags)
tests_unit_test_client_subscription_LDADD = $(client_test_libs)

tests_unit_test_client_text_SOURCES = tests/unit/test-client-text.c
tests_unit_test_client_text_CPPFLAGS = -D_GNU_SOURCE -I$(top_srcdir) -I$(top_srcdir)/daemon
tests_unit_test_client_text_CFLAGS = $(client_test_cflags)
tests_unit_test_client_text_LDADD = libchatctl.la $(client_test_libs)

dist_check_SCRIPTS += tests/unit/check-client-symbols tests/unit/check-client-abi
