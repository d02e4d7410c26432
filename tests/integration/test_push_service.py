# SPDX-License-Identifier: GPL-3.0-or-later
"""By connection.policy push: a service that ends when there is nothing to do, and is started by who
comes, a frontend or a push."""

import contextlib

import pytest

from backend import Backend
from desktop_peers import NotificationServer
from people import Account, until
from push_service import Distributor, PushService
from user_manager import UserManager


class Machine(UserManager):
    """Alice's, with a distributor on her bus."""

    @property
    def address(self):
        return f"unix:path={self.run_directory}/bus"

    @contextlib.contextmanager
    def peer(self, kind, *arguments):
        """Another program of the user's, whom alone the bus lets in."""
        with self.as_user():
            peer = kind(self, *arguments).start()
        try:
            yield peer
        finally:
            with self.as_user():
                peer.stop()

    def wait_state(self, state):
        self.wait_show("ActiveState", lambda s: s == state)

    def settings(self, client, **values):
        for name, value in values.items():
            client.call("settings.set", name=f"connection.{name}", value=str(value))


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def machine(stack):
    return stack.enter_context(Machine())


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


@pytest.fixture
def distributor(stack, machine, backend):
    service = stack.enter_context(PushService())
    return stack.enter_context(machine.peer(Distributor, service))


@pytest.fixture
def bob(tmp_path, backend):
    (tmp_path / "bob").mkdir()
    account = Account(tmp_path / "bob", "bob").start()
    account.call("account.login", server=backend.url, user_id="bob", password=backend.users["bob"])
    yield account
    account.stop()


def go_to_sleep(machine, backend, grace_s=0):
    """Alice signs in, and her daemon ends."""
    machine.systemctl("start", "chatd.socket")
    with machine.connect() as client:
        client.call("account.login", server=backend.url, user_id="alice",
                    password=backend.users["alice"])
        machine.settings(client, grace_s=grace_s, policy="push")
        backend.wait_stats(lambda s: s["requests_push"] == 1)
        pid = machine.show("MainPID")
        until(lambda: client.call("daemon.status")["connection"]["state"] == "SUSPENDED")
        # As long as a frontend is there.
        assert machine.show("MainPID") == pid
    machine.wait_state("inactive")
    assert machine.show("Result") == "success" and machine.show("NRestarts") == "0"


def texts(machine, user_id):
    with machine.connect() as client:
        chat = client.call("chats.get", user_id=user_id)["chat_id"]
        return [m["text"] for m in client.call("messages.list", chat_id=chat)["messages"]]


def test_a_push_starts_it_and_it_ends_again(machine, backend, distributor, bob):
    go_to_sleep(machine, backend)
    before = backend.stats()["sessions_opened"]
    bob.call("messages.send", user_id="alice", text="wake up")
    backend.wait_stats(lambda s: s["pushes_sent"] == 1)
    backend.wait_stats(lambda s: s["sessions_opened"] == before + 1 and s["sessions"] == 1, 60)
    machine.wait_state("inactive")
    assert machine.show("Result") == "success"
    # Bob is told that it has arrived, with nobody there but the daemon.
    until(lambda: bob.messages("alice")[0]["status"] == "RECEIVED")
    # A frontend starts it, too, and finds what the push has brought.
    assert texts(machine, "bob") == ["wake up"]
    machine.wait_state("inactive")


def test_what_is_on_the_screen_keeps_it(machine, backend, distributor, bob, stack):
    server = stack.enter_context(machine.peer(NotificationServer))
    go_to_sleep(machine, backend)
    bob.call("messages.send", user_id="alice", text="wake up")
    shown = server.one(body="wake up", actions={"default": "Open", "mark-read": "Mark as read"})
    machine.wait_show("StatusText", lambda s: s.startswith("SUSPENDED"))
    assert machine.show("ActiveState") == "active"
    server.act(shown["id"], "mark-read")
    server.none()
    machine.wait_state("inactive")
    # The receipt goes with the next session.
    assert texts(machine, "bob") == ["wake up"]
    until(lambda: bob.messages("alice")[0]["status"] == "READ")


def test_many_pushes_while_it_comes_and_goes_lose_nothing(machine, backend, distributor, bob):
    go_to_sleep(machine, backend)
    for n in range(12):
        bob.call("messages.send", user_id="alice", text=f"message {n}")
        if n == 2:
            until(lambda: bob.messages("alice")[0]["status"] == "RECEIVED")
            # While it ends, or after.
            machine.wait_show("ActiveState", lambda s: s != "active")
    # Each is fetched without a frontend, by whichever daemon.
    try:
        until(lambda: bob.messages("alice")[-1]["status"] == "RECEIVED", 60)
    except AssertionError as error:
        raise AssertionError(machine.journal_text()) from error
    assert texts(machine, "bob") == [f"message {n}" for n in range(12)]


def test_a_message_that_is_sent_keeps_it_until_it_is_delivered(machine, backend, distributor, bob):
    go_to_sleep(machine, backend)
    backend.stop()
    with machine.connect() as client:
        client.call("messages.send", user_id="bob", text="for later")
    machine.wait_show("StatusText", lambda s: s.startswith("BACKOFF") and "1 pending" in s)
    backend.start()
    until(lambda: bob.texts("alice") == ["for later"])
    machine.wait_state("inactive")


def test_without_pushes_it_stays(machine, backend, distributor):
    distributor.refusal = "ACTION_REQUIRED"
    machine.systemctl("start", "chatd.socket")
    with machine.connect() as client:
        client.call("account.login", server=backend.url, user_id="alice",
                    password=backend.users["alice"])
        machine.settings(client, grace_s=0, policy="push")
    distributor.wait(lambda d: any(c[0] == "Register" for c in d.calls))
    machine.wait_show("StatusText", lambda s: s.startswith("LIVE"))
    assert machine.show("ActiveState") == "active"
