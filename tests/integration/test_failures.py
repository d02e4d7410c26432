# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon does when something fails: a test for each row of the table in
docs/architecture.md, named after it. Bad certificates are in test_tls.py; frontends that misbehave in
test_socket_*.py; a full disk in tests/unit/test-store.c."""

import pathlib
import signal
import time

import pytest
import rpc
from people import People, until

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def connection(account):
    return account.call("daemon.status")["connection"]


def opened(people):
    return people.backend.stats()["sessions_opened"]


# connect refused, name unknown, socket drops

def test_connect_refused_backs_off_and_comes_back(people):
    alice = people.sign_in("alice")
    people.backend.stop()
    refused = until(lambda: (c := connection(alice)) and "could not connect" in
                    (c["last_error"] or "") and c["state"] == "BACKOFF" and c)
    assert refused["next_attempt_at"] >= refused["since"]
    people.backend.start()
    alice.wait_state("LIVE")
    assert connection(alice)["last_error"] is None


def test_an_unknown_name_is_told(people):
    alice = people.account("alice")
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.login", server="https://nowhere.invalid", user_id="a", password="b")
    assert error.value.kind == "offline"
    assert alice.call("daemon.status")["connection"]["state"] == "OFFLINE"


def test_a_dropped_socket_is_opened_again_and_nothing_is_missing(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    before = opened(people)
    for n in range(3):
        people.backend.control("drop")
        bob.call("messages.send", user_id="alice", text=str(n))
        until(lambda: alice.texts("bob") == [str(i) for i in range(n + 1)])
    until(lambda: opened(people) >= before + 2)


# 401

def test_401_one_login_serves_all_that_wait(people):
    alice = people.sign_in("alice")
    people.backend.control("expire")
    before = people.backend.stats()["requests_login"]
    with alice.connect() as client:
        ids = [client.start("users.get", user_id=f"unknown-{n}") for n in range(8)]
        for id in ids:
            with pytest.raises(rpc.RpcError) as error:
                client.finish(id)
            assert error.value.kind == "not_found"
    assert people.backend.stats()["requests_login"] == before + 1
    assert connection(alice)["state"] == "LIVE"


def change_password(people, user):
    people.backend.users[user] = "changed"
    people.backend.write_users()
    people.backend.process.send_signal(signal.SIGHUP)
    until(lambda: people.backend.request(
        "GET", "/login", headers=people.backend.basic(user, "changed")).status == 200)


def test_401_refused_login_ends_all_attempts(people):
    alice = people.sign_in("alice")
    change_password(people, "alice")
    people.backend.control("expire")
    people.backend.control("drop")
    alice.wait_state("LOGIN_REQUIRED")
    before = people.backend.stats()
    assert connection(alice)["next_attempt_at"] is None
    sent = alice.call("messages.send", user_id="bob", text="kept")
    alice.kill()
    alice.start()
    assert connection(alice)["state"] == "LOGIN_REQUIRED"
    after = people.backend.stats()
    assert (after["requests_login"], after["requests_ws"]) == (
        before["requests_login"], before["requests_ws"])
    alice.call("account.login", server=people.url, user_id="alice", password="changed")
    until(lambda: alice.call("messages.get", message_id=sent["message_id"])["status"] == "SENT")


# 422, rejected message

def test_422_rejected_message_is_failed_and_never_sent_again(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    people.backend.control("refuse_message", user="alice", status=422)
    sent = alice.call("messages.send", user_id="bob", text="rude")
    failed = until(lambda: [m for m in alice.messages("bob") if m["status"] == "FAILED"])[0]
    assert failed["message_id"] == sent["message_id"] and failed["error"]["title"]
    people.backend.control("drop", user="alice")
    alice.call("messages.send", user_id="bob", text="polite")
    until(lambda: bob.texts("alice") == ["polite"])
    assert people.backend.stats()["messages_refused"] == 1


# 429, 5xx, timeouts

def test_429_rejected_messages_wait_as_told_and_others_go_on(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    people.backend.control("refuse_message", user="alice", status=429, retry_after_s=2)
    began = time.monotonic()
    alice.call("messages.send", user_id="bob", text="soon")
    until(lambda: people.backend.stats()["messages_refused"] == 1)
    assert alice.call("users.get", user_id="carol")["name"] == "Carol Example"
    bob.call("messages.send", user_id="alice", text="others go on")
    until(lambda: "others go on" in alice.texts("bob"))
    until(lambda: "soon" in bob.texts("alice"))
    assert time.monotonic() - began >= 2
    assert people.backend.stats()["messages_refused"] == 1
    until(lambda: alice.call("daemon.status")["outbox"] == {"pending": 0, "failed": 0})


def test_429_requests_wait_as_told(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    people.backend.control("refuse", method="GET", path="/chats", status=429, retry_after_s=2)
    people.backend.control("drop", user="alice")
    bob.call("messages.send", user_id="alice", text="hello")
    until(lambda: people.backend.stats()["faults"]["refuse"] == 1)
    began = time.monotonic()
    until(lambda: alice.texts("bob") == ["hello"] and connection(alice)["state"] == "LIVE")
    assert time.monotonic() - began >= 1.5


def test_5xx_requests_are_repeated_with_backoff(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    for status in 500, 502, 503, 504:
        people.backend.control("refuse", method="GET", path="/chats", status=status)
    people.backend.control("drop", user="alice")
    bob.call("messages.send", user_id="alice", text="hello")
    until(lambda: alice.texts("bob") == ["hello"] and connection(alice)["state"] == "LIVE")
    assert people.backend.stats()["faults"]["refuse"] == 4


def test_5xx_at_login_backs_off(people):
    alice = people.sign_in("alice")
    people.backend.control("expire")
    people.backend.control("refuse", method="GET", path="/login", status=503, count=2)
    people.backend.control("drop", user="alice")
    until(lambda: people.backend.stats()["faults"]["refuse"] == 2)
    alice.wait_state("LIVE")


def test_429_at_login_holds_for_all_requests(people):
    alice = people.sign_in("alice")
    people.backend.control("expire")
    people.backend.control("refuse", method="GET", path="/login", status=429, retry_after_s=3)
    before, began = people.backend.stats()["requests_login"], time.monotonic()
    for n in range(5):
        with pytest.raises(rpc.RpcError) as error:
            alice.call("users.get", user_id=f"unknown-{n}")
        assert error.value.kind == "offline"
    people.backend.control("drop", user="alice")
    alice.wait_state("BACKOFF")
    assert people.backend.stats()["requests_login"] == before + 1
    alice.wait_state("LIVE")
    assert time.monotonic() - began >= 3
    assert people.backend.stats()["requests_login"] == before + 2


# BYE with retry_after_s

def test_bye_with_retry_after_is_kept_to(people):
    alice = people.sign_in("alice")
    before, began = opened(people), time.monotonic()
    people.backend.control("bye", user="alice", retry_after_s=3)
    alice.wait_state("BACKOFF")
    status = connection(alice)
    assert status["next_attempt_at"] - status["since"] >= 3000
    until(lambda: opened(people) == before + 1)
    assert time.monotonic() - began >= 3
    alice.wait_state("LIVE")


# heartbeat unanswered

def test_heartbeat_unanswered_drops_the_socket(tmp_path):
    """After 7 and 20 s; the backend itself would give up after 35."""
    with People(tmp_path, heartbeat=7) as people:
        alice, bob = people.sign_in("alice"), people.sign_in("bob")
        with alice.connect() as client:
            client.call("events.subscribe", topics=["connection"])
            people.backend.control("mute", user="alice")
            bob.call("messages.send", user_id="alice", text="into the silence")
            lost = client.next_change(lambda c: c["data"]["state"] == "BACKOFF", timeout=60)
            assert "does not answer" in lost["data"]["last_error"]
        until(lambda: alice.texts("bob") == ["into the silence"])
        alice.wait_state("LIVE")


# malformed or oversized frame

@pytest.mark.parametrize("kind", ["truncated", "garbage", "binary", "oversized", "stranger"])
def test_a_malformed_frame_ends_the_session_and_loses_nothing(people, kind):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    before = opened(people)
    people.backend.control("corrupt", user="alice", event_type="MSG_IN", **{"as": kind})
    bob.call("messages.send", user_id="alice", text="one")
    bob.call("messages.send", user_id="alice", text="two")
    until(lambda: alice.texts("bob") == ["one", "two"])
    until(lambda: opened(people) == before + 1)
    alice.wait_state("LIVE")


# duplicate or reordered frame

def test_duplicate_and_reordered_frames_do_not_show(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    bob.call("messages.send", user_id="alice", text="start")
    until(lambda: alice.texts("bob") == ["start"])
    with alice.connect() as client:
        client.call("events.subscribe", topics=["message.added"])
        people.backend.control("duplicate", user="alice", count=3)
        people.backend.control("reorder", user="alice", event_type="MSG_IN", skip=3, count=3)
        expected = ["start"] + [str(n) for n in range(6)]
        for text in expected[1:]:
            bob.call("messages.send", user_id="alice", text=text)
        until(lambda: alice.texts("bob") == expected)
        told = [client.next_change()["data"]["text"] for _ in range(6)]
        assert sorted(told) == expected[1:]
        alice.call("messages.send", user_id="bob", text="end")
        assert client.next_change()["data"]["text"] == "end"
    assert alice.call("daemon.status")["unread"] == 7


# clock jumps

def test_a_wrong_clock_harms_nothing(people):
    """Messages of two people, one of whose clocks is decades behind, are in the server's order."""
    alice = people.sign_in("alice")
    phone = people.backend.login("bob").connect("phone")
    chat = phone.account.chat_with("alice")
    for n in range(3):
        alice.call("messages.send", user_id="bob", text=f"a{n}")
        until(lambda: alice.call("daemon.status")["outbox"]["pending"] == 0)
        phone.say(chat, f"b{n}", created_at=0)
    until(lambda: alice.texts("bob") == ["a0", "b0", "a1", "b1", "a2", "b2"])
    times = [m["created_at"] for m in alice.messages("bob")]
    assert times == sorted(times) and times[0] > 0


# database damaged; chat.db is in test_damage.py, keys are in test_keys.py

def spoil(data, what):
    """Its first page, without which nothing of it can be read."""
    good = {f.name: f.read_bytes() for f in data.iterdir()}
    bad = bytes(b ^ 0x55 for b in good[what][:4096]) + good[what][4096:]
    (data / what).write_bytes(bad)
    return good, bad


def test_a_damaged_database_of_photos_is_put_aside_and_they_are_fetched_again(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    bob.call("messages.send", user_id="alice", text="look", attachments=[{"path": str(PHOTO)}])
    photo = until(lambda: [m for m in alice.messages("bob") if m["attachments"]])[0]["attachments"][0]
    photo = {"attachment_id": photo["attachment_id"]}
    alice.call("attachments.download", **photo)
    until(lambda: alice.call("attachments.get", **photo)["status"] == "READY")
    alice.stop()
    _, bad = spoil(alice.data, "media.db")
    alice.start()
    name = alice.call("daemon.status")["storage"]["put_aside"]
    assert name.startswith("media.db.damaged-") and (alice.data / name).read_bytes() == bad
    assert alice.texts("bob") == ["look"]
    alice.wait_state("LIVE")
    alice.call("attachments.download", **photo)
    until(lambda: alice.call("attachments.get", **photo)["status"] == "READY")
    alice.stop()
    alice.start()
    assert "put_aside" not in alice.call("daemon.status")["storage"]


def test_what_may_be_damage_or_a_wrong_key_is_told_and_left_as_it_is(people):
    alice = people.sign_in("alice")
    alice.call("messages.send", user_id="bob", text="hello")
    alice.stop()
    (alice.data / "key.check").unlink()
    good, bad = spoil(alice.data, "chat.db")
    alice.start()
    locked = alice.call("daemon.status")["locked"]
    assert locked["reason"] == "wrong_key" and "damaged; nothing was changed" in locked["detail"]
    alice.stop()
    assert (alice.data / "chat.db").read_bytes() == bad
    assert {f.name for f in alice.data.iterdir()} >= set(good) - {"key.check"}
    (alice.data / "chat.db").write_bytes(good["chat.db"])
    alice.start()
    assert alice.texts("bob") == ["hello"]
