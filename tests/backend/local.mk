# SPDX-License-Identifier: GPL-3.0-or-later
# The loopback backend: built with everything else, installed by nobody.
noinst_PROGRAMS += tests/backend/chat-backend
tests_backend_chat_backend_SOURCES = \
	tests/backend/chats.c tests/backend/chats.h \
	tests/backend/control.c tests/backend/control.h \
	tests/backend/downloads.c \
	tests/backend/faults.c tests/backend/faults.h \
	tests/backend/frames.c tests/backend/frames.h \
	tests/backend/http.c tests/backend/http.h \
	tests/backend/http-reply.c \
	tests/backend/json.h \
	tests/backend/main.c \
	tests/backend/messages.c tests/backend/messages.h \
	tests/backend/problem.c tests/backend/problem.h \
	tests/backend/push.c tests/backend/push.h \
	tests/backend/rest-account.c \
	tests/backend/rest-chats.c \
	tests/backend/router.c tests/backend/router.h \
	tests/backend/server.c tests/backend/server.h \
	tests/backend/session.c tests/backend/session.h \
	tests/backend/stats.h \
	tests/backend/store.c tests/backend/store.h \
	tests/backend/token.c tests/backend/token.h \
	tests/backend/tus.c tests/backend/tus.h \
	tests/backend/uploads.c tests/backend/uploads.h \
	tests/backend/users.c tests/backend/users.h \
	tests/backend/views.c tests/backend/views.h \
	tests/backend/web-push.c tests/backend/web-push.h
tests_backend_chat_backend_CFLAGS = $(AM_CFLAGS) $(LWS_CFLAGS) $(SQLCIPHER_CFLAGS) $(CJSON_CFLAGS) $(SODIUM_CFLAGS) \
	$(CRYPTO_CFLAGS)
tests_backend_chat_backend_LDADD = libchatd-base.la $(LWS_LIBS) $(SQLCIPHER_LIBS) $(CJSON_LIBS) $(SODIUM_LIBS) \
	$(CRYPTO_LIBS)
tests_backend_chat_backend_LDFLAGS = $(AM_LDFLAGS) -pie

EXTRA_DIST += tests/backend/README.md tests/integration/backend.py tests/integration/contract.py \
	tests/integration/ws.py tests/integration/test_backend_contract.py \
	tests/integration/test_backend_crash.py \
	tests/integration/test_backend_faults.py tests/integration/test_backend_push.py \
	tests/integration/test_backend_rest.py \
	tests/integration/test_backend_session.py tests/integration/test_backend_uploads.py
