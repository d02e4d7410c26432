# SPDX-License-Identifier: GPL-3.0-or-later
# A unit test is one cmocka program with one group: tests/unit/test-NAME.c, and its name in this list.
unit_tests = \
	tests/unit/test-backoff \
	tests/unit/test-buffer \
	tests/unit/test-event-loop \
	tests/unit/test-json-fields \
	tests/unit/test-uuid
include tests/unit/core.mk
include tests/unit/desktop.mk
include tests/unit/ipc.mk
include tests/unit/preview.mk
include tests/unit/net.mk
include tests/unit/client.mk
include tests/bench/local.mk

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

EXTRA_DIST += tests/unit/temporary.h

# Every other program names its own libraries; these are the unit tests'.
LDADD = libchatd-base.la $(CMOCKA_LIBS)
