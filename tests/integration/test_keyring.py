# SPDX-License-Identifier: GPL-3.0-or-later
"""The account's key in the desktop's keyring: gnome-keyring itself, on a session bus of the test's."""

import os
import shutil
import subprocess

import pytest

import rpc
from bus import Bus
from people import People, until

pytestmark = pytest.mark.skipif(not shutil.which("gnome-keyring-daemon"),
                                reason="gnome-keyring is not installed")

SECRETS = "org.freedesktop.secrets"
ROOT = "/org/freedesktop/secrets"
SERVICE = "org.freedesktop.Secret.Service"
SCHEMA = "org.chatd.Chat1.Key"
PASSWORD = b"of the keyring"


class Keyring:
    """gnome-keyring with a home of its own, whose keyring is made and unlocked by a password."""

    def __init__(self, bus, directory):
        self.bus, self.directory = bus, directory
        self.environment = {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory / "share"),
                            "XDG_RUNTIME_DIR": str(directory), "XDG_CACHE_HOME": str(directory / "cache"),
                            "DBUS_SESSION_BUS_ADDRESS": bus.address}
        for name in "GNOME_KEYRING_CONTROL", "DISPLAY", "WAYLAND_DISPLAY":
            self.environment.pop(name, None)
        self.process = None

    def start(self):
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.process = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.environment)
        self.process.stdin.write(PASSWORD)
        self.process.stdin.close()
        with self.bus.connect() as client:
            client.wait_name(SECRETS)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def ask(self, member, signature="", body=(), path=ROOT, interface=SERVICE):
        with self.bus.connect() as client:
            return client.ask(interface, member, signature, body, path=path, destination=SECRETS)

    def items(self):
        """Those of chatd: the unlocked and the locked ones."""
        return self.ask("SearchItems", "a{ss}", ({"xdg:schema": SCHEMA},))

    def lock(self):
        collection, = self.ask("ReadAlias", "s", ("default",))
        locked, _ = self.ask("Lock", "ao", ([collection],))
        assert locked == [collection]

    def unlock(self):
        """With its password, as a login does it, whoever else may wait for it."""
        collection, = self.ask("ReadAlias", "s", ("default",))
        with self.bus.connect() as client:
            _, session = client.ask(SERVICE, "OpenSession", "sv", ("plain", ("s", "")), path=ROOT,
                                    destination=SECRETS)
            client.ask("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
                       "UnlockWithMasterPassword", "o(oayays)",
                       (collection, (session, b"", PASSWORD, "text/plain")), path=ROOT,
                       destination=SECRETS)


@pytest.fixture
def bus(tmp_path):
    with Bus(tmp_path) as bus:
        yield bus


@pytest.fixture
def keyring(bus, tmp_path):
    with Keyring(bus, tmp_path / "keyring") as keyring:
        yield keyring


@pytest.fixture
def people(tmp_path, bus):
    with People(tmp_path) as people:
        yield people


def account(people, bus):
    alice = people.account("alice", environment={"DBUS_SESSION_BUS_ADDRESS": bus.address},
                           arguments=["--dbus", "no"])
    alice.call("account.login", server=people.url, user_id="alice",
               password=people.backend.users["alice"])
    alice.wait_state("LIVE")
    alice.call("messages.send", user_id="bob", text="kept")
    return alice


def reason(alice):
    return alice.call("daemon.status").get("locked", {}).get("reason")


def restart(alice):
    assert alice.stop() == 0
    return alice.start()


def key_files(alice):
    return sorted(p.name for p in alice.data.iterdir() if p.name.startswith("key"))


def test_the_keyring_keeps_what_the_key_is_wrapped_by(people, bus, keyring):
    alice = account(people, bus)
    alice.call("account.set_key_source", source="secret_service")
    assert alice.call("daemon.status")["key_source"] == "secret_service"
    assert key_files(alice) == ["key.check", "key.keyring"]
    assert [len(items) for items in keyring.items()] == [1, 0]
    restart(alice)
    assert reason(alice) is None and alice.texts("bob") == ["kept"]
    # Another move within the keyring leaves nothing of the first.
    alice.call("account.set_key_source", source="secret_service")
    until(lambda: len(keyring.items()[0]) == 1)
    restart(alice)
    assert alice.texts("bob") == ["kept"]
    alice.call("account.set_passphrase", passphrase="tulip")
    assert key_files(alice) == ["key.check", "key.wrapped"]
    until(lambda: not keyring.items()[0])


def test_a_locked_keyring_locks_the_account_until_it_is_unlocked(people, bus, keyring):
    alice = account(people, bus)
    alice.call("account.set_key_source", source="secret_service")
    keyring.lock()
    restart(alice)
    assert reason(alice) == "keyring_locked"
    with pytest.raises(rpc.RpcError) as error:
        alice.call("chats.list")
    assert error.value.kind == "locked" and "keyring" in error.value.data["detail"]
    with alice.connect() as client:
        client.call("events.subscribe", topics=["connection"])
        keyring.unlock()
        client.next_change(lambda c: c["data"]["state"] == "LIVE")
    assert alice.texts("bob") == ["kept"]


def test_without_a_keyring_the_account_is_locked_until_it_comes(people, bus, keyring):
    alice = account(people, bus)
    alice.call("account.set_key_source", source="secret_service")
    keyring.stop()
    restart(alice)
    assert reason(alice) == "keyring_unavailable"
    keyring.start()
    until(lambda: reason(alice) is None)
    assert alice.texts("bob") == ["kept"]


def test_a_keyring_that_has_lost_the_secret_leaves_the_recovery_key(people, bus, keyring):
    alice = account(people, bus)
    way_back = alice.call("account.make_recovery_key")["recovery_key"]
    alice.call("account.set_key_source", source="secret_service")
    for item in keyring.items()[0]:
        keyring.ask("Delete", path=item, interface="org.freedesktop.Secret.Item")
    restart(alice)
    assert reason(alice) == "key_missing"
    alice.call("account.unlock", recovery_key=way_back)
    alice.call("account.set_key_source", source="secret_service")
    restart(alice)
    assert reason(alice) is None and alice.texts("bob") == ["kept"]


def test_nothing_moves_where_no_keyring_is(people, bus):
    alice = account(people, bus)
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.set_key_source", source="secret_service")
    assert error.value.kind == "unsupported"
    assert key_files(alice) == ["key", "key.check"]
    restart(alice)
    assert alice.texts("bob") == ["kept"]


def test_nobody_at_the_keyrings_window_leaves_it_locked(people, bus, keyring):
    alice = account(people, bus)
    alice.call("account.set_key_source", source="secret_service")
    alice.call("account.lock")
    keyring.lock()
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.unlock")
    assert error.value.kind == "locked"
    assert reason(alice) == "keyring_locked"
    keyring.unlock()
    until(lambda: reason(alice) is None)
