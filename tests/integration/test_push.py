# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes: who is registered where, what a push tells the user, and that only a true one does."""

import contextlib
import os
import sqlite3

import pytest

from bus import Bus
from desktop_peers import NotificationServer
from people import People, until
from push_service import Distributor, PushService


class Desk:
    """Bob at a desktop that pushes reach, and Alice, who writes to him."""

    def __init__(self, directory, **options):
        self.stack = contextlib.ExitStack()
        self.bus = self.stack.enter_context(Bus(directory))
        self.server = self.stack.enter_context(NotificationServer(self.bus))
        self.service = self.stack.enter_context(PushService())
        self.distributor = self.stack.enter_context(
            Distributor(self.bus, self.service, **options))
        self.people = self.stack.enter_context(People(directory))
        self.backend = self.people.backend
        self.alice = self.people.sign_in("alice")
        self.bob = self.people.sign_in(
            "bob", environment={"DBUS_SESSION_BUS_ADDRESS": self.bus.address})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def set(self, **settings):
        for name, value in settings.items():
            self.bob.call("settings.set", name=f"connection.{name}", value=str(value))

    def background(self, policy="foreground"):
        """Until bob has no session, and the server knows where to push to."""
        self.set(grace_s=0, policy=policy)
        token = self.distributor.token()
        self.backend.wait_stats(lambda s: s["requests_push"] > 0)
        self.bob.wait_state("SUSPENDED")
        self.backend.wait_stats(lambda s: s["sessions"] == 1)
        return token

    def send(self, text):
        return self.alice.call("messages.send", user_id="bob", text=text)

    def summaries(self):
        return [n["summary"] for n in self.server.told]

    def registrations(self):
        """As the backend has them on its disk, when it is stopped."""
        with contextlib.closing(sqlite3.connect(self.backend.data / "backend.db")) as db:
            return db.execute("SELECT user, endpoint FROM push").fetchall()

    @contextlib.contextmanager
    def backends_data(self):
        """The backend is stopped; its database, to be changed."""
        self.backend.stop()
        with contextlib.closing(sqlite3.connect(self.backend.data / "backend.db")) as db:
            yield db
            db.commit()
        self.backend.start()
        self.alice.wait_state("LIVE")


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


@pytest.mark.parametrize("version", [2, 1])
def test_a_push_is_shown_and_what_it_tells_of_is_fetched(tmp_path, version):
    with Desk(tmp_path, version=version) as desk:
        assert desk.distributor.registered == {}
        assert desk.bob.call("daemon.status")["push"] == {"state": "off"}
        token = desk.background()
        assert desk.bob.call("daemon.status")["push"] == {"state": "ready", "distributor": desk.distributor.NAME}
        assert desk.distributor.registered[token] == "org.chatd.Push1.bob"
        desk.send("are you there?")
        shown = desk.server.one(body="are you there?")
        assert shown["summary"] == "Alice Example"
        until(lambda: desk.bob.texts("alice") == ["are you there?"])
        # It is a notification like any other then, and the session goes again.
        desk.server.one(actions={"default": "Open", "mark-read": "Mark as read"})
        desk.bob.wait_state("SUSPENDED")


def test_it_is_shown_at_once_where_no_session_can_be_had(desk):
    desk.send("one")
    desk.server.one(body="one")
    until(lambda: desk.bob.texts("alice") == ["one"])
    desk.background()
    desk.backend.control("refuse", path="/ws", status=503, count=1000)
    desk.send("two")
    shown = desk.server.one(body="two")
    # In the place of the earlier one of that chat, and nothing can be done with it yet.
    assert shown["summary"].endswith("(2)")
    assert shown["actions"] == {"default": "Open"}
    assert desk.bob.texts("alice") == ["one"]
    sounds = len([n for n in desk.server.told if "sound-name" in n["hints"]])
    desk.backend.control("reset")
    until(lambda: desk.bob.texts("alice") == ["one", "two"])
    desk.server.one(body="two", actions={"default": "Open", "mark-read": "Mark as read"})
    assert len([n for n in desk.server.told if "sound-name" in n["hints"]]) == sounds


def test_what_is_hidden_stays_hidden(desk):
    desk.bob.call("settings.set", name="notifications", value="hidden")
    desk.background()
    desk.backend.control("refuse", path="/ws", status=503, count=1000)
    desk.send("a secret")
    shown = desk.server.one()
    assert "secret" not in str(shown) and "Alice" not in str(shown)


def test_notifications_that_are_off_stay_off(desk):
    desk.bob.call("settings.set", name="notifications", value="off")
    desk.background()
    desk.send("one")
    until(lambda: desk.bob.texts("alice") == ["one"])
    assert desk.server.told == []


def test_the_token_outlives_the_daemon_and_nobody_reads_it_from_the_disk(desk):
    token = desk.background()
    before = desk.backend.stats()["requests_push"]
    desk.bob.stop()
    for path in desk.bob.data.iterdir():
        assert token.encode() not in path.read_bytes()
        assert desk.distributor.endpoint(token).encode() not in path.read_bytes()
    seen = len(desk.distributor.calls)
    desk.bob.start()
    desk.distributor.wait(lambda d: any(c[0] == "Register" for c in d.calls[seen:]))
    assert list(desk.distributor.registered) == [token]
    desk.bob.wait_state("SUSPENDED")
    # The server knows the endpoint still, which is the same.
    desk.send("one")
    desk.server.one(body="one")
    assert desk.backend.stats()["requests_push"] == before


def test_another_endpoint_is_told_to_the_server(desk):
    token = desk.background()
    desk.distributor.generation = 2
    desk.distributor.tell_endpoint(token)
    desk.backend.wait_stats(lambda s: s["requests_push"] == 2)
    desk.send("one")
    desk.server.one(body="one")
    desk.backend.stop()
    assert desk.registrations() == [("bob", desk.distributor.endpoint(token))]


def test_the_server_is_told_when_it_can_be(desk):
    desk.backend.control("refuse", path="/push", status=503, count=2)
    desk.background()
    desk.backend.wait_stats(lambda s: s["requests_push"] == 3)
    desk.send("one")
    desk.server.one(body="one")


def test_a_session_at_all_times_needs_no_pushes(desk):
    token = desk.background()
    desk.set(policy="always")
    desk.distributor.wait(lambda d: d.unregistered == [token])
    desk.backend.wait_stats(lambda s: s["requests_push"] == 2)
    desk.bob.wait_state("LIVE")
    # Once more: under another token.
    desk.set(policy="foreground")
    assert desk.distributor.token() != token
    desk.bob.wait_state("SUSPENDED")


def test_a_void_subscription_is_made_anew(desk):
    token = desk.background()
    desk.distributor.tell_unregistered(token)
    desk.distributor.stop()
    with Distributor(desk.bus, desk.service) as distributor:
        assert distributor.token() != token


def test_a_distributor_that_comes_later_is_found(tmp_path):
    with Desk(tmp_path) as desk:
        desk.distributor.stop()
        desk.set(grace_s=0, policy="foreground")
        desk.bob.wait_state("SUSPENDED")
        assert desk.bob.call("daemon.status")["push"] == {"state": "no_distributor"}
        with Distributor(desk.bus, desk.service, name="other") as distributor:
            distributor.token()
            desk.backend.wait_stats(lambda s: s["requests_push"] == 1)
            desk.send("one")
            desk.server.one(body="one")


def test_by_push_a_session_stays_until_pushes_come(tmp_path):
    with Desk(tmp_path, refusal="ACTION_REQUIRED") as desk:
        desk.set(grace_s=0, policy="push")
        desk.distributor.wait(lambda d: any(c[0] == "Register" for c in d.calls))
        desk.send("one")
        until(lambda: desk.bob.texts("alice") == ["one"])
        assert desk.bob.call("daemon.status")["connection"]["state"] == "LIVE"
        desk.distributor.stop()
        with Distributor(desk.bus, desk.service) as distributor:
            distributor.token()
            desk.bob.wait_state("SUSPENDED")
            desk.send("two")
            until(lambda: desk.bob.texts("alice") == ["one", "two"])


# Hostile pushes. A true one after them shows that they were looked at.

def true_one(desk, text="a true one"):
    desk.send(text)
    desk.server.one(body=text)
    until(lambda: text in desk.bob.texts("alice"))
    desk.bob.wait_state("SUSPENDED")


def test_what_cannot_be_read_has_no_effect(desk):
    token = desk.background()
    true_one(desk, "one")
    good, = desk.distributor.delivered
    logins = desk.backend.stats()["sessions_opened"]
    told = len(desk.server.told)
    for body in [b"", b"\0", os.urandom(200), bytes(4096), os.urandom(4097), os.urandom(100000),
                 good[:-1], good + b"\0", good[:-1] + bytes([good[-1] ^ 1]),
                 b'{"user_id":"bob","messages":[]}']:
        desk.distributor.push(body)
    for other in ["", "x" * 200, token[:-1], token.upper()]:
        desk.distributor.push(os.urandom(144), token=other or None)
    desk.distributor.connector("org.chatd.Push1.bob", "Message")
    desk.distributor.connector("org.chatd.Push1.bob", "Message", token=("u", 1),
                               message=("s", "x"), id=("ay", b"x"))
    desk.distributor.connector("org.chatd.Push1.bob", "NewEndpoint", token=("s", token),
                               endpoint=("s", "file:///etc/passwd"))
    desk.distributor.connector("org.chatd.Push1.bob", "NewEndpoint", token=("s", "other"),
                               endpoint=("s", "http://127.0.0.1:1/"))
    desk.distributor.connector("org.chatd.Push1.bob", "Unregistered", token=("s", "other"))
    desk.distributor.connector("org.chatd.Push1.bob", "Unregistered")
    true_one(desk, "two")
    assert {n["body"] for n in desk.server.told[told:]} == {"two"}
    assert desk.backend.stats()["sessions_opened"] == logins + 1
    assert desk.backend.stats()["requests_push"] == 1


def test_a_repeated_push_has_no_effect(desk):
    desk.background()
    true_one(desk, "one")
    good, = desk.distributor.delivered
    sessions, told = desk.backend.stats()["sessions_opened"], len(desk.server.told)
    for _ in range(20):
        desk.distributor.push(good)
    true_one(desk, "two")
    assert {n["body"] for n in desk.server.told[told:]} == {"two"}
    assert desk.backend.stats()["sessions_opened"] == sessions + 1


def test_one_repeated_to_the_next_daemon_is_not_shown(desk):
    """Which does not know that it came before, but what it is about."""
    desk.background()
    true_one(desk, "one")
    good, = desk.distributor.delivered
    desk.bob.call("messages.mark_read", chat_id=desk.bob.chat_with("alice"),
                  message_id=desk.bob.messages("alice")[-1]["message_id"])
    desk.server.none()
    desk.bob.stop()
    told, seen = len(desk.server.told), len(desk.distributor.calls)
    desk.bob.start()
    desk.distributor.wait(lambda d: any(c[0] == "Register" for c in d.calls[seen:]))
    desk.bob.wait_state("SUSPENDED")
    desk.distributor.push(good)
    true_one(desk, "two")
    assert {n["body"] for n in desk.server.told[told:]} == {"two"}


def test_what_is_for_another_user_is_dropped_unseen(desk):
    """Rightly encrypted: the backend is made to believe that carol's device is here, too."""
    desk.background()
    with desk.backends_data() as db:
        db.execute("INSERT INTO push SELECT 'carol', 'phone', endpoint, p256dh, auth FROM push")
    sessions = desk.backend.stats()["sessions_opened"]
    desk.alice.call("messages.send", user_id="carol", text="for carol alone")
    desk.distributor.wait(lambda d: len(d.delivered) == 1)
    true_one(desk)
    assert {n["body"] for n in desk.server.told} == {"a true one"}
    assert desk.backend.stats()["sessions_opened"] == sessions + 1


def test_what_is_for_other_keys_is_dropped(desk):
    desk.background()
    other = ("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
             "BTBZMqHH6r4Tts7J_aSIgg")
    with desk.backends_data() as db:
        right = db.execute("SELECT p256dh, auth FROM push").fetchone()
        db.execute("UPDATE push SET p256dh = ?, auth = ?", other)
    sessions = desk.backend.stats()["sessions_opened"]
    desk.send("for other keys")
    desk.distributor.wait(lambda d: len(d.delivered) == 1)
    assert desk.backend.stats()["sessions_opened"] == sessions
    with desk.backends_data() as db:
        db.execute("UPDATE push SET p256dh = ?, auth = ?", right)
    desk.send("for the right ones")
    desk.server.one(body="for the right ones")
    assert "for other keys" not in {n["body"] for n in desk.server.told}


def test_who_signs_out_is_pushed_to_no_more(desk):
    token = desk.background("push")
    assert desk.bob.call("account.logout", confirm=True) == {}
    until(lambda: token not in desk.distributor.registered)
    desk.backend.stop()
    assert desk.registrations() == []


def test_signing_out_waits_for_no_server_for_long(desk):
    desk.background("push")
    desk.backend.stop()
    with desk.bob.connect() as client:
        client.call("account.logout", confirm=True)
        assert client.call("daemon.status")["connection"]["state"] == "OFFLINE"
