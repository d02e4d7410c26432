# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: what one person sends arrives at the other, once, in order, and says so."""

import hashlib
import os
import pathlib

import pytest
import rpc
from people import People, until

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def statuses(client, message_id, last):
    """The statuses that a subscriber sees of a message, up to `last`."""
    seen = []
    while not seen or seen[-1] != last:
        change = client.next_change(
            lambda c: c["topic"].startswith("message.") and c["data"]["message_id"] == message_id)
        if not seen or seen[-1] != change["data"]["status"]:
            seen.append(change["data"]["status"])
    return seen


def test_a_text_goes_from_pending_to_read(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with alice.connect() as client, bob.connect() as other:
        client.call("events.subscribe")
        other.call("events.subscribe")
        sent = client.call("messages.send", user_id="bob", text="hello")
        assert sent["status"] == "PENDING"
        got = other.next_change(lambda c: c["topic"] == "message.added")["data"]
        assert (got["text"], got["user_id"], got["status"]) == ("hello", "alice", "RECEIVED")
        assert bob.call("daemon.status")["unread"] == 1
        other.call("messages.mark_read", chat_id=got["chat_id"], message_id=got["message_id"])
        path = statuses(client, sent["message_id"], "READ")
        order = ["PENDING", "SENT", "RECEIVED", "READ"]
        assert path == [s for s in order if s in path]
    assert bob.call("daemon.status")["unread"] == 0
    [chat] = alice.call("chats.list")["chats"]
    assert chat["username"] == "Bob Example"
    assert chat["last_message_status"] == "READ"


def send_photo(client, path, **params):
    fd = os.open(path, os.O_RDONLY)
    try:
        return client.call("messages.send", [fd], text="look",
                           attachments=[{"fd": 0, "name": "lake.jpg"}], **params)
    finally:
        os.close(fd)


def open_photo(client, attachment_id, variant):
    result = client.call("attachments.open", attachment_id=attachment_id, variant=variant)
    with os.fdopen(client.fds.pop(), "rb") as file:
        return result, file.read()


def test_a_photo_arrives_whole_and_without_metadata(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with alice.connect() as client, bob.connect() as other:
        sent = send_photo(client, PHOTO, user_id="bob")
        [out] = sent["attachments"]
        assert (out["width"], out["height"], out["name"]) == (1200, 900, "lake.jpg")
        photo = until(lambda: [a for m in bob.messages("alice") for a in m["attachments"]
                               if a["status"] == "READY"])[0]
        result, raw = open_photo(other, photo["attachment_id"], "full")
        assert result["size"] == len(raw) == photo["size"]
        assert raw.startswith(b"\xff\xd8") and b"Exif" not in raw and b"Pinhole" not in raw
        _, mine = open_photo(client, out["attachment_id"], "full")
        assert hashlib.sha256(raw).digest() == hashlib.sha256(mine).digest()
        _, preview = open_photo(other, photo["attachment_id"], "preview")
        assert len(preview) < len(raw)
        until(lambda: alice.messages("bob")[0]["status"] == "RECEIVED")
        assert alice.messages("bob")[0]["attachments"][0]["status"] == "READY"


def test_bad_photos_are_refused_and_nothing_is_sent(people, tmp_path):
    alice = people.sign_in("alice")
    text, empty, cut = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    text.write_text("this is not a picture")
    empty.write_bytes(b"")
    cut.write_bytes(PHOTO.read_bytes()[:20000])
    with alice.connect() as client:
        for path, kind in (text, "unsupported"), (empty, "invalid"), (cut, "invalid"):
            with pytest.raises(rpc.RpcError) as error:
                send_photo(client, path, user_id="bob")
            assert error.value.kind == kind
        with pytest.raises(rpc.RpcError) as error:
            client.call("messages.send", user_id="bob", text="x",
                        attachments=[{"path": str(tmp_path / "none.jpg")}])
        assert error.value.kind == "not_found"
        assert client.call("chats.list")["chats"] == []
        assert client.call("daemon.status")["outbox"] == {"pending": 0, "failed": 0}
        assert client.call("messages.send", user_id="bob", text="still here")["status"] == "PENDING"


def test_nothing_can_be_read_on_the_disk(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with alice.connect() as client:
        client.call("messages.send", user_id="bob", text="unmistakable words")
        send_photo(client, PHOTO, user_id="bob")
    until(lambda: [m for m in bob.messages("alice")
                   if m["attachments"] and m["attachments"][0]["status"] == "READY"])
    # None so short that it comes up by chance in a megabyte of encrypted bytes.
    secrets = [b"unmistakable", b"alice", b"Example", b"lake.jpg", b"JFIF",
               people.backend.users["alice"].encode(), people.url.encode()]
    for account in alice, bob:
        files = [f for f in account.data.rglob("*") if f.is_file()]
        assert {f.name for f in files} >= {"chat.db", "media.db", "key"}
        for file in files:
            assert file.stat().st_mode & 0o077 == 0
            raw = file.read_bytes()
            for secret in secrets:
                assert secret not in raw, f"{secret} in {file}"


def test_written_offline_and_sent_when_the_server_is_back(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    people.backend.stop()
    alice.wait_state("BACKOFF")
    first = [alice.call("messages.send", user_id="bob", text=f"offline {n}") for n in range(5)]
    assert {m["status"] for m in first} == {"PENDING"}
    assert alice.texts("bob") == [f"offline {n}" for n in range(5)]
    people.backend.start()
    until(lambda: bob.texts("alice") == [f"offline {n}" for n in range(5)])
    until(lambda: {m["status"] for m in alice.messages("bob")} == {"RECEIVED"})


def test_accepted_means_kept_whoever_is_killed(people):
    """Both daemons and the backend die again and again while messages are sent."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    accepted = []
    for round in range(6):
        with alice.connect() as client:
            for n in range(10):
                text = f"{round}.{n}"
                client.call("messages.send", user_id="bob", text=text)
                accepted.append(text)
        victim = (alice, bob, people.backend)[round % 3]
        victim.kill()
        victim.start()
    until(lambda: bob.texts("alice") == accepted)
    until(lambda: {m["status"] for m in alice.messages("bob")} == {"RECEIVED"})
    assert [m["seq"] for m in bob.messages("alice")] == list(range(1, len(accepted) + 1))


def test_a_subscriber_misses_nothing_over_a_kill(people):
    """What comes while the daemon catches up may be told before what it missed; never twice."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    seen, since = {}, 0

    def follow(client, n):
        nonlocal since
        client.call("events.subscribe", since=since, topics=["message.added"])
        while len(seen) < n:
            change = client.next_change()
            assert change["seq"] > since and change["data"]["seq"] not in seen
            seen[change["data"]["seq"]] = change["data"]["text"]
            since = change["seq"]

    for round in range(3):
        for n in range(5):
            alice.call("messages.send", user_id="bob", text=f"{round}.{n}")
        with bob.connect() as client:
            follow(client, 5 * round + 3)
        bob.kill()
        bob.start()
    with bob.connect() as client:
        follow(client, 15)
    expected = [f"{round}.{n}" for round in range(3) for n in range(5)]
    assert [seen[seq] for seq in sorted(seen)] == expected


def test_the_same_request_twice_is_one_message(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    for _ in range(2):
        reply = alice.call("messages.send", user_id="bob", text="once", message_id="m-1")
        assert reply["message_id"] == "m-1"
    alice.kill()
    alice.start()
    alice.call("messages.send", user_id="bob", text="once", message_id="m-1")
    with pytest.raises(rpc.RpcError) as error:
        alice.call("messages.send", user_id="bob", text="twice", message_id="m-1")
    assert error.value.kind == "conflict"
    alice.call("messages.send", user_id="bob", text="end")
    until(lambda: bob.texts("alice")[-1:] == ["end"])
    assert bob.texts("alice") == ["once", "end"]


def test_two_devices_show_the_same(people):
    alice, phone = people.sign_in("alice"), people.sign_in("alice", device="-phone")
    bob = people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="from the laptop")
    until(lambda: phone.texts("bob") == ["from the laptop"])
    phone.call("messages.send", user_id="bob", text="from the phone")
    until(lambda: alice.texts("bob") == ["from the laptop", "from the phone"])
    bob.call("messages.send", user_id="alice", text="hello, both")
    last = until(lambda: [m for m in phone.messages("bob") if m["text"] == "hello, both"])[0]
    until(lambda: alice.call("daemon.status")["unread"] == 1)
    phone.call("messages.mark_read", chat_id=last["chat_id"], message_id=last["message_id"])
    until(lambda: alice.call("daemon.status")["unread"] == 0)


def test_a_receipt_that_overtakes_its_message_counts(people):
    """It comes while the page that holds its message is under way to a new device."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="hello")
    [got] = until(lambda: bob.messages("alice"))
    people.backend.control("slow", path="/chats/", ms=2000)
    phone = people.account("alice", device="-phone")
    phone.call("account.login", server=people.url, user_id="alice",
               password=people.backend.users["alice"])
    until(lambda: phone.call("chats.list")["chats"])
    bob.call("messages.mark_read", chat_id=got["chat_id"], message_id=got["message_id"])
    until(lambda: [m["status"] for m in alice.messages("bob")] == ["READ"])
    until(lambda: [m["status"] for m in phone.messages("bob")] == ["READ"])


def test_a_wrong_password_and_an_unknown_user(people):
    alice = people.account("alice")
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.login", server=people.url, user_id="alice", password="wrong")
    assert error.value.kind == "denied"
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.login", server="chat.example", user_id="alice", password="x")
    assert error.value.kind == "invalid"
    with pytest.raises(rpc.RpcError) as error:
        alice.call("messages.send", user_id="bob", text="too early")
    assert error.value.kind == "login_required"
    alice.call("account.login", server=people.url, user_id="alice",
               password=people.backend.users["alice"])
    alice.wait_state("LIVE")
    sent = alice.call("messages.send", user_id="nobody-here", text="hello?")
    failed = until(lambda: [m for m in alice.messages("nobody-here") if m["status"] == "FAILED"])[0]
    assert failed["message_id"] == sent["message_id"] and failed["error"]["title"]


def test_the_first_id_of_a_chat_stays_good(people):
    """A chat begun here is named by the server a moment later; who has its first id may use it."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    first = alice.call("messages.send", user_id="bob", text="1", message_id="m-1")["chat_id"]
    until(lambda: bob.texts("alice") == ["1"])
    assert alice.chat_with("bob") != first
    with alice.connect() as client:
        send_photo(client, PHOTO, chat_id=first)
    again = alice.call("messages.send", chat_id=first, text="1", message_id="m-1")
    assert again["message_id"] == "m-1"
    until(lambda: bob.texts("alice") == ["1", "look"])
    assert [m["text"] for m in alice.call("messages.list", chat_id=first)["messages"]] == ["1", "look"]
    alice.call("messages.mark_read", chat_id=first, message_id="m-1")


def test_a_text_that_no_frame_can_carry_fails_alone(people):
    """65,536 control characters pass every limit of the API, and take six bytes each in JSON."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="before")
    alice.call("messages.send", user_id="bob", text="\x01" * 65536)
    alice.call("messages.send", user_id="bob", text="\x01" * 20000)
    alice.call("messages.send", user_id="bob", text="after")
    until(lambda: bob.texts("alice") == ["before", "\x01" * 20000, "after"])
    until(lambda: "FAILED" in {m["status"] for m in alice.messages("bob")})
    assert alice.call("daemon.status")["outbox"] == {"pending": 0, "failed": 1}


def test_old_history_comes_when_somebody_looks(people):
    alice = people.sign_in("alice")
    for n in range(120):
        alice.call("messages.send", user_id="bob", text=str(n))
    until(lambda: alice.call("daemon.status")["outbox"]["pending"] == 0)
    bob = people.sign_in("bob")
    chat, seen, before = bob.chat_with("alice"), [], {}
    while True:
        page = bob.call("messages.list", chat_id=chat, limit=50, **before)
        seen = [m["text"] for m in page["messages"]] + seen
        if not page["more"]:
            break
        before = {"before": page["messages"][0]["message_id"]}
    assert seen == [str(n) for n in range(120)]
    assert bob.call("daemon.status")["unread"] == 120
