# SPDX-License-Identifier: GPL-3.0-or-later
"""chatd as a service of systemd's user manager, installed as `make install` installs it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

import rpc
import user_manager
from backend import Backend
from people import Account, until
from user_manager import UserManager

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"


@pytest.fixture
def machine():
    with UserManager() as machine:
        yield machine


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


def sign_in(machine, backend, user="alice", socket="default"):
    with machine.connect(socket) as client:
        client.call("account.login", server=backend.url, user_id=user,
                    password=backend.users[user])
        client.call("events.subscribe", topics=["connection"])
        while client.call("daemon.status")["connection"]["state"] != "LIVE":
            client.next_change()


def bob(tmp_path, backend):
    """A daemon of bob's, beside the machine."""
    (tmp_path / "bob").mkdir()
    account = Account(tmp_path / "bob", "bob").start()
    account.call("account.login", server=backend.url, user_id="bob",
                 password=backend.users["bob"])
    account.wait_state("LIVE")
    return account


def send_offline(machine, count):
    with machine.connect() as client:
        for n in range(count):
            client.call("messages.send", user_id="bob", text=f"kept {n}")


def wait_new_process(machine, old):
    return machine.wait_show("MainPID", lambda pid: pid not in ("0", old))


def test_the_first_connection_starts_it_and_loses_nothing(machine):
    machine.systemctl("start", "chatd.socket")
    assert machine.show("ActiveState") == "inactive"
    with machine.connect(hello=False) as client:
        ids = [client.start("daemon.status") for _ in range(50)]
        assert client.read()["method"] == "hello"
        for id in ids:
            assert client.finish(id)["key_source"] == "file"
    assert machine.show("ActiveState") == "active"
    mode = os.stat(machine.socket()).st_mode
    assert mode & 0o777 == 0o600 and os.stat(machine.socket().parent).st_mode & 0o777 == 0o700


def test_a_call_on_the_bus_starts_it(machine):
    bus = f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{user_manager.UID}/bus"
    called = machine.run("busctl", "--user", "--timeout=60", "call", "org.chatd.Chat1",
                         "/org/chatd/Chat1", "org.chatd.Chat1.Daemon", "Status", "a{sv}", "0",
                         environment=[bus])
    assert "key_source" in called.stdout
    assert machine.show("ActiveState") == "active"


def test_the_status_line_says_what_chatctl_says(machine, backend):
    machine.systemctl("start", "chatd.service")
    assert machine.show("StatusText") == (
        "OFFLINE; not signed in, use 'chatctl login SERVER USER'")
    sign_in(machine, backend)
    here = f"@alice at {backend.url}"
    machine.wait_show("StatusText", lambda s: s == (
        f"LIVE; {here}; 0 unread, 0 pending, 0 failed"))
    assert f"Status: \"LIVE; {here}" in machine.systemctl("status", "chatd.service").stdout
    backend.stop()
    machine.wait_show("StatusText", lambda s: s.startswith(("BACKOFF: ", "CONNECTING: ")))
    send_offline(machine, 2)
    machine.wait_show("StatusText", lambda s: s.endswith("0 unread, 2 pending, 0 failed"))
    said = machine.chatctl("status").stdout
    assert "2 pending, 0 failed" in said and f"at {backend.url}" in said
    backend.start()
    machine.wait_show("StatusText", lambda s: s == (
        f"LIVE; {here}; 0 unread, 0 pending, 0 failed"))


@pytest.mark.parametrize("signal, result", [("STOP", "watchdog"), ("KILL", "signal")])
def test_stuck_or_killed_it_comes_back_and_has_lost_nothing(machine, backend, tmp_path, signal,
                                                            result):
    machine.drop_in("chatd.service", "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
    machine.systemctl("start", "chatd.service")
    sign_in(machine, backend)
    backend.stop()
    send_offline(machine, 5)
    old = machine.show("MainPID")
    machine.systemctl("kill", "--kill-whom=main", f"--signal={signal}", "chatd.service")
    # Asked of a process that is stopped, or of none: it waits, and is served by the next one.
    with machine.connect(hello=False) as client:
        assert client.read(user_manager.PATIENCE)["method"] == "hello"
        assert client.call("daemon.status")["outbox"] == {"pending": 5, "failed": 0}
    assert wait_new_process(machine, old)
    assert machine.show("NRestarts") == "1"
    said = " ".join(e["MESSAGE"] for e in machine.journal("USER_UNIT=chatd.service"))
    assert f"Failed with result '{result}'" in said
    backend.start()
    friend = bob(tmp_path, backend)
    try:
        until(lambda: friend.texts("alice") == [f"kept {n}" for n in range(5)])
    finally:
        friend.stop()


def test_an_idle_daemon_is_not_taken_for_a_stuck_one(machine):
    """Three intervals without a client, a server or anything else to do."""
    machine.drop_in("chatd.service", "[Service]\nWatchdogSec=1s\n")
    machine.systemctl("start", "chatd.service")
    first, seen = machine.show("MainPID"), set()
    while len(seen) < 6:
        seen.add(machine.show("WatchdogTimestampMonotonic"))
    assert machine.show("MainPID") == first and machine.show("NRestarts") == "0"


def test_a_daemon_whose_database_is_gone_is_not_fed(machine):
    machine.drop_in("chatd.service", "[Service]\nWatchdogSec=1s\nRestartSec=100ms\n")
    machine.systemctl("start", "chatd.service")
    old = machine.show("MainPID")
    (machine.home / ".local/share/chatd/default/chat.db").unlink()
    wait_new_process(machine, old)
    said = [e["MESSAGE"] for e in machine.journal("ACCOUNT=default")]
    assert "the database does not work any more: its file is gone" in said


def test_a_reload_reads_the_settings_again(machine, backend):
    settings = machine.home / ".config/chatd/chatd.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[daemon]\nlog_level = warning\n")
    machine.own(machine.home)
    machine.systemctl("start", "chatd.service")
    pid = machine.show("MainPID")
    sign_in(machine, backend)
    assert not machine.journal("SESSION_STATE=LIVE")
    settings.write_text("[daemon]\nlog_level = warning\n[account default]\nlog_level = debug\n")
    machine.systemctl("reload", "chatd.service")
    machine.wait_show("ActiveState", lambda s: s == "active")
    backend.stop()
    machine.wait_show("StatusText", lambda s: s.startswith(("BACKOFF: ", "CONNECTING: ")))
    until(lambda: machine.journal("SESSION_STATE=BACKOFF"))
    settings.write_text("[daemon]\nlog_level = loud\n")
    machine.systemctl("reload", "chatd.service")
    until(lambda: "the settings are left as they were" in [
        e["MESSAGE"] for e in machine.journal("ACCOUNT=default", "PRIORITY=3")])
    assert machine.show("MainPID") == pid and machine.show("ActiveState") == "active"


def test_sockets_named_read_and_send_give_no_more(machine):
    machine.systemctl("start", "chatd.socket", "chatd-read.socket", "chatd-send.socket")
    for name, scope, good, denied in [
            ("default", "full", "chats.list", None),
            ("default.read", "read", "chats.list", "account.login"),
            ("default.send", "send", "daemon.status", "chats.list")]:
        with machine.connect(name) as client:
            assert client.hello["scope"] == scope
            assert client.call(good)
            if denied:
                params = {"server": "https://x.invalid", "user_id": "u", "password": "p"}
                with pytest.raises(rpc.RpcError) as error:
                    client.call(denied, **(params if denied == "account.login" else {}))
                assert error.value.kind == "denied"
    said = machine.chatctl("--socket", f"/run/user/{user_manager.UID}/chatd/default.read.sock",
                           "status").stdout
    assert "not signed in" in said


def test_two_accounts_run_side_by_side(machine, backend):
    machine.systemctl("start", "chatd@work.socket", "chatd@home.socket")
    sign_in(machine, backend, "alice", "work")
    sign_in(machine, backend, "bob", "home")
    with machine.connect("work") as client:
        assert client.hello["account"] == "work"
        client.call("messages.send", user_id="bob", text="across the room")
    until(lambda: "across the room" in machine.chatctl(
        "--account", "home", "--json", "messages", "alice", check=False).stdout)
    assert machine.show("MainPID", "chatd@work.service") != machine.show(
        "MainPID", "chatd@home.service")
    assert sorted(p.name for p in (machine.home / ".local/share/chatd").iterdir()) == [
        "home", "work"]


def test_the_default_account_has_one_unit(machine):
    machine.systemctl("start", "chatd.socket")
    assert machine.systemctl("start", "chatd@default.socket", check=False).returncode != 0
    with machine.connect() as client:
        assert client.hello["account"] == "default"


def mounts_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields = line.split()
        yield fields[4], fields[5].split(",")


def test_a_photo_is_sent_by_a_daemon_that_is_shut_in(machine, backend, tmp_path):
    """By its path, from the home and from the temporary directory, and by a descriptor."""
    machine.systemctl("start", "chatd.socket")
    sign_in(machine, backend)
    shutil.copy(PHOTO, machine.home / "lake.jpg")
    machine.own(machine.home)
    passing = machine.directory / "passing.jpg"
    shutil.copy(PHOTO, passing)
    passing.chmod(0o644)
    with machine.connect() as client:
        for path in (f"/home/{user_manager.NAME}/lake.jpg", str(passing)):
            client.call("messages.send", user_id="bob", text="look", attachments=[{"path": path}])
        with pytest.raises(rpc.RpcError):
            client.call("messages.send", user_id="bob", text="look",
                        attachments=[{"path": f"/home/{user_manager.NAME}/.ssh/id"}])
    machine.chatctl("send", "bob", "look", "--attach", f"/home/{user_manager.NAME}/lake.jpg",
                    "--wait=sent")
    friend = bob(tmp_path, backend)
    try:
        def complete():
            messages = friend.messages("alice")
            return len(messages) == 3 and all(
                m["attachments"] and m["attachments"][0]["width"] for m in messages)
        until(complete)
    finally:
        friend.stop()
    assert not [e for e in machine.journal() if "SIGSYS" in e.get("MESSAGE", "")]


def test_it_is_shut_in_indeed(machine):
    """What the kernel says of the process, not what the unit asks for."""
    keys = machine.home / ".ssh"
    keys.mkdir()
    (keys / "id").write_text("secret")
    machine.own(machine.home)
    machine.systemctl("start", "chatd.service")
    pid = machine.outer_pid(machine.show("MainPID"))
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert {status[k] for k in ("CapBnd", "CapEff", "CapPrm", "CapAmb")} == {"0" * 16}
    modes = dict(mounts_of(pid))
    home = f"/home/{user_manager.NAME}"
    for path in ("/", home, "/usr/local" if machine.prefix == "/usr/local" else "/"):
        assert "ro" in modes[path], path
    assert "rw" in modes[f"{home}/.local/share/chatd"]
    assert f"{home}/.ssh" in modes
    assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    assert pathlib.Path(f"/proc/{pid}/limits").read_text().count("Max core file size") == 1
    assert " 0 " in next(l for l in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
                         if l.startswith("Max core"))


def test_the_journal_has_fields(machine, backend):
    machine.systemctl("start", "chatd.service")
    sign_in(machine, backend)
    entries = until(lambda: machine.journal("SESSION_STATE=LIVE"))
    entry = entries[-1]
    assert entry["ACCOUNT"] == "default" and entry["PRIORITY"] == "6"
    assert entry["_SYSTEMD_USER_UNIT"] == "chatd.service"
    assert entry["SYSLOG_IDENTIFIER"] == "chatd"
    text = json.dumps(machine.journal("_SYSTEMD_USER_UNIT=chatd.service"))
    assert backend.users["alice"] not in text


def break_key(data):
    (data / "key").write_text("00" * 32 + "\n")


def damage(data):
    """What was being carried over is no such thing."""
    (data / "chat.db.salvaged").write_bytes((data / "chat.db").read_bytes())
    (data / "chat.db.salvaged").chmod(0o600)


def open_key(data):
    (data / "key").chmod(0o644)


@pytest.mark.parametrize("harm, words", [
    (break_key, "the key does not fit the database"),
    (open_key, "can be read by others; make it private"),
])
def test_a_key_that_does_not_open_leaves_it_locked_and_says_why(machine, harm, words):
    machine.systemctl("start", "chatd.service")
    machine.systemctl("stop", "chatd.service", "chatd.socket")
    data = machine.home / ".local/share/chatd/default"
    harm(data)
    machine.own(machine.home)
    before = {p.name: p.read_bytes() for p in data.iterdir()}
    machine.systemctl("start", "chatd.service")
    status = machine.show("StatusText")
    assert status.startswith("LOCKED: ") and words in status
    assert words in " ".join(machine.chatctl("status").stdout.split())
    told = machine.chatctl("chats", check=False)
    assert words in told.stderr and told.returncode == 4
    assert {p.name: p.read_bytes() for p in data.iterdir()} == before


@pytest.mark.parametrize("harm, words", [
    (damage, "damaged"),
])
def test_a_start_that_fails_says_why(machine, harm, words):
    machine.systemctl("start", "chatd.service")
    machine.systemctl("stop", "chatd.service", "chatd.socket")
    data = machine.home / ".local/share/chatd/default"
    harm(data)
    machine.own(machine.home)
    before = {p.name: p.read_bytes() for p in data.iterdir()}
    assert machine.systemctl("start", "chatd.service", check=False).returncode != 0
    said = machine.systemctl("status", "chatd.service", check=False).stdout
    status = next(line for line in said.splitlines() if "Status:" in line)
    assert words in status
    assert machine.show("NRestarts") == "0" and machine.show("ExecMainStatus") == "65"
    assert {p.name for p in data.iterdir()} == set(before)
    assert (data / "chat.db").read_bytes() == before["chat.db"]
    # Who comes through the socket is told, and the socket stays.
    machine.systemctl("reset-failed", "chatd.service")
    machine.systemctl("start", "chatd.socket")
    told = machine.chatctl("status", check=False)
    assert words in told.stderr and told.returncode != 0
    assert machine.show("ActiveState", "chatd.socket") == "active"


def test_wrong_settings_are_named(machine):
    settings = machine.home / ".config/chatd/chatd.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[daemon]\nlog_levle = debug\n")
    machine.own(machine.home)
    assert machine.systemctl("start", "chatd.service", check=False).returncode != 0
    assert machine.show("ExecMainStatus") == "78"
    assert "chatd.conf, line 2: not a setting" in machine.journal_text()


def test_without_a_daemon_chatctl_names_the_unit_and_starts_none(machine):
    for arguments, unit in [([], "chatd.socket"), (["--account", "work"], "chatd@work.socket")]:
        told = machine.chatctl(*arguments, "status", check=False)
        assert told.returncode == 3
        assert told.stderr.count("\n") == 1
        assert f"systemctl --user start {unit}'" in told.stderr
    assert machine.run("pgrep", "-x", "chatd", check=False).stdout == ""
    machine.systemctl("start", "chatd@work.socket")
    assert machine.chatctl("--account", "work", "status").returncode == 0


def test_a_first_conversation_as_the_readme_has_it(machine, backend, tmp_path):
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    block = readme.split("## A first conversation")[1].split("##")[0]
    commands = [line.strip()[2:] for line in block.splitlines() if line.startswith("    $ ")]
    assert commands[0] == "systemctl --user start chatd.socket"
    shutil.copy(PHOTO, machine.home / "lake.jpg")
    machine.own(machine.home)
    friend = bob(tmp_path, backend)
    try:
        for command in commands:
            words = command.replace("https://chat.example", backend.url)
            if words.startswith("chatctl watch"):
                continue
            password = f"{backend.users['alice']}\n" if "login" in words else None
            script = f"cd ~; {words}"
            if "--wait=read" in words:
                process = subprocess.Popen([*machine.inside(), "sh", "-c", script],
                                           stderr=subprocess.PIPE, text=True)
                until(lambda: friend.texts("alice"))
                chat = friend.chat_with("alice")
                friend.call("messages.mark_read", chat_id=chat,
                            message_id=friend.messages("alice")[-1]["message_id"])
                assert "READ" in process.communicate(timeout=user_manager.PATIENCE)[1]
                assert process.returncode == 0
            else:
                machine.run("sh", "-c", script, input=password)
        until(lambda: [m["text"] for m in friend.messages("alice")] == [
            "Are you there?", "The view"])
    finally:
        friend.stop()
