# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what the daemon says on its socket against its own description (rpc.discover).

Clients ignore members that they do not know, since answers grow by them. Here nothing passes that
is not described.
"""

import json
import subprocess

import jsonschema
import rpc

# What JSON-RPC and the connection itself may answer to any request.
ALWAYS = {"parse_error", "invalid_request", "method_not_found", "invalid_params", "denied",
          "too_large", "storage_full"}


def closed(schema):
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if result.get("type") == "object" and result.get("properties"):
        result["additionalProperties"] = False
    return result


class Contract:
    @classmethod
    def printed(cls):
        """What the daemon that is tested prints of itself."""
        printed = subprocess.run([rpc.program(), "--print-api"], capture_output=True, check=True)
        return cls(json.loads(printed.stdout))

    def __init__(self, document):
        self.document = document
        self.schemas = closed(document["components"]["schemas"])
        self.methods = {m["name"]: m for m in document["methods"]}
        self.topics = {t["topic"]: t for t in document["x-topics"]}
        self.errors = {e["code"]: e for e in document["components"]["errors"].values()}
        self.notifications = {n["name"]: n["params"] for n in document["x-notifications"]}
        self.seen = set()

    def validate(self, value, schema):
        jsonschema.Draft202012Validator(
            {**closed(schema), "components": {"schemas": self.schemas}}).validate(value)

    def check(self, method, answer):
        """An answer to a request."""
        assert answer["jsonrpc"] == "2.0"
        if "error" in answer:
            self.check_error(method, answer["error"])
            return
        assert set(answer) == {"jsonrpc", "id", "result"}
        self.seen.add(method)
        if method != "rpc.discover":
            self.validate(answer["result"], self.methods[method]["result"]["schema"])

    def check_error(self, method, error):
        assert set(error) == {"code", "message", "data"}
        assert {"kind", "retryable", "detail"} <= set(error["data"]) <= {
            "kind", "retryable", "detail", "retry_after_ms"}
        known = self.errors[error["code"]]["data"]
        assert error["data"]["kind"] == known["kind"] and error["data"]["detail"]
        if method in self.methods and known["kind"] not in ALWAYS:
            allowed = [e["$ref"].rsplit("/", 1)[1] for e in self.methods[method]["errors"]]
            assert known["kind"] in allowed, f"{method} is not said to fail as {known['kind']}"

    def check_change(self, change):
        topic = self.topics[change["topic"]]
        assert ("seq" in change) == topic["durable"]
        self.validate(change["data"], topic["data"])

    def check_hello(self, params):
        self.validate(params, self.notifications["hello"])
