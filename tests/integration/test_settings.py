# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings through the API and chatctl, and the session that ends when nobody looks."""

import json
import pathlib
import subprocess

import pytest
import rpc
from people import People, until


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def chatctl(account, *arguments):
    program = pathlib.Path(rpc.program()).with_name("chatctl")
    return subprocess.run([program, "--socket", str(account.path), *arguments],
                          capture_output=True, text=True, timeout=60)


def go_foreground(account):
    account.call("settings.set", name="connection.grace_s", value="0")
    account.call("settings.set", name="connection.policy", value="foreground")
    account.wait_state("SUSPENDED")


def test_settings_are_described_checked_and_kept(people):
    alice = people.account("alice")
    settings = {s["name"]: s for s in alice.call("settings.get")["settings"]}
    assert settings["connection.policy"]["value"] == "always"
    assert settings["connection.policy"]["values"] == ["always", "foreground", "push"]
    assert settings["connection.grace_s"]["maximum"] == 86400
    for name, value in ("connection.policy", "never"), ("connection.grace_s", "soon"):
        with pytest.raises(rpc.RpcError) as error:
            alice.call("settings.set", name=name, value=value)
        assert error.value.kind == "invalid"
    [changed] = alice.call("settings.set", name="connection.grace_s", value="7")["settings"]
    assert changed["value"] == "7"
    alice.kill()
    alice.start()
    assert alice.call("settings.get", name="connection.grace_s")["settings"][0]["value"] == "7"
    alice.call("settings.set", name="connection.grace_s")
    assert alice.call("settings.get", name="connection.grace_s")["settings"][0]["value"] == "30"
    with pytest.raises(rpc.RpcError) as error:
        alice.call("settings.get", name="nothing")
    assert error.value.kind == "not_found"


def test_chatctl_shows_and_changes_settings(people):
    alice = people.account("alice")
    shown = chatctl(alice, "settings")
    assert shown.returncode == 0 and "connection.policy = always\n" in shown.stdout
    assert chatctl(alice, "settings", "connection.grace_s", "9").stdout == "connection.grace_s = 9\n"
    as_json = json.loads(chatctl(alice, "settings", "connection.grace_s", "--json").stdout)
    assert as_json["value"] == "9"
    assert chatctl(alice, "settings", "nothing").returncode == 6
    wrong = chatctl(alice, "settings", "connection.policy", "never")
    assert wrong.returncode == 1 and "always, foreground, push" in wrong.stderr


def test_foreground_ends_the_session_with_bye_and_comes_back_for_a_subscriber(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    go_foreground(alice)
    people.backend.wait_stats(lambda s: s["sessions"] == 1)
    bob.call("messages.send", user_id="alice", text="anybody there?")
    until(lambda: bob.call("daemon.status")["outbox"]["pending"] == 0)
    assert alice.call("chats.list")["chats"] == []
    with alice.connect() as client:
        client.call("events.subscribe", topics=["message.added"])
        assert client.next_change()["data"]["text"] == "anybody there?"
        alice.wait_state("LIVE")
        client.call("events.unsubscribe")
        alice.wait_state("SUSPENDED")
        client.call("events.subscribe")
        alice.wait_state("LIVE")
    alice.wait_state("SUSPENDED")


def test_foreground_counts_a_chat_on_screen_and_a_script_that_waits(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    bob.call("messages.send", user_id="alice", text="hello")
    until(lambda: alice.texts("bob") == ["hello"])
    chat = alice.chat_with("bob")
    go_foreground(alice)
    with alice.connect() as client:
        client.call("chats.focus", chat_id=chat)
        alice.wait_state("LIVE")
        client.call("chats.focus", chat_id=None)
        alice.wait_state("SUSPENDED")
        with pytest.raises(rpc.RpcError) as error:
            client.call("chats.focus", chat_id="nothing")
        assert error.value.kind == "not_found"
        client.call("chats.focus", chat_id=chat)
        alice.wait_state("LIVE")
    alice.wait_state("SUSPENDED")
    with alice.connect() as client:
        waiting = client.start("changes.wait", topics=["message.added"])
        alice.wait_state("LIVE")
        bob.call("messages.send", user_id="alice", text="again")
        assert len(client.finish(waiting)["changes"]) == 1
    alice.wait_state("SUSPENDED")


def test_foreground_sends_what_it_took_without_a_frontend(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    go_foreground(alice)
    alice.kill()
    alice.start()
    alice.wait_state("SUSPENDED")
    alice.call("messages.send", user_id="bob", text="from a script")
    until(lambda: bob.texts("alice") == ["from a script"])
    alice.wait_state("SUSPENDED")
    assert alice.call("daemon.status")["outbox"] == {"pending": 0, "failed": 0}
