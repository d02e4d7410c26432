# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-barrier \
	tests/unit/test-db \
	tests/unit/test-store

db_test_libs = libchatd-db.la libchatd-base.la $(CMOCKA_LIBS)
tests_unit_test_barrier_LDADD = $(db_test_libs)
tests_unit_test_db_LDADD = $(db_test_libs)
tests_unit_test_store_LDADD = libchatd-store.la libchatd-model.la $(db_test_libs)

unit_tests += tests/unit/test-repository
tests_unit_test_repository_LDADD = libchatd-repository.la libchatd-store.la libchatd-fake.la libchatd-service.la \
	libchatd-preview.la libchatd-model.la $(db_test_libs)

EXTRA_DIST += tests/unit/temporary.h
