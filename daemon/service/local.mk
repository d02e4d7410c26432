# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-service.la
libchatd_service_la_SOURCES = daemon/service/service.c daemon/service/service.h

include daemon/service/native/local.mk
include daemon/service/fake/local.mk
