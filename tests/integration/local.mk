# SPDX-License-Identifier: GPL-3.0-or-later
# Integration tests drive the finished programs; PYTEST_ADDOPTS chooses among them (PYTEST_ADDOPTS='-k outbox').
PYTHON3 = /usr/bin/python3

check-integration: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
	CHATD_BUILD='$(abs_top_builddir)' $(test_environment) $(PYTHON3) -m pytest -q -ra --tb=short \
		-p no:cacheprovider --timeout=120 '$(srcdir)/tests/integration'
.PHONY: check-integration

# All of them are distributed; a list would only be forgotten.
dist-hook:
	$(MKDIR_P) '$(distdir)/tests/integration'
	cp -fp '$(srcdir)'/tests/integration/*.py '$(distdir)/tests/integration/'

EXTRA_DIST += \
	tests/integration/openrpc/check.mjs \
	tests/integration/openrpc/package-lock.json \
	tests/integration/openrpc/package.json \
	tests/integration/tus/package-lock.json \
	tests/integration/tus/package.json \
	tests/integration/tus/server.mjs \
	tests/integration/user-manager

include tests/integration/client.mk
