# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that is not there, comes back, costs money or becomes another one; a machine that sleeps."""

import contextlib
import shutil
import time

import pytest

from bus import Bus
from desktop_peers import Logind, NetworkManager
from people import Account, People, until

NONE, PORTAL, FULL = 1, 2, 4
YES, NO = 1, 2
OFFLINE_MS = 300_000


class Machine:
    """Bob's, with a system bus of its own; Alice is somewhere else."""

    def __init__(self, directory):
        self.stack = contextlib.ExitStack()
        self.bus = self.stack.enter_context(Bus(directory))
        self.people = self.stack.enter_context(People(directory))
        self.backend = self.people.backend
        self.bob = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def start(self):
        self.bob = self.people.sign_in(
            "bob", environment={"DBUS_SYSTEM_BUS_ADDRESS": self.bus.address})
        return self.bob

    def network_manager(self, **properties):
        return self.stack.enter_context(NetworkManager(self.bus, **properties))

    def logind(self):
        return self.stack.enter_context(Logind(self.bus))

    def connection(self):
        return self.bob.call("daemon.status")["connection"]

    def wait_ms(self):
        """How long until the next attempt; 0: none is planned."""
        connection = self.connection()
        if connection["state"] != "BACKOFF":
            return 0
        return connection["next_attempt_at"] - time.time() * 1000

    def wait_rare(self):
        until(lambda: self.wait_ms() > OFFLINE_MS - 20_000)


@pytest.fixture
def machine(tmp_path):
    with Machine(tmp_path) as machine:
        yield machine


def asked(peer):
    """The daemon has got an answer of that program."""
    peer.wait(lambda p: p.calls)


def test_without_a_network_attempts_are_rare_and_with_it_there_is_one_soon(machine):
    manager = machine.network_manager()
    machine.start()
    asked(manager)
    manager.set(Connectivity=NONE)
    machine.backend.stop()
    machine.wait_rare()
    machine.backend.start()
    began = time.monotonic()
    manager.set(Connectivity=FULL)
    machine.bob.wait_state("LIVE")
    assert time.monotonic() - began < OFFLINE_MS / 1000 / 10


def test_what_is_planned_is_put_off_when_the_network_goes(machine):
    manager = machine.network_manager()
    machine.start()
    asked(manager)
    machine.backend.stop()
    until(lambda: machine.connection()["state"] == "BACKOFF")
    manager.set(Connectivity=NONE)
    machine.wait_rare()
    manager.set(Connectivity=PORTAL)
    until(lambda: machine.wait_ms() < OFFLINE_MS - 20_000)
    machine.backend.start()
    machine.bob.wait_state("LIVE")


def test_what_the_server_asked_for_counts_also_when_the_network_comes_back(machine):
    manager = machine.network_manager()
    machine.start()
    asked(manager)
    machine.backend.control("bye", user="bob", retry_after_s=100)
    until(lambda: machine.wait_ms() > 90_000)
    manager.set(Connectivity=NONE)
    machine.wait_rare()
    manager.set(Connectivity=FULL)
    until(lambda: machine.wait_ms() < OFFLINE_MS - 20_000)
    assert machine.wait_ms() > 60_000


def test_a_network_manager_that_goes_leaves_no_trace(machine):
    manager = machine.network_manager(Connectivity=NONE)
    machine.start()
    asked(manager)
    machine.backend.stop()
    machine.wait_rare()
    manager.stop()
    machine.backend.start()
    machine.bob.wait_state("LIVE")


def test_a_network_manager_that_comes_late_is_heard(machine):
    machine.start()
    manager = machine.network_manager(Connectivity=NONE)
    asked(manager)
    machine.backend.stop()
    machine.wait_rare()


def test_a_bus_that_goes_takes_what_it_said_along(machine):
    manager = machine.network_manager(Connectivity=NONE)
    machine.start()
    asked(manager)
    machine.backend.stop()
    machine.wait_rare()
    machine.bus.stop()
    machine.backend.start()
    machine.bob.wait_state("LIVE")


def test_photos_do_not_come_by_themselves_over_a_network_that_costs(machine):
    manager = machine.network_manager(Metered=YES)
    machine.start()
    asked(manager)
    alice = machine.backend.login("alice")
    session, chat = alice.connect(), alice.chat_with("bob")

    def send():
        photo = alice.upload(b"the whole photo " * 1000, b"a small one")
        session.say(chat, "look", attachments=photo)
        until(lambda: photo in str(machine.bob.messages("alice")))
        return photo

    def get(photo):
        return machine.bob.call("attachments.get", attachment_id=photo)

    photo = send()
    until(lambda: get(photo)["preview_ready"])
    assert get(photo)["status"] == "WAITING"
    manager.set(Metered=NO)
    until(lambda: get(send())["status"] in ("DOWNLOADING", "READY"))


def test_in_another_network_a_dead_session_is_found_out_at_once(machine):
    """Without it, that would take the heartbeat's half minute, and twenty seconds of patience."""
    manager = machine.network_manager()
    machine.start()
    asked(manager)
    machine.backend.control("mute", user="bob")
    began = time.monotonic()
    manager.set(PrimaryConnection=f"{manager.PATH}/2")
    until(lambda: machine.connection()["state"] != "LIVE")
    assert time.monotonic() - began < 20
    machine.bob.wait_state("LIVE")


def test_in_another_network_a_living_session_lives_on(machine):
    manager = machine.network_manager()
    machine.start()
    asked(manager)
    before = machine.connection()
    for n in range(2, 9):
        manager.set(PrimaryConnection=f"{manager.PATH}/{n}")
    alice = machine.people.sign_in("alice")
    alice.call("messages.send", user_id="bob", text="still there?")
    until(lambda: machine.bob.texts("alice"))
    assert machine.connection() == before


def asleep(machine, logind):
    logind.prepare_for_sleep(True)
    until(lambda: not logind.held())


def test_the_machine_sleeps_when_the_goodbye_is_said_and_all_is_stored(machine):
    logind = machine.logind()
    machine.start()
    held = until(logind.held)[0]
    assert (held["what"], held["mode"]) == ("sleep", "delay")
    machine.bob.call("messages.send", user_id="alice", text="good night")
    asleep(machine, logind)
    assert machine.backend.stats()["sessions_left"] == 1
    assert machine.connection()["state"] == "SUSPENDED"
    # The databases alone hold it, without their logs.
    machine.backend.stop()
    (machine.people.directory / "copy").mkdir()
    copy = Account(machine.people.directory / "copy", "bob")
    copy.data.mkdir()
    for name in ("chat.db", "media.db", "key"):
        shutil.copy(machine.bob.data / name, copy.data / name)
    machine.people.accounts.append(copy.start())
    assert copy.texts("alice") == ["good night"]


def test_what_is_sent_in_the_last_moment_goes_out_on_waking(machine):
    logind = machine.logind()
    machine.start()
    until(logind.held)
    asleep(machine, logind)
    opened = machine.backend.stats()["sessions_opened"]
    machine.bob.call("messages.send", user_id="alice", text="too late", message_id="m1")
    assert machine.bob.call("messages.get", message_id="m1")["status"] == "PENDING"
    assert machine.connection()["state"] == "SUSPENDED"
    logind.prepare_for_sleep(False)
    machine.bob.wait_state("LIVE")
    until(lambda: machine.bob.call("messages.get", message_id="m1")["status"] == "SENT")
    until(logind.held)
    assert machine.backend.stats()["sessions_opened"] == opened + 1


def test_waking_is_one_attempt_within_seconds(machine):
    logind = machine.logind()
    machine.start()
    for _ in range(3):
        until(logind.held)
        asleep(machine, logind)
        logind.prepare_for_sleep(False)
        until(lambda: machine.connection()["state"] == "LIVE" or 0 < machine.wait_ms() <= 3000)
        machine.bob.wait_state("LIVE")


def test_sleep_without_a_server_needs_no_goodbye(machine):
    logind = machine.logind()
    machine.start()
    until(logind.held)
    machine.backend.stop()
    until(lambda: machine.connection()["state"] == "BACKOFF")
    asleep(machine, logind)
    machine.backend.start()
    logind.prepare_for_sleep(False)
    machine.bob.wait_state("LIVE")


def test_sleep_with_a_server_that_does_not_answer_waits_for_little(machine):
    logind = machine.logind()
    machine.start()
    until(logind.held)
    machine.backend.control("mute", user="bob")
    began = time.monotonic()
    asleep(machine, logind)
    assert time.monotonic() - began < 10


def test_a_bus_that_goes_during_sleep_means_waking(machine):
    logind = machine.logind()
    machine.start()
    until(logind.held)
    asleep(machine, logind)
    machine.bus.stop()
    machine.bob.wait_state("LIVE")
