# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's injected faults: each happens as often as asked, to whom asked, and leaves nothing behind."""

import json
import socket
import time
import uuid

import pytest

from backend import Backend
from ws import Closed, Refused


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
    chat = alice.chat_with("bob")
    return alice.connect(), bob.connect(), chat


def texts(session, n):
    return [session.expect("MSG_IN")["message"]["text"] for _ in range(n)]


def test_drop_ends_tcp_without_a_word(backend, pair):
    a, b, chat = pair
    assert backend.control("drop", user="alice") == 1
    a.expect_end(None)
    assert a.code is None
    carol = backend.login("carol").connect()
    assert backend.control("drop") == 2
    for session in (b, carol):
        session.expect_end(None)
        assert session.code is None
    backend.wait_stats(lambda s: s["sessions"] == 0)


def test_bye_carries_reason_and_wait(backend, pair):
    a, b, _ = pair
    assert backend.control("bye", user="alice", reason="maintenance", retry_after_s=7) == 1
    assert a.expect_end("maintenance")["retry_after_s"] == 7
    assert a.code == 1000
    b.nothing_more()


def test_lost_acknowledgements_are_not_lost_messages(backend, pair):
    a, b, chat = pair
    backend.control("lose", event_type="MSG_ACK", user="alice", count=2)
    lost = [a.send_message(chat, f"{i}") for i in range(2)]
    kept = a.say(chat, "2")
    assert kept["seq"] == 3
    assert texts(b, 3) == ["0", "1", "2"]
    a.nothing_more()
    assert [a.say(chat, f"{i}", message_id=m)["seq"] for i, m in enumerate(lost)] == [1, 2]
    b.nothing_more()
    assert backend.stats()["faults"]["lose"] == 2


def test_duplicates(backend, pair):
    a, b, chat = pair
    backend.control("duplicate", user="bob", count=1)
    a.say(chat, "0")
    a.say(chat, "1")
    assert texts(b, 3) == ["0", "0", "1"]
    b.nothing_more()


def test_skip_lets_some_pass_first(backend, pair):
    a, b, chat = pair
    backend.control("lose", user="bob", skip=2)
    for i in range(4):
        a.say(chat, f"{i}")
    assert texts(b, 3) == ["0", "1", "3"]


def test_reorder_sends_last_to_first(backend, pair):
    a, b, chat = pair
    backend.control("reorder", user="bob", count=3)
    for i in range(4):
        a.say(chat, f"{i}")
    assert texts(b, 4) == ["2", "1", "0", "3"]


def test_reset_lets_held_frames_go_and_ends_rules(backend, pair):
    a, b, chat = pair
    backend.control("reorder", user="bob", count=5)
    backend.control("lose", user="alice", event_type="MSG_ACK", count=-1)
    backend.control("refuse", path="/chats", count=-1)
    a.send_message(chat, "0")
    a.send_message(chat, "1")
    backend.wait_stats(lambda s: s["messages"] == 2)
    b.nothing_more()
    backend.control("reset")
    assert texts(b, 2) == ["1", "0"]
    assert a.say(chat, "2")["seq"] == 3
    assert a.account.request("GET", "/chats").status == 200


def test_delay_takes_its_time(backend, pair):
    a, b, chat = pair
    backend.control("delay", user="bob", ms=300, count=1)
    before = time.monotonic()
    a.say(chat, "late")
    a.say(chat, "soon")
    assert texts(b, 2) == ["soon", "late"]
    assert time.monotonic() - before >= 0.3


def test_delayed_everything_stays_in_order(backend, pair):
    a, b, chat = pair
    backend.control("delay", user="bob", ms=100, count=-1)
    for i in range(10):
        a.say(chat, f"{i}")
    assert texts(b, 10) == [f"{i}" for i in range(10)]


def test_cut_breaks_inside_a_frame(backend, pair):
    a, b, chat = pair
    backend.control("cut", user="bob", event_type="MSG_IN")
    a.say(chat, "half of this")
    with pytest.raises(Closed) as closed:
        b.receive()
    assert closed.value.code is None
    assert b.ws.buffer and b"half" not in b.ws.buffer[:2]
    backend.wait_stats(lambda s: s["sessions"] == 1)


def test_cut_in_a_long_frame(backend, pair):
    a, b, chat = pair
    backend.control("cut", user="bob")
    a.say(chat, "x" * 60000)
    with pytest.raises(Closed):
        b.receive()
    assert 20000 < len(b.ws.buffer) < 60000


def test_corrupt_truncated_and_garbage(backend, pair):
    a, b, chat = pair
    for kind in ("truncated", "garbage"):
        backend.control("corrupt", user="bob", **{"as": kind})
        a.say(chat, "x")
        text = b.ws.receive()
        assert isinstance(text, str)
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
    a.say(chat, "whole")
    assert texts(b, 1) == ["whole"]


def test_corrupt_binary_oversized_stranger(backend, pair):
    a, b, chat = pair
    backend.control("corrupt", user="bob", **{"as": "binary"})
    a.say(chat, "x")
    assert isinstance(b.ws.receive(), bytes)
    backend.control("corrupt", user="bob", **{"as": "oversized"})
    a.say(chat, "x")
    big = b.ws.receive()
    assert len(big) > 256 * 1024 and json.loads(big)["event_type"] == "MSG_IN"
    backend.control("corrupt", user="bob", **{"as": "stranger"})
    a.say(chat, "x")
    frame = json.loads(b.ws.receive())
    assert frame["connection_id"] not in (b.connection_id, None)


def test_percent_is_reproducible(backend, pair):
    a, b, chat = pair
    def run(seed):
        backend.control("lose", user="bob", count=-1, percent=50, seed=seed)
        for i in range(40):
            a.say(chat, f"{i}")
        backend.control("reset")
        a.say(chat, "end")
        got = []
        while not got or got[-1] != "end":
            got += texts(b, 1)
        return got
    first, second, other = run(7), run(7), run(8)
    assert first == second != other
    assert 5 < len(first) < 36


def test_refused_messages(backend, pair):
    a, b, chat = pair
    backend.control("refuse_message", user="alice", status=429, retry_after_s=3, count=2)
    message = str(uuid.uuid4())
    for _ in range(2):
        error = a.say(chat, "x", message_id=message)["error"]
        assert (error["status"], error["retry_after_s"], error["type"]) == (429, 3, "urn:chat:refused")
    assert a.say(chat, "x", message_id=message)["seq"] == 1
    backend.control("refuse_message")
    assert b.say(chat, "x")["error"]["status"] == 422


def test_refused_requests(shared):
    alice = shared.login("alice")
    shared.control("refuse", path="/chats", status=429, retry_after_s=9, count=2)
    shared.control("refuse", path="/login", method="GET")
    for _ in range(2):
        answer = alice.request("GET", "/chats")
        assert answer.status == 429 and answer.headers["Retry-After"] == "9"
        assert answer.json["retry_after_s"] == 9
    assert alice.request("GET", "/chats").status == 200
    assert shared.request("GET", "/login").status == 503
    assert shared.request("GET", "/login").status == 401


def test_refused_upgrade(shared):
    alice = shared.login("alice")
    shared.control("refuse", path="/ws", status=502)
    with pytest.raises(Refused) as refused:
        alice.connect()
    assert refused.value.status == 502
    assert alice.connect().greeting["user_id"] == "alice"


def test_slow_answers(shared):
    alice = shared.login("alice")
    shared.control("slow", path="/chats", ms=300)
    before = time.monotonic()
    assert alice.request("GET", "/chats").status == 200
    assert time.monotonic() - before >= 0.3
    shared.control("slow", path="/chats", ms=60000)
    connection = socket.create_connection(("127.0.0.1", shared.port))
    connection.sendall(f"GET /chats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n\r\n".encode())
    shared.wait_stats(lambda s: s["faults"]["slow"] == 2)
    connection.close()


def test_mute_stops_pongs_and_unmute_brings_them_back(backend, pair):
    a, b, _ = pair
    assert backend.control("mute", user="alice") == 1
    a.ws.send_frame(9, b"1")
    b.ws.send_frame(9, b"2")
    assert b.ws.receive_frame() == (10, b"2")
    with pytest.raises(TimeoutError):
        a.ws.receive_frame(timeout=0.3)
    assert backend.control("unmute", user="alice") == 1
    assert a.ws.receive_frame() == (10, b"1")


def test_muted_session_can_be_dropped(backend, pair):
    a, _, _ = pair
    backend.control("mute", user="alice")
    backend.control("drop", user="alice")
    a.expect_end(None)
    backend.wait_stats(lambda s: s["sessions"] == 1)


def test_cut_upload(backend):
    alice = backend.login("alice")
    data = bytes(200000)
    location = alice.create_upload("a1", "full", len(data))
    backend.control("cut_upload", path="/uploads/", bytes=50000)
    headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    with pytest.raises((ConnectionError, OSError)):
        alice.request("PATCH", location, data, headers)
    answer = alice.request("HEAD", location, headers={"Tus-Resumable": "1.0.0"})
    assert answer.headers["Upload-Offset"] == "50000"
    headers["Upload-Offset"] = "50000"
    assert alice.request("PATCH", location, data[50000:], headers).status == 204


def read_all(sock):
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


@pytest.mark.parametrize("cut", [0, 1, 70000, 99999])
def test_cut_download(shared, cut):
    alice = shared.login("alice")
    attachment = alice.upload(b"x" * 100000)
    shared.control("cut_download", path="/attachments/", bytes=cut)
    sock = socket.create_connection(("127.0.0.1", shared.port))
    sock.sendall((f"GET /attachments/{attachment}/full HTTP/1.1\r\nHost: x\r\n"
                  f"Authorization: Bearer {alice.token}\r\n\r\n").encode())
    head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert b"content-length: 100000" in head.lower()
    assert len(body) == cut
    assert alice.request("GET", f"/attachments/{attachment}/full").body == b"x" * 100000


@pytest.mark.parametrize("order", [
    {}, {"do": "nothing"}, {"do": "lose", "count": 0}, {"do": "lose", "colour": "red"}, {"do": "lose", "percent": 101},
    {"do": "corrupt", "as": "art"}, {"do": "refuse", "status": 200}, [], "x"])
def test_orders_are_checked(shared, order):
    answer = shared.request("POST", "/_control", order)
    assert answer.status == 422
    assert answer.json["type"] == "urn:chat:malformed"
