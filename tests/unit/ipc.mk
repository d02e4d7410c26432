# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-bus-name \
	tests/unit/test-bus-value \
	tests/unit/test-ipc-hub \
	tests/unit/test-ipc-line-reader \
	tests/unit/test-ipc-load \
	tests/unit/test-ipc-methods \
	tests/unit/test-ipc-peer \
	tests/unit/test-ipc-rpc \
	tests/unit/test-ipc-server \
	tests/unit/test-json-text

ipc_test_fakes = tests/unit/test-ipc-fakes.c tests/unit/test-ipc-fakes-unsent.c tests/unit/test-ipc-fakes.h
ipc_test_libs = libchatd-ipc.la libchatd-model.la libchatd-base.la $(CMOCKA_LIBS)

tests_unit_test_bus_name_SOURCES = tests/unit/test-bus-name.c $(ipc_test_fakes)
tests_unit_test_bus_name_LDADD = $(ipc_test_libs)
tests_unit_test_bus_value_SOURCES = tests/unit/test-bus-value.c $(ipc_test_fakes)
tests_unit_test_bus_value_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_hub_SOURCES = tests/unit/test-ipc-hub.c $(ipc_test_fakes)
tests_unit_test_ipc_hub_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_line_reader_SOURCES = tests/unit/test-ipc-line-reader.c $(ipc_test_fakes)
tests_unit_test_ipc_line_reader_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_load_SOURCES = tests/unit/test-ipc-load.c $(ipc_test_fakes)
tests_unit_test_ipc_load_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_methods_SOURCES = tests/unit/test-ipc-methods.c $(ipc_test_fakes)
tests_unit_test_ipc_methods_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_peer_SOURCES = tests/unit/test-ipc-peer.c $(ipc_test_fakes)
tests_unit_test_ipc_peer_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_rpc_SOURCES = tests/unit/test-ipc-rpc.c $(ipc_test_fakes)
tests_unit_test_ipc_rpc_LDADD = $(ipc_test_libs)
tests_unit_test_ipc_server_SOURCES = tests/unit/test-ipc-server.c $(ipc_test_fakes)
tests_unit_test_ipc_server_LDADD = $(ipc_test_libs)
tests_unit_test_json_text_SOURCES = tests/unit/test-json-text.c $(ipc_test_fakes)
tests_unit_test_json_text_LDADD = $(ipc_test_libs)
