# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that read: against a bare answer of as many bytes, and over more and more messages."""

from table import interleaved, least
from world import request

STATUS = request("daemon.status")
CHATS = request("chats.list", limit=50)
MESSAGES = request("messages.list", chat_id="chat-0", limit=50)

CHATS_QUERY = (
    "SELECT c.id, p.id, ifnull(p.name, p.id), ifnull(w.name, w.id), w.picture_url, m.id, m.text,"
    " m.created_at, m.status, c.unread, c.provisional, c.last_at, c.n FROM chat c"
    " JOIN user p ON p.n = c.user"
    " LEFT JOIN message m ON m.chat = c.n AND m.position = c.last_position"
    " LEFT JOIN user w ON w.n = m.user ORDER BY c.last_at DESC, c.n DESC LIMIT 50")

SIZES = (1000, 100_000, 1_000_000)


def against_bare(bench, table, name, line, query):
    count = bench.scaled(5000, 1000)
    history = bench.history(1000)
    with bench.daemon(history, copy=True) as daemon:
        options = ["--reply", bench.reply_of(daemon, line)]
        if query:
            options += ["--query", history / "chat.db", history / "key", query]
        with bench.bare_server(*options) as bare:
            ours, limits = interleaved(
                bench.rounds,
                lambda: bench.load("calls", daemon.path, count, line),
                lambda: bench.load("calls", bare, count, line))
    table.add(name, least(ours, "p50_us"), "us", least(limits, "p50_us"), "<= 2 x", latency=(ours, limits))


def by_history(bench, table, curve):
    """The daemons over the several histories are asked in turn."""
    count = bench.scaled(3000, 500)
    sizes = SIZES[:2] if bench.quick else SIZES
    for verb, line in (("chats.list", CHATS), ("messages.list", MESSAGES)):
        best = measure_sizes(bench, line, count, sizes)
        for size in sizes:
            aim = "<= 1.2 x" if size > sizes[0] else ""
            table.add(f"{verb} at {size:,} messages, p50", best[size], "us", best[sizes[0]], aim)
        curve[verb] = best


def measure_sizes(bench, line, count, sizes):
    with bench.daemon(bench.history(sizes[0])) as a, bench.daemon(bench.history(sizes[1])) as b, \
            bench.daemon(bench.history(sizes[-1])) if len(sizes) > 2 else none() as c:
        daemons = [a, b] + [c] * (len(sizes) > 2)
        results = interleaved(bench.rounds, *(
            lambda d=d: bench.load("calls", d.path, count, line) for d in daemons))
    return {size: least(r, "p50_us") for size, r in zip(sizes, results)}


class none:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


def run(bench, table, curve):
    against_bare(bench, table, "daemon.status, p50", STATUS, None)
    against_bare(bench, table, "chats.list of 50, p50", CHATS, CHATS_QUERY)
    by_history(bench, table, curve)
