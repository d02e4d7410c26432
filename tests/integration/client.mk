# SPDX-License-Identifier: GPL-3.0-or-later
# Integration tests of libchatclient, chatctl and the examples.
EXTRA_DIST += \
	tests/integration/chatctl_support.py \
	tests/integration/fake_chatd.py \
	tests/integration/test_chatctl_daemon.py \
	tests/integration/test_chatctl_doing.py \
	tests/integration/test_chatctl_reading.py \
	tests/integration/test_libclient_examples.py \
	tests/integration/test_libclient_resume.py
