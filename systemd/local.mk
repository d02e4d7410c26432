# SPDX-License-Identifier: GPL-3.0-or-later
nodist_systemduserunit_DATA = systemd/chatd.service
dist_systemduserunit_DATA = systemd/chatd.socket
EXTRA_DIST += systemd/chatd.service.in
CLEANFILES += systemd/chatd.service

systemd/chatd.service: systemd/chatd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		sed -e 's,@bindir\@,$(bindir),g' '$(srcdir)/systemd/chatd.service.in' >$@.new && mv $@.new $@

# The session's bus starts the daemon for the first who calls it.
dbusservicesdir = $(datadir)/dbus-1/services
nodist_dbusservices_DATA = systemd/org.chatd.Chat1.service
EXTRA_DIST += systemd/org.chatd.Chat1.service.in
CLEANFILES += systemd/org.chatd.Chat1.service

systemd/org.chatd.Chat1.service: systemd/org.chatd.Chat1.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		sed -e 's,@bindir\@,$(bindir),g' '$(srcdir)/systemd/org.chatd.Chat1.service.in' >$@.new && mv $@.new $@
