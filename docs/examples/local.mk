# SPDX-License-Identifier: GPL-3.0-or-later
# Examples for people who write frontends; the tests run them.
check_PROGRAMS += docs/examples/chat
docs_examples_chat_SOURCES = docs/examples/chat.c
docs_examples_chat_CPPFLAGS = -I$(top_srcdir)/libclient
docs_examples_chat_LDADD = libchatclient.la

EXTRA_DIST += docs/examples/chats.py
