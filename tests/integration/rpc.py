# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks to the daemon's socket, and starts a daemon to speak to. Standard library only.

    with Daemon(tmp_path, demo=WORLD) as daemon, daemon.connect() as client:
        chats = client.call("chats.list")["chats"]
        client.call("events.subscribe", since=0)
        change = client.next_change(lambda c: c["topic"] == "message.added")
"""

import collections
import itertools
import json
import os
import pathlib
import select
import shlex
import signal
import socket
import subprocess
import time

# What a daemon is run by, e.g. "valgrind -q": it takes its time then.
WRAPPER = shlex.split(os.environ.get("CHATD_WRAPPER", ""))
TIMEOUT = 120 if WRAPPER else 30
LINE_MAX = 1 << 20


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']} {error['message']}: {error.get('data')}")
        self.code = error["code"]
        self.data = error.get("data", {})
        self.kind = self.data.get("kind")


class Gone(Exception):
    """The daemon has closed the connection."""


class Changes:
    """Waiting for a change, for clients that `receive` into `changes`."""

    def next_change(self, condition=lambda change: True, timeout=TIMEOUT):
        """The next change that fulfils the condition; those before it are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            while self.changes:
                change = self.changes.popleft()
                if condition(change):
                    return change
            self.receive(deadline)


class Client(Changes):
    """One connection. `check(method, reply)` is called with every answer, if given."""

    def __init__(self, path, check=None, hello=True, receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(str(path))
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.check = check
        self.buffer = b""
        self.ids = itertools.count(1)
        self.changes = collections.deque()
        self.answers = {}
        self.fds = []
        self.methods = {}
        self.hello = self.read()["params"] if hello else None

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Bytes and lines.

    def send(self, data, fds=()):
        """Sends bytes as they are, the descriptors with the first."""
        if fds:
            sent = socket.send_fds(self.socket, [data], list(fds))
            data = data[sent:]
        self.socket.sendall(data)

    def send_value(self, value, fds=()):
        self.send(json.dumps(value).encode() + b"\n", fds)

    def read_line(self, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if not self.poll.poll(max(left, 0) * 1000):
                raise TimeoutError(f"no line came in {timeout} s")
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, 1 << 18, 16)
            except ConnectionResetError:
                raise Gone() from None
            self.fds += fds
            if not data:
                raise Gone()
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert len(line) < LINE_MAX
        return line

    def read(self, timeout=TIMEOUT):
        return json.loads(self.read_line(timeout))

    # Requests.

    def start(self, method, fds=(), **params):
        """Sends a request; returns its id, for `finish`."""
        id = next(self.ids)
        self.methods[id] = method
        self.send_value({"jsonrpc": "2.0", "id": id, "method": method, "params": params}, fds)
        return id

    def finish(self, id, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while id not in self.answers:
            self.receive(deadline)
        answer = self.answers.pop(id)
        if self.check:
            self.check(self.methods.pop(id), answer)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def call(self, method, fds=(), **params):
        return self.finish(self.start(method, fds, **params))

    def receive(self, deadline):
        self.sort(self.read(deadline - time.monotonic()))

    def receive_arrived(self):
        """What has come, without waiting."""
        try:
            while True:
                self.sort(self.read(timeout=0))
        except TimeoutError:
            pass

    def sort(self, message):
        if message.get("method") == "change":
            self.changes.append(message["params"])
        else:
            self.answers[message["id"]] = message

    def is_closed(self, timeout=TIMEOUT):
        """Reads up to the end, which must come."""
        try:
            while True:
                self.read_line(timeout)
        except Gone:
            return True
        except TimeoutError:
            return False


def program():
    path = os.environ.get("CHATD")
    if path:
        return path
    for base in (os.environ.get("CHATD_BUILD"), os.getcwd(), pathlib.Path(__file__).parents[2]):
        if base and (candidate := pathlib.Path(base, "chatd")).exists():
            return str(candidate)
    raise FileNotFoundError("chatd was not found: set CHATD or CHATD_BUILD")


def has_demo():
    try:
        out = subprocess.run([program(), "--help"], capture_output=True, text=True, timeout=TIMEOUT)
    except FileNotFoundError:
        return False
    return "--demo" in out.stdout


class Daemon:
    """chatd over a made-up world. `listeners`: sockets handed over as systemd does, by name."""

    def __init__(self, directory, demo, listeners=None, arguments=(), check=None):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "run" / "chatd" / "test.sock"
        self.demo = self.directory / "world.json"
        self.demo.write_text(json.dumps(demo))
        self.listeners = dict(listeners or {})
        self.arguments = list(arguments)
        self.check = check
        self.process = None
        self.bus = ""  # address of a bus; none, lest it be the machine's

    def command(self):
        command = [*WRAPPER, program(), f"--demo={self.demo}", *self.arguments]
        return command if self.listeners else command + ["--socket", str(self.path)]

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LISTEN_")}
        environment["HOME"] = str(self.directory)
        environment["DBUS_SESSION_BUS_ADDRESS"] = self.bus
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = ""
        command, fds = self.command(), [s.fileno() for s in self.listeners.values()]
        if fds:
            # As systemd does: descriptors from 3 on, and the process that they are meant for.
            environment["LISTEN_FDS"] = str(len(fds))
            environment["LISTEN_FDNAMES"] = ":".join(self.listeners)
            moves = " ".join(f"{3 + n}<&{fd}" for n, fd in enumerate(fds))
            command = ["/bin/bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "-", *command]
        self.process = subprocess.Popen(command, env=environment, pass_fds=fds)
        return self

    def wait_ready(self, timeout=TIMEOUT):
        """Until it answers, and the made-up server's chats have come in."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                with self.connect() as client:
                    client.call("events.subscribe", topics=["connection"])
                    while client.call("daemon.status")["connection"]["state"] != "LIVE":
                        client.next_change()
                    return self
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, f"chatd ended with {self.process.returncode}"
                assert time.monotonic() < deadline, "chatd does not listen"
                time.sleep(0.01)

    def connect(self, path=None, **options):
        options.setdefault("check", self.check)
        return Client(path or self.path, **options)

    def stop(self):
        """Ends it in order; what it returns is 0 unless something was wrong, leaks included."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def __enter__(self):
        self.start()
        return self if self.listeners else self.wait_ready()

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is None:
            assert code == 0, f"chatd ended with {code}"
