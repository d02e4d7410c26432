# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos through the socket, with the real helper and the loopback backend behind it."""

import pytest

import rpc
from people import People
from pictures import png

pytestmark = pytest.mark.skipif(not rpc.has_demo(), reason="this chatd serves no account")


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def test_messages_are_taken_over_in_their_order(people, tmp_path):
    """A photo takes a while to be prepared; the text behind it waits for that."""
    alice = people.sign_in("alice")
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(1200, 900))
    with alice.connect() as client, open(photo, "rb") as file:
        chat = client.call("chats.create", user_id="bob")["chat_id"]
        client.call("events.subscribe", topics=["message.added"])
        first = client.start("messages.send", fds=[file.fileno()], chat_id=chat, text="look",
                             attachments=[{"fd": 0}])
        second = client.start("messages.send", chat_id=chat, text="nice, is it not?")
        client.finish(second)
        client.finish(first)
        added = [client.next_change()["data"]["text"] for _ in range(2)]
    assert added == ["look", "nice, is it not?"]


def test_one_descriptor_in_several_messages_of_a_batch(people, tmp_path):
    alice = people.sign_in("alice")
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(20, 10))
    with alice.connect() as client, open(photo, "rb") as file:
        client.send_value([{"jsonrpc": "2.0", "id": n, "method": "messages.send", "params": {
            "user_id": "bob", "attachments": [{"fd": 0}]}} for n in range(3)], fds=[file.fileno()])
        answers = client.read()
    photos = [answer["result"]["attachments"][0] for answer in answers]
    assert {(p["width"], p["height"]) for p in photos} == {(20, 10)}
    assert len({p["attachment_id"] for p in photos}) == 3
