# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: people on the loopback backend, whose daemons' answers are held against their description."""

import pytest

from api_contract import Contract
from people import People


@pytest.fixture(scope="module")
def contract():
    return Contract.printed()


@pytest.fixture
def people(tmp_path, contract):
    with People(tmp_path, check=contract.check) as people:
        yield people
