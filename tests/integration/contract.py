# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what a backend says against docs/openapi.yaml and docs/asyncapi.yaml.

The documents let unknown members pass, since the protocol grows by them. Here nothing passes that they do not name:
whatever the backend sends must be written down.
"""

import json
import pathlib
import re

import jsonschema
import yaml

DOCS = pathlib.Path(__file__).parents[2] / "docs"
OPENAPI = yaml.safe_load((DOCS / "openapi.yaml").read_text())
ASYNCAPI = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())


def closed(schema):
    """The schema, with every object limited to its named members, and references within one document."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(result.get("$ref"), str):
        result["$ref"] = result["$ref"].replace("./openapi.yaml#", "#")
    if result.get("type") == "object" and isinstance(result.get("properties"), dict):
        result["additionalProperties"] = False
    return result


SCHEMAS = closed({**OPENAPI["components"]["schemas"], **ASYNCAPI["components"]["schemas"]})
assert len(SCHEMAS) == len(OPENAPI["components"]["schemas"]) + len(ASYNCAPI["components"]["schemas"])


def validate(value, schema):
    jsonschema.Draft202012Validator({**closed(schema), "components": {"schemas": SCHEMAS}}).validate(value)


def resolve(node, document=OPENAPI):
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def pattern(template):
    return re.compile("/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in template.split("/")))


PATHS = [(pattern(template), item) for template, item in OPENAPI["paths"].items()]


def operation(method, path):
    """What the document says of a request; None for a path or method that it does not have."""
    for template, item in PATHS:
        if template.fullmatch(path.partition("?")[0]):
            return item.get(method.lower())
    return None


def check_headers(response, headers):
    for name, header in response.get("headers", {}).items():
        header = resolve(header)
        value = headers.get(name)
        if value is None:
            assert not header.get("required"), f"{name} is missing"
            continue
        schema = resolve(header["schema"])
        validate(int(value) if schema.get("type") == "integer" else value, schema)


def check_body(method, response, headers, body):
    content = response.get("content")
    kind = headers.get("Content-Type")
    if method == "HEAD":
        assert body == b""
    elif not content:
        assert body == b"" and kind is None, f"no body is said to come, but {kind} did"
    else:
        assert kind in content or "*/*" in content, f"{kind} is not among {list(content)}"
        schema = content.get(kind, {}).get("schema")
        if schema:
            validate(json.loads(body), schema)


def check_response(method, path, status, headers, body):
    """Fails unless the answer is one that openapi.yaml has for this request."""
    if path.startswith("/_control"):
        return
    asked = operation(method, path)
    if asked is None:
        assert status in (401, 404, 405) or status >= 400, f"{method} {path} is not described"
        check_body(method, resolve({"$ref": "#/components/responses/Problem"}), headers, body)
        return
    responses = asked["responses"]
    assert str(status) in responses or status >= 400, f"{status} is not described for {method} {path}"
    response = resolve(responses.get(str(status), responses["default"]))
    check_headers(response, headers)
    check_body(method, response, headers, body)


def messages(side):
    return {m["name"]: m["payload"] for key, m in ASYNCAPI["components"]["messages"].items() if key.startswith(side)}


FRAMES = {side: messages(side) for side in ("client", "server")}


def check_frame(side, frame):
    """Fails unless asyncapi.yaml lets this side ("client" or "server") say that."""
    assert frame["event_type"] in FRAMES[side], f"{frame['event_type']} is not described for the {side}"
    validate(frame, FRAMES[side][frame["event_type"]])
