# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-bubbles
tests_unit_test_bubbles_LDADD = libchatd-desktop.la libchatd-base.la $(CMOCKA_LIBS)
