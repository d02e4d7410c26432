# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the account's key comes from: each source opens the account, nothing else does, and what cannot be
opened is told and left as it is."""

import os
import pathlib
import shutil
import stat
import subprocess

import pytest

import rpc
from checked_people import contract, people  # noqa: F401 (fixtures)
from people import until

LOCKED_METHODS = ("chats.list", "messages.search", "settings.get", "outbox.list")


def status(account):
    return account.call("daemon.status")


def reason(account):
    return status(account).get("locked", {}).get("reason")


def fails(account, kind, method, **params):
    with pytest.raises(rpc.RpcError) as error:
        account.call(method, **params)
    assert error.value.kind == kind, error.value
    return error.value.data["detail"]


def key_files(account):
    return sorted(p.name for p in account.data.iterdir() if p.name.startswith("key"))


def restart(account):
    assert account.stop() == 0
    return account.start()


def chatctl(account, *arguments, given=""):
    program = pathlib.Path(rpc.program()).with_name("chatctl")
    return subprocess.run([program, "--socket", account.path, *arguments], input=given, text=True,
                          capture_output=True, timeout=60, check=False)


def talk(people):
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    alice.call("messages.send", user_id="bob", text="before")
    until(lambda: bob.texts("alice") == ["before"])
    return alice, bob


def test_the_first_run_works_with_a_key_file_that_others_cannot_read(people):
    alice = people.account("alice")
    assert status(alice)["key_source"] == "file" and "locked" not in status(alice)
    assert key_files(alice) == ["key", "key.check"]
    assert stat.S_IMODE(os.stat(alice.data / "key").st_mode) == 0o600


def test_a_passphrase_locks_the_start_and_opens_it(people):
    alice, bob = talk(people)
    alice.call("account.set_passphrase", passphrase="tulip ☂")
    assert status(alice)["key_source"] == "passphrase"
    assert key_files(alice) == ["key.check", "key.wrapped"]
    restart(alice)
    with alice.connect() as client:
        assert client.hello["locked"] == "passphrase"
        told = client.call("daemon.status")
        assert told["locked"]["reason"] == "passphrase" and "chatctl unlock" in told["locked"]["detail"]
        assert told["connection"]["state"] == "LOCKED" and told["storage"]["state"] == "locked"
        assert any(v["name"] == "sqlcipher" and v["version"] for v in told["versions"]["libraries"])
        for method in LOCKED_METHODS:
            with pytest.raises(rpc.RpcError) as error:
                client.call(method, **({"query": "x"} if "search" in method else {}))
            assert error.value.kind == "locked" and error.value.code == 3
    fails(alice, "locked", "account.unlock")
    fails(alice, "denied", "account.unlock", passphrase="tulip")
    assert reason(alice) == "passphrase"
    with alice.connect() as client:
        client.call("events.subscribe", topics=["connection"])
        client.call("account.unlock", passphrase="tulip ☂")
        client.next_change(lambda c: c["data"]["state"] == "LIVE")
    assert alice.texts("bob") == ["before"]
    with alice.connect() as client:
        assert "locked" not in client.hello
    bob.call("messages.send", user_id="alice", text="after")
    until(lambda: alice.texts("bob") == ["before", "after"])
    alice.call("account.unlock")  # it is open: nothing happens


def test_locking_wipes_and_forgets_nobody(people):
    alice, bob = talk(people)
    alice.call("account.set_passphrase", passphrase="tulip")
    with alice.connect() as follower, alice.connect() as other:
        follower.call("events.subscribe", since=follower.call("chats.list")["as_of"])
        waiting = other.start("changes.wait", timeout_ms=600000)
        asking = other.start("users.get", user_id="nobody")
        alice.call("account.lock")
        assert other.finish(waiting)["changes"] == []
        with pytest.raises(rpc.RpcError) as error:
            other.finish(asking)
        assert error.value.kind in ("locked", "not_found")
        follower.next_change(lambda c: c["topic"] == "connection" and c["data"]["state"] == "LOCKED")
        with pytest.raises(rpc.RpcError) as error:
            follower.call("chats.list")
        assert error.value.kind == "locked"
        bob.call("messages.send", user_id="alice", text="while locked")
        until(lambda: people.backend.stats()["sessions"] == 1)
        alice.call("account.unlock", passphrase="tulip")
        added = follower.next_change(lambda c: c["topic"] == "message.added")
        assert added["data"]["text"] == "while locked"
        assert [c["user_id"] for c in follower.call("chats.list")["chats"]] == ["bob"]


def test_locked_on_request_it_opens_on_request(people):
    alice, _ = talk(people)
    alice.call("account.lock")
    assert reason(alice) == "asked"
    alice.call("account.lock")
    alice.call("account.unlock")
    alice.wait_state("LIVE")
    assert alice.texts("bob") == ["before"]


def test_locking_again_and_again_leaks_nothing_and_loses_nothing(people):
    alice, bob = talk(people)
    for n in range(5):
        alice.call("messages.send", user_id="bob", text=str(n))
        alice.call("account.lock")
        alice.call("account.unlock")
    until(lambda: bob.texts("alice") == ["before", *map(str, range(5))])


def test_another_passphrase_leaves_the_data_and_ends_the_old_one(people):
    alice, _ = talk(people)
    alice.call("account.set_passphrase", passphrase="old")
    first = (alice.data / "key.wrapped").read_bytes()
    alice.call("account.set_passphrase", passphrase="new")
    assert (alice.data / "key.wrapped").read_bytes() != first
    restart(alice)
    fails(alice, "denied", "account.unlock", passphrase="old")
    alice.call("account.unlock", passphrase="new")
    assert alice.texts("bob") == ["before"]


def test_a_recovery_key_is_the_way_back(people):
    alice, _ = talk(people)
    fails(alice, "invalid_params", "account.unlock", passphrase="a", recovery_key="b")
    key = alice.call("account.make_recovery_key")["recovery_key"]
    assert len(key.replace("-", "")) == 32
    alice.call("account.set_passphrase", passphrase="forgotten")
    restart(alice)
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    fails(alice, "denied", "account.unlock", recovery_key=wrong)
    fails(alice, "denied", "account.unlock", recovery_key="no key")
    assert reason(alice) == "passphrase"
    alice.call("account.unlock", recovery_key=key.lower().replace("-", " "))
    assert alice.texts("bob") == ["before"]
    alice.call("account.set_key_source", source="file")
    assert "key.wrapped" not in key_files(alice)
    restart(alice)
    assert alice.texts("bob") == ["before"]
    later = alice.call("account.make_recovery_key")["recovery_key"]
    alice.call("account.lock")
    fails(alice, "denied", "account.unlock", recovery_key=key)
    alice.call("account.unlock", recovery_key=later)


def test_without_a_recovery_key_none_opens(people):
    alice = people.account("alice")
    alice.call("account.lock")
    fails(alice, "not_found", "account.unlock", recovery_key="0000-" * 7 + "0000")


def credential(tmp_path, secret=b"\x01" * 32):
    directory = tmp_path / "credentials"
    directory.mkdir(exist_ok=True)
    (directory / "chatd.key").write_bytes(secret)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def test_a_new_account_takes_the_credential_that_is_there(people, tmp_path):
    alice = people.account("alice", environment=credential(tmp_path))
    assert status(alice)["key_source"] == "credential"
    assert key_files(alice) == ["key.check", "key.credential"]
    restart(alice)
    assert "locked" not in status(alice)


def test_a_credential_opens_and_another_one_or_none_does_not(people, tmp_path):
    alice, _ = talk(people)
    fails(alice, "unsupported", "account.set_key_source", source="credential")
    assert key_files(alice) == ["key", "key.check"]
    alice.environment = credential(tmp_path)
    restart(alice)
    assert status(alice)["key_source"] == "file"
    alice.call("account.set_key_source", source="credential")
    assert status(alice)["key_source"] == "credential"
    assert key_files(alice) == ["key.check", "key.credential"]
    restart(alice)
    assert alice.texts("bob") == ["before"]
    credential(tmp_path, b"\x02" * 32)
    restart(alice)
    assert reason(alice) == "wrong_key"
    fails(alice, "locked", "account.unlock")
    alice.environment = {}
    restart(alice)
    assert reason(alice) == "key_missing"
    alice.environment = credential(tmp_path)
    restart(alice)
    assert alice.texts("bob") == ["before"]


def test_a_short_credential_is_no_key(people, tmp_path):
    alice = people.account("alice", environment=credential(tmp_path, b"short"))
    assert status(alice)["key_source"] == "file"
    fails(alice, "invalid", "account.set_key_source", source="credential")


def spoil_key(data):
    (data / "key").write_text("0123456789abcdef" * 4 + "\n")


def spoil_check_too(data):
    spoil_key(data)
    (data / "key.check").unlink()


@pytest.mark.parametrize("break_it, expected", [
    (spoil_key, "wrong_key"), (spoil_check_too, "wrong_key"),
    (lambda data: (data / "key").unlink(), "key_missing"),
    (lambda data: (data / "key").write_text("nonsense\n"), "key_unreadable"),
    (lambda data: (data / "key").chmod(0o644), "key_unreadable")])
def test_what_does_not_open_is_told_and_left_as_it_is(people, break_it, expected):
    alice, _ = talk(people)
    alice.stop()
    kept = people.directory / "kept"
    shutil.copytree(alice.data, kept)
    break_it(alice.data)
    before = {p.name: p.read_bytes() for p in alice.data.iterdir()}
    alice.start()
    assert reason(alice) == expected
    with alice.connect() as client:
        assert client.hello["locked"] == expected
    fails(alice, "locked", "account.unlock")
    fails(alice, "locked", "chats.list")
    assert {p.name: p.read_bytes() for p in alice.data.iterdir()} == before
    shutil.copy2(kept / "key", alice.data / "key")
    alice.call("account.unlock")
    assert alice.texts("bob") == ["before"]


def test_a_damaged_wrapping_is_told(people):
    alice = people.account("alice")
    alice.call("account.set_passphrase", passphrase="tulip")
    alice.stop()
    (alice.data / "key.wrapped").write_bytes(b"nonsense")
    alice.start()
    assert reason(alice) == "passphrase"
    fails(alice, "locked", "account.unlock", passphrase="tulip")
    assert reason(alice) == "key_unreadable"


def test_chatctl_locks_and_unlocks(people):
    alice = people.account("alice")
    assert chatctl(alice, "passphrase", given="tulip\n").returncode == 0
    assert chatctl(alice, "lock").returncode == 0
    said = chatctl(alice, "chats")
    assert said.returncode == 4 and "use 'chatctl unlock'" in said.stderr
    shown = chatctl(alice, "status")
    assert shown.returncode == 0 and "LOCKED" in shown.stdout and "passphrase" in shown.stdout
    assert "Locked       " in shown.stdout and "chatctl unlock" in shown.stdout
    assert "Unread" not in shown.stdout and "not signed in" not in shown.stdout
    assert chatctl(alice, "unlock", given="wrong\n").returncode == 1
    assert chatctl(alice, "unlock", given="tulip\n").returncode == 0
    key = chatctl(alice, "key", "recovery").stdout.strip()
    assert chatctl(alice, "key", "move", "file").returncode == 0
    assert key_files(alice) == ["key", "key.check", "key.recovery"]
    assert chatctl(alice, "lock").returncode == 0
    assert chatctl(alice, "unlock", "--recovery", given=key + "\n").returncode == 0
    assert chatctl(alice, "chats").returncode == 0


def test_chatctl_says_what_it_did_with_the_key_as_json(people):
    alice = people.account("alice")
    for verb, given in ((["passphrase"], "tulip\n"), (["lock"], ""), (["unlock"], "tulip\n"),
                        (["key", "move", "file"], "")):
        for option, out in (("--json", "{}\n"), ("--json=pretty", "{\n}\n")):
            if verb == ["unlock"]:
                assert chatctl(alice, "lock").returncode == 0
            done = chatctl(alice, *verb, option, given=given)
            assert (done.returncode, done.stdout, done.stderr) == (0, out, ""), verb
    assert chatctl(alice, "key", "recovery", "--json").stdout.startswith('{"recovery_key":')
    shown = chatctl(alice, "key", "recovery", "--json=pretty").stdout
    assert shown.startswith('{\n\t"recovery_key":') and shown.endswith("\n}\n")


def scan(pid, needles):
    """Which of them the memory of a process holds, for who may read it."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(n, 16) for n in span.split("-"))
            if mode.startswith("rw") and end - start < 1 << 30:
                try:
                    memory.seek(start)
                    held = memory.read(end - start)
                except (OSError, ValueError):
                    continue
                found |= {n for n in needles if n in held}
    return found


@pytest.mark.skipif(not shutil.which("gcore"), reason="gdb is not installed")
def test_an_image_of_the_memory_does_not_hold_the_key(people, tmp_path):
    alice, _ = talk(people)
    text = (alice.data / "key").read_text().strip()
    needles = {bytes.fromhex(text), text.encode()}
    pid = alice.process.pid
    try:
        assert scan(pid, needles), "the key is not found where it must be"
        readable = True
    except PermissionError:
        readable = False  # better still
    image = tmp_path / "image"
    subprocess.run(["gcore", "-o", image, str(pid)], capture_output=True, timeout=100, check=False)
    images = list(tmp_path.glob("image.*"))
    assert bool(images) == readable
    for path in images:
        held = path.read_bytes()
        assert b"chatd" in held and not [n for n in needles if n in held]
    alice.call("account.lock")
    assert not readable or not scan(pid, needles)
    alice.call("account.unlock")
    assert alice.texts("bob") == ["before"]


def test_every_method_of_the_key_was_seen(contract):
    """Runs behind the others: each had a good answer, and all were as described."""
    assert {"account.lock", "account.make_recovery_key", "account.set_key_source",
            "account.set_passphrase", "account.unlock"} <= contract.seen


def test_the_demo_has_no_key(tmp_path):
    world = {"user": {"id": "me", "name": "Me"}, "users": [], "chats": []}
    with rpc.Daemon(tmp_path, world) as daemon, daemon.connect() as client:
        assert client.call("daemon.status")["key_source"] == "none"
        for method in "account.lock", "account.make_recovery_key":
            with pytest.raises(rpc.RpcError) as error:
                client.call(method)
            assert error.value.kind == "unsupported"
