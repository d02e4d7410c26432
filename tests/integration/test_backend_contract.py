# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents themselves: they hold together, and would notice what is not in them.

That the backend keeps to them is checked on every answer and frame of every test, by backend.py.
"""

import jsonschema
import pytest

import contract
from contract import ASYNCAPI, OPENAPI


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)


def follow(document, pointer):
    for part in pointer.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/")]
    return document


def test_references_lead_somewhere():
    for reference in references(OPENAPI):
        assert follow(OPENAPI, reference) is not None
    for reference in references(ASYNCAPI):
        if reference.startswith("./openapi.yaml"):
            assert follow(OPENAPI, reference.removeprefix("./openapi.yaml")) is not None
        else:
            assert follow(ASYNCAPI, reference) is not None


def test_schemas_are_schemas():
    for schema in contract.SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for frames in contract.FRAMES.values():
        for schema in frames.values():
            jsonschema.Draft202012Validator.check_schema(schema)


def test_every_operation_is_named_once_and_has_its_parameters():
    names = []
    for path, item in OPENAPI["paths"].items():
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method in ("parameters", "description"):
                continue
            names.append(operation["operationId"])
            parameters = [contract.resolve(p) for p in shared + operation.get("parameters", [])]
            in_path = {p["name"] for p in parameters if p["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert "default" in operation["responses"]
    assert len(names) == len(set(names))


def test_every_message_is_used():
    used = set(references(ASYNCAPI["operations"]))
    for name in ASYNCAPI["channels"]["session"]["messages"]:
        assert f"#/channels/session/messages/{name}" in used
        assert name in ASYNCAPI["components"]["messages"]


GOOD = {"type": "urn:chat:x", "title": "x", "status": 400, "detail": ""}


@pytest.mark.parametrize("change", [
    {"type": "x"}, {"status": "400"}, {"title": None}, {"unknown": 1}, {"retry_after_s": 0}])
def test_deviations_are_noticed(change):
    schema = {"$ref": "#/components/schemas/Problem"}
    contract.validate(GOOD, schema)
    with pytest.raises(jsonschema.ValidationError):
        contract.validate({**GOOD, **change}, schema)


def test_undescribed_answers_are_noticed():
    user = b'{"id":"a","name":"A","picture_url":null}'
    kind = {"Content-Type": "application/json"}
    contract.check_response("GET", "/users/a", 200, kind, user)
    for status, headers, body in [(201, kind, user), (200, {}, user), (200, kind, b'{"id":"a"}'),
                                  (200, {"Content-Type": "text/plain"}, user)]:
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            contract.check_response("GET", "/users/a", status, headers, body)
    with pytest.raises(AssertionError):
        contract.check_response("GET", "/elsewhere", 200, kind, user)


def test_undescribed_frames_are_noticed():
    bye = {"connection_id": "c", "event_type": "BYE", "payload": {"reason": "x"}}
    contract.check_frame("server", bye)
    with pytest.raises(AssertionError):
        contract.check_frame("client", {**bye, "event_type": "MSG_ACK"})
    with pytest.raises(jsonschema.ValidationError):
        contract.check_frame("server", {**bye, "payload": {}})
