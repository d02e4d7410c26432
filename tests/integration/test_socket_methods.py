# SPDX-License-Identifier: GPL-3.0-or-later
"""Each method on the socket: its good answer, its errors, and that both are as described."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest

import rpc
from api_contract import Contract
from rpc import Daemon, RpcError

pytestmark = pytest.mark.skipif(not rpc.has_demo(), reason="this chatd has no --demo")

TOOL = pathlib.Path(__file__).parents[2] / "tools/make-api-doc"
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/api.md"

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana", "picture_url": "https://x.invalid/ana.jpg"},
              {"id": "bo", "name": "Bo"}, {"id": "cy", "name": "Cy"}],
    "chats": [
        {"id": "c1", "user_id": "ana", "unread": 2, "messages": [
            {"id": f"a{n}", "from": "ana" if n % 3 else "me", "text": f"message {n}",
             "minutes_ago": 500 - n}
            for n in range(1, 121)]},
        {"id": "c2", "user_id": "bo", "messages": [
            {"id": "b1", "from": "bo", "text": "look", "minutes_ago": 2,
             "attachments": [{"id": "p1", "name": "p.jpg", "generate": 700000,
                              "preview_generate": 5000}]}]},
    ],
    "behaviour": {"ack_ms": 1, "received_ms": 2, "read_ms": 3},
}


# What a made-up world has nothing for; test_keys.py and test_storage.py call these.
NEED_A_DISK = {"account.lock", "account.logout", "account.make_recovery_key", "account.set_key_source",
               "account.set_passphrase", "account.unlock", "storage.backup", "storage.check",
               "storage.purge", "storage.stats"}


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    return Contract.printed()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, contract):
    with Daemon(tmp_path_factory.mktemp("socket"), WORLD, check=contract.check) as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with daemon.connect() as client:
        yield client


def fails(client, kind, method, **params):
    with pytest.raises(RpcError) as error:
        client.call(method, **params)
    assert error.value.kind == kind, error.value
    return error.value


def test_the_daemon_speaks_first(client, contract):
    contract.check_hello(client.hello)
    assert client.hello["scope"] == "full"
    assert client.hello["limits"]["line"] == 1 << 20


def test_status(client):
    status = client.call("daemon.status")
    assert status["account"]["signed_in"] and status["account"]["user_id"] == "me"
    assert status["connection"]["state"] == "LIVE"
    assert status["storage"]["state"] == "ok"


def test_status_refuses_parameters(client):
    fails(client, "invalid_params", "daemon.status", verbose=True)


def test_login(client):
    account = client.call("daemon.status")["account"]
    server, user_id = account["server"], account["user_id"]
    again = client.call("account.login", server=server, user_id=user_id, password="x")
    assert again["signed_in"] and again["user_id"] == user_id
    fails(client, "conflict", "account.login", server=server, user_id="somebody", password="x")
    fails(client, "invalid_params", "account.login", server=server, user_id=user_id)


def test_chats_list_pages(client):
    everything = client.call("chats.list")
    ids = [chat["chat_id"] for chat in everything["chats"]]
    assert ids[0] == "c2" and "c1" in ids
    first = client.call("chats.list", limit=1)
    assert [chat["chat_id"] for chat in first["chats"]] == ids[:1]
    second = client.call("chats.list", limit=1, cursor=first["cursor"])
    assert [chat["chat_id"] for chat in second["chats"]] == ids[1:2]
    fails(client, "invalid_params", "chats.list", cursor="nonsense")
    fails(client, "invalid_params", "chats.list", limit=0)


def test_chats_get(client):
    by_id = client.call("chats.get", chat_id="c2")
    assert by_id == client.call("chats.get", user_id="bo")
    assert by_id["username"] == "Bo" and by_id["last_message_text"] == "look"
    fails(client, "not_found", "chats.get", chat_id="nowhere")
    fails(client, "not_found", "chats.get", user_id="nobody")
    fails(client, "invalid_params", "chats.get")
    fails(client, "invalid_params", "chats.get", chat_id="c2", user_id="bo")


def test_chats_create(client):
    assert client.call("chats.create", user_id="bo")["chat_id"] == "c2"
    made = client.call("chats.create", user_id="cy")
    assert made["user_id"] == "cy" and made["last_message_timestamp"] is None
    assert client.call("chats.create", user_id="cy")["chat_id"] == made["chat_id"]
    fails(client, "not_found", "chats.create", user_id="nobody")


def test_chats_delete(client):
    chat = client.call("chats.create", user_id="cy")["chat_id"]
    client.call("events.subscribe", topics=["chat.removed"])
    assert client.call("chats.delete", chat_id=chat) == {}
    assert client.next_change()["data"]["chat_id"] == chat
    fails(client, "not_found", "chats.get", chat_id=chat)
    fails(client, "not_found", "chats.delete", chat_id=chat)
    fails(client, "invalid_params", "chats.delete")


def test_messages_list_reaches_back_to_the_beginning(client):
    page = client.call("messages.list", chat_id="c1", limit=50)
    texts = [m["text"] for m in page["messages"]]
    while page["more"]:
        oldest = page["messages"][0]["message_id"]
        page = client.call("messages.list", chat_id="c1", limit=50, before=oldest)
        texts = [m["text"] for m in page["messages"]] + texts
    assert texts[:120] == [f"message {n}" for n in range(1, 121)]


def test_messages_list_goes_forward(client):
    client.call("messages.list", chat_id="c1", limit=200)
    page = client.call("messages.list", chat_id="c1", after="a100", limit=5)
    assert [m["message_id"] for m in page["messages"]] == ["a101", "a102", "a103", "a104", "a105"]
    assert page["more"]
    fails(client, "not_found", "messages.list", chat_id="nowhere")
    fails(client, "not_found", "messages.list", chat_id="c1", after="nothing")
    fails(client, "invalid_params", "messages.list", chat_id="c1", after="a1", before="a2")


def test_messages_get(client):
    message = client.call("messages.get", message_id="b1")
    assert message["text"] == "look" and not message["outgoing"]
    assert [a["attachment_id"] for a in message["attachments"]] == ["p1"]
    fails(client, "not_found", "messages.get", message_id="nothing")


def test_messages_send(client):
    sent = client.call("messages.send", chat_id="c1", text="hello ☃")
    assert sent["status"] in ("PENDING", "SENT") and sent["outgoing"]
    assert sent["text"] == "hello ☃"
    assert client.call("messages.get", message_id=sent["message_id"])["text"] == "hello ☃"
    fails(client, "not_found", "messages.send", chat_id="nowhere", text="x")
    fails(client, "invalid_params", "messages.send", chat_id="c1")
    fails(client, "invalid_params", "messages.send", chat_id="c1", text="x" * 65537)


def test_messages_send_is_idempotent(client):
    first = client.call("messages.send", chat_id="c1", text="once", message_id="my-own-id")
    again = client.call("messages.send", chat_id="c1", text="once", message_id="my-own-id")
    assert again["message_id"] == first["message_id"] == "my-own-id"
    page = client.call("messages.list", chat_id="c1")
    assert [m["message_id"] for m in page["messages"]].count("my-own-id") == 1
    fails(client, "conflict", "messages.send", chat_id="c1", text="other", message_id="my-own-id")


def test_messages_send_to_a_person(client):
    sent = client.call("messages.send", user_id="ana", text="by name")
    assert sent["chat_id"] == "c1"


def test_messages_of_a_connection_keep_their_order(client):
    ids = [client.start("messages.send", chat_id="c1", text=f"order {n}") for n in range(40)]
    for id in ids:
        client.finish(id)
    page = client.call("messages.list", chat_id="c1", limit=40)
    assert [m["text"] for m in page["messages"]] == [f"order {n}" for n in range(40)]


def test_messages_mark_read(client):
    last = client.call("messages.list", chat_id="c2")["messages"][-1]["message_id"]
    assert client.call("messages.mark_read", chat_id="c2", message_id=last) == {"unread_count": 0}
    assert client.call("chats.get", chat_id="c2")["unread_count"] == 0
    fails(client, "not_found", "messages.mark_read", chat_id="c2", message_id="nothing")


def test_outbox_list_retry_and_cancel(client):
    client.call("events.subscribe", topics=["message.updated", "chat.removed"])
    sent = client.call("messages.send", user_id="stranger", text="hello?")

    def wait_failed():
        client.next_change(lambda c: c["data"].get("status") == "FAILED")
        return client.call("outbox.list", limit=1)["messages"]

    [failed] = wait_failed()
    assert failed["message_id"] == sent["message_id"] and failed["error"]["title"]
    again = client.call("messages.retry", message_id=sent["message_id"])
    assert again["status"] == "PENDING"
    wait_failed()
    assert client.call("messages.cancel", message_id=sent["message_id"]) == {}
    assert client.next_change(lambda c: c["topic"] == "chat.removed")["data"] == {
        "chat_id": sent["chat_id"]}
    assert client.call("outbox.list")["messages"] == []
    for verb in ("messages.retry", "messages.cancel"):
        fails(client, "not_found", verb, message_id=sent["message_id"])
        fails(client, "conflict", verb, message_id="a1")
    fails(client, "not_found", "outbox.list", after=sent["message_id"])


def test_settings(client):
    assert client.call("settings.get")["settings"]
    [one] = client.call("settings.get", name="connection.grace_s")["settings"]
    assert client.call("settings.set", name="connection.grace_s", value="5")["settings"] == [
        {**one, "value": "5"}]
    assert client.call("settings.set", name="connection.grace_s", value=None)["settings"] == [one]
    fails(client, "invalid", "settings.set", name="connection.policy", value="x")
    fails(client, "not_found", "settings.set", name="x", value="x")
    fails(client, "not_found", "settings.get", name="x")


def test_chats_focus(client):
    assert client.call("chats.focus", chat_id="c1") == {}
    fails(client, "not_found", "chats.focus", chat_id="nothing")
    assert client.call("chats.focus") == {}


def test_users_get(client):
    assert client.call("users.get", user_id="ana")["name"] == "Ana"
    fails(client, "not_found", "users.get", user_id="nobody")


def test_discover_is_what_the_program_prints(client, contract):
    assert client.call("rpc.discover") == contract.document


def test_a_photo_comes_whole(client):
    client.call("events.subscribe", topics=["attachment.updated"])
    attachment = client.call("attachments.get", attachment_id="p1")
    assert attachment["size"] == 700000 and attachment["chat_id"] == "c2"
    client.call("attachments.download", attachment_id="p1")
    while client.call("attachments.get", attachment_id="p1")["status"] != "READY":
        client.next_change()
    assert client.call("attachments.cancel", attachment_id="p1")["status"] == "READY"
    fails(client, "not_found", "attachments.cancel", attachment_id="none")
    opened = client.call("attachments.open", attachment_id="p1")
    assert opened["size"] == 700000 and len(client.fds) == 1
    data = os.pread(client.fds[0], 1 << 20, 0)
    assert len(data) == 700000
    with pytest.raises(OSError):
        os.pwrite(client.fds[0], b"x", 0)
    pieces, offset = [], 0
    while piece := client.call("attachments.read", attachment_id="p1", offset=offset)["data"]:
        pieces.append(base64.b64decode(piece))
        offset += len(pieces[-1])
    assert b"".join(pieces) == data
    preview = client.call("attachments.read", attachment_id="p1", variant="preview")
    assert preview["size"] == 5000 == len(base64.b64decode(preview["data"]))


def test_photos_that_are_not_there(client):
    for verb in ("get", "download", "open", "read"):
        fails(client, "not_found", f"attachments.{verb}", attachment_id="nothing")
    fails(client, "invalid_params", "attachments.open", attachment_id="p1", variant="tiny")
    fails(client, "invalid_params", "attachments.read", attachment_id="p1", length=1 << 20)


def test_subscribe_and_unsubscribe(client):
    position = client.call("events.subscribe")["seq"]
    assert position == client.call("chats.list")["as_of"]
    assert client.call("events.subscribe", since=0)["seq"] == 0
    assert client.call("events.unsubscribe") == {}
    fails(client, "invalid", "events.subscribe", since=1 << 40)
    fails(client, "invalid_params", "events.subscribe", topics=["message.addd"])


def test_errors_name_what_was_meant(client):
    error = fails(client, "method_not_found", "message.send")
    assert "did you mean 'messages.send'?" in error.data["detail"]
    error = fails(client, "invalid_params", "chats.list", limits=1)
    assert "did you mean 'limit'?" in error.data["detail"]


def test_search(client):
    page = client.call("messages.search", query="message 11", limit=3)
    assert len(page["results"]) == 3 and page["cursor"]
    client.call("messages.search", query="message 11", limit=3, cursor=page["cursor"])
    assert client.call("messages.search", query="message 7", chat_id="c2")["results"] == []
    fails(client, "not_found", "messages.search", query="x", chat_id="nowhere")
    fails(client, "invalid_params", "messages.search", query="x", cursor="nonsense")
    fails(client, "invalid_params", "messages.search", query="")


def test_consumers(client):
    begin = client.call("events.subscribe", consumer="bot", topics=["message.added"])["seq"]
    assert client.call("events.ack", consumer="bot", seq=begin)["seq"] == begin
    assert client.call("events.consumers")["consumers"] == [{"consumer": "bot", "seq": begin}]
    client.call("events.forget", consumer="bot")
    fails(client, "not_found", "events.ack", consumer="bot", seq=begin)
    fails(client, "not_found", "events.forget", consumer="bot")
    client.call("events.unsubscribe")


def test_waiting(client):
    answer = client.call("changes.wait", since=0, topics=["message.added"], chats=["c2"])
    assert answer["changes"][0]["message_id"] == "b1"
    assert client.call("changes.wait", timeout_ms=1)["changes"] == []
    fails(client, "invalid", "changes.wait", since=1 << 50)


def test_every_method_was_seen(daemon, client, contract):
    """Runs last: each was called by the others, and had a good answer."""
    assert set(contract.methods) == contract.seen | NEED_A_DISK


def test_the_document_is_up_to_date(contract):
    out = subprocess.run([sys.executable, TOOL, "--check", DOCUMENT], text=True,
                         input=json.dumps(contract.document))
    assert out.returncode == 0


def test_the_document_can_be_made_from_a_live_daemon(daemon):
    out = subprocess.run([sys.executable, TOOL, "--socket", daemon.path], capture_output=True,
                         check=True)
    assert out.stdout == DOCUMENT.read_bytes()
