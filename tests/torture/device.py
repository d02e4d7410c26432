# SPDX-License-Identifier: GPL-3.0-or-later
"""A device: a daemon with its data, whoever asks things of it, and whoever follows it."""

import base64
import os
import shutil
import struct

import people
import rpc
from follower import Follower
from model import Difference

LIBRARY = "tests/torture/.libs/wallclock.so"


class Device(people.Account):
    def __init__(self, directory, name, build):
        super().__init__(directory, name.split("-")[0], arguments=["--log-level", "info"])
        self.user, self.name = self.name, name
        self.clock_file = self.directory / "clock"
        self.log_file = self.directory / "log"
        self.log = open(self.log_file, "ab")  # one file over all its lives
        self.clock_offset = 0
        self.set_clock(0)
        library = build / LIBRARY
        self.has_clock = library.exists()
        if self.has_clock:
            asan = os.environ.get("ASAN_OPTIONS", "")
            self.environment = {"LD_PRELOAD": str(library), "WALLCLOCK_FILE": str(self.clock_file),
                                "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}
        self.client = None
        self.requests = {}  # by request id: what to do with the answer
        self.again = []     # what is to be asked for again once it is up
        self.rows = {}      # by seq: what the first subscriber was told that it is
        self.photos_seen = {}  # by id: a few of their bytes
        self.followers = [
            Follower(self, "all"),
            Follower(self, "coming-and-going"),
            Follower(self, "added", topics=["message.added"]),
            Follower(self, "added-coming-and-going", topics=["message.added"]),
            Follower(self, "slow", receive_buffer=4096),
        ]

    def command(self):
        command = super().command()
        command[command.index("--account") + 1] = self.user
        return command

    # The process.

    @property
    def is_up(self):
        return self.process is not None

    def start(self):
        super().start()
        self.connect_all()
        return self

    def connect_all(self):
        self.client = self.connect()
        for follower in self.followers:
            follower.connect()

    def disconnect_all(self):
        if self.client:
            self.client.close()
        self.client = None
        for follower in self.followers:
            follower.disconnect()

    def kill(self):
        """What was answered before counts, so it is read first; returns what was not."""
        super().kill()
        self.process = None
        self.read_rest()
        self.disconnect_all()
        unanswered, self.requests = list(self.requests.values()), {}
        return unanswered

    def stop(self):
        self.disconnect_all()
        code = super().stop()
        self.process = None
        return code

    def read_rest(self):
        """What the daemon wrote before it died is still in the sockets."""
        for reader in [self.read, *(f.read for f in self.followers if f.client)]:
            try:
                reader()
            except rpc.Gone:
                pass

    def remove_data(self):
        shutil.rmtree(self.data)
        self.rows, self.photos_seen = {}, {}
        for follower in self.followers:
            follower.reset()

    def check_alive(self):
        if self.is_up and self.process.poll() is not None:
            raise Difference(f"{self.name}: the daemon ended by itself, {self.process.returncode}")

    def set_clock(self, seconds):
        """The wall clock of this daemon is so many seconds ahead from now on."""
        self.clock_offset = seconds
        value = struct.pack("=q", seconds)
        if not self.clock_file.exists():
            self.clock_file.write_bytes(value)
        with open(self.clock_file, "r+b") as file:
            file.write(value)

    # Requests.

    def ask(self, method, on_answer, fds=(), **params):
        """Whoever was killed in between is not asked any more."""
        if not self.is_up:
            on_answer.on_lost()
            return
        # A daemon whose answers are not read does not read either.
        self.read()
        self.requests[self.client.start(method, fds, **params)] = on_answer

    def read(self):
        """Answers that have come, without waiting."""
        try:
            self.client.receive_arrived()
        finally:
            self.take()

    def take(self):
        """What an answer leads to may be asked at once, and read the next ones meanwhile."""
        for id in list(self.client.answers):
            if id in self.requests and id in self.client.answers:
                self.requests.pop(id).on_answer(self.client.answers.pop(id))

    def call(self, method, **params):
        """Waits for the result; answers to earlier requests that came before it count, too."""
        result = self.client.call(method, **params)
        self.take()
        return result

    def read_attachment(self, id):
        data = b""
        while True:
            page = self.call("attachments.read", attachment_id=id, offset=len(data))
            data += base64.b64decode(page["data"])
            if len(data) >= page["size"]:
                return data

    # Subscribers.

    def pick(self, fraction):
        """One of those that come and go."""
        return (self.followers[1], self.followers[3], self.followers[4])[int(fraction * 3)]

    def note_change(self, follower, seq, topic, data):
        """A seq means the same row to everybody."""
        subject = data.get("attachment_id") or data.get("message_id") or data.get("chat_id")
        first = self.rows.setdefault(seq, (topic, subject, follower.name))
        if first[:2] != (topic, subject):
            raise Difference(f"{self.name}: {seq} is {topic} {subject} to {follower.name}, "
                             f"and was {first[0]} {first[1]} to {first[2]}")
