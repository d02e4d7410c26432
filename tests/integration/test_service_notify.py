# SPDX-License-Identifier: GPL-3.0-or-later
"""What chatd tells a service manager, seen from the socket that it tells it to."""

import os
import queue
import signal
import socket
import subprocess
import threading
import time

import pytest

import rpc
from people import People, until


class Notified:
    """Messages to the service manager, each a dict. Read as they come: who tells waits for room."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.told = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while data := self.socket.recv(4096):
            self.told.put(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def wait(self, condition):
        """The next message that fulfils the condition; those before it are dropped."""
        while not condition(told := self.told.get(timeout=rpc.TIMEOUT)):
            pass
        return told

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.path)
        self.reader.join()
        self.socket.close()


@pytest.fixture
def manager(tmp_path):
    manager = Notified(tmp_path / "notify")
    yield manager
    manager.close()


WORLD = {"user": {"id": "me", "name": "Me"}, "users": [], "chats": []}


def test_ready_comes_when_who_waited_has_been_greeted(tmp_path, manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    early = rpc.Client(tmp_path / "s", hello=False)
    daemon = rpc.Daemon(tmp_path, WORLD, listeners={"full": listener})
    with daemon:
        manager.wait(lambda told: told.get("READY") == "1")
        assert early.read(timeout=0)["method"] == "hello"
        early.close()
    manager.wait(lambda told: told.get("STOPPING") == "1")
    listener.close()


def test_a_reload_is_told_from_its_beginning_to_its_end(tmp_path, manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    with rpc.Daemon(tmp_path, WORLD) as daemon:
        manager.wait(lambda told: told.get("READY") == "1")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.process.send_signal(signal.SIGHUP)
        told = manager.wait(lambda told: "RELOADING" in told)
        assert told["RELOADING"] == "1" and int(told["MONOTONIC_USEC"]) >= before
        manager.wait(lambda told: told.get("READY") == "1")


def watched(tmp_path, manager):
    return {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB, for the data of one account."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).returncode != 0:
        pytest.skip("a small disk needs root and mount")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_not_taken_for_a_stuck_daemon(tmp_path, manager, small_disk):
    """It is said, the watchdog is fed on, and when there is space again that is noticed by itself."""
    with People(tmp_path) as people:
        alice = people.account("alice", arguments=["--data-dir", str(small_disk)],
                               environment=watched(tmp_path, manager))
        alice.call("account.login", server=people.url, user_id="alice",
                   password=people.backend.users["alice"])
        alice.wait_state("LIVE")
        people.backend.stop()
        ballast = small_disk / "ballast"
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"\0" * 4096)
        with pytest.raises(rpc.RpcError) as error:
            for n in range(1000):
                alice.call("messages.send", user_id="bob", text="x" * 20000)
        assert error.value.kind == "storage_full"
        manager.wait(lambda told: told.get("STATUS", "").endswith("; the disk is full"))
        for _ in range(3):
            manager.wait(lambda told: told.get("WATCHDOG") == "1")
        ballast.unlink()
        until(lambda: alice.call("daemon.status")["storage"]["state"] == "ok")
        manager.wait(lambda told: "STATUS" in told and "disk" not in told["STATUS"])
        people.backend.start()


def test_carrying_over_what_can_be_read_of_a_damaged_database_may_take_its_time(tmp_path, manager):
    with People(tmp_path) as people:
        alice = people.sign_in("alice")
        alice.stop()
        database = alice.data / "chat.db"
        pages = bytearray(database.read_bytes())
        pages[-3000] ^= 1
        database.write_bytes(pages)
        (alice.data / "chat.db.suspect").touch()
        alice.environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "60000000"}
        alice.start()
        manager.wait(lambda told: "EXTEND_TIMEOUT_USEC" in told)
        assert manager.wait(lambda told: "WATCHDOG_USEC" in told)["WATCHDOG_USEC"] == "900000000"
        assert manager.wait(lambda told: "WATCHDOG_USEC" in told)["WATCHDOG_USEC"] == "60000000"
        manager.wait(lambda told: "READY" in told)
