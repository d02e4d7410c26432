# SPDX-License-Identifier: GPL-3.0-or-later
# The torture test: `make torture` runs it, TORTURE='--seed 7 --seconds 600' says how.
torture: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES)
	CHATD_BUILD='$(abs_top_builddir)' $(test_environment) $(PYTHON3) \
		'$(srcdir)/tests/torture/torture.py' $(TORTURE)
.PHONY: torture

# Preloaded into the daemons, so it has none of the sanitizers that they have themselves.
check_LTLIBRARIES = tests/torture/wallclock.la
tests_torture_wallclock_la_SOURCES = tests/torture/wallclock.c
tests_torture_wallclock_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_torture_wallclock_la_LDFLAGS = -module -shared -avoid-version -rpath /nowhere

EXTRA_DIST += tests/torture/checks.py tests/torture/device.py tests/torture/follower.py \
	tests/torture/links.py tests/torture/model.py tests/torture/script.py \
	tests/torture/torture.py tests/torture/world.py
