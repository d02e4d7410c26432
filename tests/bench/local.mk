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

# `make bench` measures the daemon against what bare programs need; README.md says how.
bench_programs = \
	tests/bench/bare \
	tests/bench/bare-daemon \
	tests/bench/bare-net \
	tests/bench/bare-send \
	tests/bench/load \
	tests/bench/seed \
	tests/bench/wire
check_PROGRAMS += $(bench_programs)

bench_tool = tests/bench/tool.c tests/bench/tool.h
tests_bench_bare_SOURCES = tests/bench/bare.c tests/bench/bare-db.c tests/bench/bare-db.h $(bench_tool)
tests_bench_bare_CFLAGS = $(AM_CFLAGS) $(SQLCIPHER_CFLAGS)
tests_bench_bare_LDADD = libchatd-base.la $(SQLCIPHER_LIBS)
tests_bench_bare_daemon_SOURCES = tests/bench/bare-daemon.c tests/bench/bare-db.c tests/bench/bare-db.h $(bench_tool)
tests_bench_bare_daemon_CFLAGS = $(AM_CFLAGS) $(SQLCIPHER_CFLAGS) $(EVENT_CFLAGS) $(LWS_CFLAGS) $(CURL_CFLAGS) \
	$(SYSTEMD_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS) $(CRYPTO_CFLAGS) $(INIH_CFLAGS)
tests_bench_bare_daemon_LDADD = libchatd-base.la $(SQLCIPHER_LIBS) $(EVENT_LIBS) $(LWS_LIBS) $(CURL_LIBS) \
	$(SYSTEMD_LIBS) $(CJSON_LIBS) $(SODIUM_LIBS) $(CRYPTO_LIBS) $(INIH_LIBS)
tests_bench_bare_daemon_LDFLAGS = $(AM_LDFLAGS) -pie
tests_bench_bare_net_SOURCES = tests/bench/bare-net.c tests/bench/bare-db.c tests/bench/bare-db.h $(bench_tool)
tests_bench_bare_net_CFLAGS = $(AM_CFLAGS) $(SQLCIPHER_CFLAGS) $(LWS_CFLAGS) $(CURL_CFLAGS)
tests_bench_bare_net_LDADD = libchatd-base.la $(SQLCIPHER_LIBS) $(LWS_LIBS) $(CURL_LIBS)
tests_bench_bare_send_SOURCES = tests/bench/bare-send.c
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/load.h tests/bench/load-calls.c \
	tests/bench/load-fanout.c tests/bench/load-start.c $(bench_tool)
tests_bench_wire_SOURCES = tests/bench/wire.c $(bench_tool)
tests_bench_wire_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_wire_LDADD = libchatd-base.la $(CRYPTO_LIBS)
tests_bench_seed_SOURCES = tests/bench/seed.c $(bench_tool)
tests_bench_seed_LDADD = libchatd-store.la libchatd-model.la libchatd-db.la libchatd-base.la

bench: all
	$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)
	CHATD_BUILD='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 $(PYTHON3) \
		'$(srcdir)/tests/bench/bench.py' $(if $(QUICK),--quick) $(BENCH)
.PHONY: bench

# What the last run wrote, as pictures.
bench-plots:
	gnuplot -e "dir='bench'" '$(srcdir)/tests/bench/ratios.gp' >bench/ratios.png
	gnuplot -e "dir='bench'" '$(srcdir)/tests/bench/latencies.gp' >bench/latencies.png
.PHONY: bench-plots

EXTRA_DIST += tests/bench/README.md tests/bench/bench.py tests/bench/following.py \
	tests/bench/herd.gp tests/bench/holding.py tests/bench/latencies.gp tests/bench/moving.py \
	tests/bench/ratios.gp tests/bench/reading.py tests/bench/receiving.py tests/bench/starting.py \
	tests/bench/sending.py tests/bench/table.py tests/bench/world.py
CLEANFILES += herd.png

clean-local: clean-bench
clean-bench:
	rm -rf bench herd-curves
.PHONY: clean-bench
