# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that is damaged: what can be read of it is carried over, and the rest is fetched again."""

import pathlib
import subprocess
import time

import pytest

import rpc
from people import People, until

PHOTO = pathlib.Path(__file__).parents[1] / "data" / "photo.jpg"
PAGE = 4096
COUNT = 400


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def talk(people):
    """bob has written to alice, with a photo that she has opened; her answer waits to be sent."""
    alice, bob = people.sign_in("alice"), people.sign_in("bob")
    with bob.connect() as client:
        client.call("messages.send", user_id="alice", text="look", attachments=[{"path": str(PHOTO)}])
        for n in range(COUNT):
            client.call("messages.send", user_id="alice", text=f"pear {n} {'x' * 150}")
    until(lambda: len(all_texts(alice)) == COUNT + 1)
    photo = next(m for m in all_messages(alice) if m["attachments"])["attachments"][0]["attachment_id"]
    alice.call("attachments.download", attachment_id=photo)
    until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    people.backend.stop()
    until(lambda: alice.call("daemon.status")["connection"]["state"] != "LIVE")
    alice.call("messages.send", user_id="bob", text="at last", attachments=[{"path": str(PHOTO)}])
    return alice, bob, photo


def all_messages(account, peer="bob"):
    chat, found, before = account.chat_with(peer), [], {}
    while True:
        page = account.call("messages.list", chat_id=chat, limit=200, **before)
        found = page["messages"] + found
        if not page["more"]:
            return found
        before = {"before": page["messages"][0]["message_id"]}


def all_texts(account, peer="bob"):
    try:
        return [m["text"].rstrip("x").rstrip() for m in all_messages(account, peer)]
    except rpc.RpcError:
        return []


def spoil(path, pages):
    data = bytearray(path.read_bytes())
    for page in pages:
        at = (page - 1) * PAGE
        data[at + 300:at + 316] = bytes(b ^ 0x5a for b in data[at + 300:at + 316])
    path.write_bytes(data)


def mark(account):
    (account.data / "chat.db.suspect").touch(mode=0o600)


def middle(account):
    """Pages behind the tables' roots: rows of messages, and of indexes."""
    pages = (account.data / "chat.db").stat().st_size // PAGE
    assert pages > 58
    return range(40, 56, 2)


def is_complete(account):
    """As it was before, each message once; those with photos take their time to be sent."""
    texts = all_texts(account)
    pears = [t for t in texts if t.startswith("pear")]
    return pears == [f"pear {n}" for n in range(COUNT)] and sorted(set(texts) - set(pears))


def check_all_is_well(people, alice, bob, photo):
    people.backend.start()
    alice.wait_state("LIVE")
    until(lambda: is_complete(alice) == ["at last", "look"])
    assert len(all_texts(alice)) == COUNT + 2
    until(lambda: all_texts(bob, "alice").count("at last") == 1)
    assert len(all_texts(bob, "alice")) == COUNT + 2
    alice.call("attachments.download", attachment_id=photo)
    until(lambda: alice.call("attachments.get", attachment_id=photo)["status"] == "READY")
    assert alice.call("attachments.open", attachment_id=photo)
    assert alice.call("storage.check")["ok"]
    with bob.connect() as client:
        client.call("messages.send", user_id="alice", text="afterwards")
    until(lambda: "afterwards" in all_texts(alice))
    time.sleep(0.5)
    assert all_texts(alice).count("at last") == 1 and all_texts(bob, "alice").count("at last") == 1


def salvaged(account):
    return account.call("daemon.status")["storage"].get("salvaged")


def test_what_is_whole_comes_over_and_the_rest_is_fetched(people):
    alice, bob, photo = talk(people)
    with alice.connect() as bot:
        bot.call("events.subscribe", consumer="bot", topics=["message.added"], since=0)
        dealt_with = [bot.next_change() for _ in range(10)]
        seen, seq = {c["data"]["message_id"] for c in dealt_with}, dealt_with[-1]["seq"]
        bot.call("events.ack", consumer="bot", seq=seq)
    before = {m["message_id"] for m in all_messages(alice)}
    assert alice.stop() == 0
    spoil(alice.data / "chat.db", middle(alice))
    mark(alice)
    bad = (alice.data / "chat.db").read_bytes()
    alice.start()
    told = salvaged(alice)
    assert told["unsent"] == 1 and told["unsent_lost"] == 0
    assert 0 < told["messages"] < COUNT + 2
    assert (alice.data / told["put_aside"]).read_bytes()[PAGE:] == bad[PAGE:]
    shown = subprocess.run([pathlib.Path(rpc.program()).with_name("chatctl"), "--socket", alice.path, "status"],
                           capture_output=True, text=True, check=True).stdout
    assert told["put_aside"] in "".join(shown.split())
    check_all_is_well(people, alice, bob, photo)
    with alice.connect() as bot:
        assert bot.call("events.subscribe", consumer="bot", topics=["message.added"])["seq"] == seq
        while not before <= seen:
            change = bot.next_change()
            seen.add(change["data"]["message_id"])
            bot.call("events.ack", consumer="bot", seq=change["seq"])
    alice.stop()
    alice.start()
    assert salvaged(alice) is None


def test_damage_that_is_met_while_it_runs_is_put_right(people):
    alice, bob, photo = talk(people)
    assert alice.stop() == 0
    # A start reads none of these pages, or it puts it right at once.
    spoil(alice.data / "chat.db", middle(alice))
    alice.start()
    process = alice.process.pid

    refused = []

    def meets_it():
        try:
            all_messages(alice)  # no empty page, where it could not be read
        except rpc.RpcError as error:
            refused.append(error.kind)
        return salvaged(alice)

    told = until(meets_it)
    assert alice.process.poll() is None and alice.process.pid == process
    assert "storage_error" in refused and set(refused) <= {"storage_error", "locked"}
    assert told["unsent"] == 1 and not (alice.data / "chat.db.suspect").exists()
    check_all_is_well(people, alice, bob, photo)


def test_a_kill_at_any_moment_loses_nothing(people):
    alice, bob, photo = talk(people)
    assert alice.stop() == 0
    spoil(alice.data / "chat.db", middle(alice))
    mark(alice)
    kept = {f.name: f.read_bytes() for f in alice.data.iterdir()}
    seen = set()
    for attempt in range(14):
        for f in alice.data.iterdir():
            f.unlink()
        for name, data in kept.items():
            (alice.data / name).write_bytes(data)
            (alice.data / name).chmod(0o600)
        alice.process = subprocess.Popen(alice.command(), stderr=subprocess.DEVNULL)
        time.sleep(0.02 + attempt * 0.03)
        alice.kill()
        names = {f.name for f in alice.data.iterdir()}
        seen.add(("built" if "chat.db.salvaged" in names else "building" if "chat.db.building" in names else
                  "done" if any(n.startswith("chat.db.damaged") for n in names) else "before"))
        assert "chat.db" in names or "chat.db.salvaged" in names
    assert len(seen) > 1
    (alice.directory / "s").unlink(missing_ok=True)
    alice.start()
    if salvaged(alice):
        assert salvaged(alice)["unsent"] == 1
    assert len(list(alice.data.glob("chat.db.damaged-*Z"))) == 1
    check_all_is_well(people, alice, bob, photo)


def test_without_its_first_page_one_signs_in_again(people):
    alice, _, _ = talk(people)
    with alice.connect() as client:
        since = client.call("chats.list")["as_of"]
    assert alice.stop() == 0
    spoil(alice.data / "chat.db", [1])
    alice.start()
    told = salvaged(alice)
    assert told["messages"] == 0 and (alice.data / told["put_aside"]).exists()
    status = alice.call("daemon.status")
    assert status["connection"]["state"] == "OFFLINE"
    people.backend.start()
    with alice.connect() as client:
        client.call("events.subscribe", since=since)
        client.call("account.login", server=people.url, user_id="alice",
                    password=people.backend.users["alice"])
    alice.wait_state("LIVE")
    until(lambda: is_complete(alice) == ["look"])
