# SPDX-License-Identifier: GPL-3.0-or-later
unit_tests += \
	tests/unit/test-fake \
	tests/unit/test-preview

tests_unit_test_fake_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-DDEMO_JSON='"$(abs_top_srcdir)/daemon/service/fake/demo.json"'
tests_unit_test_fake_LDADD = libchatd-fake.la libchatd-service.la libchatd-model.la $(LDADD)

tests_unit_test_preview_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-DPREVIEW_HELPER='"$(abs_top_builddir)/chatd-preview"' -DTEST_DATA='"$(abs_top_srcdir)/tests/data"'
tests_unit_test_preview_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
tests_unit_test_preview_LDADD = libchatd-preview.la libchatd-image.la $(LDADD) $(SODIUM_LIBS)

EXTRA_DIST += \
	tests/data/make-images \
	tests/data/sideways.heic \
	tests/data/upright.avif \
	tests/data/upright.heic \
	tests/data/wide-gamut.jpg
