# SPDX-License-Identifier: GPL-3.0-or-later
# Targets for libFuzzer (configure --enable-fuzzing, clang); without it they replay their corpora.
fuzz_targets = \
	tests/fuzz/fuzz-answer \
	tests/fuzz/fuzz-bus-value \
	tests/fuzz/fuzz-file \
	tests/fuzz/fuzz-frame \
	tests/fuzz/fuzz-header \
	tests/fuzz/fuzz-jpeg \
	tests/fuzz/fuzz-line \
	tests/fuzz/fuzz-push
check_PROGRAMS += $(fuzz_targets)

if FUZZING
fuzz_main = tests/fuzz/fuzz.h
else
fuzz_main = tests/fuzz/fuzz.h tests/fuzz/replay.c
TESTS += $(fuzz_targets)
endif
fuzz_cflags = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SYSTEMD_CFLAGS) $(SODIUM_CFLAGS)
fuzz_ldflags = $(AM_LDFLAGS) $(FUZZING_LDFLAGS)

tests_fuzz_fuzz_answer_SOURCES = tests/fuzz/fuzz-answer.c $(fuzz_main)
tests_fuzz_fuzz_answer_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_answer_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_answer_LDADD = libchatd-core.la
tests_fuzz_fuzz_bus_value_SOURCES = tests/fuzz/fuzz-bus-value.c $(fuzz_main)
tests_fuzz_fuzz_bus_value_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_bus_value_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_bus_value_LDADD = libchatd-core.la
tests_fuzz_fuzz_file_SOURCES = tests/fuzz/fuzz-file.c $(fuzz_main)
tests_fuzz_fuzz_file_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_file_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_file_LDADD = libchatd-core.la
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz-frame.c $(fuzz_main)
tests_fuzz_fuzz_frame_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_frame_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_frame_LDADD = libchatd-core.la
tests_fuzz_fuzz_header_SOURCES = tests/fuzz/fuzz-header.c $(fuzz_main)
tests_fuzz_fuzz_header_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_header_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_header_LDADD = libchatd-core.la
tests_fuzz_fuzz_jpeg_SOURCES = tests/fuzz/fuzz-jpeg.c $(fuzz_main)
tests_fuzz_fuzz_jpeg_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_jpeg_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_jpeg_LDADD = libchatd-image.la libchatd-base.la
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz-line.c $(fuzz_main)
tests_fuzz_fuzz_line_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_line_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_line_LDADD = libchatd-core.la
tests_fuzz_fuzz_push_SOURCES = tests/fuzz/fuzz-push.c tests/backend/web-push.c tests/backend/web-push.h $(fuzz_main)
tests_fuzz_fuzz_push_CFLAGS = $(fuzz_cflags) $(CRYPTO_CFLAGS) $(SODIUM_CFLAGS)
tests_fuzz_fuzz_push_LDFLAGS = $(AM_LDFLAGS) $(FUZZING_LDFLAGS)
tests_fuzz_fuzz_push_LDADD = libchatd-core.la $(CRYPTO_LIBS) $(SODIUM_LIBS)

# Each for FUZZ_SECONDS; what is found new stays in the build directory.
FUZZ_SECONDS = 300
fuzz: $(fuzz_targets)
	for target in $(fuzz_targets); do \
		name=$${target#tests/fuzz/fuzz-}; \
		$(MKDIR_P) "fuzz-corpus/$$name"; \
		$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
			"fuzz-corpus/$$name" "$(srcdir)/tests/fuzz/corpus/$$name" || exit 1; \
	done
.PHONY: fuzz

EXTRA_DIST += tests/fuzz/replay.c tests/fuzz/corpus
