# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += docs/architecture.md docs/coding-style.md docs/dependencies.md
EXTRA_DIST += docs/protocol.md docs/openapi.yaml docs/asyncapi.yaml
EXTRA_DIST += docs/api.md tools/make-api-doc
include docs/examples/local.mk
EXTRA_DIST += docs/reliability.md docs/herd.png
