# SPDX-License-Identifier: GPL-3.0-or-later
# The torture test: `make torture` runs it, TORTURE='--seed 7 --seconds 600' says how, and a sample of
# what one kind of harm does; the targets below do all of that kind.
torture: torture-ready
	$(run_torture)/torture.py' $(TORTURE)
	$(run_torture)/disk_full.py' --sample 3
	$(run_torture)/power_loss.py' --seconds 2 --copies 8
	$(run_torture)/kills.py' --kills 10
	$(run_torture)/memory.py' --step 250

torture-disk-full: torture-ready
	$(run_torture)/disk_full.py' $(TORTURE)
torture-power-loss: torture-ready
	$(run_torture)/power_loss.py' $(TORTURE)
torture-kills: torture-ready
	$(run_torture)/kills.py' $(TORTURE)
torture-memory: torture-ready
	$(run_torture)/memory.py' $(TORTURE)

torture-ready: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_LTLIBRARIES)
.PHONY: torture torture-disk-full torture-kills torture-memory torture-power-loss torture-ready

run_torture = CHATD_BUILD='$(abs_top_builddir)' $(test_environment) $(PYTHON3) '$(srcdir)/tests/torture

# Preloaded into the daemons, so they have none of the sanitizers that these have themselves.
check_LTLIBRARIES = tests/torture/wallclock.la tests/torture/disk.la tests/torture/memory.la
preloaded = -module -shared -avoid-version -rpath /nowhere
tests_torture_wallclock_la_SOURCES = tests/torture/wallclock.c
tests_torture_wallclock_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_torture_wallclock_la_LDFLAGS = $(preloaded)
tests_torture_disk_la_SOURCES = tests/torture/disk.c
tests_torture_disk_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_torture_disk_la_LDFLAGS = $(preloaded)
tests_torture_memory_la_SOURCES = tests/torture/memory.c
tests_torture_memory_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_torture_memory_la_LDFLAGS = $(preloaded)

EXTRA_DIST += tests/torture/checks.py tests/torture/device.py tests/torture/disk.py \
	tests/torture/disk_full.py tests/torture/follower.py tests/torture/kills.py \
	tests/torture/links.py tests/torture/memory.py tests/torture/model.py tests/torture/power_loss.py \
	tests/torture/script.py \
	tests/torture/torture.py tests/torture/world.py
