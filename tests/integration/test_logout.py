# SPDX-License-Identifier: GPL-3.0-or-later
"""An account that its user gives up: nothing of it is left, nobody who follows is misled, and what cannot be done
changes nothing."""

import os
import pathlib
import pty
import subprocess
import time

import pytest
import rpc
from checked_people import contract, people  # noqa: F401 (fixtures)
from people import until


def files(account):
    return sorted(p.name for p in account.data.iterdir())


def refused(account, **params):
    with pytest.raises(rpc.RpcError) as error:
        account.call("account.logout", **params)
    return error.value


def talk(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    bob.call("messages.send", user_id="alice", text="a word to keep")
    until(lambda: alice.texts("bob") == ["a word to keep"])
    return alice, bob


def signed_in(account):
    return account.call("daemon.status")["connection"]["state"] != "OFFLINE"


def test_nothing_happens_until_it_is_confirmed(people):
    alice, _ = talk(people)
    people.backend.stop()
    alice.call("messages.send", user_id="bob", text="unsent")
    error = refused(alice, confirm=False)
    assert error.kind == "conflict"
    assert error.data["detail"].startswith("this removes from here: messages 2, of them unsent 1, photos 0")
    assert refused(alice).code == -32602
    assert alice.texts("bob") == ["a word to keep", "unsent"]


def test_what_was_stored_is_gone_and_another_can_sign_in(people):
    alice, bob = talk(people)
    alice.call("settings.set", name="connection.grace_s", value="7")
    (alice.data / "media.db.damaged-20260101T000000Z").write_bytes(b"old")
    old = [open(alice.data / name, "rb") for name in ("chat.db", "media.db")]
    key = (alice.data / "key").read_bytes()
    with alice.connect() as client:
        client.call("events.subscribe", topics=["chat.removed"], consumer="bot")
        chat = alice.chat_with("bob")
        assert client.call("account.logout", confirm=True) == {}
        told = client.next_change()
        assert told["data"]["chat_id"] == chat
        assert client.call("chats.list")["chats"] == []
        assert client.call("chats.list")["as_of"] >= told["seq"]
        assert [c["consumer"] for c in client.call("events.consumers")["consumers"]] == ["bot"]
        assert client.call("settings.get", name="connection.grace_s")["settings"][0]["value"] == "7"
        assert client.call("daemon.status")["connection"]["state"] == "OFFLINE"
    for file in old:
        assert os.fstat(file.fileno()).st_nlink == 0
        file.close()
    assert alice.call("storage.stats")["messages"] == 0
    assert (alice.data / "key").read_bytes() == key
    assert not [name for name in files(alice) if "damaged" in name or name.startswith("chat.db.new")]
    alice.stop()
    alice.start()
    assert not signed_in(alice) and alice.call("chats.list")["chats"] == []
    alice.call("account.login", server=people.url, user_id="carol", password=people.backend.users["carol"])
    alice.wait_state("LIVE")
    bob.call("messages.send", user_id="carol", text="hello, carol")
    until(lambda: alice.texts("bob") == ["hello, carol"])


def test_the_same_user_has_the_history_again(people):
    alice, _ = talk(people)
    with alice.connect() as client:
        client.call("account.logout", confirm=True)
    alice.call("account.login", server=people.url, user_id="alice", password=people.backend.users["alice"])
    until(lambda: alice.texts("bob") == ["a word to keep"])


def test_who_waits_for_changes_misses_none(people):
    alice, _ = talk(people)
    chat, since = alice.chat_with("bob"), alice.call("chats.list")["as_of"]
    with alice.connect() as waiting, alice.connect() as client:
        asked = waiting.start("changes.wait", topics=["chat.removed"], since=since, timeout_ms=60000)
        client.call("account.logout", confirm=True)
        told = waiting.finish(asked)
        assert told["changes"] == []
        told = waiting.call("changes.wait", topics=["chat.removed"], since=told["seq"], timeout_ms=60000)
        assert [c["chat_id"] for c in told["changes"]] == [chat]


def test_while_locked_it_cannot_be_told_what_would_be_lost(people):
    alice, _ = talk(people)
    alice.call("account.lock")
    assert refused(alice, confirm=True).kind == "locked"
    alice.call("account.unlock")
    assert alice.texts("bob") == ["a word to keep"]


def test_what_cannot_be_done_leaves_everything_as_it_was(people):
    alice, _ = talk(people)
    (alice.data / "chat.db.new").mkdir()
    (alice.data / "chat.db.new" / "in the way").touch()
    assert refused(alice, confirm=True).kind == "storage_error"
    alice.wait_state("LIVE")
    assert alice.texts("bob") == ["a word to keep"]


@pytest.mark.parametrize("moment_ms", [0, 1, 2, 4, 8, 16, 32])
def test_a_kill_leaves_the_account_or_none(people, moment_ms):
    alice, _ = talk(people)
    with alice.connect() as client:
        client.start("account.logout", confirm=True)
        time.sleep(moment_ms / 1000)
        alice.kill()
    alice.start()
    if signed_in(alice):
        assert alice.texts("bob") == ["a word to keep"]
    else:
        assert alice.call("chats.list")["chats"] == []
    stats = alice.call("storage.stats")
    assert alice.call("storage.check")["problems"] == [] and stats


def chatctl(account, *arguments, **options):
    program = pathlib.Path(rpc.program()).with_name("chatctl")
    return subprocess.run([program, "--socket", account.path, *arguments], text=True, capture_output=True,
                          timeout=60, check=False, **options)


def test_chatctl_asks_first(people):
    alice, _ = talk(people)
    said = chatctl(alice, "logout", stdin=subprocess.DEVNULL)
    assert said.returncode == 1 and said.stdout == ""
    assert said.stderr == ("chatctl: this removes from here: messages 1, of them unsent 0, photos 0; "
                           "it has to be confirmed (--yes)\n")
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    said = chatctl(alice, "logout", stdin=theirs)
    assert said.returncode == 1 and said.stderr.endswith("Sign out? [y/N] chatctl: nothing was changed\n")
    assert signed_in(alice)
    os.write(ours, b"y\n")
    said = chatctl(alice, "logout", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert said.returncode == 0 and said.stdout == "Signed out; what was stored here is removed.\n"
    assert not signed_in(alice)
    said = chatctl(alice, "logout", "--yes", "--json")
    assert (said.returncode, said.stdout) == (0, "{}\n")
