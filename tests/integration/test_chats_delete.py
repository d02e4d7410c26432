# SPDX-License-Identifier: GPL-3.0-or-later
"""A chat that its user takes off the list."""

import pytest
import rpc
from people import People, until


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def talk(alice, bob):
    alice.call("messages.send", user_id="bob", text="hello")
    until(lambda: bob.texts("alice") == ["hello"])
    bob.call("messages.send", user_id="alice", text="hi")
    until(lambda: alice.texts("bob") == ["hello", "hi"])


def refused(account, chat):
    with pytest.raises(rpc.RpcError) as error:
        account.call("chats.delete", chat_id=chat)
    return error.value.kind


def test_a_chat_goes_and_comes_back_with_the_next_message(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    talk(alice, bob)
    chat = alice.chat_with("bob")
    with alice.connect() as client:
        client.call("events.subscribe", topics=["chat.removed", "message.added"])
        assert client.call("chats.delete", chat_id=chat) == {}
        assert client.next_change()["data"]["chat_id"] == chat
        assert client.call("chats.list")["chats"] == []
        assert client.call("daemon.status")["unread"] == 0
        assert refused(alice, chat) == "not_found"
    alice.stop()
    alice.start()
    alice.wait_state("LIVE")
    assert alice.call("chats.list")["chats"] == []
    assert bob.texts("alice") == ["hello", "hi"]
    bob.call("messages.send", user_id="alice", text="still there?")
    until(lambda: alice.texts("bob")[-1:] == ["still there?"])
    assert alice.chat_with("bob") == chat
    until(lambda: alice.texts("bob") == ["hello", "hi", "still there?"])


def test_without_the_server_it_stays(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    talk(alice, bob)
    people.backend.stop()
    alice.wait_state("BACKOFF")
    assert refused(alice, alice.chat_with("bob")) == "offline"
    assert alice.texts("bob") == ["hello", "hi"]


def test_what_waits_to_be_sent_keeps_its_chat(people):
    alice = people.sign_in("alice")
    people.backend.stop()
    alice.wait_state("BACKOFF")
    sent = alice.call("messages.send", user_id="bob", text="hello")
    assert refused(alice, sent["chat_id"]) == "conflict"
    assert [m["text"] for m in alice.call("outbox.list")["messages"]] == ["hello"]
