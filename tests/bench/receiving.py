# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from the server: live, and page by page after an absence."""

import json
import shutil
import sqlite3
import subprocess
import time

from backend import Backend
from table import interleaved, least, most
from world import SUBSCRIBE_ADDED, TEXT

CHATS = 50
PAGE = 200
BATCH = 100


def order(process, text):
    process.stdin.write(text + "\n")
    process.stdin.flush()


def receive(bench, path, wire, kind, count):
    """A subscriber that takes what the server is told to send."""
    command = [bench.program("load"), "receive", str(path), str(count), SUBSCRIBE_ADDED]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert load.stdout.readline() == "ready\n"
    order(wire, f"{kind} {count}")
    rate, latency = map(json.loads, load.stdout.read().splitlines())
    assert load.wait() == 0
    return {**rate, **latency}


def port_of(wire):
    return wire.said.rsplit(":", 1)[1]


def sign_in(daemon, url, user="alice", password="alice-pw"):
    with daemon.connect() as client:
        client.call("events.subscribe", topics=["connection"])
        client.call("account.login", server=url, user_id=user, password=password)
        while client.call("daemon.status")["connection"]["state"] != "LIVE":
            client.next_change()


def echo(bench, count):
    with bench.process(bench.program("wire"), stdin=subprocess.PIPE) as wire, \
            bench.process(bench.program("bare-net"), "echo", port_of(wire)):
        order(wire, f"flood {count}")
        return json.loads(wire.stdout.readline())


def relay(bench, count):
    path = bench.new_path("relay")
    with bench.process(bench.program("wire"), stdin=subprocess.PIPE) as wire, \
            bench.process(bench.program("bare-net"), "relay", port_of(wire), path, bench.new_path("db")) as bare:
        command = [bench.program("load"), "receive", str(path), str(count), SUBSCRIBE_ADDED]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert load.stdout.readline() == "ready\n"
        assert bare.stdout.readline() == "ready\n"
        order(wire, f"trickle {count}")
        _, latency = map(json.loads, load.stdout.read().splitlines())
        assert load.wait() == 0
        return latency


def live(bench, table):
    count, slow = bench.scaled(20000, 5000), bench.scaled(300, 60)
    with bench.process(bench.program("wire"), stdin=subprocess.PIPE) as wire, bench.daemon() as daemon:
        sign_in(daemon, wire.said.split()[1])
        floods, echoes, inserts = interleaved(
            bench.rounds,
            lambda: receive(bench, daemon.path, wire, "flood", count),
            lambda: echo(bench, count),
            lambda: bench.run("bare", "batch", bench.new_path("db"), count, BATCH, TEXT))
        trickles, relays = interleaved(
            bench.rounds,
            lambda: receive(bench, daemon.path, wire, "trickle", slow),
            lambda: relay(bench, slow))
    limit = min(most(echoes, "per_s"), most(inserts, "per_s"))
    table.add("live, wire to store to subscriber", most(floods, "per_s"), "/s", limit, ">= 0.5 x")
    table.add("live, one at a time, p50", least(trickles, "p50_us"), "us", least(relays, "p50_us"), "<= 2 x",
              latency=(trickles, relays))


# An absence.

def rows(chat, first, last):
    for seq in range(first, last + 1):
        yield (chat + 1, seq, f"m-{chat}-{seq}", f"peer-{chat}" if seq % 2 else "alice", f"{TEXT} {seq}",
               1700000000000 + seq * 1000, "")


def write_history(directory, first, last):
    """Messages straight into the server's database, as if they had been sent."""
    db = sqlite3.connect(directory / "backend.db", isolation_level=None)
    db.execute("BEGIN")
    for chat in range(CHATS):
        n = chat + 1
        final = f"m-{chat}-{last}", f"peer-{chat}" if last % 2 else "alice"
        if first == 1:
            db.execute("INSERT INTO chat VALUES(?, ?, 1700000000000, ?, ?, ?)", (n, f"chat-{chat}", last, *final))
            for i, user in enumerate(("alice", f"peer-{chat}")):
                db.execute("INSERT INTO member VALUES(?, ?, 0, 0, 0, ?, ?)", (n, user, n, 2 * n + i))
        else:
            db.execute("UPDATE chat SET last_seq = ?, last_message = ?, last_user = ? WHERE number = ?",
                       (last, *final, n))
            db.execute("UPDATE member SET change = change + 1000, activity = activity + 1000 WHERE chat = ?", (n,))
        db.executemany("INSERT INTO message VALUES(?, ?, ?, ?, ?, ?, ?)", rows(chat, first, last))
    db.execute("COMMIT")
    db.close()


def new_backend(bench, name="server"):
    directory = bench.new_path(name)
    directory.mkdir()
    users = {"alice": "alice-pw", **{f"peer-{n}": "pw" for n in range(CHATS)}}
    backend = Backend(directory, users=users)
    backend.start()
    backend.stop()
    return backend


def absent(bench, backend, pages, url=None, arguments=()):
    """The data of a daemon that knows the first message of each chat, while the server has many more."""
    write_history(backend.data, 1, 1)
    saved = bench.new_path("before")
    backend.start()
    with bench.daemon(arguments=arguments) as daemon:
        sign_in(daemon, url or backend.url)
        daemon.stop()
        shutil.copytree(daemon.data, saved)
    backend.stop()
    write_history(backend.data, 2, 1 + pages * PAGE)
    backend.start()
    return saved


def wait_live(daemon, last_seq):
    """Until the session is live; then the newest message of every chat must be here."""
    with daemon.connect() as client:
        client.call("events.subscribe", topics=["connection"])
        while client.call("daemon.status")["connection"]["state"] != "LIVE":
            client.next_change(timeout=300)
        seconds = time.monotonic() - daemon.began
        for chat in range(CHATS):
            newest = client.call("messages.list", chat_id=f"chat-{chat}", limit=1)["messages"][0]
            assert newest["seq"] == last_seq, newest
    return seconds


def catch_up(bench, saved, last_seq):
    with bench.daemon(saved, copy=True) as daemon:
        return {"seconds": wait_live(daemon, last_seq)}


def after_absence(bench, table):
    pages = bench.scaled(10, 1)
    messages = CHATS * pages * PAGE
    backend = new_backend(bench)
    saved = absent(bench, backend, pages)
    token = backend.login("alice").token
    try:
        ours, downloads, inserts = interleaved(
            min(bench.rounds, 3),
            lambda: catch_up(bench, saved, 1 + pages * PAGE),
            lambda: bench.run("bare-net", "pages", backend.url, token, CHATS, pages, PAGE),
            lambda: bench.run("bare", "batch", bench.new_path("db"), messages, PAGE, TEXT))
    finally:
        backend.stop()
    limit = least(downloads, "seconds") + least(inserts, "seconds")
    table.add(f"catching up with {messages:,} messages", least(ours, "seconds"), "s", limit, "<= 1.5 x")


def run(bench, table):
    live(bench, table)
    after_absence(bench, table)
