# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket takes whatever comes: a typed error, or that connection ends; nobody else notices."""

import json
import os
import random
import resource
import socket
import stat
import subprocess
import threading

import pytest

import rpc
from rpc import Client, Daemon, Gone, RpcError

pytestmark = pytest.mark.skipif(not rpc.has_demo(), reason="this chatd has no --demo")

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}],
    "chats": [{"id": "c1", "user_id": "ana", "messages": [
        {"id": "a1", "from": "ana", "text": "one", "minutes_ago": 3}]}],
    "behaviour": {"ack_ms": 1, "received_ms": -1, "read_ms": -1},
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("socket"), WORLD) as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with daemon.connect() as client:
        yield client


def request(id, method="daemon.status", **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def error_of(client, line):
    client.send(line + b"\n")
    answer = client.read()
    return answer["error"]["code"], answer["id"]


@pytest.mark.parametrize("line, code, id", [
    (b"nonsense", -32700, None),
    (b"", -32700, None),
    (b"\xff\xfe", -32700, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"', -32700, None),
    (b'{"a":"\\u0000"}', -32700, None),
    (b"[" * 5000, -32700, None),
    (b"[]", -32600, None),
    (b"true", -32600, None),
    (b'{"id":7}', -32600, 7),
    (b'{"jsonrpc":"2.0","id":[1],"method":"daemon.status"}', -32600, None),
    (b'{"jsonrpc":"2.0","id":"a","method":"no.such"}', -32601, "a"),
    (b'{"jsonrpc":"2.0","id":"b","method":"daemon.status","params":[]}', -32602, "b"),
    (b"[" + b"1," * 500 + b"1]", 7, None),
    (b"[" + b"1," * 30000 + b"1]", 7, None),
])
def test_a_wrong_line_is_answered(client, line, code, id):
    assert error_of(client, line) == (code, id)
    assert client.call("daemon.status")


@pytest.mark.parametrize("id", [0, -1, 2**53, 1.5, 0.1, "", "x" * 256, "ä\n", None])
def test_ids_come_back_as_they_were(client, id):
    client.send_value(request(id))
    assert client.read()["id"] == id


def test_a_line_that_is_too_long(client):
    client.send(b" " * (1 << 20) + b"\n")
    answer = client.read()
    assert answer["error"]["data"]["kind"] == "too_large" and answer["id"] is None
    assert client.call("daemon.status")


def test_the_longest_line(client):
    line = json.dumps(request("long")).encode()
    client.send(line + b" " * ((1 << 20) - 1 - len(line)) + b"\n")
    assert client.read()["result"]


def test_bytes_one_by_one(client):
    for byte in json.dumps(request(1)).encode() + b"\n":
        client.send(bytes([byte]))
    assert client.read()["id"] == 1


def test_a_batch(client):
    client.send_value([request(1), {"jsonrpc": "2.0", "method": "daemon.status"}, 5,
                       request("x", "no.such"), request(2, "messages.get", message_id="a1")])
    answers = client.read()
    assert [a["id"] for a in answers] == [1, None, "x", 2]
    assert ["result" in a for a in answers] == [True, False, False, True]


def test_notifications_are_not_answered(client):
    client.send_value({"jsonrpc": "2.0", "method": "messages.send",
                       "params": {"chat_id": "c1", "text": "silent", "message_id": "silent-1"}})
    client.send_value([{"jsonrpc": "2.0", "method": "no.such"}])
    assert client.call("messages.get", message_id="silent-1")["text"] == "silent"
    assert not client.answers


def test_many_requests_at_once(client):
    for _ in range(5):
        ids = [client.start("daemon.status") for _ in range(600)]
        for id in ids:
            client.finish(id)


def test_garbage(daemon, client):
    noise = random.Random(7)
    valid = json.dumps(request(1, "messages.list", chat_id="c1")).encode() + b"\n"
    for _ in range(200):
        with daemon.connect() as other:
            data = bytearray(valid * 3)
            for _ in range(noise.randrange(1, 12)):
                data[noise.randrange(len(data))] = noise.randrange(256)
            other.send(bytes(data[:noise.randrange(len(data))]))
            if noise.randrange(2):
                other.send(b"\n" + json.dumps(request("alive")).encode() + b"\n")
                while (answer := other.read()) is not None:
                    if isinstance(answer, dict) and answer.get("id") == "alive":
                        break
    assert client.call("daemon.status")


def open_fds(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_descriptors_nobody_asked_for_are_closed(daemon, client):
    before = open_fds(daemon)
    with open("/dev/null", "rb") as null:
        for n in (1, 16, 17, 100):
            client.send_value(request(n), fds=[null.fileno()] * n)
            answer = client.read()
            assert ("error" in answer) == (n > 16), answer
        client.send(b"garbage\n", fds=[null.fileno()] * 5)
        client.read()
        # The connection will end with these still in the daemon's hands.
        client.send(b"half a line", fds=[null.fileno()] * 5)
    with daemon.connect() as other:
        other.call("daemon.status")
        client.close()
        while open_fds(daemon) > before:
            other.call("daemon.status")


def test_descriptors_that_are_missing(client):
    for photo in ({"fd": 0}, {"fd": 0, "path": "/x"}, {}, {"path": "relative"}, {"fd": 99}):
        with pytest.raises(RpcError) as error:
            client.call("messages.send", chat_id="c1", attachments=[photo])
        assert error.value.kind == "invalid_params"


def test_a_file_that_is_not_there(client):
    with pytest.raises(RpcError) as error:
        client.call("messages.send", chat_id="c1", attachments=[{"path": "/nonexistent/x.jpg"}])
    assert error.value.kind in ("not_found", "invalid", "unsupported")


def test_clients_that_die_are_not_missed(daemon, client):
    for n in range(50):
        other = daemon.connect()
        other.start("messages.send", chat_id="c1", text=f"dying {n}", message_id=f"dying-{n}")
        other.start("chats.create", user_id="ana")
        other.start("events.subscribe", since=0)
        if n % 2:
            other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
    assert client.call("daemon.status")


def test_what_was_asked_before_the_end_is_answered(daemon):
    with daemon.connect() as client:
        ids = [client.start("daemon.status") for _ in range(10)]
        client.socket.shutdown(socket.SHUT_WR)
        for id in ids:
            assert client.finish(id)
        with pytest.raises(Gone):
            client.read()


def test_socat_is_a_client(daemon):
    out = subprocess.run(["socat", "-t30", "-", f"UNIX-CONNECT:{daemon.path}"], capture_output=True,
                         text=True, check=True, timeout=60, input=json.dumps(request(1)) + "\n")
    hello, answer = map(json.loads, out.stdout.splitlines())
    assert hello["method"] == "hello" and answer["id"] == 1


def test_others_cannot_open_it(daemon):
    mode = os.stat(daemon.path)
    assert stat.S_IMODE(mode.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(daemon.path.parent).st_mode) == 0o700


def test_a_second_daemon_refuses(daemon, tmp_path, client):
    second = Daemon(tmp_path, WORLD)
    second.path = daemon.path
    second.start()
    assert second.process.wait(30) != 0
    assert client.call("daemon.status")
    with daemon.connect() as other:
        assert other.call("daemon.status")


class Confined(Daemon):
    """Started, as in most sessions, with a limit on open files that is lower than what it needs."""

    def command(self):
        return ["/bin/bash", "-c", 'ulimit -Sn 1024; exec "$@"', "-", *super().command()]


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("so many files cannot be opened here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_connections(tmp_path, many_files):
    """More than are served: the rest is told so, those inside are not troubled."""
    clients, refused = [], 0
    with Confined(tmp_path, WORLD) as daemon:
        for _ in range(1210):
            client = Client(daemon.path, hello=False)
            clients.append(client)
            first = client.read()
            if "error" in first:
                assert first["error"]["data"]["kind"] == "busy" and client.is_closed()
                refused += 1
        assert refused == 10
        assert clients[0].call("daemon.status")
        for client in clients:
            client.close()


def test_a_slow_reader_costs_the_others_nothing(daemon):
    text = "x" * 20000
    with (daemon.connect(receive_buffer=4096) as slow, daemon.connect() as other,
          daemon.connect() as sender):
        start = sender.call("chats.list")["as_of"]
        slow.call("events.subscribe", since=start, topics=["message.added"])
        other.call("events.subscribe", since=start, topics=["message.added"])
        sent = []

        def send():
            for n in range(200):
                sent.append(sender.call("messages.send", chat_id="c1", text=text)["message_id"])

        thread = threading.Thread(target=send)
        thread.start()
        seen = [other.next_change()["data"]["message_id"] for _ in range(200)]
        thread.join()
        assert seen == sent
        # The slow one has not read a byte of 4 MB; now it does, and has missed nothing.
        assert [slow.next_change()["data"]["message_id"] for _ in range(200)] == sent


@pytest.mark.parametrize("name, good, denied", [
    ("read", ["chats.list", "daemon.status", "events.subscribe"],
     ["messages.send", "account.login"]),
    ("send", ["messages.send", "daemon.status"],
     ["chats.list", "events.subscribe", "account.login"]),
    ("full", ["messages.send", "chats.list"], []),
    ("chatd.socket", ["messages.send", "chats.list"], []),
])
def test_sockets_from_systemd_have_their_scope(tmp_path, name, good, denied):
    params = {"messages.send": {"chat_id": "c1", "text": "x"},
              "account.login": {"server": "https://x.invalid", "user_id": "u", "password": "p"}}
    listeners, paths = {}, {}
    for listener in {"main", name}:
        paths[listener] = tmp_path / f"{listener}.sock"
        listeners[listener] = socket.socket(socket.AF_UNIX)
        listeners[listener].bind(str(paths[listener]))
        listeners[listener].listen()
    daemon = Daemon(tmp_path, WORLD, listeners=listeners)
    daemon.path = paths["main"]
    with daemon:
        daemon.wait_ready()
        with daemon.connect(paths[name]) as client:
            assert client.hello["scope"] == (name if name in ("read", "send") else "full")
            for method in good:
                assert client.call(method, **params.get(method, {})) is not None
            for method in denied:
                with pytest.raises(RpcError) as error:
                    client.call(method, **params.get(method, {}))
                assert error.value.kind == "denied"
            if name == "send":
                with pytest.raises(RpcError) as error:
                    client.call("messages.send", chat_id="c1",
                                attachments=[{"path": "/etc/hostname"}])
                assert error.value.kind == "denied"
    for listener in listeners.values():
        listener.close()
    # What systemd made is systemd's to remove.
    assert all(path.exists() for path in paths.values())
