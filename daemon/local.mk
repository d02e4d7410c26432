# SPDX-License-Identifier: GPL-3.0-or-later
# One convenience library per layer; together they are libchatd-core.la.
include daemon/base/local.mk
include daemon/model/local.mk
include daemon/net/local.mk
include daemon/service/local.mk
include daemon/db/local.mk
include daemon/store/local.mk
include daemon/repository/local.mk
include daemon/ipc/local.mk
include daemon/desktop/local.mk
include daemon/preview/local.mk

bin_PROGRAMS += chatd
chatd_SOURCES = daemon/main.c
chatd_LDADD = libchatd-base.la
chatd_LDFLAGS = $(AM_LDFLAGS) -pie
