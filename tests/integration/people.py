# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts on the loopback backend: each a daemon with data of its own, signed in.

    with People(tmp_path) as people:
        alice, bob = people.sign_in("alice"), people.sign_in("bob")
        with alice.connect() as client:
            client.call("messages.send", user_id="bob", text="hello")
"""

import os
import pathlib
import subprocess
import time

import rpc
from backend import Backend

PATIENCE = 2 * rpc.TIMEOUT


def until(condition, patience=PATIENCE):
    """Waits for a condition that no event announces; returns what made it true."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


class Account(rpc.Daemon):
    """A daemon with data on the disk, which outlives the process."""

    def __init__(self, directory, name, arguments=(), environment=None):
        super().__init__(directory, demo={}, arguments=arguments)
        self.name = name
        self.data = self.directory / "data"
        self.path = self.directory / "s"
        self.environment = environment or {}
        self.log = None  # a file for what it says; its caller's stderr if left out

    def command(self):
        helper = pathlib.Path(rpc.program()).with_name("chatd-preview")
        return [*rpc.WRAPPER, rpc.program(), "--account", self.name, "--data-dir", str(self.data),
                "--socket", str(self.path), "--config", "/dev/null",
                "--preview-helper", str(helper), *self.arguments]

    def start(self):
        environment = {**os.environ, "HOME": str(self.directory),
                       "DBUS_SESSION_BUS_ADDRESS": self.bus, "DBUS_SYSTEM_BUS_ADDRESS": "",
                       **self.environment}
        self.process = subprocess.Popen(self.command(), env=environment, stderr=self.log)
        until(self.answers)
        return self

    def answers(self):
        assert self.process.poll() is None, "the daemon has ended"
        try:
            self.connect().close()
        except (OSError, rpc.Gone):
            # One that was killed just now may leave its socket to a helper that is about to begin.
            return False
        return True

    def kill(self):
        """As the kernel does it when memory is short: no chance to save anything."""
        self.process.kill()
        self.process.wait()

    def call(self, method, **params):
        with self.connect() as client:
            return client.call(method, **params)

    def wait_state(self, state):
        until(lambda: self.call("daemon.status")["connection"]["state"] == state)

    def chat_with(self, user_id):
        return self.call("chats.get", user_id=user_id)["chat_id"]

    def messages(self, user_id):
        try:
            chat = self.chat_with(user_id)
        except rpc.RpcError:
            return []
        return self.call("messages.list", chat_id=chat, limit=200)["messages"]

    def texts(self, user_id):
        return [m["text"] for m in self.messages(user_id)]


class People:
    """The backend and whoever has signed in to it."""

    def __init__(self, directory, check=None, **options):
        self.directory = pathlib.Path(directory)
        self.check = check  # of every answer
        self.backend = Backend(self.directory, **options)
        self.accounts = []

    def __enter__(self):
        self.backend.start()
        return self

    def __exit__(self, *_):
        for account in self.accounts:
            if account.process and account.process.poll() is None:
                account.stop()
        self.backend.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.backend.port}"

    def account(self, name, device="", **options):
        directory = self.directory / f"{name}{device}"
        directory.mkdir()
        account = Account(directory, name, **options)
        account.check = self.check
        account.start()
        self.accounts.append(account)
        return account

    def sign_in(self, name, device="", **options):
        account = self.account(name, device, **options)
        account.call("account.login", server=self.url, user_id=name,
                     password=self.backend.users[name])
        account.wait_state("LIVE")
        return account
