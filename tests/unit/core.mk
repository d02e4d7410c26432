# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-barrier \
	tests/unit/test-db \
	tests/unit/test-key \
	tests/unit/test-migrations \
	tests/unit/test-salvage \
	tests/unit/test-store

db_test_libs = libchatd-db.la libchatd-base.la $(CMOCKA_LIBS)
tests_unit_test_barrier_LDADD = $(db_test_libs)
tests_unit_test_db_LDADD = $(db_test_libs)
tests_unit_test_key_LDADD = $(db_test_libs)
tests_unit_test_migrations_LDADD = libchatd-store.la libchatd-model.la $(db_test_libs)
tests_unit_test_salvage_LDADD = libchatd-store.la libchatd-model.la $(db_test_libs)
tests_unit_test_store_LDADD = libchatd-store.la libchatd-model.la $(db_test_libs)

repository_test_libs = libchatd-repository.la libchatd-store.la libchatd-fake.la libchatd-service.la \
	libchatd-preview.la libchatd-model.la $(db_test_libs)
repository_fixture = tests/unit/repository-fixture.c tests/unit/repository-fixture.h

unit_tests += \
	tests/unit/test-manners \
	tests/unit/test-notify \
	tests/unit/test-outbox \
	tests/unit/test-presence \
	tests/unit/test-repository \
	tests/unit/test-transfer
tests_unit_test_outbox_SOURCES = tests/unit/test-outbox.c $(repository_fixture)
tests_unit_test_outbox_LDADD = $(repository_test_libs)
tests_unit_test_manners_SOURCES = tests/unit/test-manners.c $(repository_fixture)
tests_unit_test_manners_LDADD = $(repository_test_libs)
tests_unit_test_notify_SOURCES = tests/unit/test-notify.c daemon/notify.c daemon/notify.h
tests_unit_test_notify_LDADD = $(db_test_libs) $(SYSTEMD_LIBS)
tests_unit_test_presence_SOURCES = tests/unit/test-presence.c $(repository_fixture)
tests_unit_test_presence_LDADD = $(repository_test_libs)
tests_unit_test_repository_SOURCES = tests/unit/test-repository.c $(repository_fixture)
tests_unit_test_repository_LDADD = $(repository_test_libs)
tests_unit_test_transfer_SOURCES = tests/unit/test-transfer.c $(repository_fixture)
tests_unit_test_transfer_LDADD = $(repository_test_libs)

EXTRA_DIST += tests/data/chat-1.sql tests/data/media-1.sql tests/unit/temporary.h tests/unit/full-disk.h
