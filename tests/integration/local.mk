# SPDX-License-Identifier: GPL-3.0-or-later
# Integration tests drive the finished programs; PYTEST_ADDOPTS chooses among them (PYTEST_ADDOPTS='-k outbox').
PYTHON3 = /usr/bin/python3

check-integration: all
	$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
	CHATD_BUILD='$(abs_top_builddir)' $(test_environment) $(PYTHON3) -m pytest -q -ra --tb=short \
		-p no:cacheprovider --timeout=120 '$(srcdir)/tests/integration'
.PHONY: check-integration

EXTRA_DIST += \
	tests/integration/api_contract.py \
	tests/integration/people.py \
	tests/integration/rpc.py \
	tests/integration/test_conversation.py \
	tests/integration/test_preview.py \
	tests/integration/test_socket_events.py \
	tests/integration/test_socket_methods.py \
	tests/integration/test_socket_protocol.py
include tests/integration/client.mk
