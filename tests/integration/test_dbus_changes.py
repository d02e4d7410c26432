# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes on the bus: to those who asked, in order; one that does not read costs nobody else."""

import os
import pathlib
import time

import jeepney
import pytest

from bus import NAME, Bus, environment
from people import People
from rpc import Daemon

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}, {"id": "bo", "name": "Bo"}],
    "chats": [
        {"id": "c1", "user_id": "ana", "messages": [
            {"id": "a1", "from": "ana", "text": "1", "minutes_ago": 9}]},
        {"id": "c2", "user_id": "bo", "messages": [
            {"id": "b1", "from": "bo", "text": "2", "minutes_ago": 5}]}],
    "behaviour": {"ack_ms": 1, "received_ms": 1, "read_ms": 2},
}
ADDED = ["message.added"]


@pytest.fixture
def bus(tmp_path):
    with Bus(tmp_path) as bus:
        yield bus


@pytest.fixture
def daemon(bus, tmp_path):
    daemon = Daemon(tmp_path, WORLD)
    daemon.bus = bus.address
    # Freed memory is not kept back, so that what is in use can be measured.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    with environment(ASAN_OPTIONS=sanitizer), daemon, bus.connect() as client:
        client.wait_name()
        yield daemon


@pytest.fixture
def client(bus, daemon):
    with bus.connect() as client:
        yield client


def send(daemon, n, text="x", chat="c1", start=0):
    """Messages through the socket, which the bus has no part in."""
    with daemon.connect() as socket:
        for first in range(start, start + n, 32):
            calls = [socket.start("messages.send", chat_id=chat, text=text, message_id=f"m{i}")
                     for i in range(first, min(first + 32, start + n))]
            for call in calls:
                socket.finish(call)


def ids(client, n):
    return [client.next_change()["data"]["message_id"] for _ in range(n)]


def memory(daemon):
    """What the daemon has in use, in bytes."""
    lines = pathlib.Path(f"/proc/{daemon.process.pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) * 1024 for line in lines.splitlines()
               if line.startswith("Private_"))


def test_changes_come_in_order(daemon, client):
    position = client.call("events.subscribe", topics=ADDED)["seq"]
    send(daemon, 100)
    changes = [client.next_change() for _ in range(100)]
    assert [c["data"]["message_id"] for c in changes] == [f"m{i}" for i in range(100)]
    seqs = [c["seq"] for c in changes]
    assert seqs == sorted(set(seqs)) and seqs[0] > position
    assert {c["topic"] for c in changes} == {"message.added"}


def test_changes_are_the_socket_s(daemon, client):
    with daemon.connect() as socket:
        socket.call("events.subscribe", since=0)
        client.call("events.subscribe", since=0)
        for _ in range(4):
            expected, change = socket.next_change(), client.next_change()
            expected["data"] = {k: v for k, v in expected["data"].items() if v is not None}
            assert change == expected


def test_the_answer_comes_before_the_change(client):
    client.call("events.subscribe", topics=ADDED)
    for n in range(20):
        call = client.start("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
        while call not in client.replies:
            assert not client.changes
            client.receive(time.monotonic() + 30)
        client.finish(call)
        assert ids(client, 1) == [f"m{n}"]


def test_ephemeral_topics_have_no_seq(daemon, client):
    client.call("events.subscribe", topics=["connection", "message.added"])
    with daemon.connect() as socket:
        account = socket.call("daemon.status")["account"]
        socket.call("account.login", server=account["server"], user_id="me", password="x")
    change = client.next_change(lambda c: c["topic"] == "connection")
    assert change["seq"] == 0 and change["data"]["state"]


def test_only_subscribers_are_told(bus, daemon, client):
    """Others do not even hear of it, whatever they listen for."""
    client.call("events.subscribe", topics=ADDED)
    with bus.connect() as other, bus.connect() as third:
        other.match(type="signal", interface=NAME)
        third.call("events.subscribe", topics=ADDED, chats=["c2"])
        send(daemon, 5)
        send(daemon, 2, chat="c2", start=5)
        assert ids(client, 7) == [f"m{i}" for i in range(7)]
        assert ids(third, 2) == ["m5", "m6"]
        other.settle()
        assert not other.changes
        client.call("events.unsubscribe")
        send(daemon, 1, chat="c2", start=7)
        assert ids(third, 1) == ["m7"]
        client.settle()
        assert not client.changes


def test_one_who_comes_back_goes_on(bus, daemon):
    with bus.connect() as client:
        client.call("events.subscribe", topics=ADDED)
        send(daemon, 3)
        last = [client.next_change() for _ in range(3)][-1]["seq"]
    send(daemon, 400, start=3)
    with bus.connect() as client:
        client.call("events.subscribe", topics=ADDED, since=last)
        assert ids(client, 400) == [f"m{i}" for i in range(3, 403)]
        send(daemon, 1, start=403)
        assert ids(client, 1) == ["m403"]


def test_one_who_leaves_is_forgotten(bus, daemon):
    """The daemon takes back what it asked the bus about that client."""
    with bus.connect() as watcher:
        watcher.ask("org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu",
                    (["type='method_call',destination='org.freedesktop.DBus',"
                      "member='RemoveMatch'"], 0),
                    path="/org/freedesktop/DBus", destination="org.freedesktop.DBus")
        with bus.connect() as client:
            client.call("events.subscribe")
            name = client.name
        while True:
            message = watcher.connection.receive(timeout=30)
            if message.header.message_type == jeepney.MessageType.method_call and \
                    f"arg0='{name}'" in message.body[0]:
                break
    with daemon.connect() as socket:
        assert socket.call("daemon.status")["connection"]["state"] == "LIVE"


def test_a_chat_on_screen_counts_until_its_client_leaves(bus, tmp_path):
    """Where the session is for the foreground only, it comes and goes with who looks."""
    with People(tmp_path) as people:
        alice = people.sign_in("alice", environment={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        chat = alice.call("chats.create", user_id="bob")["chat_id"]
        alice.call("settings.set", name="connection.grace_s", value="0")
        alice.call("settings.set", name="connection.policy", value="foreground")
        alice.wait_state("SUSPENDED")
        name = f"{NAME}.alice"
        with bus.connect() as client:
            client.wait_name(name)
            client.finish(client.start("chats.focus", destination=name, chat_id=chat))
            alice.wait_state("LIVE")
            client.finish(client.start("chats.focus", destination=name))
            alice.wait_state("SUSPENDED")
            client.finish(client.start("chats.focus", destination=name, chat_id=chat))
            alice.wait_state("LIVE")
        alice.wait_state("SUSPENDED")


def test_one_who_does_not_read_costs_nobody(bus, daemon, client):
    """It confirms nothing: it is sent some 256 KiB, the others all, and goes on where it was."""
    count, text = 300, "x" * 4000
    client.call("events.subscribe", topics=ADDED)
    with bus.connect(answers=False) as stuck:
        stuck.call("events.subscribe", topics=ADDED)
        before = memory(daemon)
        send(daemon, count, text)
        assert ids(client, count) == [f"m{i}" for i in range(count)]
        stuck.settle()
        sent = len(stuck.changes)
        assert 0 < sent * len(text) < 400 << 10 and len(stuck.pings) == 1
        assert memory(daemon) - before < 40 << 20
        # A second time, that much more: nothing is added for the one that is stuck.
        send(daemon, count, text, start=count)
        assert ids(client, count) == [f"m{i}" for i in range(count, 2 * count)]
        stuck.settle()
        assert len(stuck.changes) == sent
        stuck.answers = True
        stuck.pong()
        assert ids(stuck, 2 * count) == [f"m{i}" for i in range(2 * count)]


def test_many_clients_are_told_the_same(bus, daemon):
    clients = [bus.connect() for _ in range(50)]
    for client in clients:
        client.call("events.subscribe", topics=ADDED)
    send(daemon, 20)
    for client in clients:
        assert ids(client, 20) == [f"m{i}" for i in range(20)]
        client.connection.close()
