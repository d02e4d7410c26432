# SPDX-License-Identifier: GPL-3.0-or-later
"""messages.send, one at a time and pipelined."""

from table import interleaved, least, median, most
from world import SEND, TEXT

WINDOW = 256
BATCH = 100


def one_at_a_time(bench, table):
    count = bench.scaled(400, 100)
    with bench.daemon(bench.history(1000), copy=True) as daemon:
        reply = bench.reply_of(daemon, SEND)
        with bench.bare_server("--insert", bench.new_path("db"), "--reply", reply) as bare:
            ours, limits = interleaved(
                bench.rounds,
                lambda: bench.load("calls", daemon.path, count, SEND),
                lambda: bench.load("calls", bare, count, SEND))
    for key, choose in (("p50_us", least), ("p99_us", median)):
        table.add(f"messages.send, one at a time, {key[:3]}", choose(ours, key), "us",
                  choose(limits, key), "<= 1.3 x", latency=(ours, limits) if key == "p50_us" else None)


def pipelined(bench, table):
    count = bench.scaled(20000, 4000)
    with bench.daemon(bench.history(1000), copy=True) as daemon:
        database = bench.new_path("db")
        ours, limits = interleaved(
            bench.rounds,
            lambda: bench.load("pipeline", daemon.path, count, WINDOW, SEND),
            lambda: bench.run("bare", "batch", database.with_name(database.name + "x"), count, BATCH, TEXT)
            if not clear(database) else None)
    table.add("messages.send, pipelined, durable", most(ours, "per_s"), "/s", most(limits, "per_s"), ">= 0.6 x")


def clear(database):
    """The limit begins with an empty table each time."""
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + "x" + suffix).unlink(missing_ok=True)


def run(bench, table):
    one_at_a_time(bench, table)
    pipelined(bench, table)
