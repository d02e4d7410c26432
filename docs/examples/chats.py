#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A frontend without a library: lists the chats, then prints every message as it comes.

    ./chats.py [SOCKET]
"""

import json
import os
import socket
import sys

runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
path = sys.argv[1] if len(sys.argv) > 1 else runtime + "/chatd/default.sock"
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
lines = connection.makefile("r", encoding="utf-8")
hello = json.loads(next(lines))["params"]
assert hello["api"].startswith("1."), "another version of the API"


def call(request_id, method, **params):
    """Sends one request and returns its result. Nothing else arrives before we subscribe."""
    request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    connection.sendall(json.dumps(request).encode() + b"\n")
    reply = json.loads(next(lines))
    if "error" in reply:
        sys.exit(f"{method}: {reply['error']['data']['detail']}")
    return reply["result"]


page = call(1, "chats.list", limit=20)
for chat in page["chats"]:
    print(f"{chat['username'] or chat['user_id']!r}: {chat['unread_count']} unread", flush=True)

# as_of leaves no gap between the list and the changes.
call(2, "events.subscribe", topics=["message.added"], since=page["as_of"])
for line in lines:
    message = json.loads(line)["params"]["data"]
    print(f"{message['user_id']!r} wrote {message['text']!r}", flush=True)
