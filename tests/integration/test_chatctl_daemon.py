# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people who talk to each other with nothing but chatctl, their daemons and the backend."""

import pathlib

import pytest

from chatctl_support import Chatctl
from people import People, until

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"


class Person:
    def __init__(self, people, name):
        self.account = people.account(name)
        self.home = people.directory / f"{name}-home"
        self.home.mkdir()
        self.ctl = Chatctl(self.home, str(self.account.path))
        self.password = people.backend.users[name].encode() + b"\n"

    def __call__(self, *args, **options):
        return self.ctl(*args, **options)


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


@pytest.fixture
def pair(people):
    alice, bob = Person(people, "alice"), Person(people, "bob")
    for person in (alice, bob):
        result = person("login", people.url, person.account.name, stdin=person.password)
        assert result.code == 0, result
        person.account.wait_state("LIVE")
    return alice, bob


def test_signing_in(people):
    alice = Person(people, "alice")
    assert "not signed in" in alice("status").out
    assert alice("send", "@bob", "hi").code == 4
    wrong = alice("login", people.url, "alice", "--json", stdin=b"wrong\n")
    assert wrong.code == 1 and wrong.error["kind"] == "denied"
    assert alice("login", "http://127.0.0.1:1", "alice", stdin=alice.password).code == 5
    result = alice("login", people.url, "alice", stdin=alice.password)
    assert result.out == f"Signed in at {people.url} as Alice Example (@alice).\n"
    alice.account.wait_state("LIVE")
    assert "LIVE" in alice("status").out
    assert alice("chats").err == "No chats yet.\n"


def test_search(pair):
    alice, _ = pair
    assert alice("send", "@bob", "the Größe of the disk").code == 0
    assert alice("send", "@bob", "something else").code == 0
    result = alice("search", "GROSSE", "dis")
    assert result.out == "", "ß is not ss"
    found, = alice("search", "große", "dis", "--json").json
    assert found["message"]["text"] == "the Größe of the disk"
    assert [p["text"] for p in found["snippet"] if p["match"]] == ["Größe", "disk"]
    assert alice("search", '"disk the"').err == "Nothing found.\n"
    shown = alice("search", '"of the disk"', "--chat", "bob").out
    assert shown.endswith("you: the Größe of the disk\n") and "Bob Example" in shown


def test_a_conversation(pair):
    alice, bob = pair
    with bob.ctl.start("watch", "--json", "--topics=message.added", "--since=0") as watch, \
            alice.ctl.start("send", "@bob", "hello", "there", "--wait=read") as send:
        incoming = watch.json_line()["data"]
        assert (incoming["text"], incoming["outgoing"]) == ("hello there", False)
        assert bob("read", "alice").code == 0
        sent = send.wait()
    assert sent.code == 0 and sent.out.strip() == incoming["message_id"]
    assert sent.err.startswith("PENDING") and sent.err.endswith("READ\n")
    assert bob("send", "Alice Ex", "hi").code == 0
    until(lambda: len(alice("messages", "bob").lines) == 2)
    first, second = alice("messages", "Bob").lines
    assert "you " in first and "READ" in first and first.endswith("hello there")
    assert "Bob Example" in second and "new" in second and second.endswith("hi")
    assert [c["unread_count"] for c in alice("chats", "--json").json] == [1]


def test_a_photo(pair):
    alice, bob = pair
    sent = alice("send", "@bob", "look", "--attach", str(PHOTO), "--wait=received")
    assert sent.code == 0, sent
    [photo] = bob("photo", "list", "alice", "--json").json
    saved = bob("photo", "get", photo["attachment_id"], "--output=got.jpg")
    assert saved.code == 0, saved
    assert (bob.home / "got.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert bob("photo", "get", sent.out.strip(), "--preview", "-o", "-").bytes[:3] == b"\xff\xd8\xff"
    assert bob("photo", "get", photo["attachment_id"], "-o", "got.jpg").code == 1
    broken = alice.home / "broken.jpg"
    broken.write_text("no photo")
    assert alice("send", "bob", "-a", "broken.jpg").code == 1


@pytest.mark.parametrize("terminal, begin", [
    ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "\x1b[38;2;"),
    ({"TERM": "mlterm"}, "\x1bP0;1;0q"),
    ({"TERM": "xterm-kitty"}, "\x1b_Ga=T"),
    ({"TERM": "vt100"}, "")])
def test_a_photo_on_the_terminal(pair, terminal, begin):
    alice, bob = pair
    text = f"for {terminal['TERM']}"
    sent = alice("send", "bob", text, f"--attach={PHOTO}", "--wait=sent").out.strip()
    until(lambda: any(m["text"] == text for m in bob("messages", "alice", "--json").json))
    code, shown = bob.ctl.on_terminal("photo", "show", sent, env=terminal).finish()
    assert code == 0 and begin in shown
    assert 500 < len(shown)
    result = bob("photo", "show", sent)
    assert result.code == 2 and "photo get" in result.err



def test_a_refused_message(pair):
    alice, _ = pair
    result = alice("send", "@nobody", "hi", "--wait")
    assert result.code == 7 and result.err.startswith("PENDING -> FAILED\n")


def test_sending_while_the_server_is_away(people, pair):
    alice, bob = pair
    people.backend.stop()
    result = alice("send", "@bob", "later", "--wait", "--timeout=0.5")
    assert result.code == 8 and "the daemon goes on with it" in result.err
    people.backend.start()
    until(lambda: bob.account.texts("alice") == ["later"])


def test_watching_across_restarts_of_the_daemon(people, pair):
    alice, bob = pair
    with bob.ctl.start("watch", "--json", "--topics=message.added", "--since=0") as watch:
        for i in range(3):
            assert alice("send", "@bob", str(i), "--wait=received").code == 0
            assert watch.json_line()["data"]["text"] == str(i)
            bob.account.kill()
            assert "was lost" in watch.error_line()
            bob.account.start()
            assert "is back" in watch.error_line()
            bob.account.wait_state("LIVE")


def test_a_bot_misses_nothing_and_does_nothing_twice(pair):
    """Kills of the bot and of its daemon between commands; see test_chatctl_bots for those inside."""
    alice, bob = pair
    log = bob.home / "log"
    bot = ("watch", "--consumer=bot", "--since=0", "--topics=message.added",
           "--exec", f'echo "$CHATCTL_TEXT" >> {log}')

    def done(n):
        added = bob("wait", "--since=0", "--topics=message.added").lines
        kept = bob("call", "events.consumers").json[0]["consumers"]
        return len(added) == n and kept and kept[0]["seq"] >= int(added[-1].split()[0])

    def send(text):
        assert alice("send", "@bob", text, "--wait=received").code == 0

    for round_ in range(3):
        send(f"{round_}a")
        running = bob.ctl.start(*bot)
        until(lambda n=2 * round_ + 1: done(n))
        bob.account.kill()
        assert "was lost" in running.error_line()
        bob.account.start()
        bob.account.wait_state("LIVE")
        send(f"{round_}b")
        until(lambda n=2 * round_ + 2: done(n))
        running.process.kill()
        running.wait()
    assert log.read_text().split() == [f"{i}{x}" for i in range(3) for x in "ab"]


def test_wait(pair):
    alice, bob = pair
    assert alice("send", "@bob", "one", "--wait=received").code == 0
    first = bob("wait", "--since=0", "--topics=message.added").out.split()
    assert first[1] == "message.added"
    with bob.ctl.start("wait", f"--since={first[0]}", "--topics=message.added", "--json") as wait:
        message_id = alice("send", "@bob", "two").out.strip()
        assert wait.json_line()["message_id"] == message_id
        assert wait.wait().code == 0
