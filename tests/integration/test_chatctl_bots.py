# SPDX-License-Identifier: GPL-3.0-or-later
"""chatctl as a bot's engine: a command for each change until it succeeds, and waiting in scripts."""

import json
import os
import shlex
import signal
import socket

import pytest

from chatctl_support import Chatctl, bare_program, ctl, fake  # noqa: F401 (fixtures)

ADDED = "--topics=message.added"


class Told:
    """Commands run by chatctl tell the test what they were given, and are told how to end."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "told")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(60)
        script = os.path.join(directory, "command")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"""#!/usr/bin/python3
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({self.path!r})
s.sendall(json.dumps([sys.stdin.read(), dict(os.environ), os.getpid()]).encode() + b"\\n")
sys.exit(int(s.recv(10)))
""")
        os.chmod(script, 0o755)
        self.command = f"exec {script}"

    def next(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(60)
        stdin, self.environment, self.pid = json.loads(self.connection.makefile().readline())
        assert stdin.endswith("\n") and stdin.count("\n") == 1
        self.change = json.loads(stdin)
        return self.change

    def end(self, code=0):
        self.connection.sendall(str(code).encode())
        self.connection.close()


@pytest.fixture
def told(fake):
    told = Told(os.path.dirname(fake.path))
    yield told
    told.listener.close()


def watch(ctl, told, *args):
    return ctl.start("watch", "--consumer=bot", "--exec", told.command, *args)


def test_a_command_is_run_for_each_change_in_order(fake, ctl, told):
    text = "quote ' \" $HOME\n\u202e😀"
    with watch(ctl, told, ADDED, "--since=0") as running:
        fake.wait_request("events.subscribe")
        first = fake.add_message("c-1", text)
        fake.add_message("c-1", "two", outgoing=True)
        change = told.next()
        assert change["topic"] == "message.added" and change["data"]["text"] == text
        for name, value in {"SEQ": str(first["seq"]), "TOPIC": "message.added", "CHAT_ID": "c-1",
                            "MESSAGE_ID": "m-1", "USER_ID": "bob", "OUTGOING": "0",
                            "STATUS": "RECEIVED", "TEXT": text}.items():
            assert told.environment["CHATCTL_" + name] == value
        assert "CHATCTL_ATTACHMENT_ID" not in told.environment
        assert fake.params("events.ack") == []  # not before it has succeeded
        told.end()
        assert told.next()["data"]["text"] == "two"
        assert told.environment["CHATCTL_OUTGOING"] == "1"
        told.end()
        fake.wait_for(lambda: fake.consumers["bot"] == fake.seq)
        running.process.send_signal(signal.SIGTERM)
        result = running.wait()
        assert (result.code, result.out, result.err) == (0, "", "")


def test_chatctl_in_a_command_speaks_to_the_daemon_that_the_change_is_from(fake, ctl):
    directory = os.path.dirname(fake.path)
    relative = Chatctl(directory, os.path.basename(fake.path))  # which leads nowhere from /
    text = "$(kill $PPID); `x` ' \" \\"
    command = (f'cd / && {shlex.quote(bare_program("chatctl"))} send "$CHATCTL_CHAT_ID" '
               '-- "$CHATCTL_ACCOUNT got $CHATCTL_TEXT"')
    with relative.start("watch", "--consumer=bot", ADDED, "--exec", command) as running:
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", text, outgoing=False)
        fake.wait_request("messages.send")
        # Its own change is the next: whoever answers itself is stopped here.
        running.process.terminate()
        running.wait()
    assert fake.params("messages.send")[0]["text"] == "default got " + text


def test_the_environment_says_which_daemon(fake, ctl, told, tmp_path):
    nowhere = str(tmp_path / "nobody")
    with ctl.start("watch", ADDED, "--exec", told.command):
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "x")
        told.next()
        given = {name: told.environment["CHATCTL_" + name] for name in ("SOCKET", "ACCOUNT")}
        told.end()
    assert given == {"SOCKET": fake.path, "ACCOUNT": "default"}
    bare = Chatctl(tmp_path)
    assert bare("status").code == 3
    assert bare("status", env={"CHATCTL_SOCKET": fake.path, "CHATCTL_ACCOUNT": "other"}).code == 0
    assert bare("__complete", "send", "B", env={"CHATCTL_SOCKET": fake.path}).out != ""
    assert bare("status", env={"CHATCTL_SOCKET": "", "CHATCTL_ACCOUNT": ""}).code == 3
    (tmp_path / "chatd").mkdir()
    os.symlink(fake.path, tmp_path / "chatd" / "work.sock")
    assert bare("status", env={"CHATCTL_ACCOUNT": "work"}).code == 0
    assert "account other" in bare("status", env={"CHATCTL_ACCOUNT": "other"}).err
    # What the command line says outranks both.
    assert ctl("status", env={"CHATCTL_SOCKET": nowhere}).code == 0
    assert bare("status", "--account=work", env={"CHATCTL_SOCKET": nowhere}).code == 0
    assert nowhere in bare("status", env={"CHATCTL_SOCKET": nowhere}).err


def test_a_command_that_fails_is_run_again_before_the_next(fake, ctl, told):
    with watch(ctl, told, ADDED) as running:
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "one")
        fake.add_message("c-1", "two")
        for code in (3, 1, 0):
            assert told.next()["data"]["text"] == "one"
            assert fake.params("events.ack") == []
            told.end(code)
        assert "exited with 3; it runs again" in running.error_line()
        assert told.next()["data"]["text"] == "two"
        os.kill(told.pid, signal.SIGKILL)
        assert "exited with 1" in running.error_line()
        assert "ended by signal 9" in running.error_line()
        assert told.next()["data"]["text"] == "two"
        told.end()
        fake.wait_for(lambda: fake.consumers["bot"] == fake.seq)


def test_what_was_not_done_is_done_after_a_restart(fake, ctl, told):
    with watch(ctl, told, ADDED) as running:
        fake.wait_request("events.subscribe")
        for text in ("one", "two", "three"):
            fake.add_message("c-1", text)
        told.next()
        told.end()
        assert told.next()["data"]["text"] == "two"
        running.process.kill()
        told.end()
        running.wait()
    with watch(ctl, told, ADDED):
        for text in ("two", "three"):
            assert told.next()["data"]["text"] == text
            told.end()
        fake.wait_for(lambda: fake.consumers["bot"] == fake.seq)


def test_the_command_that_runs_is_finished_before_the_end(fake, ctl, told):
    for signals in ([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]):
        with watch(ctl, told, ADDED) as running:
            fake.wait_request("events.subscribe", len(fake.params("events.subscribe")) + 1)
            fake.add_message("c-1", "x")
            told.next()
            for number in signals:
                running.process.send_signal(number)
            if len(signals) == 1:
                fake.add_message("c-1", "not any more")
                told.end()
            result = running.wait()
        assert result.code == 0
        if len(signals) == 1:
            assert result.err == "" and fake.consumers["bot"] == fake.seq - 1
        else:
            assert "ended by signal 15; it runs again next time" in result.err
        fake.consumers["bot"] = fake.seq


def test_the_daemon_may_go_while_a_command_runs(fake, ctl, told):
    with watch(ctl, told, ADDED):
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "one")
        fake.add_message("c-1", "two")
        told.next()
        fake.drop()
        fake.wait_request("events.subscribe", 2)  # which tells both again
        told.end()
        assert told.next()["data"]["text"] == "two"
        fake.stop()
        told.end()
        fake.start()
        fake.add_message("c-1", "three")
        assert told.next()["data"]["text"] == "three"
        told.end()
        fake.wait_for(lambda: fake.consumers["bot"] == fake.seq)


def test_a_slow_command_does_not_fill_memory(fake, ctl, told):
    done = os.path.join(os.path.dirname(fake.path), "done")
    command = f'[ "$CHATCTL_TEXT" != 0 ] || {told.command[5:]}; echo "$CHATCTL_TEXT" >> {done}'
    with ctl.start("watch", "--consumer=bot", ADDED, "--exec", command):
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "0")
        told.next()
        for i in range(1, 300):
            fake.add_message("c-1", str(i))
        fake.wait_request("events.unsubscribe")
        told.end()
        fake.wait_for(lambda: fake.consumers["bot"] == fake.seq)
    assert len(fake.params("events.subscribe")) == 2
    with open(done, encoding="utf-8") as file:  # what was dropped came again, and nothing twice
        assert file.read().split() == [str(i) for i in range(300)]


def test_a_forgotten_consumer_ends_it(fake, ctl, told):
    with watch(ctl, told, ADDED) as running:
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "one")
        told.next()
        fake.consumers.clear()
        told.end()
        result = running.wait()
        assert result.code == 6 and "no such consumer" in result.err


def test_without_a_consumer_it_follows_from_now_on(fake, ctl, told):
    fake.add_message("c-1", "before")
    with ctl.start("watch", ADDED, "--exec", told.command):
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "one")
        assert told.next()["data"]["text"] == "one"
        told.end()
        fake.add_message("c-1", "two")
        assert told.next()["data"]["text"] == "two"
        told.end()
        assert fake.params("events.ack") == []


def test_a_consumer_that_only_prints_acknowledges_what_it_printed(fake, ctl):
    with ctl.start("watch", "--consumer=log", "--json", ADDED) as running:
        fake.wait_request("events.subscribe")
        fake.add_message("c-1", "one")
        assert running.json_line()["data"]["text"] == "one"
        fake.wait_for(lambda: fake.consumers["log"] == fake.seq)
    fake.add_message("c-1", "two")
    with ctl.start("watch", "--consumer=log", "--json", ADDED) as running:
        assert running.json_line()["data"]["text"] == "two"


def test_wait_tells_what_changed(fake, ctl):
    with ctl.start("wait", "--timeout=60") as running:
        fake.wait_request("changes.wait")
        seq = fake.add_message("c-1", "one")["seq"]
        result = running.wait()
    assert (result.code, result.out) == (0, f"{seq} message.added c-1 m-1\n")
    fake.add_message("c-1", "two")
    result = ctl("wait", f"--since={seq}", "--json")
    assert result.json == [{"seq": seq + 1, "topic": "message.added", "chat_id": "c-1",
                            "message_id": "m-2"}]


def test_wait_asks_for_topics_and_chat(fake, ctl):
    fake.add_message("c-1", "one")
    result = ctl("wait", "--since=0", "--topics=chat.removed,chat.updated", "--chat=bob",
                 "--timeout=0")
    assert (result.code, result.out) == (8, "")
    assert f"it is at {fake.seq}" in result.err
    sent = fake.params("changes.wait")[0]
    assert sent["topics"] == ["chat.removed", "chat.updated"] and sent["chats"] == ["c-1"]
    assert ctl("wait", "--topics=,").code == 2
    assert ctl("wait", "--chat=nobody").code == 6


def test_wait_outlives_the_daemon(fake, ctl):
    with ctl.start("wait") as running:
        fake.wait_request("changes.wait")
        fake.stop()
        fake.add_message("c-1", "one")
        fake.start()
        assert running.wait().out.split()[1] == "message.added"
