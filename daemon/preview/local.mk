# SPDX-License-Identifier: GPL-3.0-or-later
# The side that is linked into the daemon: it starts the helper and knows no image format.
noinst_LTLIBRARIES += libchatd-preview.la
libchatd_preview_la_SOURCES = \
	daemon/preview/preview-protocol.c daemon/preview/preview-protocol.h \
	daemon/preview/preview-run.c \
	daemon/preview/preview.h
libchatd_preview_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
libchatd_preview_la_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
libchatd_preview_la_LIBADD = $(SODIUM_LIBS)

# The helper. Its parts but main are a library of their own, for the unit tests.
noinst_LTLIBRARIES += libchatd-image.la
libchatd_image_la_SOURCES = \
	daemon/preview/image.c daemon/preview/image.h \
	daemon/preview/jpeg-strip.c daemon/preview/jpeg-strip.h \
	daemon/preview/read-image.c daemon/preview/read-image.h \
	daemon/preview/sandbox.c daemon/preview/sandbox.h
libchatd_image_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
libchatd_image_la_CFLAGS = $(AM_CFLAGS) $(VIPS_CFLAGS) $(SECCOMP_CFLAGS)
libchatd_image_la_LIBADD = $(VIPS_LIBS) -lgmodule-2.0 $(SECCOMP_LIBS)

chatdlibexecdir = $(libexecdir)/chatd
chatdlibexec_PROGRAMS = chatd-preview chatd-picture
chatd_preview_SOURCES = \
	daemon/preview/chatd-preview.c \
	daemon/preview/preview-protocol.c
chatd_preview_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
chatd_preview_LDADD = libchatd-image.la libchatd-base.la
chatd_preview_LDFLAGS = $(AM_LDFLAGS) -pie

chatd_picture_SOURCES = \
	daemon/preview/chatd-picture.c \
	daemon/preview/preview-protocol.c
chatd_picture_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
chatd_picture_CFLAGS = $(AM_CFLAGS) $(CHAFA_CFLAGS)
chatd_picture_LDADD = libchatd-image.la libchatd-base.la $(CHAFA_LIBS)
chatd_picture_LDFLAGS = $(AM_LDFLAGS) -pie
