# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that the account itself fills, a real one: what was answered is there, what is refused is said
to be, and it goes on when there is room."""

import base64
import os
import random
import subprocess

import pytest

import rpc
from people import People, until
from pictures import png

SIZE_MIB = 8


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", disk]).returncode != 0:
        pytest.skip("a small disk needs root and mount")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def storage_state(account):
    return account.call("daemon.status")["storage"]["state"]


def fill(account, answered, size=9000):
    """Sends until it is refused."""
    with account.connect() as client, pytest.raises(rpc.RpcError) as error:
        for n in range(len(answered), 5000):
            text = f"{n} " + "x" * size
            client.call("messages.send", user_id="bob", message_id=f"m-{n}", text=text)
            answered[f"m-{n}"] = text
    assert error.value.kind == "storage_full", error.value


def fill_a_little(account, answered):
    for n in range(len(answered), len(answered) + 10):
        account.call("messages.send", user_id="bob", message_id=f"m-{n}", text=str(n))
        answered[f"m-{n}"] = str(n)


def grow(disk):
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)


def history(account, chat):
    found, before = {}, {}
    while True:
        page = account.call("messages.list", chat_id=chat, limit=100, **before)
        for message in page["messages"]:
            assert message["message_id"] not in found
            found[message["message_id"]] = message["text"]
        if not page["more"]:
            return found
        before = {"before": page["messages"][0]["message_id"]}


def test_a_disk_that_fills_up_loses_nothing_and_grows_again(people, small_disk):
    alice = people.sign_in("alice", arguments=["--data-dir", str(small_disk)])
    bob = people.backend.login("bob")
    session, chat = bob.connect(), bob.chat_with("alice")
    raw = png(900, 900, random.Random(3).randbytes)
    photo = bob.upload(raw, png(20, 20))
    session.say(chat, "look", attachments=photo)
    until(lambda: "look" in alice.texts("bob"))
    alice.call("attachments.download", attachment_id=photo)
    until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    people.backend.stop()
    answered = {}
    fill(alice, answered)
    fill(alice, answered, size=10)
    assert storage_state(alice) == "full"
    page = base64.b64decode(alice.call("attachments.read", attachment_id=photo)["data"])
    assert page and raw.startswith(page)
    alice.kill()
    grow(small_disk)
    alice.start()
    fill_a_little(alice, answered)
    people.backend.start()
    alice.wait_state("LIVE")
    until(lambda: alice.call("daemon.status")["outbox"]["pending"] == 0)
    assert alice.call("storage.purge", what="media")["removed"] == 1
    found = history(alice, chat)
    assert {id: text for id, text in found.items() if id in answered} == answered
    assert [text for id, text in found.items() if id not in answered] == ["look"]
    assert storage_state(alice) == "ok" and alice.call("storage.check")["ok"]


def test_photos_can_be_removed_on_a_full_disk(people, small_disk):
    alice = people.sign_in("alice", arguments=["--data-dir", str(small_disk)])
    bob = people.backend.login("bob")
    session, chat = bob.connect(), bob.chat_with("alice")
    for seed in range(2):
        photo = bob.upload(png(700, 700, random.Random(seed).randbytes), png(20, 20))
        session.say(chat, f"look {seed}", attachments=photo)
        until(lambda: f"look {seed}" in alice.texts("bob"))
        alice.call("attachments.download", attachment_id=photo)
        until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    people.backend.stop()
    reserve = small_disk / "reserve"
    assert reserve.stat().st_blocks * 512 >= 1 << 20
    answered = {}
    fill(alice, answered)
    fill(alice, answered, size=10)
    assert alice.call("storage.purge", what="media")["removed"] == 2
    assert not reserve.exists()
    grow(small_disk)
    fill_a_little(alice, answered)
    until(reserve.exists)
    assert storage_state(alice) == "ok" and alice.call("storage.check")["ok"]
    people.backend.start()
    until(lambda: alice.call("daemon.status")["outbox"]["pending"] == 0)
    found = history(alice, chat)
    assert {id: text for id, text in found.items() if id in answered} == answered


def test_there_is_room_again_while_it_runs(people, small_disk):
    alice = people.sign_in("alice", arguments=["--data-dir", str(small_disk)])
    chat = alice.call("chats.create", user_id="bob")["chat_id"]
    people.backend.stop()
    answered = {}
    fill(alice, answered)
    grow(small_disk)
    fill_a_little(alice, answered)
    assert storage_state(alice) == "ok"
    people.backend.start()
    until(lambda: alice.call("daemon.status")["outbox"]["pending"] == 0)
    assert history(alice, chat) == answered
