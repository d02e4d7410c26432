# SPDX-License-Identifier: GPL-3.0-or-later
# Every program in TESTS speaks TAP, cmocka's through its environment, so that cases are counted, not programs.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = timeout -k 10 300

test_environment = LC_ALL=C.UTF-8 TZ=UTC CMOCKA_MESSAGE_OUTPUT=TAP PYTHONDONTWRITEBYTECODE=1 MALLOC_PERTURB_=165 \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1 \
	UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
AM_TESTS_ENVIRONMENT = export $(test_environment);

# Each looks at the whole tree and says what a build cannot see.
dist_check_SCRIPTS += \
	tests/check-dependencies tests/check-layering tests/check-selftest tests/check-style \
	tests/check-units tests/check-words
TESTS += $(dist_check_SCRIPTS)

EXTRA_DIST += .ci/run tests/analysis-answers tests/source_tree.py \
	tests/data/make-photo tests/data/photo.jpg \
	tools/analyse tools/check tools/coverage tools/format tools/quickstart tools/same-picture tools/setup tools/tally-results

coverage:
	$(top_srcdir)/tools/coverage
.PHONY: coverage

# Static analysis of the source tree, in a build of its own.
analyse:
	$(top_srcdir)/tools/analyse
.PHONY: analyse

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/backend/local.mk
include tests/integration/local.mk
include tests/torture/local.mk
