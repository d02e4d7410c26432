# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LTLIBRARIES += libchatd-model.la
libchatd_model_la_SOURCES = \
	daemon/model/attachment.h \
	daemon/model/chat.h \
	daemon/model/failure.c daemon/model/failure.h \
	daemon/model/lock.c daemon/model/lock.h \
	daemon/model/message.h \
	daemon/model/model.c \
	daemon/model/problem.h \
	daemon/model/push.h \
	daemon/model/user.h
