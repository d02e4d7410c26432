# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that are refused, tried again, taken back; and chats deleted on another device."""

import pytest
import rpc
from people import People, until
from test_conversation import PHOTO, send_photo


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def test_a_refused_message_can_be_sent_again(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    people.backend.control("refuse_message", status=422)
    sent = alice.call("messages.send", user_id="bob", text="rude")
    [failed] = until(lambda: [m for m in alice.call("outbox.list")["messages"]
                              if m["status"] == "FAILED"])
    assert failed["message_id"] == sent["message_id"] and failed["error"]["title"]
    with alice.connect() as client:
        client.call("events.subscribe", topics=["message.updated"])
        again = client.call("messages.retry", message_id=sent["message_id"])
        assert again["status"] == "PENDING" and "error" not in again
        assert client.next_change()["data"]["message_id"] == sent["message_id"]
    until(lambda: bob.texts("alice") == ["rude"])
    until(lambda: alice.call("outbox.list")["messages"] == [])
    with pytest.raises(rpc.RpcError) as error:
        alice.call("messages.retry", message_id=sent["message_id"])
    assert error.value.kind == "conflict"


def test_a_message_taken_back_never_arrives(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="first")
    until(lambda: bob.texts("alice") == ["first"])
    people.backend.stop()
    alice.wait_state("BACKOFF")
    with alice.connect() as client:
        wrong = client.call("messages.send", user_id="bob", text="wrong")
        photo = send_photo(client, PHOTO, user_id="bob")
        stranger = client.call("messages.send", user_id="carol", text="to nobody")
        client.call("messages.send", user_id="bob", text="right")
        client.call("events.subscribe", topics=["message.removed", "chat.removed"])
        for message in wrong, photo, stranger:
            assert client.call("messages.cancel", message_id=message["message_id"]) == {}
        removed = [client.next_change()["data"] for _ in range(4)]
        assert [d["message_id"] for d in removed if "message_id" in d] == [
            m["message_id"] for m in (wrong, photo, stranger)]
        assert removed[-1]["chat_id"] == stranger["chat_id"]
        with pytest.raises(rpc.RpcError) as error:
            client.call("attachments.get", attachment_id=photo["attachments"][0]["attachment_id"])
        assert error.value.kind == "not_found"
    assert [m["text"] for m in alice.call("outbox.list")["messages"]] == ["right"]
    people.backend.start()
    until(lambda: bob.texts("alice") == ["first", "right"])
    assert len(alice.call("chats.list")["chats"]) == 1


def lose_an_answer(people):
    """Bob has alice's second message, and she does not know; the server is away then."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="first")
    until(lambda: bob.texts("alice") == ["first"])
    people.backend.control("lose", user="alice", event_type="MSG_ACK")
    sent = alice.call("messages.send", user_id="bob", text="second")
    until(lambda: bob.texts("alice") == ["first", "second"])
    people.backend.stop()
    alice.wait_state("BACKOFF")
    return alice, bob, sent


def assert_on_its_way(account, sent):
    with pytest.raises(rpc.RpcError) as error:
        account.call("messages.cancel", message_id=sent["message_id"])
    assert error.value.kind == "conflict"


def test_a_message_on_its_way_cannot_be_taken_back(people):
    alice, bob, sent = lose_an_answer(people)
    assert_on_its_way(alice, sent)
    people.backend.start()
    until(lambda: alice.messages("bob")[-1]["status"] == "RECEIVED")
    assert bob.texts("alice") == ["first", "second"]


def test_a_kill_does_not_make_what_is_on_its_way_look_unsent(people):
    alice, bob, sent = lose_an_answer(people)
    waiting = alice.call("messages.send", user_id="bob", text="third")
    alice.kill()
    alice.start()
    assert_on_its_way(alice, sent)
    assert alice.call("messages.cancel", message_id=waiting["message_id"]) == {}
    people.backend.start()
    until(lambda: alice.messages("bob")[-1]["status"] == "RECEIVED")
    assert bob.texts("alice") == ["first", "second"]
    assert alice.texts("bob") == ["first", "second"]


def test_the_outbox_is_listed_page_by_page(people):
    alice = people.sign_in("alice")
    people.backend.stop()
    alice.wait_state("BACKOFF")
    sent = [alice.call("messages.send", user_id="bob", text=str(n))["message_id"] for n in range(7)]
    seen, after = [], {}
    while True:
        page = alice.call("outbox.list", limit=3, **after)
        seen += [m["message_id"] for m in page["messages"]]
        after = {"after": seen[-1]}
        if not page["more"]:
            break
    assert seen == sent
    with pytest.raises(rpc.RpcError) as error:
        alice.call("outbox.list", after="nothing")
    assert error.value.kind == "not_found"


def delete_elsewhere(people, chat):
    answer = people.backend.login("alice").request("DELETE", f"/chats/{chat}")
    assert answer.status == 204, answer


def test_a_chat_deleted_on_another_device_goes_here_too(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with alice.connect() as client:
        send_photo(client, PHOTO, user_id="bob")
    until(lambda: alice.call("outbox.list")["messages"] == [])
    bob.call("messages.send", user_id="alice", text="unread")
    until(lambda: len(alice.texts("bob")) == 2)
    until(lambda: len(bob.texts("alice")) == 2)
    chat = alice.chat_with("bob")
    with alice.connect() as client:
        client.call("events.subscribe", topics=["chat.removed"])
        delete_elsewhere(people, chat)
        people.backend.control("drop", user="alice")
        assert client.next_change()["data"] == {"chat_id": chat}
    assert alice.call("chats.list")["chats"] == []
    assert alice.call("daemon.status")["unread"] == 0
    bob.call("messages.send", user_id="alice", text="again")
    until(lambda: alice.texts("bob") == ["look", "unread", "again"])
    assert alice.texts("bob") == bob.texts("alice")


def test_a_chat_with_something_to_send_survives_its_deletion_elsewhere(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="first")
    until(lambda: bob.texts("alice") == ["first"])
    until(lambda: alice.call("outbox.list")["messages"] == [])
    people.backend.stop()
    alice.wait_state("BACKOFF")
    alice.kill()
    people.backend.start()
    delete_elsewhere(people, bob.chat_with("alice"))
    people.backend.stop()
    alice.start()
    alice.call("messages.send", user_id="bob", text="written offline")
    people.backend.start()
    until(lambda: bob.texts("alice") == ["first", "written offline"])
    until(lambda: alice.texts("bob") == ["first", "written offline"])
    assert [c["id"] for c in people.backend.login("alice").get("/chats")["chats"]] == [
        alice.chat_with("bob")]
