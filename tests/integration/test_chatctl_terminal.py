# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything chatctl shows fits on a terminal of 80 columns, whatever people are called and write."""

import re
import uuid

import pytest

from chatctl_support import ctl, fake  # noqa: F401 (fixtures)
from fake_chatd import now
from test_chatctl_reading import width

PEOPLE = {
    "emoji": "👩‍👩‍👧 Family 🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉",
    "rtl": "דניאל בן־דוד מירושלים העתיקה",
    "combining": "Z̸̡̛̗͇̲̩̺a̵l̶g̷o̶ é̂̃ Nguyễn",
    "wide": "山田太郎・花子・次郎・三郎・四郎",
    "long": "Maximilian " * 18 + "II",
    "unbroken": "x" * 200,
}
TEXTS = ["👍🏽" * 60, "שלום עולם " * 20, "e\u0301" * 150, "日本語テキスト" * 20,
         "https://example.org/" + "a" * 200, "two\n\nlines\tand a tab"]


@pytest.fixture
def crowd(fake):
    fake.account["user_name"] = PEOPLE["long"]
    fake.state = {**fake.state, "state": "BACKOFF", "next_attempt_at": now() + 60_000,
                  "last_error": "the certificate of " + "very." * 30 + "example is out of date"}
    for i, (user, name) in enumerate(PEOPLE.items()):
        chat = str(uuid.uuid4())
        fake.add_chat(chat, user + "-" + "0123456789", name)
        message = fake.add_message(chat, "find " + TEXTS[i], created_at=now() - i * 40 * 86400_000)
        fake.add_attachment(message["message_id"], str(uuid.uuid4()), b"x" * 12345,
                            name=name + ".jpeg", status="DOWNLOADING", progress=10)
        fake.add_message(chat, TEXTS[i], outgoing=True, status="FAILED",
                         error={"title": "Refused " + name, "detail": TEXTS[i]})
    return fake


def shown(ctl, *args):
    code, text = ctl.on_terminal(*args, env={"NO_COLOR": "1"}).finish()
    assert code == 0, text
    return text.replace("\u200e", "").splitlines()


def assert_fits(lines):
    assert lines and [(width(line), line) for line in lines if width(line) > 80] == []


VERBS = [("status",), ("chats",), ("chats", "--ids"), ("search", "find"), ("search", "find", "-i"),
         ("messages", "emoji"), ("messages", "דניאל"), ("messages", "山田"), ("messages", "Maxi"),
         ("messages", "xxx", "--ids"), ("photo", "list", "Z"), ("photo", "list", "xxx"),
         ("outbox",), ("--help",)]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_nothing_is_wider_than_the_terminal(crowd, ctl, verb):
    if verb == ("messages", "emoji"):
        verb = ("messages", "👩‍👩‍👧")
    assert_fits(shown(ctl, *verb))


def test_watching_fits_too(crowd, ctl):
    terminal = ctl.on_terminal("watch", "--since=0", env={"NO_COLOR": "1"})
    crowd.wait_request("events.subscribe")
    chat = next(iter(crowd.chats))
    for message in list(crowd.messages.values()):
        crowd.set_status(message["message_id"], "FAILED", {"title": "x" * 300, "detail": "y"})
    for attachment in list(crowd.attachments):
        crowd.change("attachment.updated", crowd.full_attachment(attachment))
    crowd.change("chat.updated", {**crowd.chats[chat], "unread_count": 7})
    crowd.change("chat.removed", {"chat_id": chat, "user_id": "bob"})
    crowd.change("connection", crowd.state)
    crowd.add_message("c-1", "the last one")
    terminal.read_until("the last one")
    terminal.type("\x03")
    _, text = terminal.finish()
    assert_fits(text.replace("\u200e", "").replace("^C", "").splitlines())


def test_ids_are_shown_whole(crowd, ctl):
    lines = shown(ctl, "chats", "--ids")
    for chat in crowd.chats.values():
        assert any(line.split()[:2] == [chat["chat_id"], chat["user_id"]] for line in lines)
    chat = list(crowd.chats)[-1]
    text = "\n".join(shown(ctl, "messages", chat, "--ids") + shown(ctl, "photo", "list", chat))
    for attachment in list(crowd.attachments)[-1:]:
        assert text.count(attachment) == 2


def test_columns_stay_aligned(crowd, ctl):
    heading, *rows = shown(ctl, "chats")
    for title in ("UNREAD", "WHEN", "LAST MESSAGE"):
        column = heading.index(title)
        for row in rows:
            cut = next(i for i in range(len(row) + 1) if width(row[:i]) >= column)
            assert width(row[:cut]) == column and row[cut - 1] == " ", (title, row)


@pytest.mark.parametrize("verb, said", [
    (("chats",), "No chats yet."), (("search", "x"), "Nothing found."),
    (("outbox",), "Nothing is waiting."), (("status",), "Unread")])
def test_an_empty_account(fake, ctl, verb, said):
    fake.chats.clear()
    result = ctl(*verb)
    assert result.code == 0 and said in result.out + result.err
    assert len(result.lines) <= 10


def test_a_photo_without_words_is_a_message_too(fake, ctl):
    message = fake.add_message("c-1", "")
    fake.add_attachment(message["message_id"], "a-1", b"x" * 4000, name="c.jpg")
    fake.add_attachment(message["message_id"], "a-2", b"x" * 4000, name="c.jpg")
    assert shown(ctl, "chats")[1].endswith("  [photo]")
    first, second = shown(ctl, "messages", "bob")
    assert "new       photo a-1 c.jpg" in first and second.startswith(" " * 43 + "photo a-2")
    fake.add_message("c-1", "", outgoing=True, status="FAILED")
    assert shown(ctl, "chats")[1].endswith("  you (FAILED): [photo]")
    fake.add_chat("c-2", "new", "New")  # in which nobody has written
    assert shown(ctl, "chats")[2].split() == ["New", "-"]
    identifier = str(uuid.uuid4())  # where it does not fit it is not cut, and has a line of its own
    message = fake.add_message("c-2", "")
    fake.add_attachment(message["message_id"], identifier, b"x")
    lines = shown(ctl, "messages", "new")
    assert_fits(lines)
    assert lines[1].startswith(" " * 17 + "photo " + identifier)


def test_settings_fit_and_say_what_they_may_be(fake, ctl):
    lines = shown(ctl, "settings")
    assert_fits(lines)
    assert lines == ["photos.quality = good", "    How small photos are made. best by default.",
                     "connection.grace_s = 5",
                     "    How long the session stays. 0 to 86400; 60 by default."]


def test_an_empty_chat(fake, ctl):
    assert ctl("messages", "bob").err == "No messages.\n"
    assert ctl("photo", "list", "bob").err == "No photos.\n"


def test_every_help_fits(ctl):
    commands = re.findall("^  ([a-z]+(?: [a-z]+)?)", ctl("--help").out, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        assert_fits(ctl(*command.split(), "--help").lines)
