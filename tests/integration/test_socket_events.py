# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscriptions: a frontend misses nothing and sees one order, after the answer to its request."""

import threading

import pytest

import rpc
from api_contract import Contract
from rpc import Daemon

pytestmark = pytest.mark.skipif(not rpc.has_demo(), reason="this chatd has no --demo")

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}, {"id": "bo", "name": "Bo"}],
    "chats": [
        {"id": "c1", "user_id": "ana", "messages": [
            {"id": "a1", "from": "ana", "text": "1", "minutes_ago": 9}]},
        {"id": "c2", "user_id": "bo", "messages": [
            {"id": "b1", "from": "bo", "text": "2", "minutes_ago": 5, "attachments": [
                {"id": "p1", "generate": 900000, "preview_generate": 2000}]}]}],
    "behaviour": {"ack_ms": 1, "received_ms": 1, "read_ms": 2, "reply_ms": 1,
                  "replies": [{"user_id": "bo", "text": "well"}]},
}


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path, WORLD) as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with daemon.connect() as client:
        yield client


@pytest.fixture
def contract(client):
    return Contract(client.call("rpc.discover"))


def message(id, topic=None, status=None):
    def matches(change):
        data = change["data"]
        return (change["topic"].startswith("message.") and data.get("message_id") == id and
                topic in (None, change["topic"]) and status in (None, data.get("status")))
    return matches


def drain(client, until):
    """All changes up to the one that fulfils the condition."""
    changes = []
    while True:
        changes.append(client.next_change())
        if until(changes[-1]):
            return changes


def test_every_change_is_as_described(client, contract):
    client.call("events.subscribe", since=0, topics=list(contract.topics))
    for n in range(5):
        client.call("messages.send", chat_id="c2", text=f"{n}", message_id=f"m{n}")
    client.call("attachments.download", attachment_id="p1")
    wanted = {"message.added", "message.updated", "chat.updated", "attachment.updated"}
    changes = []
    while not wanted <= {c["topic"] for c in changes}:
        changes.append(client.next_change())
    for change in changes:
        contract.check_change(change)


def test_the_answer_comes_before_the_change(client):
    client.call("events.subscribe")
    for n in range(20):
        id = client.start("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
        while id not in client.answers:
            assert not any(message(f"m{n}")(change) for change in client.changes)
            client.sort(client.read())
        assert client.answers[id]["result"]["message_id"] == f"m{n}"
    added = [client.next_change(message(f"m{n}", "message.added"))["seq"] for n in range(20)]
    assert added == sorted(added)


def test_a_message_goes_through_its_states(client):
    client.call("events.subscribe", topics=["message.added", "message.updated"])
    client.call("messages.send", chat_id="c1", text="x", message_id="mine")
    states = []
    while "READ" not in states:
        states.append(client.next_change(message("mine"))["data"]["status"])
    order = ["PENDING", "SENT", "RECEIVED", "READ"]
    assert [order.index(s) for s in states] == sorted(order.index(s) for s in states)
    assert client.call("messages.get", message_id="mine")["status"] == "READ"


def test_list_then_subscribe_has_no_race(daemon, client):
    """While another sends, what the list holds and what is told since make up everything, once."""
    stop = threading.Event()
    sent = []

    def send():
        with daemon.connect() as sender:
            while not stop.is_set():
                sent.append(sender.call("messages.send", chat_id="c1", text="x")["message_id"])

    thread = threading.Thread(target=send)
    thread.start()
    for _ in range(10):
        with daemon.connect() as fresh:
            page = fresh.call("messages.list", chat_id="c1", limit=200)
            known = {m["message_id"] for m in page["messages"]}
            fresh.call("events.subscribe", since=page["as_of"], topics=["message.added"])
            for _ in range(5):
                assert fresh.next_change()["data"]["message_id"] not in known
    stop.set()
    client.call("events.subscribe", since=0, topics=["message.added"])
    thread.join()
    told = []
    while not set(sent) <= set(told):
        told.append(client.next_change()["data"]["message_id"])
    assert len(told) == len(set(told))


def test_away_is_caught_up(daemon, client):
    position = client.call("events.subscribe")["seq"]
    client.close()
    with daemon.connect() as sender:
        for n in range(300):
            sender.call("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
    with daemon.connect() as again:
        again.call("events.subscribe", since=position, topics=["message.added"])
        told = [again.next_change() for _ in range(300)]
    # In the order of their last changes, which is not that of sending when receipts came meanwhile.
    assert {c["data"]["message_id"] for c in told} == {f"m{n}" for n in range(300)}
    assert [c["seq"] for c in told] == sorted(c["seq"] for c in told)


def test_seqs_only_grow_and_a_row_is_told_as_it_is(client):
    for n in range(30):
        client.call("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
    client.call("events.subscribe", topics=["message.updated"])
    client.call("messages.send", chat_id="c1", text="x", message_id="end")
    client.next_change(message("end", status="READ"))
    client.call("events.subscribe", since=0, topics=["message.added", "chat.updated"])
    changes = drain(client, message("end"))
    seqs = [c["seq"] for c in changes]
    assert seqs == sorted(set(seqs))
    assert {c["data"]["status"] for c in changes if message("m3")(c)} <= {"RECEIVED", "READ"}


def test_topics_and_chats_narrow_it_down(client):
    client.call("events.subscribe", topics=["message.added"], chats=["c2"])
    client.call("messages.send", chat_id="c1", text="no", message_id="no")
    client.call("messages.send", chat_id="c2", text="yes", message_id="yes")
    first = client.next_change()
    assert first["topic"] == "message.added" and first["data"]["message_id"] == "yes"
    reply = client.next_change()
    assert reply["data"]["chat_id"] == "c2"


def test_after_unsubscribe_nothing_comes(client):
    client.call("events.subscribe")
    client.call("events.unsubscribe")
    client.changes.clear()
    for n in range(5):
        client.call("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
    client.call("daemon.status")
    assert not client.changes


def test_progress_comes_only_when_asked_for(daemon, client):
    with daemon.connect() as other:
        # From the beginning: the photo may have been fetched by itself before anybody subscribed.
        client.call("events.subscribe", topics=["transfer.progress", "attachment.updated"], since=0)
        other.call("events.subscribe", since=0)
        other.call("attachments.download", attachment_id="p1")
        ready = lambda c: c["topic"] == "attachment.updated" and c["data"]["status"] == "READY"
        mine, others = drain(client, ready), drain(other, ready)
        assert "transfer.progress" not in {c["topic"] for c in others}
        for change in mine:
            assert ("seq" in change) == (change["topic"] != "transfer.progress")


def test_many_subscribers_are_told_the_same(daemon, client):
    others = [daemon.connect() for _ in range(200)]
    try:
        for other in others:
            other.call("events.subscribe", topics=["message.added"])
        for n in range(20):
            client.call("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
        for other in others:
            told = [other.next_change()["data"]["message_id"] for _ in range(20)]
            assert told == [f"m{n}" for n in range(20)]
    finally:
        for other in others:
            other.close()
