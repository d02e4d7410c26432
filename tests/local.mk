# SPDX-License-Identifier: GPL-3.0-or-later
include tests/unit/local.mk
include tests/backend/local.mk
include tests/integration/local.mk
