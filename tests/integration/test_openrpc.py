# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's description is one that the OpenRPC authors' own tools accept."""

import json
import subprocess

import pytest
from api_contract import Contract
from others import install_packages


@pytest.fixture(scope="module")
def tools():
    return install_packages("openrpc")


def accepted(tools, document):
    return subprocess.run(["node", "check.mjs"], cwd=tools, input=json.dumps(document).encode(),
                          capture_output=True, check=False, timeout=60)


def test_the_description_is_accepted(tools):
    contract = Contract.printed()
    done = accepted(tools, contract.document)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == [m["name"] for m in contract.document["methods"]]


@pytest.mark.parametrize("spoil", [
    lambda d: d.pop("info"),
    lambda d: d["methods"][0].pop("params"),
    lambda d: d["methods"][0]["result"].update(schema={"$ref": "#/components/schemas/Nothing"}),
])
def test_a_wrong_one_is_not(tools, spoil):
    document = Contract.printed().document
    spoil(document)
    assert accepted(tools, document).returncode != 0
