# SPDX-License-Identifier: GPL-3.0-or-later
# Benches and simulations; built by `make check TESTS=`, run by people.
check_PROGRAMS += tests/bench/herd
tests_bench_herd_SOURCES = tests/bench/herd.c tests/bench/herd-model.c tests/bench/herd-model.h
tests_bench_herd_LDADD = libchatd-base.la

# The plot of docs/reliability.md; gnuplot comes with `tools/setup --bench`.
herd.png: tests/bench/herd $(srcdir)/tests/bench/herd.gp
	$(MKDIR_P) herd-curves
	tests/bench/herd --curves herd-curves
	gnuplot -e "dir='herd-curves'" '$(srcdir)/tests/bench/herd.gp' >$@

unit_tests += tests/unit/test-herd
tests_unit_test_herd_SOURCES = tests/unit/test-herd.c tests/bench/herd-model.c tests/bench/herd-model.h
tests_unit_test_herd_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests -I$(top_srcdir)/tests/bench

EXTRA_DIST += tests/bench/herd.gp
CLEANFILES += herd.png
