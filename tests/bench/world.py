# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: daemons over made histories, the limits' programs, and the loads put on them."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))

import people  # noqa: E402

NO_SERVER = "http://127.0.0.1:9"
TEXT = "A message of the length that people write, which is a hundred bytes or so, all in all, more or less."


def request(method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params},
                      separators=(",", ":")).replace('"id":0', '"id":@n@', 1)


SEND = request("messages.send", chat_id="chat-0", text=TEXT)
SUBSCRIBE_ADDED = request("events.subscribe", topics=["message.added"])


class Bench:
    """The programs, the directory that they work in, and how thorough to be."""

    def __init__(self, build, directory, quick):
        self.build = pathlib.Path(build)
        self.directory = pathlib.Path(directory)
        self.quick = quick
        self.rounds = 1 if quick else 5
        self.names = iter(range(1 << 30))
        self.histories = {}
        os.environ["CHATD_BUILD"] = str(self.build)

    def scaled(self, n, quick):
        return quick if self.quick else n

    def program(self, name):
        return str(self.build / (name if name in ("chatd", "chatctl") else "tests/bench/" + name))

    def new_path(self, name):
        return self.directory / f"{name}-{next(self.names)}"

    def new_directory(self, name):
        path = self.new_path(name)
        path.mkdir()
        return path

    def run(self, name, *arguments):
        """A program of the bench; the JSON objects that it prints, one a line."""
        command = [self.program(name), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
        results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return results[0] if len(results) == 1 else results

    def load(self, *arguments):
        return self.run("load", *arguments)

    @contextlib.contextmanager
    def process(self, *command, stdin=None):
        """Runs until it has said that it is ready, and as long as the block."""
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stdin=stdin, text=True)
        try:
            line = process.stdout.readline()
            assert line.startswith("ready"), f"{command[0]} said {line!r}"
            process.said = line.strip()
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    @contextlib.contextmanager
    def bare_server(self, *options):
        path = self.new_path("bare")
        with self.process(self.program("bare"), "serve", path, *options):
            yield path

    def history(self, messages, chats=50):
        """The data directory of an account with so many messages, made once; for reading."""
        key = messages, chats
        if key not in self.histories:
            path = self.directory / f"history-{messages}-{chats}"
            self.run("seed", path, messages, chats, NO_SERVER)
            self.histories[key] = path
        return self.histories[key]

    def drop_history(self, messages, chats=50):
        shutil.rmtree(self.histories.pop((messages, chats)), ignore_errors=True)

    @contextlib.contextmanager
    def daemon(self, history=None, copy=False, arguments=(), name="alice", bus=""):
        """A daemon over a history (a copy of it, where it will be written to), or over nothing."""
        directory = self.new_directory("daemon")
        account = Account(directory, name, arguments=["--log-level", "warning", *arguments])
        account.bus = bus
        if history and copy:
            shutil.copytree(history, account.data)
        elif history:
            account.data = history
        account.start()
        try:
            yield account
        finally:
            if account.process.poll() is None:
                account.process.send_signal(signal.SIGTERM)
                account.process.wait(60)
            shutil.rmtree(directory, ignore_errors=True)

    def reply_of(self, daemon, line):
        """A file with the bytes that the daemon answers."""
        path = self.new_path("reply")
        with daemon.connect() as client:
            client.send(line.replace("@n@", "1000").encode() + b"\n")
            path.write_bytes(client.read_line() + b"\n")
        return path


class Account(people.Account):
    """As in the tests, with the time at which it was begun."""

    def start(self):
        self.began = time.monotonic()
        return super().start()


def memory_of(pid):
    """Bytes by kind, as the kernel counts them."""
    sizes = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        sizes[name] = int(value.split()[0]) * 1024
    return sizes


def machine():
    words = {"kernel": os.uname().release, "cpus": os.cpu_count(), "date": None}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            words["cpu"] = line.split(":", 1)[1].strip()
            break
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            words["memory_mib"] = int(line.split()[1]) // 1024
    return words
