# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's sessions: greeting, messages, receipts, several devices, misbehaviour."""

import json
import random
import socket
import uuid

import pytest

from backend import Backend
from ws import Closed, Refused, WebSocket


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for the many small tests that leave nothing behind."""
    with Backend(tmp_path_factory.mktemp("shared")) as backend:
        yield backend


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


@pytest.fixture
def pair(backend):
    alice, bob = backend.login("alice"), backend.login("bob")
    return alice, bob, alice.chat_with("bob")


def test_hello_tells_the_terms(shared):
    session = shared.login("alice").connect("phone")
    assert session.greeting["user_id"] == "alice"
    assert session.greeting["heartbeat_s"] == 30
    assert session.greeting["max_in_flight"] == 32
    assert session.ws.protocol == "chat.v1"


def test_message_is_acknowledged_and_delivered(pair):
    alice, bob, chat = pair
    a, b = alice.connect(), bob.connect()
    ack = a.say(chat, "hello")
    assert ack["seq"] == 1 and ack["chat_id"] == chat
    got = b.expect("MSG_IN")
    assert got["message"] == {
        "id": ack["message_id"], "chat_id": chat, "user_id": "alice", "text": "hello", "status": "SENT",
        "created_at": ack["created_at"], "attachments": "", "seq": 1}
    assert got["attachments"] == []
    assert got["user"] == {"id": "alice", "name": "Alice Example", "picture_url": None}
    a.nothing_more()


def test_same_id_again_has_no_second_effect(pair):
    alice, bob, chat = pair
    a, b = alice.connect(), bob.connect()
    first = a.say(chat, "once")
    assert a.say(chat, "once", message_id=first["message_id"]) == first
    b.expect("MSG_IN")
    b.nothing_more()
    assert [m["seq"] for m in bob.get(f"/chats/{chat}/messages")["messages"]] == [1]


def test_id_of_another_message_is_a_conflict(pair, backend):
    alice, bob, chat = pair
    a, b = alice.connect(), bob.connect()
    taken = a.say(chat, "mine")["message_id"]
    assert b.say(chat, "stolen", message_id=taken)["error"]["status"] == 409
    other = alice.chat_with("carol")
    refused = a.say(other, "elsewhere", message_id=taken)
    assert refused["error"]["type"] == "urn:chat:id_conflict"
    assert "seq" not in refused


@pytest.mark.parametrize("message, status", [
    ({"text": ""}, 422), ({"text": "x" * 65537}, 413), ({"text": 7}, 422), ({"user_id": "bob"}, 403),
    ({"chat_id": "nowhere"}, 404), ({"attachments": "a,,b"}, 422), ({"attachments": str(uuid.uuid4())}, 422)])
def test_refused_messages(shared, message, status):
    alice = shared.login("alice")
    chat = alice.chat_with("bob")
    a = alice.connect()
    message_id = str(uuid.uuid4())
    a.send("MSG_OUT", {"message": {"id": message_id, "chat_id": chat, "text": "x", **message}})
    assert a.expect("MSG_ACK")["error"]["status"] == status
    assert alice.get(f"/chats/{chat}/messages")["messages"] == []


def test_strangers_chat_is_not_there(pair, backend):
    _, _, chat = pair
    carol = backend.login("carol").connect()
    assert carol.say(chat, "hi")["error"]["status"] == 404


def test_other_devices_see_what_was_sent(pair):
    alice, _, chat = pair
    phone, desk = alice.connect("phone"), alice.connect("desk")
    ack = phone.say(chat, "from the phone")
    echo = desk.expect("MSG_OUT")
    assert echo["message"]["id"] == ack["message_id"]
    assert echo["message"]["seq"] == ack["seq"]
    assert echo["message"]["created_at"] == ack["created_at"]
    phone.nothing_more()


def test_receipts_reach_the_peer_and_own_devices(pair):
    alice, bob, chat = pair
    a, phone, desk = alice.connect(), bob.connect("phone"), bob.connect("desk")
    ids = [a.say(chat, f"{i}")["message_id"] for i in range(3)]
    phone.send("MSG_RECEIVED", {"chat_id": chat, "message_id": ids[1]})
    assert a.expect("MSG_RECEIVED") == {"chat_id": chat, "message_id": ids[1], "user_id": "bob"}
    phone.send("MSG_READ", {"chat_id": chat, "message_id": ids[2]})
    assert a.expect("MSG_READ") == {"chat_id": chat, "message_id": ids[2], "user_id": "bob"}
    assert desk.expect("MSG_READ")["user_id"] == "bob"
    phone.send("MSG_READ", {"chat_id": chat, "message_id": ids[0]})
    phone.send("MSG_RECEIVED", {"chat_id": chat, "message_id": ids[2]})
    phone.send("MSG_READ", {"chat_id": chat, "message_id": "unknown"})
    phone.say(chat, "a mark")
    a.expect("MSG_IN")
    a.nothing_more()
    seen = alice.get("/chats")["chats"][0]
    assert (seen["peer_read_seq"], seen["peer_received_seq"], seen["read_seq"]) == (3, 3, 0)
    assert bob.get("/chats")["chats"][0]["read_seq"] == 3


def test_second_session_of_a_device_replaces_the_first(pair, backend):
    alice, bob, chat = pair
    first = alice.connect("phone")
    second = alice.connect("phone")
    first.expect_end("replaced")
    b = bob.connect()
    b.say(chat, "only once")
    second.expect("MSG_IN")
    assert backend.stats()["sessions"] == 2


def test_bye_ends_the_session(pair, backend):
    alice, _, _ = pair
    session = alice.connect()
    session.send("BYE", {"reason": "done"})
    session.expect_end(None)
    assert session.code == 1000
    backend.wait_stats(lambda s: s["sessions"] == 0)


@pytest.mark.parametrize("text, reason", [
    ("{", "malformed"), ("[]", "malformed"), ('{"event_type":"MSG_OUT"}', "malformed"),
    ('{"connection_id":"c-0","event_type":"MSG_READ","payload":{}}', "wrong_connection_id"),
    ('{"connection_id":null,"event_type":"MSG_READ","payload":{}}', "wrong_connection_id")])
def test_bad_frames_end_the_session(shared, text, reason):
    session = shared.login("alice").connect()
    session.ws.send_frame(1, text.encode())
    session.expect_end(reason)


@pytest.mark.parametrize("event, payload", [
    ("MSG_READ", {"chat_id": "c"}), ("MSG_OUT", {}), ("MSG_OUT", {"message": {"id": "with space"}}),
    ("HELLO", {"device_id": "again"})])
def test_bad_payloads_end_the_session(shared, event, payload):
    session = shared.login("alice").connect()
    session.send(event, payload)
    session.expect_end("malformed")


def test_binary_and_oversized_frames_end_the_session(shared):
    alice = shared.login("alice")
    session = alice.connect()
    session.ws.send_frame(2, b"{}")
    session.expect_end("malformed")
    session = alice.connect()
    session.ws.send_frame(1, b" " * (256 * 1024 + 1))
    session.expect_end("too_large")


def test_largest_frame_and_fragments_are_taken(pair):
    alice, _, chat = pair
    session = alice.connect()
    frame = json.dumps({"connection_id": session.connection_id, "event_type": "MSG_OUT", "payload": {
        "message": {"id": "m1", "chat_id": chat, "text": "x" * 65536}}}).encode()
    padded = frame[:-1] + b" " * (256 * 1024 - len(frame)) + b"}"
    session.ws.send_frame(1, padded)
    assert session.expect("MSG_ACK")["seq"] == 1
    session.ws.send_frame(1, frame[:100].replace(b"m1", b"m2"), final=False)
    session.ws.send_frame(0, frame[100:].replace(b"m1", b"m2"))
    assert session.expect("MSG_ACK")["message_id"] in ("m1", "m2")


def test_unknown_events_and_fields_are_ignored(pair):
    alice, _, chat = pair
    session = alice.connect()
    session.send("MSG_TYPING", {"chat_id": chat})
    session.send("MSG_OUT", {"message": {"id": "m", "chat_id": chat, "text": "x", "new": 1}, "more": []}, extra=True)
    assert session.expect("MSG_ACK")["seq"] == 1


def test_first_frame_must_be_hello(shared):
    alice = shared.login("alice")
    session = alice.connect(hello=False)
    session.send("MSG_READ", {})
    session.expect_end("hello_expected")
    session = alice.connect(hello=False)
    session.send("HELLO", {"device_id": "d"}, connection_id="c-1")
    session.expect_end("hello_expected")


def test_too_many_in_flight_end_the_session(backend, pair):
    alice, _, chat = pair
    session = alice.connect()
    backend.control("lose", event_type="MSG_ACK", count=-1)
    for i in range(33):
        session.send_message(chat, f"{i}")
    session.expect_end("too_many_in_flight")
    backend.control("reset")
    assert len(alice.get(f"/chats/{chat}/messages")["messages"]) == 32


def test_upgrade_needs_token_path_and_subprotocol(shared):
    token = shared.login("alice").token
    bearer = [("Authorization", f"Bearer {token}")]
    for headers, path, protocol, status in [([], "/ws", "chat.v1", 401), (bearer, "/other", "chat.v1", 404),
                                            (bearer, "/ws", "chat.v2", 422), (bearer, "/ws", None, 422),
                                            ([("Authorization", "Bearer a.b.c")], "/ws", "chat.v1", 401)]:
        with pytest.raises(Refused) as refused:
            WebSocket(shared.port, path, headers, protocol)
        assert refused.value.status == status
        assert json.loads(refused.value.body)["status"] == status


def test_sigterm_says_bye(tmp_path):
    backend = Backend(tmp_path).start()
    sessions = [backend.login("alice").connect(f"d{i}") for i in range(5)]
    silent = backend.login("bob").connect(hello=False)
    assert backend.stop() == 0
    for session in sessions + [silent]:
        session.expect_end("shutdown")


def test_answers_pings(shared):
    session = shared.login("alice").connect()
    session.ws.send_frame(9, b"are you there")
    assert session.ws.receive_frame() == (10, b"are you there")


def test_slow_reader_is_cut_off(pair, backend):
    alice, bob, chat = pair
    a, slow = alice.connect(), bob.connect()
    text = "x" * 65536
    for i in range(400):
        a.say(chat, text)
        if backend.stats()["sessions_overrun"]:
            break
    assert backend.stats()["sessions_overrun"] == 1
    with pytest.raises(Closed) as closed:
        while True:
            slow.receive()
    assert closed.value.code is None
    assert a.say(chat, "goes on")["seq"] == i + 2


def test_sigterm_ends_in_time_whatever_sessions_do(tmp_path):
    backend = Backend(tmp_path).start()
    alice, bob = backend.login("alice"), backend.login("bob")
    chat = alice.chat_with("bob")
    muted, full, a = bob.connect("muted"), bob.connect("full"), alice.connect()
    backend.control("delay", user="bob", event_type="MSG_READ", ms=600000, count=-1)
    backend.control("mute", user="bob")
    for _ in range(50):
        a.say(chat, "x" * 60000)
    backend.control("reorder", user="bob", count=5)
    a.say(chat, "held")
    assert backend.stop() == 0


def test_silent_clients_are_pinged_and_dropped(tmp_path):
    with Backend(tmp_path, heartbeat=1) as backend:
        alice = backend.login("alice")
        session, silent = alice.connect("good"), alice.connect("dead")
        assert silent.greeting["heartbeat_s"] == 1
        opcode, payload = session.ws.receive_frame()
        assert opcode == 9
        session.ws.send_frame(10, payload)
        with pytest.raises(Closed):
            while True:
                assert silent.ws.receive_frame(timeout=60)[0] in (8, 9)
        assert backend.stats()["sessions"] == 1


def test_hello_must_come_in_time(backend):
    session = backend.login("alice").connect(hello=False)
    session.expect_end("hello_timeout", timeout=20)


def test_garbage_never_harms(backend, pair):
    """Reproducible nonsense on both protocols; the backend goes on."""
    alice, bob, chat = pair
    chance = random.Random(20)
    a = alice.connect()
    good = json.dumps({"connection_id": "?", "event_type": "MSG_OUT", "payload": {
        "message": {"id": "m", "chat_id": chat, "text": "x", "attachments": "a,b"}}}).encode()
    for i in range(300):
        session = bob.connect("fuzz") if i % 3 else bob.connect("fuzz", hello=False)
        frame = bytearray(good.replace(b"?", (session.connection_id or "c").encode()))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(frame))
            frame[at:at + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        try:
            session.ws.send_frame(chance.choice([0, 1, 1, 1, 2, 9, 10]), bytes(frame), chance.random() < 0.9)
            session.ws.send_frame(chance.choice([0, 1, 8, 15]), chance.randbytes(chance.randrange(100)))
        except ConnectionError:
            pass
        session.ws.close()
    request = b"GET /chats/x/messages?limit=5&after_id=%41 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n"
    for i in range(300):
        line = bytearray(request)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(line))
            line[at:at + chance.randrange(8)] = chance.randbytes(chance.randrange(8))
        with socket.create_connection(("127.0.0.1", backend.port)) as s:
            s.sendall(bytes(line))
    assert a.say(chat, "still here")["seq"] >= 1
