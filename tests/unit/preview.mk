# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-fake

tests_unit_test_fake_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
tests_unit_test_fake_LDADD = libchatd-fake.la libchatd-service.la libchatd-model.la $(LDADD)
