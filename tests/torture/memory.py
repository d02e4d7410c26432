#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session is played again and again, and each time another of its allocations fails. What the daemon
answered before is there afterwards, whatever became of it. docs/reliability.md says more."""

import collections
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import disk
import people
import rpc
from backend import Backend
from model import Difference

PATIENCE = 20


def prepare(backend, directory):
    """Data of an account that is signed in and has a few messages."""
    directory.mkdir()
    account = people.Account(directory, "alice").start()
    account.call("account.login", server=backend.url, user_id="alice", password="a")
    account.wait_state("LIVE")
    for n in range(3):
        account.call("messages.send", user_id="bob", text=f"pear {n}", message_id=f"before-{n}")
    people.until(lambda: account.call("daemon.status")["outbox"]["pending"] == 0)
    account.stop()
    return account.data


def session(client, number, answered):
    """Whatever is asked is answered, or refused in words."""
    calls = [("daemon.status", {}), ("chats.list", {}), ("events.subscribe", {"since": 0}),
             ("messages.search", {"query": "pear"}), ("storage.stats", {}),
             ("settings.set", {"name": "retention.media_days", "value": "9"})]
    calls += [("messages.send", {"user_id": "bob", "text": "x", "message_id": f"n{number}-{n}"})
              for n in range(3)]
    for method, params in calls:
        try:
            client.call(method, **params)
            if "message_id" in params:
                answered.append(params["message_id"])
        except rpc.RpcError as error:
            if not error.kind and error.code != -32603:
                raise Difference(f"{method}: {error}") from None


def play(number, directory, data, preload, figures):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    shutil.copytree(data, directory / "data")
    account = people.Account(directory, "alice", arguments=["--log-level", "info"])
    control = disk.Control(directory / "control")
    control.set(fail_from=number, fail_count=1)
    account.log = open(directory / "log", "wb")
    environment = {**os.environ, "HOME": str(directory), "DBUS_SESSION_BUS_ADDRESS": "",
                   "DBUS_SYSTEM_BUS_ADDRESS": "", "LD_PRELOAD": str(preload),
                   "MEMORY_CONTROL": str(directory / "control")}
    account.process = subprocess.Popen(account.command(), env=environment, stderr=account.log)
    answered, client, deadline = ["before-0", "before-1", "before-2"], None, time.monotonic() + PATIENCE
    while not client and account.process.poll() is None:
        try:
            client = account.connect()
        except (OSError, rpc.Gone):
            time.sleep(0.005)
        if time.monotonic() > deadline:
            raise Difference("it hangs at its start")
    try:
        if client:
            session(client, number, answered)
            figures["sessions to their end"] += 1
    except rpc.Gone:
        figures["connections closed"] += 1
    if account.process.poll() is None:
        account.process.terminate()
    code = account.process.wait(PATIENCE)
    if code < 0 and client:
        raise Difference(f"it ended by signal {-code}")
    if code < 0:
        figures["ended by signal at the start"] += 1
    if code > 0:
        figures["ended in words"] += 1
        if not (directory / "log").read_text().strip():
            raise Difference(f"it ended with {code}, without a word")
    figures["allocations"] = max(figures["allocations"], control.operations)
    account.environment = {}
    account.start()
    with account.connect() as client:
        for id in answered:
            client.call("messages.get", message_id=id)
        if not client.call("storage.check")["ok"]:
            raise Difference("the databases are damaged")
    account.stop()


def main():
    p = disk.parser(__doc__)
    p.add_argument("--first", type=int, default=1, help="the first that fails (1)")
    p.add_argument("--allocations", type=int, default=5000, help="so many from there on (5,000)")
    p.add_argument("--step", type=int, default=1, help="only each of so many")
    options = p.parse_args()
    build = disk.find_build(options)
    if b"__asan_init" in (build / "chatd").read_bytes():
        print("left out: AddressSanitizer has allocations of its own")
        return 0
    preload = disk.library(build, "memory.so")
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="memory-"))
    directory.mkdir(exist_ok=True)
    figures, failed, began = collections.Counter(), [], time.monotonic()
    with Backend(directory, users={"alice": "a", "bob": "b"}) as backend:
        data = prepare(backend, directory / "prepared")
        for number in range(options.first, options.first + options.allocations, options.step):
            try:
                play(number, directory / "run", data, preload, figures)
            except (Difference, rpc.RpcError, subprocess.TimeoutExpired) as problem:
                failed.append(number)
                print(f"FAILED: allocation {number}: {problem}", flush=True)
                words = (directory / "run" / "log").read_text(errors="replace")
                print("  " + "\n  ".join(words.splitlines()[-3:]), flush=True)
            figures["sessions"] += 1
    figures["seconds"] = round(time.monotonic() - began)
    for name, value in sorted(figures.items()):
        print(f"  {name:28} {value:>9,}")
    print(f"FAILED: {failed}" if failed else "passed: nothing damaged")
    shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
