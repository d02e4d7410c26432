# SPDX-License-Identifier: GPL-3.0-or-later
# What a unit test reaches is a convenience library; main.c has the verbs' table and main().
noinst_LTLIBRARIES += libchatctl.la
libchatctl_la_SOURCES = \
	ctl/await.c \
	ctl/call.c \
	ctl/chats.c \
	ctl/complete.c ctl/complete.h \
	ctl/complete-line.h ctl/complete-values.c \
	ctl/completion.c \
	ctl/ctl.h \
	ctl/exec.c ctl/exec.h \
	ctl/help.c ctl/help.h \
	ctl/history.c ctl/history.h \
	ctl/key.c \
	ctl/login.c \
	ctl/logout.c \
	ctl/messages.c ctl/messages.h \
	ctl/options.c ctl/options.h \
	ctl/outbox.c \
	ctl/photo.c \
	ctl/photo-list.c \
	ctl/picture.c ctl/picture.h \
	ctl/report.c \
	ctl/resolve.c ctl/resolve.h \
	ctl/save.c ctl/save.h \
	ctl/search.c \
	ctl/secret.c ctl/secret.h \
	ctl/send.c \
	ctl/settings.c \
	ctl/status.c \
	ctl/storage.c \
	ctl/terminal.c ctl/terminal.h \
	ctl/text.c ctl/text.h \
	ctl/wait.c ctl/wait.h \
	ctl/watch.c
libchatctl_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-DPICTURE_HELPER='"$(chatdlibexecdir)/chatd-picture"'
libchatctl_la_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS)
libchatctl_la_LIBADD = $(CJSON_LIBS)

bin_PROGRAMS += chatctl
chatctl_SOURCES = ctl/main.c
chatctl_CPPFLAGS = $(AM_CPPFLAGS)
chatctl_LDADD = libchatctl.la libchatclient.la $(CJSON_LIBS)
chatctl_LDFLAGS = $(AM_LDFLAGS) -pie

# Installed where the shells look; chatctl can print them too.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_bashcompletion_DATA = ctl/completion/chatctl.bash
dist_zshcompletion_DATA = ctl/completion/_chatctl
dist_fishcompletion_DATA = ctl/completion/chatctl.fish

BUILT_SOURCES += ctl/completion-scripts.h
CLEANFILES += ctl/completion-scripts.h
ctl/completion-scripts.h: $(dist_bashcompletion_DATA) $(dist_zshcompletion_DATA) $(dist_fishcompletion_DATA)
	$(AM_V_GEN)$(MKDIR_P) ctl && for shell in bash zsh fish; do \
		case $$shell in zsh) name=_chatctl ;; *) name=chatctl.$$shell ;; esac; \
		echo "static const char script_$$shell[] ="; \
		sed -e 's/[\\"]/\\&/g' -e 's/^/\t"/' -e 's/$$/\\n"/' "$(srcdir)/ctl/completion/$$name"; \
		echo ';'; \
	done > $@.new && mv $@.new $@
