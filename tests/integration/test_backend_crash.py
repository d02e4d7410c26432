# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend acknowledged is there after it was killed, at whatever moment that was."""

import random
import threading
import uuid

import pytest

from backend import Backend
from ws import Closed


def history(account, chat):
    messages, query = [], ""
    while True:
        page = account.get(f"/chats/{chat}/messages?limit=200{query}")
        messages = page["messages"] + messages
        if not page["more"]:
            return messages
        query = f"&before_id={messages[0]['id']}"


def talk(account, chat, sent, acknowledged, enough):
    """Sends without end, first again what was not answered, and notes what is; until the connection breaks."""
    session = account.connect(account.user)
    again = [i for i in sent if i not in acknowledged]
    try:
        while True:
            message_id = again.pop(0) if again else str(uuid.uuid4())
            if message_id not in sent:
                sent.append(message_id)
            session.send_message(chat, f"text of {message_id}", message_id=message_id)
            answer = session.expect("MSG_ACK", lambda p: p["message_id"] == message_id)
            acknowledged[message_id] = answer
            if len(acknowledged) % 20 == 0:
                enough.set()
    except (Closed, ConnectionError):
        session.ws.close()


@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_messages_survive_kills(tmp_path, seed):
    chance = random.Random(seed)
    backend = Backend(tmp_path).start()
    alice, bob = backend.login("alice"), backend.login("bob")
    chat = alice.chat_with("bob")
    sent, acknowledged = ([], []), ({}, {})
    for _ in range(4):
        enough = threading.Event()
        threads = [threading.Thread(target=talk, args=(account, chat, sent[i], acknowledged[i], enough))
                   for i, account in enumerate((alice, bob))]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        backend.wait_stats(lambda s, n=chance.randrange(30, 120): s["messages"] >= n)
        backend.kill()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        backend.start()
    stored = history(alice, chat)
    assert [m["seq"] for m in stored] == list(range(1, len(stored) + 1))
    assert len({m["id"] for m in stored}) == len(stored)
    by_id = {m["id"]: m for m in stored}
    for answers in acknowledged:
        for message_id, answer in answers.items():
            assert by_id[message_id]["seq"] == answer["seq"]
            assert by_id[message_id]["created_at"] == answer["created_at"]
            assert by_id[message_id]["text"] == f"text of {message_id}"
    assert set(by_id) <= set(sent[0]) | set(sent[1])
    for account in (alice, bob):
        assert account.get("/chats")["chats"][0]["last_seq"] == len(stored)
    assert backend.stop() == 0


def test_receipts_and_hidden_chats_survive_a_kill(tmp_path):
    backend = Backend(tmp_path).start()
    alice, bob = backend.login("alice"), backend.login("bob")
    chat, other = alice.chat_with("bob"), alice.chat_with("carol")
    a, b = alice.connect(), bob.connect()
    message_id = a.say(chat, "read this")["message_id"]
    b.send("MSG_READ", {"chat_id": chat, "message_id": message_id})
    a.expect("MSG_READ")
    assert alice.request("DELETE", f"/chats/{other}").status == 204
    backend.kill()
    backend.start()
    chats = alice.get("/chats")["chats"]
    assert [(c["id"], c["peer_read_seq"], c["peer_received_seq"]) for c in chats] == [(chat, 1, 1)]
    assert backend.stop() == 0
