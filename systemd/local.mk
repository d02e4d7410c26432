# SPDX-License-Identifier: GPL-3.0-or-later
nodist_systemduserunit_DATA = systemd/chatd.service
dist_systemduserunit_DATA = systemd/chatd.socket
EXTRA_DIST += systemd/chatd.service.in
CLEANFILES += systemd/chatd.service

systemd/chatd.service: systemd/chatd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		sed -e 's,@bindir\@,$(bindir),g' '$(srcdir)/systemd/chatd.service.in' >$@.new && mv $@.new $@
