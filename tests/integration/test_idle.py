# SPDX-License-Identifier: GPL-3.0-or-later
"""Idle means asleep: with a live session and nothing to do, the heartbeat alone wakes the daemon."""

import pathlib

from bus import Bus
from desktop_peers import Logind, NetworkManager, NotificationServer
from people import People, until

BEATS = 3
SLEEPS_OF_A_BEAT = 2  # until it is due, and until it is answered


def naps(process):
    """How often each thread has gone to sleep: the loop's, and all others' together."""
    counts = {}
    for status in pathlib.Path(f"/proc/{process.pid}/task").glob("*/status"):
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                counts[int(status.parent.name)] = int(line.split()[1])
    loop = counts.pop(process.pid)
    return loop, sum(counts.values())


def test_nothing_but_the_heartbeat_wakes_a_live_daemon(tmp_path):
    (tmp_path / "system").mkdir()
    with Bus(tmp_path) as session, Bus(tmp_path / "system") as system, \
            NotificationServer(session), NetworkManager(system), Logind(system), \
            People(tmp_path, heartbeat=1) as people:
        bob = people.sign_in("bob", environment={"DBUS_SESSION_BUS_ADDRESS": session.address,
                                                 "DBUS_SYSTEM_BUS_ADDRESS": system.address})
        since = naps(bob.process)

        def undisturbed():
            """The loop slept through several beats; what it still had to do at first does not count."""
            nonlocal since
            now = naps(bob.process)
            if now[0] != since[0]:
                since = now
            return now[1] - since[1] >= BEATS * SLEEPS_OF_A_BEAT

        until(undisturbed)
        assert bob.call("daemon.status")["connection"]["state"] == "LIVE"
