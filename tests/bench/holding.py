# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon that does nothing takes: memory, wakeups, bytes on the wire."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

from bus import Bus
from receiving import CHATS, PAGE, absent, new_backend, order, port_of, sign_in, wait_live
from tls import Authority, TlsFront
from world import SUBSCRIBE_ADDED, memory_of

MIB = 1 << 20
SUBSCRIBERS = 1000
KINDS = {"Private_Dirty": "private dirty", "Pss": "PSS", "Rss": "RSS"}


def add_memory(table, name, ours, limit, extra_mib):
    for kind, words in KINDS.items():
        table.add(f"memory {name}, {words}", ours[kind] / MIB, "MiB", limit[kind] / MIB,
                  f"<= +{extra_mib} MiB" if kind == "Private_Dirty" else "")


@contextlib.contextmanager
def bare_memory(bench, bus, url, ca_file):
    history = bench.history(0)
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus
    with bench.process(bench.program("bare-daemon"), history / "chat.db", history / "key",
                       bench.new_path("bare"), url, ca_file) as process:
        time.sleep(0.5)
        yield memory_of(process.pid)


def settled(daemon):
    """What it was busy with is over: nothing is allocated or given back in a row of looks."""
    last, same = None, 0
    while same < 5:
        time.sleep(0.5)
        now = memory_of(daemon.process.pid)["Private_Dirty"]
        same, last = (same + 1 if now == last else 0), now
    return memory_of(daemon.process.pid)


def memory(bench, table):
    """The server is behind TLS, the bus is there, and the session is live."""
    pages = bench.scaled(100, 1)
    backend = new_backend(bench)
    authority = Authority(bench.directory)
    trust = ("--ca-file", str(authority.file))
    with Bus(bench.new_directory("bus")) as bus, \
            TlsFront(backend.port, authority.issue("DNS:localhost")) as front:
        saved = absent(bench, backend, pages, front.url, trust)
        with bare_memory(bench, bus.address, front.url + "/users/x", authority.file) as limit, \
                bench.daemon(arguments=trust, bus=bus.address, name="peer-0") as daemon:
            sign_in(daemon, front.url, "peer-0", "pw")
            add_memory(table, "idle", settled(daemon), limit, 2)
            following(bench, table, daemon)
        with bench.daemon(saved, copy=True, arguments=trust, bus=bus.address) as daemon:
            wait_live(daemon, 1 + pages * PAGE)
            add_memory(table, f"after {CHATS * pages * PAGE:,} messages synced", settled(daemon), limit, 6)
        backend.stop()


def following(bench, table, daemon):
    before = settled(daemon)
    with bench.process(bench.program("load"), "hold", daemon.path, SUBSCRIBERS, SUBSCRIBE_ADDED,
                       stdin=subprocess.PIPE):
        after = settled(daemon)
    each = (after["Private_Dirty"] - before["Private_Dirty"]) / SUBSCRIBERS / 1024
    table.add(f"memory of a subscriber, of {SUBSCRIBERS:,}", each, "KiB", 0, "<= +16 KiB")


# Wakeups.

def wakeups_of(pid):
    """How often any of its threads has gone to sleep."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def bytes_of(wire):
    order(wire, "bytes 0")
    return json.loads(wire.stdout.readline())["bytes"]


def idle(bench, table):
    """Both are idle at the same time, each with a server of its own; an hour is calculated."""
    if bench.quick:
        return  # an answer is waited for up to 20 s: shorter heartbeats than that are not kept
    heartbeat, beats = 25, 3
    wire = bench.program("wire")
    with bench.process(wire, heartbeat, stdin=subprocess.PIPE) as ours, \
            bench.process(wire, heartbeat, stdin=subprocess.PIPE) as other, bench.daemon() as daemon:
        sign_in(daemon, ours.said.split()[1])
        with bench.process(bench.program("bare-net"), "idle", port_of(other), heartbeat) as bare:
            watched = [(daemon.process.pid, ours), (bare.pid, other)]
            time.sleep(heartbeat * 1.5)
            before = [(wakeups_of(pid), bytes_of(w)) for pid, w in watched]
            time.sleep(heartbeat * beats)
            after = [(wakeups_of(pid), bytes_of(w)) for pid, w in watched]
    of_hour = 3600 / 30 / beats
    for i, words in enumerate(("wakeups an hour, idle and live", "bytes an hour, idle and live")):
        assert after[0][1] > before[0][1], "no heartbeat was seen"
        value, limit = ((a[i] - b[i]) * of_hour for a, b in zip(after, before))
        table.add(words, round(value), "", round(limit), "<= 1 x")
