# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept, for how long, whether it is whole, and copies of it."""

import pathlib
import shutil
import subprocess

import pytest

import rpc
from checked_people import contract, people  # noqa: F401 (fixtures)
from people import Account, People, until

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"


def chatctl(account, *arguments):
    program = pathlib.Path(rpc.program()).with_name("chatctl")
    return subprocess.run([program, "--socket", account.path, *arguments], text=True,
                          capture_output=True, timeout=60, check=False)


def stats(account):
    return account.call("storage.stats")


def fails(account, kind, method, **params):
    with pytest.raises(rpc.RpcError) as error:
        account.call(method, **params)
    assert error.value.kind == kind, error.value
    return error.value.data["detail"]


def talk(people, count=300, photo=False):
    """bob has written to alice, who has read it all."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with bob.connect() as client:
        if photo:
            client.call("messages.send", user_id="alice", text="look", attachments=[{"path": str(PHOTO)}])
        for n in range(count):
            client.call("messages.send", user_id="alice", text=f"pear {n}")
    last = f"pear {count - 1}"
    until(lambda: last in alice.texts("bob") and ("look" in alice.texts("bob")) == photo)
    read_all(alice)
    return alice, bob


def read_all(alice):
    chat = alice.chat_with("bob")
    newest = alice.messages("bob")[-1]["message_id"]
    alice.call("messages.mark_read", chat_id=chat, message_id=newest)
    return chat


def all_texts(alice, chat):
    """Page by page, back to the first; what is not here is asked of the server."""
    texts, before = [], {}
    while True:
        page = alice.call("messages.list", chat_id=chat, limit=100, **before)
        texts = [m["text"] for m in page["messages"]] + texts
        if not page["more"]:
            return texts
        before = {"before": page["messages"][0]["message_id"]}


def test_only_so_many_messages_stay_and_the_rest_is_fetched_again(people):
    alice, _ = talk(people)
    chat = alice.chat_with("bob")
    alice.call("settings.set", name="retention.messages_per_chat", value="50")
    until(lambda: stats(alice)["messages"] == 50)
    assert alice.call("chats.get", chat_id=chat)["last_message_text"] == "pear 299"
    page = alice.call("messages.list", chat_id=chat, limit=50)
    assert page["messages"][0]["text"] == "pear 250" and page["more"]
    found = chatctl(alice, "search", "-n", "1000", "pear")
    assert "pear 250" in found.stdout and "pear 249" not in found.stdout
    assert all_texts(alice, chat) == [f"pear {n}" for n in range(300)]
    assert alice.stop() == 0
    alice.start()
    until(lambda: stats(alice)["messages"] == 50)


def test_offline_what_has_left_is_known_to_be_missing(people):
    alice, _ = talk(people, count=120)
    chat = alice.chat_with("bob")
    alice.call("settings.set", name="retention.messages_per_chat", value="20")
    until(lambda: stats(alice)["messages"] == 20)
    people.backend.stop()
    until(lambda: alice.call("daemon.status")["connection"]["state"] != "LIVE")
    page = alice.call("messages.list", chat_id=chat, limit=100)
    assert len(page["messages"]) == 20 and page["more"]
    people.backend.start()
    alice.wait_state("LIVE")
    assert all_texts(alice, chat) == [f"pear {n}" for n in range(120)]


def test_unread_and_unsent_messages_stay(people):
    alice, bob = talk(people, count=30)
    chat = alice.chat_with("bob")
    with bob.connect() as client:
        for n in range(30, 60):
            client.call("messages.send", user_id="alice", text=f"pear {n}")
    until(lambda: alice.texts("bob")[-1:] == ["pear 59"])
    people.backend.stop()
    alice.call("messages.send", chat_id=chat, text="to be sent")
    alice.call("settings.set", name="retention.messages_per_chat", value="1")
    until(lambda: stats(alice)["messages"] == 31)
    assert alice.call("chats.get", chat_id=chat)["unread_count"] == 30
    people.backend.start()
    alice.wait_state("LIVE")
    until(lambda: "to be sent" in bob.texts("alice"))
    assert alice.call("chats.get", chat_id=chat)["unread_count"] == 30
    assert all_texts(alice, chat) == [*(f"pear {n}" for n in range(60)), "to be sent"]


def test_changes_go_on_in_order_after_messages_have_left(people):
    alice, bob = talk(people, count=50)
    with alice.connect() as client:
        since = client.call("chats.list")["as_of"]
        assert client.call("storage.purge", what="history")["removed"] == 49
        assert alice.stop() == 0
    alice.start()
    with alice.connect() as client:
        client.call("events.subscribe", since=since)
        bob.call("messages.send", user_id="alice", text="new")
        added = client.next_change(lambda c: c["topic"] == "message.added")
        assert added["data"]["text"] == "new" and added["seq"] > since


def test_purging_gives_the_space_back(people):
    alice, _ = talk(people, count=3, photo=True)
    alice.call("settings.set", name="auto_download", value="always")
    chat = alice.chat_with("bob")
    photo = next(m for m in alice.messages("bob") if m["attachments"])["attachments"][0]["attachment_id"]
    alice.call("attachments.download", attachment_id=photo)
    until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    before = stats(alice)
    assert before["photos"] == 1 and before["photo_bytes"] > 10000 and before["previews"] == 1
    assert alice.call("storage.purge", what="media") == {"removed": 1}
    after = stats(alice)
    assert after["photos"] == 0 and after["photo_bytes"] == 0 and after["previews"] == 1
    assert alice.call("attachments.get", attachment_id=photo)["status"] == "WAITING"
    assert alice.call("storage.purge", what="media") == {"removed": 0}
    assert alice.call("storage.purge", what="history")["removed"] == 3
    assert sorted(all_texts(alice, chat)) == ["look", "pear 0", "pear 1", "pear 2"]
    fails(alice, "invalid_params", "storage.purge", what="everything")


def test_a_check_finds_what_is_damaged_and_nothing_else(people):
    alice, _ = talk(people, count=3, photo=True)
    photo = next(m for m in alice.messages("bob") if m["attachments"])["attachments"][0]["attachment_id"]
    alice.call("attachments.download", attachment_id=photo)
    until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    assert alice.call("storage.check") == {"ok": True, "problems": []}
    assert chatctl(alice, "storage", "check").stdout == "All is whole.\n"
    assert alice.stop() == 0
    path = alice.data / "media.db"
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size - 4096 - 2000)
        file.write(b"\xaa" * 16)
    alice.start()
    told = alice.call("storage.check")
    assert not told["ok"] and {p["database"] for p in told["problems"]} == {"media"}
    said = chatctl(alice, "storage", "check")
    assert said.returncode == 1 and said.stdout.startswith("media.db: ")


def test_a_copy_is_whole_encrypted_and_opens_by_what_opens_the_original(people, tmp_path):
    alice, bob = talk(people, count=100, photo=True)
    copy = tmp_path / "copy"
    assert "recovery key" in fails(alice, "conflict", "storage.backup", path=str(copy))
    assert not copy.exists()
    way_back = alice.call("account.make_recovery_key")["recovery_key"]
    with alice.connect() as client, bob.connect() as other:
        backup = client.start("storage.backup", path=str(copy))
        for n in range(50):
            other.call("messages.send", user_id="alice", text=f"meanwhile {n}")
        assert client.finish(backup)["bytes"] > 100000
    assert sorted(p.name for p in copy.iterdir()) == ["chat.db", "key.check", "key.recovery", "media.db"]
    assert copy.stat().st_mode & 0o777 == 0o700
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in copy.iterdir())
    assert not any(b"pear" in p.read_bytes() for p in copy.iterdir())
    fails(alice, "conflict", "storage.backup", path=str(copy))
    fails(alice, "not_found", "storage.backup", path=str(tmp_path / "not" / "there"))
    fails(alice, "invalid_params", "storage.backup", path="relative")
    until(lambda: "meanwhile 49" in alice.texts("bob"))
    assert alice.stop() == 0
    people.backend.stop()
    restored = people.directory / "restored"
    restored.mkdir()
    shutil.copytree(copy, restored / "data")
    other = Account(restored, "alice").start()
    people.accounts.append(other)
    assert other.call("daemon.status")["locked"]["reason"] == "key_missing"
    other.call("account.unlock", recovery_key=way_back)
    texts = other.texts("bob")
    assert [t for t in texts if t.startswith("pear")] == [f"pear {n}" for n in range(100)]
    assert other.call("storage.check")["ok"]
    other.call("account.set_key_source", source="file")
    assert other.stop() == 0
    people.backend.start()


def test_a_copy_is_whole_or_not_there(people, tmp_path):
    """The key's check, which the first start may have had no room for, is made up for."""
    alice, _ = talk(people, count=3)
    alice.call("account.make_recovery_key")
    check, copy = alice.data / "key.check", tmp_path / "copy"
    check.unlink()
    check.mkdir()
    with pytest.raises(rpc.RpcError):
        alice.call("storage.backup", path=str(copy))
    assert not copy.exists()
    check.rmdir()
    alice.call("storage.backup", path=str(copy))
    assert sorted(p.name for p in copy.iterdir()) == ["chat.db", "key.check", "key.recovery", "media.db"]
    assert (copy / "key.check").read_bytes() == check.read_bytes()


def test_chatctl_shows_and_copies(people, tmp_path):
    alice, _ = talk(people, count=3)
    shown = chatctl(alice, "storage", "stats").stdout
    assert "Messages   3 in 1 chats" in shown and "media.db" in shown
    chatctl(alice, "key", "recovery")
    made = subprocess.run([pathlib.Path(rpc.program()).with_name("chatctl"), "--socket", alice.path, "storage",
                           "backup", "here"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"in {tmp_path}/here" in made.stdout and (tmp_path / "here" / "chat.db").exists()
    assert chatctl(alice, "storage", "purge", "history").stdout.startswith("2 removed")
    assert chatctl(alice, "storage", "purge", "history").stdout == "Nothing was there to be removed.\n"


def test_every_method_of_storage_was_seen(contract):
    """Runs last."""
    assert {m for m in contract.methods if m.startswith("storage.")} <= contract.seen
