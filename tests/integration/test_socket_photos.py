# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos through the socket, with the real helper and the loopback backend behind it."""

import contextlib
import os
import pathlib

import pytest

import rpc
from people import People, until
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


def test_few_photos_are_prepared_at_once(people):
    """Helpers that wait for a pipe's end, of clients that leave: others wait, then have their turn."""
    alice = people.sign_in("alice")
    children = pathlib.Path(f"/proc/{alice.process.pid}/task/{alice.process.pid}/children")
    pipes = [os.pipe() for _ in range(8)]
    with contextlib.ExitStack() as clients:
        for end, _ in pipes:
            client = clients.enter_context(alice.connect())
            client.start("messages.send", fds=[end], user_id="bob", attachments=[{"fd": 0}])
            client.call("daemon.status")
        assert len(children.read_text().split()) == 4
    with alice.connect() as client:
        photo = client.start("messages.send", fds=[photo_of(20, 10)], user_id="bob", attachments=[{"fd": 0}])
        client.call("daemon.status")
        assert len(children.read_text().split()) == 4
        for end, other in pipes:
            os.write(other, png(30, 20))
            os.close(other)
            os.close(end)
        assert client.finish(photo)["attachments"][0]["width"] == 20
    # What was asked by those who left is carried out.
    with alice.connect() as client:
        chat = client.call("chats.get", user_id="bob")["chat_id"]
        until(lambda: len(client.call("messages.list", chat_id=chat)["messages"]) == 9)


def test_photos_that_nobody_waits_for_are_limited(people):
    alice = people.sign_in("alice")
    end, other = os.pipe()
    for _ in range(64):
        with alice.connect() as client:
            client.start("messages.send", fds=[end], user_id="bob", attachments=[{"fd": 0}])
            client.call("daemon.status")
    with alice.connect() as client:
        with pytest.raises(rpc.RpcError) as error:
            client.call("messages.send", fds=[photo_of(20, 10)], user_id="bob", attachments=[{"fd": 0}])
        assert error.value.data["kind"] == "busy" and error.value.data["retryable"]
        os.close(other)
        os.close(end)
        until(lambda: sends(client))


def sends(client):
    try:
        return client.call("messages.send", user_id="bob", text="hello")
    except rpc.RpcError:
        return None


def photo_of(width, height):
    fd = os.memfd_create("photo")
    os.write(fd, png(width, height))
    return fd
