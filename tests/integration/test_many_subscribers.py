# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand programs follow one daemon, a tenth of them never read: the others see everything, in
order, and those who do not read cost a bounded buffer each and have missed nothing when they do.

`pytest -s` shows the figures, SUBSCRIBERS is how many there are (1000)."""

import os
import pathlib
import re
import resource
import selectors
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from rpc import Daemon, Client

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", "1000"))
SLEEPERS = SUBSCRIBERS // 10
MESSAGES = 60
TEXT = "x" * 20000
SHARE = 16 << 10  # of what all may have, for each of so many
PATIENCE_S = 60

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}],
    "chats": [{"id": "c1", "user_id": "ana", "messages": []}],
    "behaviour": {"ack_ms": 1, "received_ms": -1, "read_ms": -1},
}
ADDED = re.compile(rb'^\{"jsonrpc":"2.0","method":"change","params":\{"seq":(\d+),'
                   rb'"topic":"message.added","data":\{"message_id":"([^"]+)"')


class Follower(Client):
    """Keeps what it was told in the order in which it was told it, and nothing of the texts."""

    def __init__(self, path, since):
        super().__init__(path)
        self.call("events.subscribe", topics=["message.added"], since=since)
        self.told = []

    def read_arrived(self):
        data = self.socket.recv(1 << 18)
        assert data, "the daemon has closed the connection"
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            seq, message_id = ADDED.match(line).groups()
            self.told.append((int(seq), message_id.decode()))


def read_all(followers):
    """Until each was told of all messages; how long the last one waited."""
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for follower in followers:
            selector.register(follower.socket, selectors.EVENT_READ, follower)
        while selector.get_map():
            ready = selector.select(PATIENCE_S)
            assert ready, "no change came in time"
            for key, _ in ready:
                key.data.read_arrived()
                if len(key.data.told) >= MESSAGES:
                    selector.unregister(key.fileobj)
    return time.monotonic() - started


def memory(daemon):
    """What it has now, and the most that it has had, in bytes."""
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return [int(status.split(word)[1].split()[0]) << 10 for word in ("VmRSS:", "VmHWM:")]


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SUBSCRIBERS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") +
                       ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0")
    with Daemon(tmp_path, WORLD) as daemon:
        yield daemon
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tenth_of_a_thousand_never_reads(daemon):
    with daemon.connect() as sender:
        since = sender.call("chats.list")["as_of"]
        empty, _ = memory(daemon)
        followers = [Follower(daemon.path, since) for _ in range(SUBSCRIBERS)]
        sleepers, readers = followers[:SLEEPERS], followers[SLEEPERS:]
        subscribed, _ = memory(daemon)
        with ThreadPoolExecutor() as executor:
            sending = executor.submit(lambda: [
                sender.call("messages.send", chat_id="c1", text=TEXT)["message_id"]
                for _ in range(MESSAGES)])
            took = read_all(readers)
            sent = sending.result()
        _, most = memory(daemon)
        for follower in readers:
            assert [message_id for _, message_id in follower.told] == sent
            assert follower.told == readers[0].told
        assert readers[0].told == sorted(readers[0].told)
        print(f"{SUBSCRIBERS} subscribers, {SLEEPERS} of them asleep; {MESSAGES} messages of "
              f"{len(TEXT)} bytes in {took:.1f} s; memory {empty >> 10} KiB without them, "
              f"{subscribed >> 10} KiB with them, {most >> 10} KiB at most")
        # Readers fall behind as well, each to its own place.
        assert most - subscribed < SUBSCRIBERS * (SHARE + len(TEXT)) + (16 << 20)
        read_all(sleepers)
        assert all(follower.told == readers[0].told for follower in sleepers)
        for follower in followers:
            follower.close()
