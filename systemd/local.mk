# SPDX-License-Identifier: GPL-3.0-or-later
# Two templates make the units of the account `default` and, with an @, those of any other.
user_units = \
	systemd/chatd.service systemd/chatd@.service \
	systemd/chatd.socket systemd/chatd@.socket \
	systemd/chatd-read.socket systemd/chatd-read@.socket \
	systemd/chatd-send.socket systemd/chatd-send@.socket
nodist_systemduserunit_DATA = $(user_units)
EXTRA_DIST += systemd/chatd.service.in systemd/chatd.socket.in systemd/make-unit
CLEANFILES += $(user_units)

unit_templates = systemd/chatd.service.in systemd/chatd.socket.in
$(user_units): systemd/make-unit $(unit_templates) Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && bindir='$(bindir)' systemd_version='$(SYSTEMD_VERSION)' \
		$(SHELL) '$(srcdir)/systemd/make-unit' '$(srcdir)/systemd' $(@F) >$@.new && mv $@.new $@

# The session's bus starts the daemon for the first who calls it, and for pushes.
dbusservicesdir = $(datadir)/dbus-1/services
bus_services = systemd/org.chatd.Chat1.service systemd/org.chatd.Push1.service
nodist_dbusservices_DATA = $(bus_services)
EXTRA_DIST += systemd/bus.service.in
CLEANFILES += $(bus_services)

$(bus_services): systemd/bus.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && name='$(@F)' && \
		sed -e 's,@bindir\@,$(bindir),g' -e "s,@NAME\@,$${name%.service},g" \
			'$(srcdir)/systemd/bus.service.in' >$@.new && mv $@.new $@
