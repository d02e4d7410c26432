# SPDX-License-Identifier: GPL-3.0-or-later
"""New messages on the user's screen: what is shown, updated, closed, and what the user answers."""

import contextlib

import pytest

from bus import Bus
from desktop_peers import NotificationServer
from people import People, until


class Desk:
    """Bob at a desktop, and Alice, who writes to him from elsewhere."""

    def __init__(self, directory, **options):
        self.stack = contextlib.ExitStack()
        self.bus = self.stack.enter_context(Bus(directory))
        self.server = self.stack.enter_context(NotificationServer(self.bus, **options))
        self.people = self.stack.enter_context(People(directory))
        self.alice = self.people.sign_in("alice")
        self.bob = self.people.sign_in(
            "bob", environment={"DBUS_SESSION_BUS_ADDRESS": self.bus.address})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def send(self, text, sender=None):
        return (sender or self.alice).call("messages.send", user_id="bob", text=text)

    def chat(self):
        return until(lambda: self.bob.messages("alice")) and self.bob.chat_with("alice")

    def unread(self):
        return self.bob.call("chats.get", chat_id=self.chat())["unread_count"]


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk


def name_of(account):
    return account.call("daemon.status")["account"]["username"]


def test_a_message_is_shown(desk):
    desk.send("see you at <b>6</b> & bring \"it\"")
    shown = desk.server.one()
    assert shown["summary"] == name_of(desk.alice)
    assert shown["body"] == "see you at &lt;b&gt;6&lt;/b&gt; &amp; bring &quot;it&quot;"
    assert shown["hints"]["category"] == "im.received"
    assert shown["hints"]["desktop-entry"] == "org.chatd.Chat1"
    assert shown["hints"]["sound-name"] == "message-new-instant"
    assert list(shown["actions"]) == ["default", "mark-read"]
    assert shown["timeout"] == -1


def test_without_markup_the_text_is_as_it_was_written(tmp_path):
    with Desk(tmp_path, capabilities=["body"]) as desk:
        desk.send("1 < 2 & 3")
        shown = desk.server.one()
        assert shown["body"] == "1 < 2 & 3"
        assert shown["actions"] == {}


def test_one_bubble_a_chat_that_updates(desk):
    desk.send("one")
    first = desk.server.one(body="one")
    for n in range(20):
        desk.send(f"n{n}")
    last = desk.server.one(body="n19")
    assert last["id"] == first["id"]
    assert last["summary"].endswith("(21)")
    assert len(desk.server.told) < 15


def test_it_is_closed_when_the_message_is_read_here(desk):
    message = desk.send("hello")["message_id"]
    desk.server.one()
    desk.bob.call("messages.mark_read", chat_id=desk.chat(), message_id=message)
    desk.server.none()


def test_it_is_closed_when_the_message_is_read_elsewhere(desk):
    phone = desk.people.sign_in("bob", device="-phone")
    message = desk.send("hello")["message_id"]
    desk.server.one()
    until(lambda: phone.messages("alice"))
    phone.call("messages.mark_read", chat_id=phone.chat_with("alice"), message_id=message)
    desk.server.none()


def test_mark_read_marks_as_read(desk):
    desk.send("hello")
    shown = desk.server.one()
    desk.server.act(shown["id"], "mark-read")
    desk.server.none()
    assert desk.unread() == 0
    until(lambda: desk.alice.messages("bob")[0]["status"] == "READ")


def test_default_tells_frontends_which_chat_to_open(desk):
    with desk.bob.connect() as client:
        client.call("events.subscribe", topics=["chat.open"])
        message = desk.send("hello")["message_id"]
        shown = desk.server.one()
        desk.server.act(shown["id"], "default", token="token-1")
        change = client.next_change()
        assert change == {"topic": "chat.open", "data": {
            "chat_id": desk.chat(), "message_id": message, "activation_token": "token-1"}}
    assert desk.unread() == 1


def test_an_answer_is_sent_and_the_message_is_read(tmp_path):
    with Desk(tmp_path, capabilities=["body", "actions", "inline-reply"]) as desk:
        desk.send("coming?")
        shown = desk.server.one()
        assert "inline-reply" in shown["actions"]
        assert shown["hints"]["x-kde-reply-placeholder-text"]
        desk.server.reply(shown["id"], "yes")
        desk.server.none()
        until(lambda: desk.alice.texts("bob") == ["coming?", "yes"])
        assert desk.unread() == 0


def test_an_answer_that_cannot_be_sent_is_told(tmp_path):
    with Desk(tmp_path, capabilities=["body", "actions", "inline-reply"]) as desk:
        desk.send("coming?")
        shown = desk.server.one()
        desk.server.reply(shown["id"], "x" * 70000)
        told = desk.server.one(summary="Your answer was not sent")
        assert told["body"]
        assert desk.bob.texts("alice") == ["coming?"]


def test_the_chat_on_screen_needs_no_notification(desk):
    desk.send("one")
    desk.server.one()
    with desk.bob.connect() as client:
        client.call("chats.focus", chat_id=desk.chat())
        desk.server.none()
        desk.send("two")
        until(lambda: desk.bob.texts("alice") == ["one", "two"])
        # A later one in another chat is told after the earlier one would have been.
        carol = desk.people.sign_in("carol")
        desk.send("three", sender=carol)
        desk.server.one(summary=name_of(carol))
    desk.send("four")
    desk.server.wait(lambda s: any(n["body"] == "four" for n in s.shown.values()))
    assert [n["body"] for n in desk.server.told] == ["one", "three", "four"]


def test_what_came_while_the_daemon_was_away_is_told(desk):
    desk.send("before")
    desk.server.one()
    assert desk.bob.stop() == 0
    desk.server.none()
    desk.send("meanwhile")
    desk.bob.start()
    assert desk.server.one(body="meanwhile")["summary"].endswith("(2)")


def test_the_first_sync_is_history(tmp_path):
    with Desk(tmp_path) as desk:
        desk.send("old")
        until(lambda: desk.bob.texts("alice") == ["old"])
        before = len(desk.server.wait(lambda s: s.told))
        phone = desk.people.sign_in("bob", device="-phone", environment={
            "DBUS_SESSION_BUS_ADDRESS": desk.bus.address})
        assert phone.texts("alice") == ["old"]
        desk.send("new")
        desk.server.wait(lambda s: [n["body"] for n in s.told[before:]] == ["new", "new"])


def test_hidden_says_that_there_is_one_and_nothing_of_it(desk):
    desk.send("one")
    desk.server.one(body="one")
    desk.bob.call("settings.set", name="notifications", value="hidden")
    desk.server.none()
    desk.send("secret")
    shown = desk.server.one(summary="2 new messages")
    assert shown["body"] == ""
    assert "secret" not in str(shown) and name_of(desk.alice) not in str(shown)


def test_off_shows_none(desk):
    desk.send("one")
    desk.server.one()
    desk.bob.call("settings.set", name="notifications", value="off")
    desk.server.none()
    desk.send("two")
    until(lambda: desk.bob.texts("alice") == ["one", "two"])
    desk.bob.call("settings.set", name="notifications", value=None)
    desk.send("three")
    desk.server.one(body="three")
    assert [n["body"] for n in desk.server.told] == ["one", "three"]


def test_a_dismissed_one_comes_back_with_news_only(desk):
    desk.send("one")
    desk.server.dismiss(desk.server.one()["id"])
    until(lambda: desk.alice.messages("bob")[0]["status"] == "RECEIVED")
    desk.bob.call("messages.send", user_id="alice", text="an own one")
    until(lambda: len(desk.alice.texts("bob")) == 2)
    desk.send("two")
    desk.server.one(body="two")
    assert [n["body"] for n in desk.server.told] == ["one", "two"]


def test_the_server_may_come_later_go_and_come_back(tmp_path):
    with Desk(tmp_path) as desk:
        desk.server.stop()
        desk.send("one")
        until(lambda: desk.bob.texts("alice") == ["one"])
        for text in ("two", "three"):
            desk.send(text)
            until(lambda text=text: desk.bob.texts("alice")[-1] == text)
            with NotificationServer(desk.bus) as server:
                server.one(body=text)
        assert desk.bob.process.poll() is None


def test_the_bus_may_go_and_come_back(tmp_path):
    with Desk(tmp_path) as desk:
        desk.send("one")
        desk.server.one()
        desk.bus.stop()
        desk.send("two")
        until(lambda: desk.bob.texts("alice") == ["one", "two"])
        desk.bus.start()
        with NotificationServer(desk.bus) as server:
            desk.send("three")
            server.one(body="three")
