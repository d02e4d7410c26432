# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos survive everything: the daemon is killed in the middle of uploads to the tus authors' own server and
of downloads from nginx, again and again. Every photo arrives whole, and little of it is moved twice.

PHOTO_KILLS is how many kills there are in each direction (12)."""

import hashlib
import os
import random

import pytest
import rpc
from gallery import NAME, Fronted, Gallery, content, state
from others import Tus
from PIL import Image
from people import until

KILLS = int(os.environ.get("PHOTO_KILLS", "12"))
EVERY = 10
CHUNK = 1 << 20  # of an upload; a download's is smaller

pytestmark = pytest.mark.timeout(120 + 20 * KILLS)


@pytest.fixture
def people(tmp_path):
    with Fronted(tmp_path) as people:
        yield people


def nothing_is_readable(account, secrets):
    for file in account.data.rglob("*"):
        raw = file.read_bytes() if file.is_file() else b""
        for secret in secrets:
            assert secret not in raw, f"a secret in {file}"


def sample(raw):
    """A piece of a file that must not be found anywhere else."""
    return raw[len(raw) // 2:][:16]


def killed_at(account, front, direction, after):
    """Kills the daemon after so many bytes, starts it again; True unless the transfers ended before."""
    done = front.when(direction, after, account.process.kill)
    until(lambda: done.is_set() or not busy(account))
    with front.lock:
        front.order = None
    if not done.is_set():
        return False
    account.process.wait()
    return True


def busy(account):
    try:
        status = account.call("daemon.status")["transfers"]
    except (OSError, rpc.Gone):
        return True
    return status["active"] + status["waiting"] > 0


def full_size(account, peer):
    return sum(a["size"] for m in account.messages(peer) for a in m["attachments"])


def check_once(moved, size, kills):
    assert size <= moved <= size + (kills + 1) * CHUNK, (moved, size, kills)


def noise(path, side, seed):
    Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(3 * side * side)).save(path)


def test_uploads_killed_at_any_byte(people, tmp_path):
    chance = random.Random(1)
    tus = Tus(tmp_path / "tus", people.backend.url)
    people.front.route("/uploads", tus.port)
    alice = people.sign_in("alice")
    kills, sent, secrets = 0, [], [NAME.encode()]
    try:
        while kills < KILLS:
            photo = tmp_path / "photo.png"
            noise(photo, 1400, len(sent))
            with alice.connect() as client:
                sent.append(client.call(
                    "messages.send", user_id="bob", text=str(len(sent)),
                    attachments=[{"path": str(photo), "name": NAME}])["attachments"][0])
                opened = client.call("attachments.open", attachment_id=sent[-1]["attachment_id"])
                with os.fdopen(client.fds.pop(), "rb") as file:
                    raw = file.read()
            assert opened["size"] == len(raw) == sent[-1]["size"]
            sent[-1]["sha256"] = hashlib.sha256(raw).hexdigest()
            secrets.append(sample(raw))
            while kills < KILLS and killed_at(alice, people.front, "up",
                                              chance.randrange(1, 3 * CHUNK // 2)):
                kills += 1
                if kills % EVERY == 1:  # looking through all of it takes long
                    nothing_is_readable(alice, secrets[:1] + secrets[-2:])
                alice.start()
        until(lambda: not busy(alice) and alice.call("daemon.status")["outbox"]["pending"] == 0)
        nothing_is_readable(alice, secrets)
    finally:
        tus.stop()
    token = people.backend.login("alice")
    for photo in sent:
        there = token.get(f"/attachments/{photo['attachment_id']}")
        assert (there["size"], there["sha256"]) == (photo["size"], photo["sha256"])
    assert [m["status"] for m in alice.messages("bob")] == ["SENT"] * len(sent)
    assert {a["status"] for m in alice.messages("bob") for a in m["attachments"]} == {"READY"}
    moved = people.front.counts["up"]
    print(f"{kills} kills, {len(sent)} photos, {full_size(alice, 'bob')} bytes, {moved} sent")
    check_once(moved, full_size(alice, "bob") , kills)


def test_downloads_killed_at_any_byte(people, tmp_path):
    chance = random.Random(2)
    bob = people.sign_in("bob")
    gallery = Gallery(people, tmp_path / "nginx")
    kills, sent, secrets = 0, {}, [NAME.encode()]
    try:
        while kills < KILLS:
            raw = chance.randbytes(3 * CHUNK + chance.randrange(CHUNK))
            photo = gallery.send(raw)
            sent[photo] = raw
            secrets.append(sample(raw))
            until(lambda: busy(bob) or state(bob, photo) == "READY")
            while kills < KILLS and killed_at(bob, people.front, "down",
                                              chance.randrange(1, 3 * CHUNK // 2)):
                kills += 1
                if kills % EVERY == 1:  # looking through all of it takes long
                    nothing_is_readable(bob, secrets[:1] + secrets[-2:])
                bob.start()
        until(lambda: all(state(bob, photo) == "READY" for photo in sent))
        nothing_is_readable(bob, secrets)
    finally:
        gallery.nginx.stop()
    for photo, raw in sent.items():
        assert content(bob, photo) == raw
    moved, size = people.front.counts["down"], sum(map(len, sent.values()))
    print(f"{kills} kills, {len(sent)} photos, {size} bytes, {moved} sent")
    check_once(moved, size, kills)
