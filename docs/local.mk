# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += docs/architecture.md docs/coding-style.md docs/dependencies.md
EXTRA_DIST += docs/protocol.md docs/openapi.yaml docs/asyncapi.yaml
EXTRA_DIST += docs/api.md docs/service.md tools/make-api-doc
dist_man_MANS = docs/man/chatctl.1 docs/man/chatd.8 docs/man/chatd.conf.5 docs/man/chatd-api.7
EXTRA_DIST += tools/make-man \
	docs/man/chatctl.1.in docs/man/chatd.8.in docs/man/chatd.conf.5.in docs/man/chatd-api.7.in
include docs/examples/local.mk
EXTRA_DIST += docs/performance.md docs/reliability.md docs/herd.png
EXTRA_DIST += docs/performance.md
