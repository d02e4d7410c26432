# SPDX-License-Identifier: GPL-3.0-or-later
"""One change to many subscribers, against a server that writes as many bytes to as many sockets."""

from table import interleaved, least
from world import SEND, SUBSCRIBE_ADDED


def change_of(bench, daemon):
    """A file with the bytes of a change as a subscriber reads it."""
    path = bench.new_path("change")
    with daemon.connect() as client:
        client.send(SUBSCRIBE_ADDED.replace("@n@", "1").encode() + b"\n" +
                    SEND.replace("@n@", "2").encode() + b"\n")
        lines = [client.read_line() for _ in range(3)]
    path.write_bytes(next(l for l in lines if b'"method":"change"' in l) + b"\n")
    return path


def run(bench, table):
    with bench.daemon(bench.history(1000), copy=True) as daemon:
        change, reply = change_of(bench, daemon), bench.reply_of(daemon, SEND)
        with bench.bare_server("--insert", bench.new_path("db"), "--reply", reply, "--fan", change) as bare:
            for subscribers in (1, 100, 1000):
                count = bench.scaled(100, 20)
                ours, limits = interleaved(bench.rounds, *(
                    lambda p=p: bench.load("fanout", p, subscribers, count, SUBSCRIBE_ADDED, SEND)
                    for p in (daemon.path, bare)))
                table.add(f"a message to {subscribers:,} subscribers, p50", least(ours, "p50_us"), "us",
                          least(limits, "p50_us"), "<= 2 x", latency=(ours, limits))
